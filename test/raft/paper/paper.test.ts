/**
 * Sections 5 to 8 of the Raft paper, on whole clusters of cores: what the sections promise, each promise by the situation it was
 * written for. Figure 2 is in figure-2.test.ts; Figures 7 and 8 and the vote table are in ../core.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asLogIndex, asNodeId, asProposalId, asTerm } from '../../../src/raft/core/ids.ts';
import type { Message, NodeId } from '../../../src/raft/core/types.ts';
import {
  ELECTION_TICKS,
  HEARTBEAT_TICKS,
  Network,
  TestNode,
  emptyState,
  hardState,
  ids,
  logOfTerms,
  text,
  voters,
} from '../core/harness.ts';

const five = ids(5);
const [n1, n2, n3, n4, n5] = five as [NodeId, NodeId, NodeId, NodeId, NodeId];

/** A cluster of five with these logs; their terms are those of the newest entry anywhere. */
function clusterOf(logs: readonly (readonly number[])[]): Network {
  const term = Math.max(0, ...logs.flat());
  return new Network(
    five.map((id, i) => {
      const entries = logOfTerms(logs[i] ?? []);
      const state = { ...emptyState(voters(five)), entries, hardState: hardState(term) };
      return new TestNode({ id, state, timeoutOffset: i });
    }),
  );
}

/** Messages of these servers are lost from now on, in both directions. */
function partition(net: Network, ...names: readonly string[]): void {
  for (const name of names) {
    for (const other of net.nodes.keys()) if (!names.includes(other)) net.cut(name, other);
  }
}

describe('Raft basics [§5.1]', () => {
  it('a leader that discovers a newer term reverts to follower at once', () => {
    const leader = Network.ofVoters(3).elect('n1');
    leader.receive({ kind: 'appendRejected', from: n2, to: n1, term: asTerm(8), ...HINT });
    assert.deepEqual([leader.status.role, leader.status.term], ['follower', 8]);
  });

  it('terms only grow, whatever comes', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    const node = net.node('n3');
    let before = 0;
    for (const term of [1, 4, 2, 4, 9, 0, 3]) {
      node.receive({ kind: 'heartbeatAck', from: n2, to: n3, term: asTerm(term), round: 0 });
      assert.ok(node.status.term >= before);
      before = node.status.term;
    }
    assert.equal(before, 9);
  });
});

describe('leader election [§5.2]', () => {
  it('each server votes for at most one candidate in a term, so of two candidates at most one wins', () => {
    const net = clusterOf([]);
    // Both have won the pre-vote; their requests for votes cross.
    const [a, b] = [net.node('n1'), net.node('n5')];
    for (const node of [a, b]) {
      node.tick(2 * ELECTION_TICKS);
      node.takeOutgoing();
      for (const from of [n2, n3]) {
        const to = node.id;
        node.receive({ kind: 'voteResponse', from, to, term: asTerm(1), preVote: true, granted: true });
      }
      assert.equal(node.status.role, 'candidate');
    }
    net.settle();
    const roles = [a.status.role, b.status.role];
    assert.equal(roles.filter((role) => role === 'leader').length, 1, roles.join());
    assert.equal(net.leaders().length, 1);
  });

  it('a split vote ends: the timeouts differ, and the next candidate wins before another times out', () => {
    const net = clusterOf([]);
    const votes = (m: Message): boolean => !(m.kind === 'voteRequest' && !m.preVote);
    net.filter(votes);
    net.tick(3 * ELECTION_TICKS);
    assert.deepEqual(net.leaders(), [], 'nobody hears of a candidate: nobody wins');
    net.heal();
    net.tick(4 * ELECTION_TICKS);
    assert.equal(net.leaders().length, 1);
  });

  it('a minority elects nobody, and its servers do not run up their terms meanwhile', () => {
    const net = clusterOf([]);
    net.elect('n1');
    partition(net, 'n4', 'n5');
    net.tick(10 * ELECTION_TICKS);
    assert.deepEqual(
      net.leaders().map((node) => node.id),
      [n1],
    );
    assert.deepEqual([net.node('n4').status.term, net.node('n5').status.term], [1, 1]);
  });
});

