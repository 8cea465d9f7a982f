/**
 * Replication: §5.3, §5.4.2 and Figures 2, 7, 8. Acceptance scenarios are named by the letters of the figures.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asLogIndex, asProposalId, asTerm } from '../../../src/raft/core/ids.ts';
import type { Entry, NodeId, RaftConfig } from '../../../src/raft/core/types.ts';
import { ELECTION_TICKS, HEARTBEAT_TICKS, Network, bytes, command, ids, text, voters } from './harness.ts';
import type { TestNode } from './harness.ts';
import {
  accepted,
  append,
  electedByN2,
  heartbeat,
  n1,
  n2,
  n3,
  rejected,
  serverWithLog,
  three,
} from './three-voters.ts';

/** Servers that time out in the order of their names. */
function nodeWithLog(id: NodeId, terms: readonly number[], currentTerm: number, members = three): TestNode {
  return serverWithLog(terms, { id, currentTerm, members, timeoutOffset: Number(id.slice(1)) });
}

/** n1 leads three voters; messages to the others are taken out by hand. */
function leaderWithLog(terms: readonly number[], config: Partial<RaftConfig> = {}): TestNode {
  const node = electedByN2(serverWithLog(terms, { config }));
  node.takeOutgoing();
  return node;
}

describe('Figure 7', () => {
  const leaderLog = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const followers: Readonly<Record<string, number[]>> = {
    a: [1, 1, 1, 4, 4, 5, 5, 6, 6],
    b: [1, 1, 1, 4],
    c: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    d: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    e: [1, 1, 1, 4, 4, 4, 4],
    f: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  };
  for (const [name, log] of Object.entries(followers)) {
    it(`follower (${name}) is brought to the leader's log`, () => {
      const leader = nodeWithLog(n1, leaderLog, 7);
      const follower = nodeWithLog(n2, log, 7);
      // The third voter helps to elect the leader, whatever the follower's log.
      const helper = nodeWithLog(n3, [], 7);
      const net = new Network([leader, follower, helper]);
      net.elect('n1');
      assert.equal(leader.status.term, 8);
      leader.propose('new');
      net.tick(HEARTBEAT_TICKS);
      assert.deepEqual(follower.logTerms, [...leaderLog, 8, 8]);
      assert.deepEqual(follower.log.map(text), leader.log.map(text));
      assert.equal(follower.status.commitIndex, 12);
    });
  }
});

describe('Figure 8', () => {
  const five = ids(5);
  const config = voters(five);

  function figure8c(): Network {
    // (b) is over: S1 and S2 have index 2 of term 2, S5 has index 2 of term 3. S1 stands for term 4.
    const logs = [[1, 2], [1, 2], [1], [1], [1, 3]];
    return new Network(five.map((id, i) => nodeWithLog(id, logs[i] ?? [], 3, config)));
  }

  it('(c) a majority for an entry of an earlier term does not commit it; (d) so it can be overwritten', () => {
    const net = figure8c();
    const s1 = net.node('n1');
    // S1 leads term 4 and copies index 2 to S3, but its own entry (the no-op) reaches nobody.
    net.isolate('n5');
    net.filter((m) => m.kind !== 'append' && m.kind !== 'heartbeat');
    net.elect('n1');
    s1.takeOutgoing();
    const { term } = s1.status;
    const copy = {
      term,
      from: n1,
      prevLogIndex: asLogIndex(1),
      prevLogTerm: asTerm(1),
      entries: [s1.log[1]!],
    };
    for (const name of ['n2', 'n3']) {
      const follower = net.node(name);
      follower.receive(append({ ...copy, to: follower.id }));
      assert.deepEqual(
        follower.sent('appendAccepted').map((m) => m.matchIndex),
        [2],
      );
      for (const answer of follower.takeOutgoing()) s1.receive(answer);
    }
    assert.equal(s1.status.commitIndex, 0, 'index 2 is on S1, S2, S3 and not committed');
    s1.takeOutgoing();

    net.heal();
    net.isolate('n1');
    // Followers that have just heard S1 help nobody for an election timeout.
    for (const name of ['n2', 'n3', 'n4']) net.node(name).tick(ELECTION_TICKS);
    net.elect('n5');
    for (const name of ['n2', 'n3', 'n4']) assert.equal(net.node(name).logTerms[1], 3, 'overwritten by S5');
  });

  it('(e) once an entry of its own term is committed, S5 cannot win', () => {
    const net = figure8c();
    net.isolate('n5');
    net.elect('n1');
    assert.equal(net.node('n1').status.commitIndex, 3, 'the no-op, and index 2 with it');
    net.heal();
    net.isolate('n1');
    const s5 = net.node('n5');
    for (let i = 0; i < 20 * ELECTION_TICKS; i++) {
      net.tick();
      assert.notEqual(s5.status.role, 'leader');
    }
    assert.equal(net.leaders().length, 1);
    assert.equal(s5.logTerms[1], 2, 'S5 follows');
  });
});

