/** Membership changes, one server at a time (thesis chapter 4; raft.md items 33 to 38). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asLogIndex, asNodeId, asProposalId, asTerm } from '../../../src/raft/core/ids.ts';
import { withAddresses, withLearner, without, withVoter } from '../../../src/raft/core/configuration.ts';
import { changeRefusal, sameConfiguration } from '../../../src/raft/core/membership.ts';
import type { Configuration, ProposalOutcome } from '../../../src/raft/core/types.ts';
import { ELECTION_TICKS, HEARTBEAT_TICKS, Network, TestNode, emptyState, voters } from './harness.ts';
import { n1, n2, n3, n4 } from './three-voters.ts';

function change(node: TestNode, config: Configuration): ProposalOutcome {
  const effects = node.step({ kind: 'proposeConfig', id: asProposalId(1), config });
  const outcome = effects.find((effect) => effect.kind === 'proposalOutcome')?.outcome;
  assert.ok(outcome);
  return outcome;
}

/** A member to be, with an empty disk and no idea of the configuration. */
function newcomer(net: Network, name: string): TestNode {
  const node = new TestNode({ id: asNodeId(name), state: emptyState(voters([])) });
  net.nodes.set(node.id, node);
  return node;
}

describe('a single change', () => {
  const from = voters([n1, n2, n3], [n4]);
  const refused: readonly [string, Configuration][] = [
    ['removing two voters', voters([n1], [n4])],
    ['swapping a voter', voters([n1, n2, n4])],
    ['no voter at all', voters([], [n4])],
    ['a server named twice', voters([n1, n2, n3], [n3])],
  ];
  for (const [what, to] of refused) {
    it(`refuses ${what}`, () => {
      assert.ok(changeRefusal(from, to));
    });
  }
  it('refuses the return of a server that was removed (item 37)', () => {
    const after = without(from, n3);
    assert.equal(changeRefusal(from, after), null);
    assert.match(
      changeRefusal(after, withLearner(after, n3, 'c:1')) ?? '',
      /n3 was removed before, and ids are not used again/,
    );
  });
  for (const to of [
    voters([n1, n2, n3, n4]),
    voters([n1, n2], [n4]),
    voters([n1, n2, n3]),
    voters([n1, n2], [n3, n4]),
  ]) {
    it(`allows ${to.voters.join()} with learners ${to.learners.join()}`, () => {
      assert.equal(changeRefusal(from, to), null);
    });
  }
});

describe('the steps of a change', () => {
  const base: Configuration = { ...voters([n1, n2]), addresses: { n1: 'a:1', n2: 'b:1' } };

  it('add, promote and remove one server, with its address, and remember the one that is gone', () => {
    const added = withLearner(base, n3, 'c:1');
    assert.deepEqual(added, {
      ...voters([n1, n2], [n3]),
      addresses: { n1: 'a:1', n2: 'b:1', n3: 'c:1' },
    });
    const promoted = withVoter(added, n3);
    assert.deepEqual([promoted.voters, promoted.learners], [[n1, n2, n3], []]);
    assert.deepEqual(without(promoted, n1), {
      ...voters([n2, n3]),
      addresses: { n2: 'b:1', n3: 'c:1' },
      removed: [n1],
    });
  });

  it('move a learner, and write down addresses of members only', () => {
    const added = withLearner(withLearner(base, n3, 'c:1'), n3, 'd:2');
    assert.deepEqual([added.learners, added.addresses?.[n3]], [[n3], 'd:2']);
    assert.deepEqual(withAddresses(voters([n1]), { n1: 'a:1', n9: 'x:1' }).addresses, { n1: 'a:1' });
    assert.ok(!sameConfiguration(base, withAddresses(base, { n1: 'a:2' })));
    assert.ok(sameConfiguration(base, withAddresses(base, { n1: 'a:1' })));
  });
});

