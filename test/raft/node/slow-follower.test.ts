/**
 * Goal: a follower that was away or is slow is brought up to date, by the log where that still has what it lacks, by a snapshot
 * where not, and nobody else waits for it. Commands are committed as quickly meanwhile as without it: virtual time
 * (test/raft/mit/lab.ts), in which a message takes 1 ms, so that every wait for a third server would show.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RaftSettings } from '../../../src/raft/raft-settings.ts';
import { Lab } from '../mit/lab.ts';
import type { LabServer } from '../mit/lab.ts';

const BEHIND = 4_000;
/** The leader takes it for one that is away: nothing of the log is kept for it. */
const SILENT_MS = 2_000;
/** To the other follower and back, and the disks, which cost no virtual time. */
const COMMIT_MS_MAX = 3;
/** The slow one writes once in this time. */
const DISK_MS = 40;

/** Commits one word after the other; @returns the longest time that one took. */
async function slowestCommit(lab: Lab, leader: LabServer, words: number): Promise<number> {
  let slowestMs = 0;
  for (let n = 0; n < words; n++) {
    const beganMs = lab.nowMs;
    let isDone = false;
    void leader.node!.propose(Buffer.from(`timed ${lab.nowMs}`)).then(({ kind }) => {
      assert.equal(kind, 'applied');
      isDone = true;
    });
    while (!isDone) await lab.pass(1);
    slowestMs = Math.max(slowestMs, lab.nowMs - beganMs);
  }
  return slowestMs;
}

function slowDisk(lab: Lab, { stall }: LabServer): () => void {
  let isSlow = true;
  const turn = (): void => {
    stall.end();
    if (!isSlow) return;
    stall.begin();
    lab.after(DISK_MS, turn);
  };
  turn();
  return () => (isSlow = false);
}

describe('a follower that is far behind', () => {
  const ways: readonly [string, Partial<RaftSettings>][] = [
    ['the log', { snapshotEveryEntries: 1_000_000, messageBytesMax: 2_000 }],
    // Less is left behind each snapshot than is committed while it is sent: it is kept because it is needed.
    ['a snapshot', { snapshotEveryEntries: 100, trailingEntries: 1 }],
  ];
  for (const [way, settings] of ways) {
    it(`is brought up to date by ${way}, and the others commit as quickly meanwhile as before`, async () => {
      const lab = await Lab.start(3, 81, settings);
      const leader = await lab.checkOneLeader();
      await lab.one('first', 3);
      const { term } = leader.node!.status();
      const slow = lab.servers.find((server) => server !== leader)!;
      slow.connected = false;
      await lab.pass(SILENT_MS);
      for (let n = 0; n < BEHIND; n += 100) {
        const results = Array.from({ length: 100 }, (_, k) =>
          leader.node!.propose(Buffer.from(`word ${n + k}`)),
        );
        let done = 0;
        for (const result of results) void result.then(() => done++);
        await lab.until('a hundred words', () => done === 100);
      }
      const withoutMs = await slowestCommit(lab, leader, 50);
      assert.ok(withoutMs <= COMMIT_MS_MAX, `${withoutMs} ms without the third`);

      const stopBeingSlow = slowDisk(lab, slow);
      slow.connected = true;
      const lag = (): number => leader.node!.status().commitIndex - slow.node!.status().appliedIndex;
      assert.ok(lag() > BEHIND / 2, `${lag()} entries behind`);
      let slowestMs = 0;
      let rounds = 0;
      // As long as it catches up, and at least for a time.
      while (lag() > 20 || rounds < 20) {
        slowestMs = Math.max(slowestMs, await slowestCommit(lab, leader, 10));
        rounds += 1;
        assert.ok(rounds < 2_000, `still ${lag()} entries behind`);
      }
      assert.ok(slowestMs <= COMMIT_MS_MAX, `${slowestMs} ms while the third catches up`);
      assert.equal(slow.node!.status().snapshotIndex > 0, way === 'a snapshot');
      stopBeingSlow();
      await lab.one('last', 3);
      assert.deepEqual(slow.machine.words, leader.machine.words);
      assert.equal(leader.node!.status().term, term, 'nobody else had to lead');
      await lab.end();
    });
  }
});