describe('log replication [§5.3]', () => {
  it('Log Matching: where two logs have the same index and term, they are the same up to there', () => {
    const net = clusterOf([[1, 2, 2], [1, 2], [1, 3], [1], [1, 1, 1]]);
    for (const name of ['n3', 'n2', 'n4']) {
      net.heal();
      net.node(name).tick(ELECTION_TICKS);
      net.tick(4 * ELECTION_TICKS);
      net.leaders()[0]?.propose(`by ${name}`);
      net.settle();
    }
    const logs = [...net.nodes.values()].map((node) => node.log);
    for (const a of logs) {
      for (const b of logs) {
        let shared = Math.min(a.length, b.length);
        while (shared > 0 && a[shared - 1]?.term !== b[shared - 1]?.term) shared--;
        assert.deepEqual(a.slice(0, shared).map(text), b.slice(0, shared).map(text));
      }
    }
  });

  it('a follower that crashes or is slow does not hold up the others, and gets everything later', () => {
    const net = clusterOf([]);
    const leader = net.elect('n1');
    partition(net, 'n5');
    for (let i = 0; i < 10; i++) leader.propose(String(i));
    net.settle();
    assert.equal(leader.status.commitIndex, 11);
    net.heal();
    net.node('n5').restart();
    net.tick(ELECTION_TICKS);
    assert.deepEqual(net.node('n5').log.map(text), leader.log.map(text));
  });

  it('a leader’s crashes leave logs that differ; the next one forces its own on all, and never changes its own', () => {
    const net = clusterOf([[1, 1, 2], [1, 1], [1, 1, 3, 3], [1], [1, 1, 3]]);
    const leader = net.elect('n3');
    const own = leader.log.map(text);
    leader.propose('after');
    net.tick(ELECTION_TICKS);
    assert.deepEqual(leader.log.slice(0, own.length).map(text), own);
    for (const node of net.nodes.values()) assert.deepEqual(node.log.map(text), leader.log.map(text));
  });
});

describe('safety [§5.4]', () => {
  it('election restriction [§5.4.1]: only a log that holds every committed entry can win', () => {
    const net = clusterOf([]);
    const leader = net.elect('n1');
    partition(net, 'n4', 'n5');
    leader.propose('committed by three');
    net.settle();
    assert.equal(leader.status.commitIndex, 2);
    net.heal();
    partition(net, 'n1');
    for (let i = 0; i < 20 * ELECTION_TICKS; i++) {
      net.tick();
      for (const { status } of net.leaders())
        assert.ok(status.id === n1 || status.id === n2 || status.id === n3, `${status.id} lacks the entry`);
    }
    assert.equal(net.leaders().filter((node) => node.id !== n1).length, 1);
  });

  it('Leader Completeness [§5.4.3, Figure 9]: what S1 committed in term T is in the log of the leader of a later term U', () => {
    const net = clusterOf([]);
    const s1 = net.elect('n1');
    partition(net, 'n4', 'n5');
    s1.propose('of T');
    net.settle();
    const committed = s1.log.slice(0, s1.status.commitIndex).map(text);
    // S5 can't be elected by S4 and itself; whoever S3 votes for has the entry: S3 is the voter that both have in common.
    net.heal();
    partition(net, 'n1', 'n2');
    net.tick(6 * ELECTION_TICKS);
    const [s3] = net.leaders().filter((node) => node.id !== n1);
    assert.equal(s3?.id, n3);
    assert.deepEqual(s3.log.slice(0, committed.length).map(text), committed);
    for (const name of ['n4', 'n5']) assert.deepEqual(net.node(name).log.slice(0, 2).map(text), committed);
  });

  it('State Machine Safety [§5.4.3]: nobody applies anything else at an index that somebody has applied', () => {
    const net = clusterOf([]);
    const seen = new Map<number, string>();
    for (const [leader, away] of [
      ['n1', 'n2'],
      ['n3', 'n1'],
      ['n2', 'n3'],
    ] as const) {
      net.heal();
      net.tick(3 * ELECTION_TICKS);
      net.leaders()[0]?.step({ kind: 'transferLeadership', to: asNodeId(leader) });
      net.settle();
      partition(net, away);
      net.node(leader).propose(`by ${leader}`);
      net.tick(ELECTION_TICKS);
      for (const node of net.nodes.values()) {
        for (const entry of node.applied) {
          const before = seen.get(entry.index) ?? text(entry);
          seen.set(entry.index, before);
          assert.equal(text(entry), before, `index ${String(entry.index)}`);
        }
      }
    }
    assert.ok(seen.size > 4);
  });
});

