/**
 * Elections: §5.2, §5.4.1, pre-vote (thesis §9.6), check-quorum and stickiness (thesis §6.2, §4.2.3).
 * Method: single nodes fed with hand-made messages where the answer matters, whole networks where the outcome does.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asLogIndex, asNodeId, asTerm } from '../../../src/raft/core/ids.ts';
import type { Entry, Message } from '../../../src/raft/core/types.ts';
import {
  ELECTION_TICKS,
  Network,
  TestNode,
  command,
  emptyState,
  meta,
  voters,
  type MessageOf,
} from './harness.ts';
import {
  append,
  heartbeat,
  heartbeatAck,
  n1,
  n2,
  n3,
  serverWithLog,
  three,
  voteRequest,
  voteResponse,
} from './three-voters.ts';

function onlyVote(node: TestNode): MessageOf<'voteResponse'> {
  const sent = node.sent('voteResponse');
  assert.equal(sent.length, 1, 'one answer');
  return sent[0]!;
}

describe('vote table (§5.4.1, TestVoter of etcd)', () => {
  const rows: readonly [log: number[], lastTerm: number, lastIndex: number, granted: boolean][] = [
    [[1], 1, 1, true],
    [[1], 1, 2, true],
    [[1, 1], 1, 1, false],
    [[1], 2, 1, true],
    [[1], 2, 2, true],
    [[1, 1], 2, 1, true],
    [[2], 1, 1, false],
    [[2], 1, 2, false],
    [[2, 2], 1, 1, false],
    [[1, 1], 1, 1, false],
  ];
  for (const [log, lastTerm, lastIndex, granted] of rows) {
    for (const preVote of [false, true]) {
      const what = `${granted ? 'grants' : 'refuses'} a ${preVote ? 'pre-vote' : 'vote'}`;
      it(`${what} with log [${log.join()}] to a candidate at (${String(lastTerm)},${String(lastIndex)})`, () => {
        const node = serverWithLog(log);
        const lastLogTerm = asTerm(lastTerm);
        const lastLogIndex = asLogIndex(lastIndex);
        node.receive(voteRequest({ term: asTerm(3), preVote, lastLogTerm, lastLogIndex }));
        assert.equal(onlyVote(node).granted, granted);
      });
    }
  }
});

describe('votes (§5.2)', () => {
  it('gives one vote per term, first come first served, and repeats it to the same candidate', () => {
    const node = serverWithLog([]);
    node.receive(voteRequest({ from: n2 }));
    node.receive(voteRequest({ from: n3 }));
    node.receive(voteRequest({ from: n2 }));
    assert.deepEqual(
      node.sent('voteResponse').map((m) => [m.to, m.granted]),
      [
        [n2, true],
        [n3, false],
        [n2, true],
      ],
    );
  });

  it('remembers its vote across a restart', () => {
    const node = serverWithLog([]);
    node.receive(voteRequest({ from: n2 }));
    node.restart();
    node.receive(voteRequest({ from: n3 }));
    assert.equal(onlyVote(node).granted, false);
  });

  it('withholds the answer until term and vote are durable (raft.md item 3)', () => {
    const node = serverWithLog([]);
    node.holdWrites = true;
    node.receive(voteRequest());
    assert.deepEqual(node.outgoing, []);
    assert.deepEqual(node.pendingWrites[0]?.hardState, { currentTerm: 1, votedFor: n2 });
    node.flush();
    assert.equal(onlyVote(node).granted, true);
  });

  it('may vote otherwise if it crashed before the vote was durable, since nobody heard of it', () => {
    const node = serverWithLog([]);
    node.holdWrites = true;
    node.receive(voteRequest({ from: n2 }));
    node.restart();
    node.receive(voteRequest({ from: n3 }));
    assert.equal(onlyVote(node).granted, true);
  });

  it('drops a withheld vote of an earlier term', () => {
    const node = serverWithLog([]);
    node.holdWrites = true;
    node.receive(voteRequest({ term: asTerm(1) }));
    node.receive(voteRequest({ term: asTerm(2), from: n3 }));
    node.flush();
    assert.deepEqual(
      node.sent('voteResponse').map((m) => [m.to, m.term]),
      [[n3, 2]],
    );
  });

  it('answers a candidate of an older term with its own', () => {
    const node = serverWithLog([], { currentTerm: 5 });
    node.receive(voteRequest({ term: asTerm(4) }));
    assert.deepEqual(
      node.outgoing.map((m) => [m.to, m.term]),
      [[n2, 5]],
    );
    assert.deepEqual(node.sent('voteResponse'), [], 'no answer to a later request of that candidate');
  });

  it('resets the election timer for a granted vote only (raft.md item 4)', () => {
    const node = serverWithLog([1, 1]);
    node.tick(ELECTION_TICKS - 1);
    node.receive(voteRequest({ term: asTerm(2) }));
    assert.equal(onlyVote(node).granted, false, 'outdated log');
    node.tick();
    assert.equal(node.status.role, 'preCandidate', 'the refused request did not delay its own campaign');
  });

  it('learners and servers that are not members answer votes: the caller knows the configuration (thesis §4.1)', () => {
    for (const config of [voters([n2, n3], [n1]), voters([n2, n3])]) {
      const node = new TestNode({ id: n1, state: emptyState(config) });
      node.receive(voteRequest());
      assert.equal(onlyVote(node).granted, true);
      assert.equal(node.status.role, 'learner');
    }
  });

  it('learners never stand', () => {
    const node = new TestNode({ id: n1, state: emptyState(voters([n2, n3], [n1])) });
    node.tick(5 * ELECTION_TICKS);
    assert.deepEqual([node.status.role, node.status.term], ['learner', 0]);
    node.receive({ kind: 'timeoutNow', from: n2, to: n1, term: asTerm(0) });
    assert.equal(node.status.role, 'learner');
  });
});

describe('campaigns', () => {
  it('waits between one and two election timeouts, by the injected randomness', () => {
    for (const [offset, expected] of [
      [0, ELECTION_TICKS],
      [ELECTION_TICKS - 1, 2 * ELECTION_TICKS - 1],
    ] as const) {
      const node = new TestNode({ id: n1, state: emptyState(three), timeoutOffset: offset });
      node.tick(expected - 1);
      assert.equal(node.status.role, 'follower');
      node.tick();
      assert.equal(node.status.role, 'preCandidate');
    }
  });

  it('counts the own vote, and asks for others, only when the own vote is durable (raft.md item 3)', () => {
    const node = serverWithLog([]);
    node.tick(ELECTION_TICKS);
    node.takeOutgoing();
    node.holdWrites = true;
    node.receive(voteResponse({ preVote: true }));
    assert.equal(node.status.role, 'candidate');
    assert.deepEqual(node.outgoing, []);
    node.receive(voteResponse());
    assert.equal(node.status.role, 'candidate', 'one durable vote of three');
    node.flush();
    assert.equal(node.status.role, 'leader');
  });

  it('does not count votes of an earlier term after a restart (a shorter log could win)', () => {
    const node = serverWithLog([]);
    node.tick(ELECTION_TICKS);
    node.holdWrites = true;
    node.receive(voteResponse({ preVote: true }));
    assert.deepEqual(
      node.sent('voteRequest').filter((m) => !m.preVote),
      [],
      'nobody could vote yet',
    );
    node.restart();
    assert.equal(node.status.term, 0);
  });

  it('a single voter elects itself and commits', () => {
    const net = Network.ofVoters(1);
    net.tick(2 * ELECTION_TICKS);
    net.node('n1').propose('x');
    assert.equal(net.node('n1').status.commitIndex, 2);
  });

  it('begins its lead with a no-op (§8)', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    assert.deepEqual(
      leader.log.map((e) => e.kind),
      ['noop'],
    );
    assert.equal(leader.status.commitIndex, 1);
  });

  it('falls back to follower when a majority refuses', () => {
    const node = serverWithLog([1]);
    node.tick(ELECTION_TICKS);
    for (const from of [n2, n3]) {
      node.receive(voteResponse({ from, preVote: true, granted: false }));
    }
    assert.equal(node.status.role, 'follower');
  });

  it('a candidate that hears the leader of its term follows it', () => {
    const node = serverWithLog([]);
    node.tick(ELECTION_TICKS);
    node.receive(voteResponse({ preVote: true }));
    assert.equal(node.status.role, 'candidate');
    node.receive(heartbeat({ from: n3 }));
    assert.deepEqual([node.status.role, node.status.leader, node.status.votedFor], ['follower', n3, n1]);
  });

  it('elects nobody without a majority', () => {
    const net = Network.ofVoters(3);
    net.isolate('n1');
    net.isolate('n2');
    net.tick(10 * ELECTION_TICKS);
    assert.deepEqual(net.leaders(), []);
  });

  it('does not stand while its disk is stalled', () => {
    const node = serverWithLog([]);
    node.holdWrites = true;
    node.receive(voteRequest());
    node.tick(3 * ELECTION_TICKS);
    node.step({ kind: 'tick' });
    const asked = node.sent('voteRequest').length;
    node.tick(5 * ELECTION_TICKS);
    assert.equal(node.sent('voteRequest').length, asked);
    node.flush();
    node.tick(2 * ELECTION_TICKS);
    assert.ok(node.sent('voteRequest').length > asked);
  });
});

describe('pre-vote (thesis §9.6)', () => {
  it('changes neither term nor vote of anybody', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    net.isolate('n3');
    net.node('n3').tick(10 * ELECTION_TICKS);
    assert.deepEqual([net.node('n3').status.role, net.node('n3').status.term], ['preCandidate', 1]);
  });

  it('a server that comes back does not depose a healthy leader', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n3');
    net.tick(6 * ELECTION_TICKS);
    net.heal();
    net.tick(ELECTION_TICKS);
    assert.deepEqual([leader.status.role, leader.status.term], ['leader', 1]);
    assert.equal(net.node('n3').status.leader, n1);
  });

  it('grants with the term asked for, refuses with its own', () => {
    const node = serverWithLog([1]);
    node.receive(
      voteRequest({ preVote: true, term: asTerm(2), lastLogIndex: asLogIndex(1), lastLogTerm: asTerm(1) }),
    );
    assert.deepEqual([onlyVote(node).granted, onlyVote(node).term], [true, 2]);
    node.takeOutgoing();
    node.receive(voteRequest({ preVote: true, term: asTerm(2) }));
    assert.deepEqual([onlyVote(node).granted, onlyVote(node).term], [false, 1]);
    assert.deepEqual([node.status.term, node.status.votedFor], [1, null]);
  });

  it('a pre-candidate learns a newer term from a refusal', () => {
    const node = serverWithLog([]);
    node.tick(ELECTION_TICKS);
    node.receive(voteResponse({ term: asTerm(7), preVote: true, granted: false }));
    assert.deepEqual([node.status.role, node.status.term], ['follower', 7]);
  });

  it('two pre-candidates can elect one of them: nobody clings to the lost leader (etcd #8501)', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    net.isolate('n1');
    for (let i = 0; i < 6 * ELECTION_TICKS && net.node('n2').status.role !== 'leader'; i++) {
      net.node('n2').tick();
      net.node('n3').tick();
      net.settle();
    }
    assert.equal(net.node('n2').status.role, 'leader');
  });
});

describe('leader stickiness (thesis §4.2.3)', () => {
  for (const preVote of [false, true]) {
    it(`ignores a ${preVote ? 'pre-vote' : 'vote'} request within an election timeout of hearing the leader`, () => {
      const node = serverWithLog([]);
      node.receive(heartbeat());
      node.takeOutgoing();
      node.receive(voteRequest({ from: n3, term: asTerm(9), preVote }));
      assert.deepEqual([node.outgoing, node.status.term], [[], 1]);
    });
  }

  it('answers once the leader has been silent for an election timeout', () => {
    const node = new TestNode({ id: n1, state: emptyState(three), timeoutOffset: ELECTION_TICKS - 1 });
    node.receive(heartbeat());
    node.tick(ELECTION_TICKS);
    node.takeOutgoing();
    node.receive(voteRequest({ from: n3, term: asTerm(2) }));
    assert.equal(onlyVote(node).granted, true);
  });

  it('makes an exception for leadership transfer', () => {
    const node = serverWithLog([]);
    node.receive(heartbeat());
    node.takeOutgoing();
    node.receive(voteRequest({ from: n3, term: asTerm(2), force: true }));
    assert.equal(onlyVote(node).granted, true);
  });

  it('a removed server does not disturb (thesis §4.2.3)', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    const outsider = new TestNode({
      id: asNodeId('n9'),
      state: emptyState(voters([n1, n2, n3, asNodeId('n9')])),
    });
    net.nodes.set(outsider.id, outsider);
    for (let i = 0; i < 5 * ELECTION_TICKS; i++) net.tick();
    assert.deepEqual([leader.status.role, leader.status.term], ['leader', 1]);
  });
});

describe('patience with a leader that has large entries to apply', () => {
  const PATIENCE_BYTES = 1_000;
  const PATIENCE_TICKS_MAX = 20;
  const config = { patienceBytes: PATIENCE_BYTES, patienceTicksMax: PATIENCE_TICKS_MAX };
  const follower = (): TestNode => new TestNode({ id: n1, state: emptyState(three), config });
  const entryOf = (bytes: number, index = 1): Entry => command(index, 1, 'x'.repeat(bytes));

  /** Ticks until it stands. */
  function ticksToStand(node: TestNode): number {
    for (let ticks = 1; ticks <= ELECTION_TICKS + 2 * PATIENCE_TICKS_MAX; ticks++) {
      const due = node.core.ticksUntilDue();
      node.tick();
      if (node.status.role !== 'follower') {
        assert.equal(due, 1, 'the driver was told of this tick');
        return ticks;
      }
    }
    assert.fail('it never stands');
  }

  it('is an election timeout and no more after small entries', () => {
    const node = follower();
    node.receive(append({ entries: [entryOf(20), entryOf(20, 2)] }));
    assert.equal(ticksToStand(node), ELECTION_TICKS);
  });

  it('bears a tick more for every so many bytes', () => {
    const node = follower();
    node.receive(append({ entries: [entryOf(3 * PATIENCE_BYTES)] }));
    assert.equal(node.core.ticksUntilDue(), ELECTION_TICKS + 3);
    assert.equal(ticksToStand(node), ELECTION_TICKS + 3);
  });

  it('has a limit, however much comes', () => {
    const node = follower();
    for (let index = 1; index <= 8; index++) {
      const prev = { prevLogIndex: asLogIndex(index - 1), prevLogTerm: asTerm(index === 1 ? 0 : 1) };
      node.receive(append({ ...prev, entries: [entryOf(10 * PATIENCE_BYTES, index)] }));
    }
    assert.equal(ticksToStand(node), ELECTION_TICKS + PATIENCE_TICKS_MAX);
  });

  it('does not come again with entries that are here already', () => {
    const node = follower();
    const message = append({ entries: [entryOf(5 * PATIENCE_BYTES)] });
    node.receive(message);
    node.tick(5);
    node.receive(message);
    assert.equal(ticksToStand(node), ELECTION_TICKS);
  });

  it('is not lost by a heartbeat: what comes after the entries was sent before they are applied', () => {
    const node = follower();
    node.receive(append({ entries: [entryOf(5 * PATIENCE_BYTES)] }));
    node.receive(heartbeat());
    assert.equal(ticksToStand(node), ELECTION_TICKS + 5);
  });

  it('helps nobody else to replace the leader meanwhile', () => {
    const node = follower();
    node.receive(append({ entries: [entryOf(5 * PATIENCE_BYTES)] }));
    node.tick(ELECTION_TICKS + 4);
    node.takeOutgoing();
    node.receive(voteRequest({ from: n3, term: asTerm(9), preVote: true, lastLogIndex: asLogIndex(9) }));
    assert.deepEqual(node.outgoing, []);
  });

  it('ends with the term, and with standing itself', () => {
    const node = follower();
    node.receive(append({ entries: [entryOf(9 * PATIENCE_BYTES)] }));
    node.receive(heartbeat({ term: asTerm(2) }));
    assert.equal(ticksToStand(node), ELECTION_TICKS);
    const asked = follower();
    asked.receive(append({ entries: [entryOf(9 * PATIENCE_BYTES)] }));
    asked.receive({ kind: 'timeoutNow', from: n2, to: n1, term: asTerm(1) });
    assert.equal(asked.core.ticksUntilDue(), ELECTION_TICKS);
  });
});

