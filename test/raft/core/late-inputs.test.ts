/**
 * What comes late, twice, from strangers, or in an order nobody expects: answers to questions that are no longer open, reports of
 * transfers that have ended, entries of another lead. None of it may be taken for something else.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { present } from '../../../src/raft/core/assert.ts';
import { asLogIndex, asNodeId, asProposalId, asReadId, asTerm } from '../../../src/raft/core/ids.ts';
import {
  ELECTION_TICKS,
  HEARTBEAT_TICKS,
  Network,
  TestNode,
  command,
  hardState,
  logOfTerms,
  meta,
  text,
  voters,
} from './harness.ts';
import {
  accepted,
  append,
  heartbeatAck,
  n1,
  n2,
  n3,
  n3Behind,
  rejected,
  sendingSnapshot,
  serverWithLog,
  three,
  voteResponse,
} from './three-voters.ts';

const broken = { code: 'RAFT_INVARIANT' };

describe('late answers in an election', () => {
  it('a pre-vote granted for an earlier attempt does not count for this one', () => {
    const node = serverWithLog([], { currentTerm: 4 });
    node.tick(ELECTION_TICKS);
    node.receive(voteResponse({ term: asTerm(4), preVote: true }));
    assert.equal(node.status.role, 'preCandidate');
    node.receive(voteResponse({ term: asTerm(5), preVote: true }));
    assert.equal(node.status.role, 'candidate');
  });

  it('a second answer of the same voter, or one that comes when all is decided, changes nothing', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    for (const preVote of [true, false]) {
      leader.receive(voteResponse({ from: n3, preVote, granted: false }));
    }
    assert.deepEqual([leader.status.role, leader.status.term], ['leader', 1]);
  });
});

describe('late messages in replication', () => {
  it('an append of which everything is committed is acknowledged through the commit index', () => {
    const node = serverWithLog([1, 1, 1]);
    const leaderCommit = asLogIndex(3);
    node.receive(append({ prevLogIndex: asLogIndex(3), prevLogTerm: asTerm(1), leaderCommit }));
    node.compact();
    node.takeOutgoing();
    node.receive(append({ entries: [command(1, 1)], leaderCommit }));
    assert.deepEqual(
      node.sent('appendAccepted').map((m) => m.matchIndex),
      [3],
    );
  });

  it('a rejection does not disturb a snapshot that is on its way', () => {
    const { leader } = sendingSnapshot();
    leader.receive(rejected(n3, 20));
    assert.equal(leader.status.peers.get(n3)?.state, 'snapshot');
  });

  it('a rejection of an earlier probe does not move the one that is out', () => {
    const net = Network.ofVoters(3);
    net.isolate('n3');
    const leader = net.elect('n1');
    leader.propose('a');
    leader.receive(rejected(n3, 7));
    assert.equal(leader.status.peers.get(n3)?.nextIndex, 1);
  });

  it('answers of servers that are no members are ignored', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.takeOutgoing();
    const from = asNodeId('n9');
    leader.receive(accepted(from, 1));
    leader.receive(heartbeatAck(from, 0));
    assert.deepEqual([leader.outgoing, leader.status.peers.has(from)], [[], false]);
  });

  it('answers to a leader that leads no longer are ignored', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.tick(ELECTION_TICKS);
    assert.equal(leader.status.role, 'follower');
    leader.takeOutgoing();
    leader.receive(accepted(n2, 1));
    assert.deepEqual(leader.outgoing, []);
  });

  it('the end of a kept log is known by its term: a follower that has exactly that gets appends, no snapshot', () => {
    const { net, leader } = n3Behind('a', 'b', 'c', 'd', 'e');
    // n3 has entry 1; of 2..6 everything is kept.
    leader.compact(asLogIndex(1));
    net.heal();
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(leader.eventsOf('sendSnapshot'), []);
    assert.equal(net.node('n3').status.lastIndex, 6);
  });

  it('an append to a silent follower does not start a snapshot, even when the log it needs is gone', () => {
    const { net, leader } = n3Behind('a');
    for (let i = 0; i < ELECTION_TICKS; i++) net.tick();
    leader.compact();
    leader.step({ kind: 'peerUnreachable', peer: n3 });
    leader.propose('b');
    assert.deepEqual(leader.eventsOf('sendSnapshot'), []);
    assert.equal(leader.status.peers.get(n3)?.state, 'probe');
  });
});

describe('reports of the driver', () => {
  it('that a snapshot was sent: what follows it is appended, without waiting for its acknowledgement', () => {
    const { net, leader, snapshot } = sendingSnapshot();
    leader.propose('more');
    net.settle();
    leader.step({ kind: 'snapshotSent', to: n3, meta: snapshot, ok: true });
    assert.deepEqual(
      leader.sent('append').map((m) => [m.to, m.prevLogIndex, m.entries.length]),
      [[n3, 21, 1]],
    );
  });

  it('that sending failed: it begins again where the follower is known to be, after its next answer', () => {
    const { leader, snapshot } = sendingSnapshot();
    assert.equal(leader.status.peers.get(n3)?.matchIndex, 1, 'the no-op');
    leader.step({ kind: 'snapshotSent', to: n3, meta: snapshot, ok: false });
    assert.equal(leader.status.peers.get(n3)?.nextIndex, 2);
    assert.deepEqual(leader.sent('append'), []);
  });

  it('that sending failed to a follower of which nothing is known: from the first entry kept', () => {
    const net = Network.ofVoters(3);
    net.isolate('n3');
    const leader = net.elect('n1');
    leader.propose('a');
    net.settle();
    const snapshot = leader.compact();
    leader.receive(heartbeatAck(n3, 0));
    assert.deepEqual(leader.status.peers.get(n3)?.state, 'snapshot');
    leader.step({ kind: 'snapshotSent', to: n3, meta: snapshot, ok: false });
    assert.deepEqual(leader.status.peers.get(n3)?.nextIndex, 3);
  });

  it('of a transfer of an earlier lead are ignored', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.step({ kind: 'snapshotSent', to: n3, meta: meta(1, 1, three), ok: true });
    assert.equal(leader.status.peers.get(n3)?.state, 'replicate');
    net.node('n2').step({ kind: 'snapshotSent', to: n3, meta: meta(1, 1, three), ok: true });
    net.node('n2').step({ kind: 'peerUnreachable', peer: n3 });
    assert.deepEqual(net.node('n2').outgoing, []);
  });

  it('of a snapshot of its own, when a newer one was installed meanwhile, change nothing', () => {
    const node = serverWithLog([], { currentTerm: 1 });
    node.disk.install(meta(9, 1, three));
    node.step({ kind: 'snapshotInstalled', meta: meta(9, 1, three) });
    node.step({ kind: 'snapshotTaken', meta: meta(4, 1, three), compactThrough: asLogIndex(4) });
    assert.deepEqual([node.status.snapshotIndex, node.status.firstIndex], [9, 10]);
  });

  it('of a snapshot put in force while what follows it is handed out: that is still to be applied', () => {
    const node = serverWithLog([], { currentTerm: 1, config: { unappliedBytesMax: 300 } });
    node.holdApplied = true;
    const entries = [1, 2, 3, 4].map((i) => command(i, 1, 'x'.repeat(i === 2 ? 136 : 100)));
    node.receive(append({ entries, leaderCommit: asLogIndex(4) }));
    assert.deepEqual(node.applied.length, 2, '132 and 168 bytes: exactly the limit');
    node.step({ kind: 'snapshotInstalled', meta: meta(1, 1, three) });
    assert.deepEqual(node.status.appliedIndex, 1);
    assert.deepEqual(
      node.applied.map((entry) => entry.index),
      [1, 2, 3],
      'room for one more: 168 bytes are still out',
    );
    node.tick();
    assert.deepEqual(node.applied.length, 3, 'and then there is none');
  });

  it('at the first step after a crash: what the snapshot made useless is removed once', () => {
    const state = {
      hardState: hardState(2),
      snapshot: meta(5, 2, three),
      entries: logOfTerms([1, 1]),
    };
    const node = new TestNode({ id: n1, state });
    const effects = node.step({ kind: 'snapshotInstalled', meta: meta(9, 2, three) });
    const persist = effects.find((effect) => effect.kind === 'persist');
    assert.deepEqual([persist?.truncateFrom, persist?.append], [1, []]);
  });
});

describe('late questions and answers of reads', () => {
  it('a question of an older term is answered: unknown', () => {
    const node = serverWithLog([], { currentTerm: 5 });
    const readId = asReadId(7);
    node.receive({ kind: 'readIndexRequest', from: n2, to: n1, term: asTerm(4), readId });
    assert.deepEqual(node.outgoing, [
      { kind: 'readIndexResponse', from: n1, to: n2, term: 5, readId, index: null },
    ]);
  });

  it('the answer "unknown" fails the read, and names the leader', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    net.tick(HEARTBEAT_TICKS);
    const follower = net.node('n3');
    follower.read(1);
    const [question] = follower.sent('readIndexRequest');
    follower.receive({
      kind: 'readIndexResponse',
      from: n1,
      to: n3,
      term: asTerm(1),
      readId: question!.readId,
      index: null,
    });
    assert.deepEqual(follower.eventsOf('readFailed'), [{ kind: 'readFailed', readId: 1, leader: n1 }]);
  });

  it('reads that others forwarded are answered "unknown" by a leader that steps down', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    const readId = asReadId(7);
    leader.receive({ kind: 'readIndexRequest', from: n2, to: n1, term: asTerm(1), readId });
    leader.takeOutgoing();
    leader.receive(heartbeatAck(n3, 0, 2));
    assert.deepEqual(leader.sent('readIndexResponse'), [
      { kind: 'readIndexResponse', from: n1, to: n2, term: 1, readId, index: null },
    ]);
  });
});

describe('changes that come at the wrong moment', () => {
  it('of membership, while the lead is being transferred, are refused', () => {
    const { leader } = n3Behind('a');
    leader.step({ kind: 'transferLeadership', to: n3 });
    leader.step({ kind: 'proposeConfig', id: asProposalId(9), config: voters([n1, n2], [n3]) });
    assert.deepEqual(leader.eventsOf('proposalOutcome').at(-1)?.outcome, {
      kind: 'overloaded',
      limit: 'leadership is being transferred',
    });
  });

  it('of membership by more than one voter are refused with the reason', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.step({ kind: 'proposeConfig', id: asProposalId(9), config: voters([n1]) });
    assert.deepEqual(leader.eventsOf('proposalOutcome').at(-1)?.outcome, {
      kind: 'overloaded',
      limit: 'one voter may be added or removed at a time',
    });
  });

  it('a second wish to transfer to the same server is the first one', () => {
    const { net, leader } = n3Behind('a');
    leader.step({ kind: 'transferLeadership', to: n3 });
    leader.tick(ELECTION_TICKS / 2);
    leader.step({ kind: 'transferLeadership', to: n3 });
    net.tick(ELECTION_TICKS / 2);
    leader.propose('b');
    assert.equal(leader.eventsOf('proposalOutcome').at(-1)?.outcome.kind, 'appended', 'not begun anew');
  });
});

describe('what cannot be', () => {
  it('inputs and messages of unknown kinds end the process', () => {
    const node = (): TestNode => serverWithLog([], { currentTerm: 2 });
    assert.throws(() => node().step({ kind: 'nonsense' } as never), broken);
    for (const term of [1, 2])
      assert.throws(() => node().receive({ kind: 'nonsense', from: n2, to: n1, term } as never), broken);
  });

  it('a value that must be there and is not ends the process', () => {
    assert.equal(present(0, 'zero'), 0);
    assert.throws(() => present(null, 'it'), broken);
    assert.throws(() => present(undefined, 'it'), broken);
  });

  it('a log whose entry at the snapshot is another one is dropped at start', () => {
    const state = { hardState: hardState(3), snapshot: meta(2, 2, three), entries: logOfTerms([1, 1, 3]) };
    const node = new TestNode({ id: n1, state });
    assert.deepEqual([node.status.lastIndex, node.status.lastTerm, node.log.map(text)], [2, 2, []]);
    const effects = node.step({ kind: 'tick' });
    assert.equal(effects.find((effect) => effect.kind === 'persist')?.truncateFrom, 1, 'on the disk, too');
  });
});