describe('commit rule (E, §5.4.2)', () => {
  for (const [ack, commit] of [
    [1, 0],
    [2, 0],
    [3, 3],
  ] as const) {
    it(`log of terms 1,2, leader of term 3: an acknowledgement of ${String(ack)} commits ${String(commit)}`, () => {
      const leader = leaderWithLog([1, 2]);
      assert.equal(leader.status.term, 3);
      leader.receive(accepted(n2, ack, 3));
      assert.equal(leader.status.commitIndex, commit);
    });
  }

  it('the leader counts itself only when its own write is durable (thesis §10.2.1)', () => {
    const leader = leaderWithLog([]);
    leader.receive(accepted(n2, 1));
    leader.holdWrites = true;
    leader.propose('x');
    assert.equal(
      leader.sent('append').filter((m) => m.entries.length > 0).length,
      1,
      'sent before it is durable',
    );
    leader.receive(accepted(n2, 2));
    assert.equal(leader.status.commitIndex, 1);
    leader.flush();
    assert.equal(leader.status.commitIndex, 2);
  });

  it('two followers are a majority of three without the leader; it applies when its own disk has followed', () => {
    const leader = leaderWithLog([]);
    leader.receive(accepted(n2, 1));
    leader.holdWrites = true;
    leader.propose('x');
    leader.receive(accepted(n2, 2));
    leader.receive(accepted(n3, 2));
    assert.deepEqual([leader.status.commitIndex, leader.applied.length], [2, 1]);
    leader.flush();
    assert.deepEqual(leader.applied.map(text), ['noop', 'x']);
  });

  it('a single server acknowledges nothing before its fsync (etcd#14370)', () => {
    const net = Network.ofVoters(1);
    const node = net.node('n1');
    net.tick(2 * ELECTION_TICKS);
    node.holdWrites = true;
    node.propose('x');
    assert.equal(node.status.commitIndex, 1);
    node.flush();
    assert.equal(node.status.commitIndex, 2);
  });

  it('a match index never falls, and answers of other terms do not count', () => {
    const leader = leaderWithLog([1, 2]);
    leader.receive(accepted(n2, 3, 2));
    assert.equal(leader.status.commitIndex, 0, 'an answer of an older term');
    leader.receive(accepted(n2, 3, 3));
    leader.receive(accepted(n2, 1, 3));
    assert.equal(leader.status.peers.get(n2)?.matchIndex, 3);
  });
});