describe('check-quorum (thesis §6.2)', () => {
  it('a leader cut off steps down after an election timeout and sends no more heartbeats', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.takeOutgoing();
    leader.tick(ELECTION_TICKS - 1);
    assert.equal(leader.status.role, 'leader');
    leader.tick();
    assert.deepEqual([leader.status.role, leader.status.leader], ['follower', null]);
    leader.takeOutgoing();
    leader.tick(ELECTION_TICKS / 2);
    assert.deepEqual(leader.sent('heartbeat'), []);
  });

  it('a leader that reaches a majority stays', () => {
    const net = Network.ofVoters(5);
    const leader = net.elect('n1');
    net.isolate('n4');
    net.isolate('n5');
    net.tick(5 * ELECTION_TICKS);
    assert.equal(leader.status.role, 'leader');
  });

  it('learners are no contact that counts', () => {
    const state = emptyState(voters([n1, n2], [n3]));
    const net = new Network([n1, n2, n3].map((id, i) => new TestNode({ id, state, timeoutOffset: i })));
    const leader = net.elect('n1');
    net.isolate('n2');
    net.tick(ELECTION_TICKS);
    assert.notEqual(leader.status.role, 'leader');
  });

  it('a leader with one-way contact steps down (K: a bridge must not stay sticky, openraft #2080)', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    // n1 is heard by all, and hears nobody.
    net.cutOneWay('n2', 'n1');
    net.cutOneWay('n3', 'n1');
    net.tick(6 * ELECTION_TICKS);
    assert.deepEqual(net.leaders().filter((node) => node.id !== n1).length, 1);
  });

  it('a partial partition of five does not live-lock (J: Howard & Abraham 2020)', () => {
    const net = Network.ofVoters(5);
    net.elect('n4');
    // The leader n4 reaches only the bridge n1; n1 reaches everybody; n2, n3, n5 can't reach n4.
    for (const other of ['n2', 'n3', 'n5']) net.cut('n4', other);
    net.tick(6 * ELECTION_TICKS);
    const leaders = net.leaders();
    assert.equal(leaders.length, 1);
    assert.notEqual(leaders[0]?.id, 'n4');
    const term = leaders[0]?.status.term;
    net.tick(10 * ELECTION_TICKS);
    assert.deepEqual(
      net.leaders().map((node) => [node.id, node.status.term]),
      [[leaders[0]?.id, term]],
      'it stays',
    );
  });

  it('a leader whose disk is silent steps down though its ticks go on (L: etcd#13527)', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.holdWrites = true;
    leader.propose('x');
    net.tick(3 * ELECTION_TICKS);
    assert.notEqual(leader.status.role, 'leader');
    net.tick(3 * ELECTION_TICKS);
    assert.equal(net.leaders().length, 1);
    assert.notEqual(net.leaders()[0]?.id, n1);
  });
});