describe('growing', () => {
  it('a learner receives the log and never counts; it becomes a voter when it has caught up', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    for (let i = 0; i < 10; i++) leader.propose(String(i));
    net.settle();
    const fourth = newcomer(net, 'n4');
    assert.equal(change(leader, voters([n1, n2, n3], [n4])).kind, 'appended');
    net.settle();
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual([fourth.status.role, fourth.status.commitIndex], ['learner', 12]);
    assert.equal(change(leader, voters([n1, n2, n3, n4])).kind, 'appended');
    net.settle();
    assert.equal(fourth.status.role, 'follower');
    // Four voters: two are no majority any more.
    net.isolate('n3');
    net.isolate('n4');
    leader.propose('x');
    net.settle();
    assert.equal(leader.status.commitIndex, 13);
  });

  it('refuses a new voter that is no learner, or has not caught up (item 38)', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    assert.equal(change(leader, voters([n1, n2, n3, n4])).kind, 'overloaded');
    change(leader, voters([n1, n2, n3], [n4]));
    net.settle();
    assert.equal(change(leader, voters([n1, n2, n3, n4])).kind, 'overloaded', 'nothing was heard of it');
  });

  it('from one to three servers, step by step', () => {
    const net = Network.ofVoters(1);
    const leader = net.node('n1');
    net.tick(2 * ELECTION_TICKS);
    for (const [name, before, after] of [
      ['n2', [n1], [n1, n2]],
      ['n3', [n1, n2], [n1, n2, n3]],
    ] as const) {
      newcomer(net, name);
      change(leader, voters(before, [asNodeId(name)]));
      net.settle();
      net.tick(HEARTBEAT_TICKS);
      assert.equal(change(leader, voters(after)).kind, 'appended');
      net.settle();
    }
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(net.node('n3').status.config, voters([n1, n2, n3]));
    assert.equal(leader.status.commitIndex, net.node('n3').status.commitIndex);
  });
});

describe('shrinking', () => {
  it('a leader that removes itself manages the others until that is committed, then hands over and steps down', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n3');
    change(leader, voters([n2, n3]));
    net.settle();
    assert.deepEqual(
      [leader.status.role, leader.status.commitIndex],
      ['leader', 1],
      'itself and n2 are no majority',
    );
    net.heal();
    net.tick(HEARTBEAT_TICKS);
    net.tick(HEARTBEAT_TICKS);
    assert.equal(leader.status.role, 'learner');
    assert.equal(
      net.leaders().length,
      1,
      'nobody waits for an election timeout: it has asked another to stand',
    );
    assert.notEqual(net.leaders()[0]?.id, n1);
  });

  it('a smaller majority commits what was waiting', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    change(leader, voters([n1, n2]));
    net.settle();
    net.isolate('n2');
    leader.propose('x');
    net.settle();
    assert.equal(leader.status.commitIndex, 2);
    net.heal();
    net.tick(HEARTBEAT_TICKS);
    change(leader, voters([n1], [n2]));
    net.settle();
    assert.equal(leader.status.commitIndex, leader.status.lastIndex);
  });

  it('a candidate removed meanwhile does not win: its answers do not count', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n3');
    change(leader, voters([n1, n2]));
    net.settle();
    net.tick(5 * ELECTION_TICKS);
    net.heal();
    net.tick(3 * ELECTION_TICKS);
    assert.deepEqual([leader.status.role, leader.status.term], ['leader', 1], 'undisturbed');
  });
});

describe('a leader that crashes before its own removal has reached anybody (thesis §4.2.2)', () => {
  /** n1 of two voters has its removal in its log, alone; nobody leads. */
  function stuckPair(): Network {
    const names = [n1, n2];
    const state = emptyState(voters(names));
    const net = new Network(names.map((id, i) => new TestNode({ id, state, timeoutOffset: i })));
    const leader = net.elect('n1');
    net.isolate('n1');
    change(leader, voters([n2]));
    net.tick(2 * ELECTION_TICKS);
    assert.deepEqual(net.leaders(), []);
    net.heal();
    return net;
  }

  it('stands again, for n2 cannot win without the vote of the longer log; then it commits and steps down', () => {
    const net = stuckPair();
    net.tick(6 * ELECTION_TICKS);
    assert.deepEqual(
      net.leaders().map((node) => node.id),
      [n2],
    );
    assert.deepEqual([net.node('n1').status.role, net.node('n2').status.config], ['learner', voters([n2])]);
  });

  it('does so after a restart too', () => {
    const net = stuckPair();
    net.node('n1').restart();
    assert.equal(net.node('n1').status.role, 'follower');
    net.tick(6 * ELECTION_TICKS);
    assert.deepEqual(
      net.leaders().map((node) => node.id),
      [n2],
    );
  });

  it('does not count its own vote', () => {
    const net = stuckPair();
    net.isolate('n1');
    net.tick(6 * ELECTION_TICKS);
    assert.deepEqual(net.leaders(), []);
  });
});