describe('followers', () => {
  it('N: a delayed short append removes nothing of what follows (raft.md item 14)', () => {
    const node = nodeWithLog(n1, [], 0);
    const entries = [command(1, 1), command(2, 1), command(3, 1)];
    node.receive(append({ entries }));
    node.receive(append({ entries: entries.slice(0, 1) }));
    node.receive(append());
    assert.equal(node.status.lastIndex, 3);
    assert.deepEqual(
      node.sent('appendAccepted').map((m) => m.matchIndex),
      [3, 1, 0],
    );
  });

  it('truncates at the first conflict, not before it', () => {
    const node = nodeWithLog(n1, [1, 1, 2, 2], 2);
    const effects = node.receive(
      append({
        term: asTerm(3),
        prevLogIndex: asLogIndex(1),
        prevLogTerm: asTerm(1),
        entries: [command(2, 1), command(3, 3)],
      }),
    );
    assert.deepEqual(node.logTerms, [1, 1, 3]);
    const persist = effects.find((effect) => effect.kind === 'persist');
    assert.equal(persist?.truncateFrom, 3);
    assert.deepEqual(
      persist.append.map((entry) => entry.index),
      [3],
    );
  });

  it('refuses to truncate what is committed', () => {
    const node = nodeWithLog(n1, [1, 1], 1);
    node.receive(
      append({ prevLogIndex: asLogIndex(2), prevLogTerm: asTerm(1), leaderCommit: asLogIndex(2) }),
    );
    assert.throws(
      () =>
        node.receive(
          append({ term: asTerm(2), prevLogIndex: asLogIndex(0), entries: [command(1, 1), command(2, 2)] }),
        ),
      { code: 'RAFT_INVARIANT' },
    );
  });

  it('refuses an append that does not connect', () => {
    const node = nodeWithLog(n1, [1], 1);
    node.receive(append({ prevLogIndex: asLogIndex(2), prevLogTerm: asTerm(1), entries: [command(3, 1)] }));
    assert.deepEqual(
      node.sent('appendRejected').map((m) => [m.rejectedIndex, m.hintIndex, m.hintTerm]),
      [[2, 1, 1]],
    );
    assert.equal(node.status.lastIndex, 1);
  });

  it('commits min(leaderCommit, last new entry), never its own unproven tail (item 15)', () => {
    const node = nodeWithLog(n1, [1, 1, 1], 1);
    node.receive(
      append({
        term: asTerm(2),
        prevLogIndex: asLogIndex(1),
        prevLogTerm: asTerm(1),
        leaderCommit: asLogIndex(3),
      }),
    );
    assert.equal(node.status.commitIndex, 1);
  });

  it('acknowledges only what is durable, in one answer for several appends', () => {
    const node = nodeWithLog(n1, [], 0);
    node.holdWrites = true;
    for (let i = 0; i < 3; i++) {
      node.receive(
        append({
          prevLogIndex: asLogIndex(i),
          prevLogTerm: asTerm(i === 0 ? 0 : 1),
          entries: [command(i + 1, 1)],
        }),
      );
    }
    assert.deepEqual(node.outgoing, []);
    assert.equal(node.pendingWrites.length, 3);
    for (const write of node.pendingWrites) node.disk.write(write);
    const last = node.pendingWrites.at(-1);
    node.pendingWrites = [];
    node.step({ kind: 'persisted', writeId: last!.writeId });
    assert.deepEqual(
      node.sent('appendAccepted').map((m) => m.matchIndex),
      [3],
    );
  });

  it('ABA: a write that completes after its entries were replaced proves nothing about them (item 23)', () => {
    const node = nodeWithLog(n1, [], 0);
    node.holdWrites = true;
    node.receive(append({ entries: [command(1, 1), command(2, 1)] }));
    node.receive(append({ term: asTerm(2), from: n3, entries: [command(1, 2)] }));
    node.flush(1);
    assert.deepEqual([node.status.durableIndex, node.sent('appendAccepted')], [0, []]);
    node.flush(1);
    assert.equal(node.status.durableIndex, 1);
    assert.deepEqual(
      node.sent('appendAccepted').map((m) => [m.to, m.term, m.matchIndex]),
      [[n3, 2, 1]],
    );
  });

  it('H: the term is durable before or with what is acknowledged in it (openraft io_ordering)', () => {
    const node = nodeWithLog(n1, [1], 1);
    node.holdWrites = true;
    // Nothing new to write but the term; the acknowledgement of what is on disk must still wait for it.
    node.receive(append({ term: asTerm(2), prevLogIndex: asLogIndex(1), prevLogTerm: asTerm(1) }));
    assert.deepEqual(node.sent('appendAccepted'), []);
    node.flush();
    assert.equal(node.sent('appendAccepted').length, 1);
  });

  it('answers heartbeats at once, whatever the disk does (item 26)', () => {
    const node = nodeWithLog(n1, [], 0);
    node.holdWrites = true;
    node.receive(append({ entries: [command(1, 1)] }));
    node.receive(heartbeat({ round: 7 }));
    assert.deepEqual(
      node.sent('heartbeatAck').map((m) => m.round),
      [7],
    );
  });

  it('ends the process rather than commit what it has acknowledged and lost', () => {
    const node = nodeWithLog(n1, [], 1);
    assert.throws(() => node.receive(heartbeat({ commit: asLogIndex(5) })), { code: 'RAFT_INVARIANT' });
  });

  it('hands out committed entries once and in order, bounded by what is not applied (item 25)', () => {
    const node = serverWithLog([], { config: { unappliedBytesMax: 300 } });
    node.holdApplied = true;
    const entries = [1, 2, 3, 4].map((i) => command(i, 1, 'x'.repeat(100)));
    node.receive(append({ entries, leaderCommit: asLogIndex(4) }));
    assert.deepEqual(
      node.applied.map((e) => e.index),
      [1, 2],
    );
    node.step({ kind: 'applied', index: asLogIndex(1) });
    assert.deepEqual(
      node.applied.map((e) => e.index),
      [1, 2, 3],
    );
    node.step({ kind: 'applied', index: asLogIndex(3) });
    assert.deepEqual(
      node.applied.map((e) => e.index),
      [1, 2, 3, 4],
    );
  });
});