describe('stuck candidates (raft.md item 8)', () => {
  it('a server in a newer term deposes the leader that speaks to it, and then follows', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    const stuck = net.node('n3');
    // As if it had won a pre-vote and then lost everybody.
    stuck.receive(voteResponse({ to: n3, term: asTerm(9), granted: false }));
    assert.equal(stuck.status.term, 9);
    net.tick(4 * ELECTION_TICKS);
    assert.equal(net.leaders().length, 1);
    assert.ok(net.leaders()[0]!.status.term > 9);
    assert.ok([...net.nodes.values()].every((node) => node.status.leader === net.leaders()[0]?.id));
  });

  for (const message of [
    { kind: 'append', prevLogIndex: 0, prevLogTerm: 0, entries: [], leaderCommit: 0 },
    { kind: 'heartbeat', commit: 0, round: 0 },
    { kind: 'snapshotChunk', meta: meta(5, 1, three), chunk: 0, data: new Uint8Array(), done: true },
  ] as const) {
    it(`answers an outdated ${message.kind} with the own term`, () => {
      const node = serverWithLog([1], { currentTerm: 5 });
      node.receive({ ...message, from: n2, to: n1, term: asTerm(3) } as Message);
      assert.deepEqual(
        node.outgoing.map((m) => [m.to, m.term]),
        [[n2, 5]],
      );
      assert.equal(node.status.leader, null);
    });
  }
});

describe('the leader', () => {
  it('ignores votes, appends and answers of older terms', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.receive(voteRequest({ term: asTerm(1), from: n3 }));
    assert.equal(leader.status.role, 'leader');
    leader.receive(append({ term: asTerm(0), entries: [command(1, 0)] }));
    assert.deepEqual([leader.status.role, leader.log[0]?.kind], ['leader', 'noop']);
  });

  it('refuses to believe in a second leader of its term', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    assert.throws(() => leader.receive(heartbeat()), { code: 'RAFT_INVARIANT' });
  });

  it('steps down for any newer term but that of an unforced vote request', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.receive(voteRequest({ term: asTerm(5), from: n3 }));
    assert.equal(leader.status.role, 'leader');
    leader.receive(heartbeatAck(n3, 0, 5));
    assert.deepEqual([leader.status.role, leader.status.term], ['follower', 5]);
  });
});
