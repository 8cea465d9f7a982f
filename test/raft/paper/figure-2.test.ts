/**
 * Figure 2 of the Raft paper, rule by rule: each test is named by the sentence it shows, and drives one core (or a few) by hand.
 * Where a rule has more corners than one sentence, test/raft/core has them.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asLogIndex, asTerm } from '../../../src/raft/core/ids.ts';
import type { Message, NodeId } from '../../../src/raft/core/types.ts';
import { ELECTION_TICKS, HEARTBEAT_TICKS, Network, command, text } from '../core/harness.ts';
import type { MessageOf, TestNode } from '../core/harness.ts';
import {
  accepted,
  append,
  electedByN2,
  heartbeat,
  heartbeatAck,
  n1,
  n2,
  n3,
  rejected,
  serverWithLog,
  voteRequest,
  voteResponse,
} from '../core/three-voters.ts';

const server = (terms: readonly number[], currentTerm: number, votedFor: NodeId | null = null): TestNode =>
  serverWithLog(terms, { currentTerm, votedFor });

function requestVote(term: number, last: readonly [index: number, term: number]): Message {
  return voteRequest({
    term: asTerm(term),
    lastLogIndex: asLogIndex(last[0]),
    lastLogTerm: asTerm(last[1]),
  });
}

function appendEntries(
  term: number,
  prev: readonly [index: number, term: number],
  entries: MessageOf<'append'>['entries'] = [],
  leaderCommit = 0,
): Message {
  return append({
    ...{ term: asTerm(term), prevLogIndex: asLogIndex(prev[0]), prevLogTerm: asTerm(prev[1]), entries },
    leaderCommit: asLogIndex(leaderCommit),
  });
}

/** n1, which has won with the vote of n2. */
const leaderOf = (terms: readonly number[], currentTerm: number): TestNode =>
  electedByN2(server(terms, currentTerm));

const granted = (node: TestNode): boolean[] => node.sent('voteResponse').map((m) => m.granted);
const acknowledged = (node: TestNode): number[] => node.sent('appendAccepted').map((m) => m.matchIndex);

describe('State: "updated on stable storage before responding to RPCs" [Figure 2]', () => {
  it('currentTerm and votedFor: the vote is written first, and answered when it is durable', () => {
    const node = server([], 0);
    node.holdWrites = true;
    node.receive(requestVote(3, [0, 0]));
    assert.deepEqual(node.pendingWrites[0]?.hardState, { currentTerm: 3, votedFor: n2 });
    assert.deepEqual(granted(node), []);
    node.flush();
    assert.deepEqual(granted(node), [true]);
  });

  it('log[]: entries are written first, and acknowledged when they are durable', () => {
    const node = server([], 1);
    node.holdWrites = true;
    node.receive(appendEntries(1, [0, 0], [command(1, 1)]));
    assert.deepEqual(acknowledged(node), []);
    node.flush();
    assert.deepEqual([acknowledged(node), node.disk.entries.length], [[1], 1]);
  });

  it('nextIndex[] and matchIndex[] are "reinitialized after election": last log index + 1, and 0', () => {
    const leader = leaderOf([1, 1, 1], 1);
    for (const peer of leader.status.peers.values())
      assert.deepEqual([peer.nextIndex, peer.matchIndex], [4, 0]);
  });
});

describe('RequestVote, receiver [Figure 2]', () => {
  it('1. "Reply false if term < currentTerm": it is not granted, and the answer carries the newer term', () => {
    const node = server([], 5);
    node.receive(requestVote(4, [9, 4]));
    assert.deepEqual(granted(node), []);
    assert.deepEqual(
      node.outgoing.map((m) => m.term),
      [5],
    );
  });

  it('2. "If votedFor is null or candidateId, and candidate’s log is at least as up-to-date as receiver’s log, grant vote"', () => {
    const cases: readonly [votedFor: NodeId | null, last: readonly [number, number], grant: boolean][] = [
      [null, [2, 2], true],
      [n2, [2, 2], true],
      [n3, [2, 2], false],
      [null, [1, 2], false],
      [null, [9, 1], false],
      [null, [1, 3], true],
    ];
    for (const [votedFor, last, grant] of cases) {
      const node = server([1, 2], 4, votedFor);
      node.receive(requestVote(4, last));
      assert.deepEqual(granted(node), [grant], `voted for ${String(votedFor)}, asked with ${last.join('@')}`);
    }
  });
});