describe('follower and candidate crashes [§5.5]', () => {
  it('the leader’s requests are repeated until they are answered, and are idempotent', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    const follower = net.node('n3');
    // The follower takes the entry, but its answers are lost: the same is asked again with every heartbeat.
    net.cutOneWay('n3', 'n1');
    leader.propose('x');
    for (let i = 0; i < 3; i++) net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(follower.log.map(text), ['noop', 'x']);
    net.heal();
    net.tick(HEARTBEAT_TICKS);
    assert.equal(leader.status.peers.get(n3)?.matchIndex, 2);
    assert.deepEqual(follower.applied.map(text), ['noop', 'x']);
  });
});

describe('cluster membership changes [§6]', () => {
  it('Figure 10: a switch from three to five servers at once, which could make two majorities, is refused', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.step({ kind: 'proposeConfig', id: asProposalId(9), config: voters([n1, n2, n3, n4, n5]) });
    assert.deepEqual(leader.eventsOf('proposalOutcome').at(-1)?.outcome, {
      kind: 'overloaded',
      limit: 'one voter may be added or removed at a time',
    });
  });

  it('"a server always uses the latest configuration in its log, regardless of whether the entry is committed"', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n1');
    leader.step({ kind: 'proposeConfig', id: asProposalId(9), config: voters([n1, n2]) });
    assert.deepEqual(leader.status.config.voters, [n1, n2]);
    assert.equal(leader.status.commitIndex, 1);
  });
});

describe('log compaction [§7]', () => {
  it('a snapshot takes the place of the log before it; "last included" index and term still connect the next append', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.propose('a');
    net.tick(HEARTBEAT_TICKS);
    for (const node of net.nodes.values()) node.compact();
    leader.propose('b');
    net.settle();
    for (const node of net.nodes.values()) assert.deepEqual(node.log.map(text), ['b']);
    assert.equal(leader.status.commitIndex, 3);
  });

  it('servers take snapshots by themselves, and one that has voted keeps to its term and vote', () => {
    const net = Network.ofVoters(3);
    net.elect('n1').propose('a');
    net.tick(HEARTBEAT_TICKS);
    const node = net.node('n3');
    node.compact();
    node.restart();
    assert.deepEqual([node.status.term, node.status.votedFor, node.status.snapshotIndex], [1, n1, 2]);
  });
});

describe('client interaction [§8]', () => {
  it('a new leader has every committed entry, but may not know which those are until it has committed its no-op', () => {
    const net = clusterOf([]);
    const first = net.elect('n1');
    first.propose('x');
    // Committed by the first leader; no follower has been told yet.
    net.filter((m) => m.kind !== 'heartbeat' && m.kind !== 'commit');
    net.settle();
    assert.equal(first.status.commitIndex, 2);
    net.heal();
    partition(net, 'n1');
    const next = net.node('n2');
    for (const name of ['n3', 'n4', 'n5']) net.node(name).tick(ELECTION_TICKS);
    net.filter((m) => m.kind !== 'append');
    for (let i = 0; i < 3 * ELECTION_TICKS && next.status.role !== 'leader'; i++) {
      next.tick();
      net.settle();
    }
    assert.deepEqual([next.status.role, next.log.map(text)], ['leader', ['noop', 'x', 'noop']]);
    assert.ok(next.status.commitIndex < 2, 'it does not know yet that "x" is committed');
    net.filter(() => true);
    next.tick(HEARTBEAT_TICKS);
    net.tick(HEARTBEAT_TICKS);
    assert.equal(next.status.commitIndex, 3);
  });
});

const HINT = { rejectedIndex: asLogIndex(0), hintIndex: asLogIndex(0), hintTerm: asTerm(0) } as const;