describe('fast backtracking (§5.3, item 17)', () => {
  /** Counts the rejections until the follower of this log agrees with the leader. */
  function rejections(leaderTerms: number[], followerTerms: number[]): number {
    const term = Math.max(leaderTerms.at(-1) ?? 0, followerTerms.at(-1) ?? 0);
    const leader = nodeWithLog(n1, leaderTerms, term);
    const follower = nodeWithLog(n2, followerTerms, term);
    const net = new Network([leader, follower, nodeWithLog(n3, [], term)]);
    net.elect('n1');
    const before = net.settle();
    assert.deepEqual(before, []);
    assert.deepEqual(follower.logTerms, [...leaderTerms, term + 1]);
    return net.rejections.filter((from) => from === n2).length;
  }

  it('a follower that lacks a thousand entries is found in one answer', () => {
    assert.ok(rejections(new Array<number>(1000).fill(1), [1]) <= 1);
  });

  it('skips a whole term of the follower at once', () => {
    assert.ok(
      rejections(
        [1, ...new Array<number>(500).fill(4)],
        [1, ...new Array<number>(400).fill(2), ...new Array<number>(400).fill(3)],
      ) <= 2,
    );
  });

  it('skips a whole term of the leader at once', () => {
    assert.ok(
      rejections([1, ...new Array<number>(500).fill(3), 4], [1, ...new Array<number>(300).fill(2)]) <= 2,
    );
  });

  it('needs at most as many answers as there are terms, for random logs', () => {
    let seed = 12345;
    const random = (bound: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % bound;
    };
    for (let run = 0; run < 50; run++) {
      const grow = (): number[] => {
        const terms: number[] = [1];
        while (terms.length < 40) terms.push((terms.at(-1) ?? 1) + (random(4) === 0 ? 1 + random(2) : 0));
        return terms;
      };
      const common = grow().slice(0, random(20) + 1);
      const branch = common.at(-1) ?? 1;
      const leader = [
        ...common,
        ...new Array<number>(random(20)).fill(branch + 2),
        ...new Array<number>(random(9) + 1).fill(branch + 5),
      ];
      const follower = [
        ...common,
        ...new Array<number>(random(20)).fill(branch + 1),
        ...new Array<number>(random(20)).fill(branch + 3),
      ];
      assert.ok(rejections(leader, follower) <= 4);
    }
  });
});