describe('AppendEntries, receiver [Figure 2]', () => {
  it('1. "Reply false if term < currentTerm": nothing is taken, and the answer carries the newer term', () => {
    const node = server([1], 5);
    node.receive(appendEntries(4, [1, 1], [command(2, 4)]));
    assert.deepEqual([node.logTerms, acknowledged(node)], [[1], []]);
    assert.deepEqual(
      node.outgoing.map((m) => m.term),
      [5],
    );
  });

  it('2. "Reply false if log doesn’t contain an entry at prevLogIndex whose term matches prevLogTerm"', () => {
    for (const prev of [
      [3, 2],
      [2, 1],
    ] as const) {
      const node = server([1, 2], 3);
      node.receive(appendEntries(3, prev, [command(prev[0] + 1, 3)]));
      assert.deepEqual(
        [node.sent('appendRejected').map((m) => m.rejectedIndex), node.logTerms],
        [[prev[0]], [1, 2]],
      );
    }
  });

  it('3. "If an existing entry conflicts with a new one (same index but different terms), delete the existing entry and all that follow it"', () => {
    const node = server([1, 2, 2, 2], 3);
    node.receive(appendEntries(3, [1, 1], [command(2, 2), command(3, 3)]));
    assert.deepEqual([node.logTerms, acknowledged(node)], [[1, 2, 3], [3]]);
    assert.deepEqual(
      node.disk.entries.map((entry) => entry.term),
      [1, 2, 3],
      'on the disk, too',
    );
  });

  it('4. "Append any new entries not already in the log": those that are there stay, with what follows them', () => {
    const node = server([1, 1, 1], 1);
    node.receive(appendEntries(1, [0, 0], [command(1, 1), command(2, 1)]));
    assert.deepEqual([node.logTerms, acknowledged(node)], [[1, 1, 1], [2]]);
    node.receive(appendEntries(1, [2, 1], [command(3, 1), command(4, 1)]));
    assert.deepEqual(node.logTerms, [1, 1, 1, 1]);
  });

  it('5. "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)"', () => {
    const node = server([1, 1, 1], 1);
    node.receive(appendEntries(1, [0, 0], [command(1, 1)], 3));
    assert.equal(node.status.commitIndex, 1, 'the last new entry');
    node.receive(appendEntries(1, [3, 1], [], 2));
    assert.equal(node.status.commitIndex, 2, 'leaderCommit');
    node.receive(appendEntries(1, [3, 1], [], 1));
    assert.equal(node.status.commitIndex, 2, 'never back');
  });
});

describe('Rules for Servers, all servers [Figure 2]', () => {
  it('"If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state machine"', () => {
    const node = server([1, 1, 1], 1);
    node.receive(appendEntries(1, [3, 1], [], 2));
    assert.deepEqual(node.applied.map(text), ['1@1', '2@1']);
    node.receive(appendEntries(1, [3, 1], [], 3));
    assert.deepEqual(node.applied.map(text), ['1@1', '2@1', '3@1']);
    assert.equal(node.status.appliedIndex, 3);
  });

  it('"If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower"', () => {
    const newer = asTerm(9);
    const messages: readonly Message[] = [
      requestVote(9, [0, 0]),
      appendEntries(9, [0, 0]),
      voteResponse({ term: newer, granted: false }),
      accepted(n2, 0, newer),
      heartbeat({ term: newer }),
      heartbeatAck(n2, 0, newer),
    ];
    for (const message of messages) {
      // A leader heeds requests for votes only when it has stepped down (thesis §4.2.3): here a candidate.
      const node = server([], 3);
      node.tick(ELECTION_TICKS);
      node.receive(voteResponse({ term: asTerm(4), preVote: true }));
      assert.equal(node.status.role, 'candidate');
      node.receive(message);
      assert.deepEqual([node.status.role, node.status.term], ['follower', 9], message.kind);
      assert.deepEqual(node.disk.hardState.currentTerm, 9);
    }
  });
});

describe('Rules for Servers, followers [Figure 2]', () => {
  it('"Respond to RPCs from candidates and leaders"', () => {
    const node = server([], 0);
    node.receive(requestVote(1, [0, 0]));
    node.receive(appendEntries(1, [0, 0]));
    node.receive(heartbeat({ round: 4 }));
    assert.deepEqual(
      node.outgoing.map((m) => m.kind),
      ['voteResponse', 'appendAccepted', 'heartbeatAck'],
    );
  });

  it('"If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to candidate: convert to candidate"', () => {
    const quiet = server([], 1);
    quiet.tick(ELECTION_TICKS);
    assert.equal(quiet.status.role, 'preCandidate', 'by way of a pre-vote (thesis §9.6)');
    for (const reason of [appendEntries(1, [0, 0]), requestVote(1, [0, 0])]) {
      const node = server([], 1);
      node.tick(ELECTION_TICKS - 1);
      node.receive(reason);
      node.tick(ELECTION_TICKS - 1);
      assert.equal(node.status.role, 'follower', `put off by ${reason.kind}`);
    }
  });
});

