/** What a core refuses to start with (raft.md items 47, 48), and how it takes up what it finds. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asLogIndex, asNodeId, asTerm, next, plus, previous } from '../../../src/raft/core/ids.ts';
import { RaftCore } from '../../../src/raft/core/raft-core.ts';
import type { Entry, NodeId, RaftConfig, RecoveredState } from '../../../src/raft/core/types.ts';
import { emptyState, hardState, ids, logOfTerms, meta, testConfig, voters } from './harness.ts';

const [n1, n2] = ids(2) as [NodeId, NodeId];
const two = voters([n1, n2]);

function start(state: RecoveredState, config: Partial<RaftConfig> = {}): RaftCore {
  return new RaftCore(testConfig(n1, config), state, () => 0);
}
function state(entries: readonly Entry[], term: number, snapshot = meta(0, 0, two)): RecoveredState {
  return { hardState: hardState(term), snapshot, entries };
}
const broken = { code: 'RAFT_INVARIANT', name: 'RaftInvariantError' };

describe('recovered state', () => {
  it('is taken up: term, vote, log, configuration; nothing is committed beyond the snapshot', () => {
    const status = start({ ...state(logOfTerms([1, 1, 2]), 3), hardState: hardState(3, n2) }).status();
    assert.deepEqual(
      [
        status.role,
        status.term,
        status.votedFor,
        status.lastIndex,
        status.lastTerm,
        status.durableIndex,
        status.commitIndex,
      ],
      ['follower', 3, n2, 3, 2, 3, 0],
    );
  });

  const impossible: readonly [string, RecoveredState][] = [
    ['a log newer than the stored term', state(logOfTerms([1, 2]), 1)],
    ['a snapshot newer than the stored term', state([], 1, meta(5, 2, two))],
    ['terms that fall along the log', state(logOfTerms([2, 1]), 2)],
    ['a hole in the log', state([...logOfTerms([1]), ...logOfTerms([1], 3)], 1)],
    ['a hole between snapshot and log', state(logOfTerms([1], 7), 1, meta(5, 1, two))],
    ['a log that does not start at 1 without a snapshot', state(logOfTerms([1], 2), 1)],
  ];
  for (const [what, bad] of impossible) {
    it(`with ${what} ends the process`, () => {
      assert.throws(() => start(bad), broken);
    });
  }

  it('with entries the snapshot made useless starts after the snapshot', () => {
    assert.equal(start(state(logOfTerms([1, 1]), 2, meta(5, 2, two))).status().lastIndex, 5);
  });

  it('with kept entries before the snapshot starts with those', () => {
    const status = start(state(logOfTerms([1, 1, 1], 4), 1, meta(5, 1, two))).status();
    assert.deepEqual([status.firstIndex, status.lastIndex, status.commitIndex], [4, 6, 5]);
  });

  it('takes the configuration of the newest entry, or of the snapshot', () => {
    const config = voters([n1]);
    const entry: Entry = { kind: 'config', index: asLogIndex(2), term: asTerm(1), config };
    assert.deepEqual(start(state([...logOfTerms([1]), entry], 1)).status().config, config);
    assert.deepEqual(
      start(state([...logOfTerms([1]), entry, ...logOfTerms([1], 3)], 1, meta(2, 1, two))).status().config,
      two,
    );
  });
});

describe('limits', () => {
  const bad: readonly Partial<RaftConfig>[] = [
    { electionTicks: 0 },
    { heartbeatTicks: 10, electionTicks: 10 },
    { messageBytesMax: 0 },
    { inflightMessagesMax: 1.5 },
    { pendingReadsMax: Number.NaN },
  ];
  for (const config of bad) {
    it(`refuses ${JSON.stringify(config)}`, () => {
      assert.throws(() => start(emptyState(two), config), broken);
    });
  }

  it('ids stay in the range of safe integers', () => {
    assert.throws(() => asTerm(-1), broken);
    assert.throws(() => asLogIndex(1.5), broken);
    assert.throws(() => asNodeId(''), broken);
    assert.throws(() => next(asLogIndex(Number.MAX_SAFE_INTEGER)), broken);
    assert.throws(() => previous(asLogIndex(0)), broken);
    assert.throws(() => plus(asLogIndex(Number.MAX_SAFE_INTEGER), 1), broken);
  });
});

describe('inputs that cannot be', () => {
  it('a write reported durable twice, or never handed out, ends the process', () => {
    const core = start(emptyState(voters([n1])));
    for (let i = 0; i < 20; i++) core.step({ kind: 'tick' });
    const writeId = 1 as never;
    core.step({ kind: 'persisted', writeId });
    assert.throws(() => core.step({ kind: 'persisted', writeId }), broken);
    assert.throws(() => core.step({ kind: 'persisted', writeId: 99 as never }), broken);
  });

  it('applied entries that were never handed out end the process', () => {
    assert.throws(() => start(emptyState(two)).step({ kind: 'applied', index: asLogIndex(1) }), broken);
  });

  it('messages for others are ignored', () => {
    const core = start(emptyState(two));
    const effects = core.step({
      kind: 'message',
      message: { kind: 'heartbeat', from: n1, to: n2, term: asTerm(9), commit: asLogIndex(0), round: 0 },
    });
    assert.deepEqual([effects, core.status().term], [[], 0]);
  });
});