describe('flow of appends (items 18 to 20)', () => {
  const small = { inflightMessagesMax: 3, messageBytesMax: 100 };

  it('probes with one message until the follower answers, then pipelines', () => {
    const leader = leaderWithLog([]);
    leader.propose('a');
    leader.propose('b');
    assert.deepEqual(leader.sent('append'), [], 'the probe with the no-op is out');
    leader.receive(accepted(n2, 1));
    assert.deepEqual(
      leader.sent('append').map((m) => m.entries.length),
      [2],
    );
    leader.propose('c');
    leader.propose('d');
    assert.deepEqual(
      leader.sent('append').map((m) => m.entries.length),
      [2, 1, 1],
    );
    assert.equal(leader.status.peers.get(n3)?.state, 'probe');
  });

  it('stops at the window and goes on as it is answered', () => {
    const leader = leaderWithLog([], small);
    leader.receive(accepted(n2, 1));
    leader.takeOutgoing();
    for (let i = 0; i < 10; i++) leader.propose('x'.repeat(80));
    assert.equal(leader.sent('append').length, 3);
    leader.takeOutgoing();
    leader.receive(accepted(n2, 3));
    assert.deepEqual(
      leader.sent('append').map((m) => m.entries[0]?.index),
      [5, 6],
    );
  });

  it('bounds the window in bytes too', () => {
    const leader = leaderWithLog([], { inflightBytesMax: 200, messageBytesMax: 100 });
    leader.receive(accepted(n2, 1));
    leader.takeOutgoing();
    for (let i = 0; i < 10; i++) leader.propose('x'.repeat(68));
    assert.equal(leader.sent('append').length, 2);
  });

  it('splits by size, and sends a large entry alone', () => {
    const leader = leaderWithLog([], { messageBytesMax: 200 });
    for (const size of [50, 50, 50, 500, 50]) leader.propose('x'.repeat(size));
    leader.takeOutgoing();
    leader.receive(accepted(n2, 1));
    assert.deepEqual(
      leader.sent('append').map((m) => m.entries.length),
      [2, 1, 1, 1],
    );
  });

  it('recovers from lost appends: an empty one after a heartbeat finds the gap, even when the window is full', () => {
    const net = Network.ofVoters(3, small);
    const leader = net.elect('n1');
    net.filter((m) => m.kind !== 'append' || m.to !== n2);
    for (let i = 0; i < 10; i++) leader.propose('x'.repeat(80));
    net.settle();
    assert.equal(net.node('n2').status.lastIndex, 1);
    net.heal();
    net.tick(HEARTBEAT_TICKS);
    net.tick(HEARTBEAT_TICKS);
    assert.equal(net.node('n2').status.lastIndex, 11);
  });

  it('goes back to probing when the connection breaks', () => {
    const leader = leaderWithLog([]);
    leader.receive(accepted(n2, 1));
    leader.propose('a');
    leader.step({ kind: 'peerUnreachable', peer: n2 });
    assert.deepEqual(leader.status.peers.get(n2), {
      state: 'probe',
      matchIndex: 1,
      nextIndex: 2,
      ticksSinceContact: 0,
    });
  });

  it('ignores an old rejection of what was acknowledged meanwhile', () => {
    const leader = leaderWithLog([]);
    leader.propose('a');
    leader.receive(accepted(n2, 2));
    leader.receive(rejected(n2, 1));
    assert.equal(leader.status.peers.get(n2)?.state, 'replicate');
  });

  it('tell of the commit index with the next entries or heartbeat, never of more than a follower shares', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.tick(HEARTBEAT_TICKS);
    const committed = (): number[] => [...net.nodes.values()].map((node) => node.status.commitIndex);
    leader.propose('a');
    net.settle();
    assert.deepEqual(committed(), [2, 1, 1], 'no message of its own for it');
    leader.propose('a2');
    net.settle();
    assert.deepEqual(committed(), [3, 2, 2]);
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(committed(), [3, 3, 3]);
    leader.propose('a3');
    net.settle();
    leader.step({ kind: 'tellCommit' });
    leader.step({ kind: 'tellCommit' });
    assert.deepEqual(
      net.settle().map(({ kind }) => kind),
      ['commit', 'commit'],
      'when the driver wants it, once to each, and without answers',
    );
    assert.deepEqual(committed(), [4, 4, 4]);
    net.isolate('n3');
    leader.propose('b');
    net.settle();
    leader.takeOutgoing();
    leader.tick(HEARTBEAT_TICKS);
    const commits = new Map(leader.sent('heartbeat').map((m) => [m.to, m.commit as number]));
    assert.deepEqual([commits.get(n2), commits.get(n3)], [5, 4]);
  });
});

