/**
 * Goal: servers that apply the same entries do not all write their snapshots at the same moment, which would slow the whole
 * cluster down instead of one server at a time. Whole nodes in virtual time (test/raft/mit/lab.ts).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Lab } from '../mit/lab.ts';

const EVERY = 400;
/** The thresholds differ by up to a quarter (node/snapshot-writer.ts). */
const SPREAD = EVERY / 4;
const STEP = 4;

describe('snapshots of five servers under the same load', () => {
  it('are due at different entries, each time anew', async () => {
    const lab = await Lab.start(5, 91, { snapshotEveryEntries: EVERY, snapshotEveryBytes: 1e9 });
    await lab.one('first', 5);
    /** Of each server, where it took its snapshots. */
    const taken = new Map(lab.servers.map(({ id }) => [id, [] as number[]]));
    for (let n = 0; n < 3_000; n += STEP) {
      for (let k = 0; k < STEP; k++) lab.begin(`word ${n + k}`);
      await lab.pass(10);
      for (const { id, node } of lab.servers) {
        const { snapshotIndex } = node!.status();
        const own = taken.get(id)!;
        if (snapshotIndex > (own.at(-1) ?? 0)) own.push(snapshotIndex);
      }
    }
    for (const [id, indexes] of taken) {
      assert.ok(indexes.length >= 5, `${id} took ${indexes.length}`);
      for (const [at, index] of indexes.entries()) {
        const apart = index - (indexes[at - 1] ?? 0);
        assert.ok(apart >= EVERY && apart <= EVERY + SPREAD + 2 * STEP, `${id}: ${apart} entries apart`);
      }
    }
    for (let round = 0; round < 5; round++) {
      const indexes = [...taken.values()].map((own) => own[round]!);
      assert.ok(new Set(indexes).size >= 4, `round ${round}: ${indexes.join()}`);
      assert.ok(
        Math.max(...indexes) - Math.min(...indexes) > SPREAD / 4,
        `round ${round}: ${indexes.join()}`,
      );
    }
    await lab.end();
  });
});