describe('one change in flight (item 34)', () => {
  it('refuses a second one until the first is committed', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    assert.equal(change(leader, voters([n1, n2, n3], [n4])).kind, 'appended');
    const second = change(leader, voters([n1, n2]));
    assert.deepEqual(second, { kind: 'overloaded', limit: 'one membership change at a time' });
    net.settle();
    assert.equal(change(leader, voters([n1, n2, n3])).kind, 'appended');
  });

  it('I: refuses any before the leader has committed in its term (the single-server bug)', () => {
    const net = Network.ofVoters(4);
    net.filter((m) => m.kind !== 'append');
    const leader = net.elect('n1');
    const outcome = change(leader, voters([n1, n2, n3]));
    assert.deepEqual(outcome, { kind: 'overloaded', limit: 'the leader has not committed in its term yet' });
  });

  it('refuses on others with a hint', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    assert.deepEqual(change(net.node('n2'), voters([n1, n2])), { kind: 'notLeader', leader: n1 });
  });
});

describe('configurations in the log (item 35)', () => {
  it('are in force as soon as they are appended, and out of force when truncated', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n1');
    change(leader, voters([n1, n2]));
    net.settle();
    assert.deepEqual(leader.status.config, voters([n1, n2]));
    for (const name of ['n2', 'n3']) net.node(name).tick(ELECTION_TICKS);
    net.elect('n2');
    net.heal();
    net.tick(2 * ELECTION_TICKS);
    assert.deepEqual(leader.status.config, voters([n1, n2, n3]));
    assert.equal(leader.status.role, 'follower');
  });

  it('survive restarts, uncommitted ones too', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n1');
    change(leader, voters([n1, n2, n3], [n4]));
    leader.restart();
    assert.deepEqual(leader.status.config, voters([n1, n2, n3], [n4]));
  });

  it('are known as of any index since the snapshot', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    change(leader, voters([n1, n2, n3], [n4]));
    net.settle();
    assert.deepEqual(leader.core.configAt(asLogIndex(1)).learners, []);
    assert.deepEqual(leader.core.configAt(asLogIndex(2)).learners, [n4]);
    leader.compact();
    assert.throws(() => leader.core.configAt(asLogIndex(1)), { code: 'RAFT_INVARIANT' });
  });

  it('O: a learner that does not know of its promotion still votes (campaign_learner_must_vote)', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    newcomer(net, 'n4');
    change(leader, voters([n1, n2, n3], [n4]));
    net.settle();
    net.tick(HEARTBEAT_TICKS);
    net.cutOneWay('n1', 'n4');
    change(leader, voters([n1, n2, n3, n4]));
    net.settle();
    assert.equal(net.node('n4').status.role, 'learner');
    // n1 and n3 are gone: n2 needs three of four... n3 comes back, and n4 must help.
    net.heal();
    net.isolate('n1');
    for (const name of ['n2', 'n3', 'n4']) net.node(name).tick(ELECTION_TICKS);
    net.elect('n2');
    assert.ok(net.node('n2').status.term > 1);
  });
});

describe('a server outside of every configuration', () => {
  it('follows, never stands, and needs no configuration of its own', () => {
    const node = new TestNode({ id: n4, state: emptyState(voters([])) });
    node.tick(10 * ELECTION_TICKS);
    assert.deepEqual([node.status.role, node.outgoing], ['learner', []]);
    node.receive({ kind: 'heartbeat', from: n1, to: n4, term: asTerm(3), commit: asLogIndex(0), round: 1 });
    assert.deepEqual([node.status.leader, node.status.term], [n1, 3]);
  });
});