describe('proposals', () => {
  it('of one input get consecutive indexes and one write', () => {
    const leader = leaderWithLog([]);
    leader.events = [];
    const proposals = ['a', 'b', 'c'].map((p, i) => ({ id: asProposalId(i + 10), payload: bytes(p) }));
    const effects = leader.step({ kind: 'propose', proposals });
    assert.equal(effects.filter((effect) => effect.kind === 'persist').length, 1);
    assert.deepEqual(
      leader.eventsOf('proposalOutcome').map((e) => [e.id, e.outcome]),
      [2, 3, 4].map((index) => [index + 8, { kind: 'appended', index, term: 1 }]),
    );
  });

  it('are refused by others, with a hint', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    net.node('n2').propose('x');
    assert.deepEqual(net.node('n2').eventsOf('proposalOutcome')[0]?.outcome, {
      kind: 'notLeader',
      leader: n1,
    });
  });

  it('are refused beyond uncommittedBytesMax, but one is always allowed; a commit makes room', () => {
    const leader = leaderWithLog([], { uncommittedBytesMax: 150 });
    leader.receive(accepted(n2, 1));
    leader.events = [];
    leader.propose('x'.repeat(1000));
    leader.propose('y');
    assert.deepEqual(
      leader.eventsOf('proposalOutcome').map((e) => e.outcome.kind),
      ['appended', 'overloaded'],
    );
    leader.receive(accepted(n2, 2));
    leader.propose('z');
    assert.equal(leader.eventsOf('proposalOutcome').at(-1)?.outcome.kind, 'appended');
  });

  it('larger than proposalBytesMax are refused', () => {
    const leader = leaderWithLog([], { proposalBytesMax: 10 });
    leader.events = [];
    leader.propose('x'.repeat(11));
    assert.deepEqual(leader.eventsOf('proposalOutcome')[0]?.outcome, {
      kind: 'overloaded',
      limit: 'proposalBytesMax',
    });
  });

  it('not known to be committed when the lead is lost are reported as unknown, committed ones are not', () => {
    const leader = leaderWithLog([]);
    leader.propose('a', 'b', 'c');
    leader.receive(accepted(n2, 2));
    leader.receive(heartbeat({ term: asTerm(2) }));
    assert.deepEqual(
      leader.eventsOf('proposalsUnknown').map((e) => e.ids),
      [[2, 3]],
    );
    assert.equal(leader.eventsOf('roleChanged').at(-1)?.leader, n2);
  });

  it('a leader never changes or removes entries of its own log (leader append-only)', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    let before: readonly Entry[] = leader.log;
    for (let i = 0; i < 20; i++) {
      leader.propose(String(i));
      net.settle();
      assert.deepEqual(leader.log.slice(0, before.length), before);
      before = leader.log;
    }
  });
});
