/** How ops become entries: together where they come together, in order, within the limits. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OpBatcher, BATCHER_LIMITS } from '../../../src/scheduler/master/op-batcher.ts';
import type { OpOutcome } from '../../../src/scheduler/master/op-batcher.ts';
import { decodeEntry } from '../../../src/scheduler/state/ops.ts';
import type { ApplyResult, Op } from '../../../src/scheduler/state/ops.ts';
import type { ProposeResult } from '../../../src/raft/consensus.ts';
import { FakeClock } from '../fake-clock.ts';

class Proposals {
  readonly entries: { readonly ops: readonly Op[]; readonly at: number; readonly bytes: number }[] = [];
  readonly #resolvers: ((result: ProposeResult<ApplyResult>) => void)[] = [];

  propose(payload: Uint8Array): Promise<ProposeResult<ApplyResult>> {
    const content = decodeEntry(payload);
    assert.ok(content);
    this.entries.push({ ...content, bytes: payload.byteLength });
    return new Promise((resolve) => this.#resolvers.push(resolve));
  }

  answer(result: ProposeResult<ApplyResult> | 'applied'): void {
    const resolve = this.#resolvers.shift();
    assert.ok(resolve);
    const entry = this.entries[this.entries.length - this.#resolvers.length - 1];
    resolve(
      result === 'applied'
        ? {
            ...{ kind: 'applied', index: this.entries.length as never, term: 1 as never },
            result: { results: (entry?.ops ?? []).map(() => ({ kind: 'done' })) },
          }
        : result,
    );
  }
}

function setUp(extra: (ops: readonly Op[], max: number) => readonly Op[] = () => []) {
  const clock = new FakeClock();
  const consensus = new Proposals();
  const outcomes: OpOutcome[] = [];
  const done = (outcome: OpOutcome): void => void outcomes.push(outcome);
  const batcher = new OpBatcher({
    ...{ consensus, clock, stateClock: () => 0 },
    isUnderstood: (op) => op.op !== 'pause',
    extra: (ops, max) => extra(ops, max).map((op) => ({ op, done })),
  });
  return { clock, consensus, batcher, outcomes, done };
}

const due: Op = { op: 'due' };
const cancel = (task: string): Op => ({ op: 'cancel', task });

describe('ops', () => {
  it('of one turn share an entry and hear their own results', async () => {
    const { clock, consensus, batcher, outcomes, done } = setUp();
    batcher.add(cancel('a'), done);
    batcher.addDuty(cancel('b'), done);
    assert.equal(consensus.entries.length, 0);
    await clock.settle();
    assert.deepEqual(
      consensus.entries.map(({ ops }) => ops),
      [[cancel('a'), cancel('b')]],
    );
    consensus.answer('applied');
    await clock.settle();
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['applied', 'applied'],
    );
  });

  it('that some server may not understand are not proposed, whoever asks', async () => {
    const { clock, consensus, batcher, outcomes, done } = setUp();
    batcher.add({ op: 'pause', paused: true }, done);
    batcher.addDuty({ op: 'pause', paused: true }, done);
    await clock.settle();
    assert.deepEqual(
      [consensus.entries.length, outcomes],
      [0, [{ kind: 'notUnderstood' }, { kind: 'notUnderstood' }]],
    );
  });

  it('without hurry go with the next entry, or alone after a moment', async () => {
    const { clock, consensus, batcher, done } = setUp();
    const ops = (): unknown[] => consensus.entries.map((entry) => entry.ops);
    batcher.addLazyDuty(cancel('a'), done);
    await clock.settle();
    assert.deepEqual(ops(), []);
    batcher.addDuty(cancel('b'), done);
    await clock.settle();
    assert.deepEqual(ops(), [[cancel('a'), cancel('b')]], 'in the order they came');
    consensus.answer('applied');
    await clock.settle();
    batcher.addLazyDuty(cancel('c'), done);
    await clock.advance(BATCHER_LIMITS.lazyMs - 1);
    assert.equal(ops().length, 1);
    await clock.advance(1);
    assert.deepEqual(ops()[1], [cancel('c')]);
  });

  it('gather while enough entries are in flight', async () => {
    const { clock, consensus, batcher, done } = setUp();
    for (let turn = 0; turn < BATCHER_LIMITS.entriesInFlightMax + 5; turn += 1) {
      batcher.add(cancel(`t${turn}`), done);
      await clock.settle();
    }
    assert.equal(consensus.entries.length, BATCHER_LIMITS.entriesInFlightMax);
    consensus.answer('applied');
    await clock.settle();
    assert.equal(consensus.entries.length, BATCHER_LIMITS.entriesInFlightMax + 1);
    assert.equal(consensus.entries.at(-1)?.ops.length, 5);
  });

  it('fill entries up to the limit, and one that is larger goes alone', async () => {
    const { clock, consensus, batcher, done } = setUp();
    const text = 'ü'.repeat(100_000);
    for (let at = 0; at < 12; at += 1) batcher.add(cancel(text), done);
    batcher.add(cancel(text.repeat(8)), done);
    batcher.add(due, done);
    for (let round = 0; round < 5; round += 1) {
      await clock.settle();
      consensus.answer('applied');
    }
    await clock.settle();
    const sizes = consensus.entries.map(({ ops }) => ops.length);
    assert.deepEqual(sizes, [5, 5, 2, 1, 1]);
    for (const [at, { bytes }] of consensus.entries.entries()) {
      assert.ok(at === 3 || bytes <= BATCHER_LIMITS.entryBytesMax + 100);
    }
  });

  it('are joined by what else there is room for', async () => {
    const offered: number[] = [];
    let left = 3;
    const { clock, consensus, batcher, done } = setUp((ops, max) => {
      offered.push(ops.length);
      assert.ok(max > 100);
      const count = Math.min(left, 2);
      left -= count;
      return Array.from({ length: count }, () => due);
    });
    batcher.add(cancel('a'), done);
    await clock.settle();
    assert.deepEqual(
      consensus.entries.map(({ ops }) => ops),
      [[cancel('a'), due, due]],
    );
    batcher.kick();
    await clock.settle();
    assert.equal(consensus.entries.length, 2);
    batcher.kick();
    await clock.settle();
    assert.equal(consensus.entries.length, 2);
    assert.deepEqual(offered, [1, 0, 0]);
  });

  it('carry stamps that never go back', async () => {
    const { clock, consensus, batcher, done } = setUp();
    batcher.add(due, done);
    await clock.settle();
    clock.stall(-5_000);
    batcher.add(due, done);
    await clock.settle();
    const [first, second] = consensus.entries;
    assert.equal(second?.at, first?.at);
  });

  it('are settled once everything added before is decided', async () => {
    const { clock, consensus, batcher, done } = setUp();
    let settled = 0;
    await batcher.settled();
    batcher.add(cancel('a'), done);
    void batcher.settled().then(() => (settled += 1));
    await clock.settle();
    batcher.add(cancel('b'), done);
    await clock.settle();
    assert.equal(settled, 0);
    consensus.answer('applied');
    await clock.settle();
    assert.equal(settled, 1);
  });

  it('of others hear that too much is waiting, duties are proposed again, in front', async () => {
    const { clock, consensus, batcher, outcomes, done } = setUp();
    batcher.add(cancel('wish'), done);
    batcher.addDuty(cancel('duty'), () => undefined);
    await clock.settle();
    consensus.answer({ kind: 'overloaded', limit: 'x' });
    await clock.settle();
    assert.deepEqual(outcomes, [{ kind: 'overloaded', limit: 'x' }]);
    batcher.add(cancel('later'), done);
    await clock.settle();
    assert.equal(consensus.entries.length, 1);
    await clock.advance(BATCHER_LIMITS.overloadPauseMs);
    await clock.settle();
    assert.deepEqual(consensus.entries.at(-1)?.ops, [cancel('duty'), cancel('later')]);
  });

  it('that were not proposed when the lead was lost never are', async () => {
    const { clock, consensus, batcher, outcomes, done } = setUp();
    batcher.add(cancel('a'), done);
    batcher.close();
    batcher.add(cancel('b'), done);
    await clock.settle();
    assert.equal(consensus.entries.length, 0);
    assert.deepEqual(outcomes, [{ kind: 'notLeader' }, { kind: 'notLeader' }]);
    await batcher.settled();
  });
});