describe('Rules for Servers, candidates [Figure 2]', () => {
  function candidate(): TestNode {
    const node = server([1], 1);
    node.tick(ELECTION_TICKS);
    node.takeOutgoing();
    node.receive(voteResponse({ term: asTerm(2), preVote: true }));
    return node;
  }

  it('"On conversion to candidate, start election: increment currentTerm, vote for self, reset election timer, send RequestVote RPCs to all other servers"', () => {
    const node = candidate();
    assert.deepEqual([node.status.role, node.status.term, node.status.votedFor], ['candidate', 2, n1]);
    assert.deepEqual(
      node.sent('voteRequest').map((m) => [m.to, m.term, m.lastLogIndex, m.lastLogTerm]),
      [
        [n2, 2, 1, 1],
        [n3, 2, 1, 1],
      ],
    );
    node.tick(ELECTION_TICKS - 1);
    assert.equal(node.status.role, 'candidate', 'a full timeout again');
  });

  it('"If votes received from majority of servers: become leader"', () => {
    const node = candidate();
    node.receive(voteResponse({ from: n3, term: asTerm(2) }));
    assert.equal(node.status.role, 'leader');
  });

  it('"If AppendEntries RPC received from new leader: convert to follower"', () => {
    const node = candidate();
    node.receive(appendEntries(2, [1, 1]));
    assert.deepEqual([node.status.role, node.status.leader, node.status.term], ['follower', n2, 2]);
  });

  it('"If election timeout elapses: start new election"', () => {
    const node = candidate();
    node.takeOutgoing();
    node.tick(ELECTION_TICKS);
    assert.deepEqual(
      node.sent('voteRequest').map((m) => [m.preVote, m.term]),
      [
        [true, 3],
        [true, 3],
      ],
      'first asking whether it could be won (thesis §9.6)',
    );
  });
});

describe('Rules for Servers, leaders [Figure 2]', () => {
  it('"Upon election: send initial empty AppendEntries RPCs to each server; repeat during idle periods to prevent election timeouts"', () => {
    const leader = leaderOf([], 1);
    assert.deepEqual(
      leader.sent('append').map((m) => [m.to, m.entries.map((entry) => entry.kind)]),
      [
        [n2, ['noop']],
        [n3, ['noop']],
      ],
      'with the no-op of §8 instead of nothing',
    );
    leader.takeOutgoing();
    leader.tick(HEARTBEAT_TICKS);
    assert.deepEqual(
      leader.sent('heartbeat').map((m) => m.to),
      [n2, n3],
    );
  });

  it('"If command received from client: append entry to local log, respond after entry applied to state machine"', () => {
    const leader = leaderOf([], 1);
    leader.propose('x');
    assert.deepEqual(leader.log.map(text), ['noop', 'x']);
    assert.deepEqual(leader.eventsOf('proposalOutcome').at(-1)?.outcome, {
      kind: 'appended',
      index: 2,
      term: 2,
    });
    assert.deepEqual(leader.applied, [], 'not yet committed');
    leader.receive(accepted(n2, 2, 2));
    assert.deepEqual(leader.applied.map(text), ['noop', 'x']);
  });

  it('"If last log index ≥ nextIndex for a follower: send AppendEntries RPC with log entries starting at nextIndex"', () => {
    const leader = leaderOf([], 1);
    leader.receive(accepted(n2, 1, 2));
    leader.takeOutgoing();
    leader.propose('a', 'b');
    const [append] = leader.sent('append').filter((m) => m.to === n2);
    assert.deepEqual([append?.prevLogIndex, append?.entries.map(text)], [1, ['a', 'b']]);
  });

  it('"If successful: update nextIndex and matchIndex for follower"', () => {
    const leader = leaderOf([1, 1], 1);
    leader.receive(accepted(n2, 3, 2));
    const peer = leader.status.peers.get(n2);
    assert.deepEqual([peer?.matchIndex, peer?.nextIndex], [3, 4]);
  });

  it('"If AppendEntries fails because of log inconsistency: decrement nextIndex and retry"', () => {
    const leader = leaderOf([1, 1, 1, 1], 1);
    leader.takeOutgoing();
    leader.receive(rejected(n2, 4, { term: asTerm(2), hintIndex: asLogIndex(1), hintTerm: asTerm(1) }));
    const [retry] = leader.sent('append');
    assert.deepEqual([retry?.prevLogIndex, retry?.entries.map((entry) => entry.index)], [1, [2, 3, 4, 5]]);
  });

  it('"If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N, and log[N].term == currentTerm: set commitIndex = N"', () => {
    const leader = leaderOf([1, 1], 1);
    leader.receive(accepted(n2, 2, 2));
    assert.equal(leader.status.commitIndex, 0, 'a majority has entry 2, but it is of term 1');
    leader.receive(accepted(n2, 3, 2));
    assert.equal(leader.status.commitIndex, 3, 'entry 3 is of term 2');
  });

  it('and a single server is its own majority', () => {
    const net = Network.ofVoters(1);
    net.tick(ELECTION_TICKS);
    net.node('n1').propose('x');
    assert.deepEqual(net.node('n1').applied.map(text), ['noop', 'x']);
  });
});
