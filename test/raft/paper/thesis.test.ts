/**
 * Ongaro's thesis, the chapters that the paper only touches: leadership transfer (3.10), membership (4), clients (6), pre-votes
 * (9.6) and writing in parallel (10.2.1). Single rules with all their corners are in ../core; here each section's own situation.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asNodeId, asProposalId } from '../../../src/raft/core/ids.ts';
import type { Configuration, NodeId } from '../../../src/raft/core/types.ts';
import { TaskMachine } from '../../../src/scheduler/task-machine.ts';
import { MachineDriver, restoreMachine } from '../../scheduler/machine-driver.ts';
import { MemoryKv } from '../../scheduler/memory-kv.ts';
import {
  ELECTION_TICKS,
  HEARTBEAT_TICKS,
  Network,
  TestNode,
  emptyState,
  text,
  voters,
} from '../core/harness.ts';
import { accepted, n1, n2, n3, n3Behind, n4 } from '../core/three-voters.ts';

function propose(node: TestNode, config: Configuration): string {
  node.step({ kind: 'proposeConfig', id: asProposalId(99), config });
  const outcome = node.eventsOf('proposalOutcome').at(-1)?.outcome;
  return outcome?.kind === 'overloaded' ? outcome.limit : (outcome?.kind ?? 'nothing');
}

/** A server that starts with nothing and waits to be taken in. */
function join(net: Network, id: NodeId): TestNode {
  const node = new TestNode({ id, state: emptyState(voters([])) });
  net.nodes.set(id, node);
  return node;
}

describe('leadership transfer extension [thesis 3.10]', () => {
  it('1 to 3: the prior leader stops accepting requests, brings the target up to date, and sends TimeoutNow; the target wins', () => {
    const { net, leader } = n3Behind('a');
    net.heal();
    leader.step({ kind: 'transferLeadership', to: n3 });
    leader.propose('refused');
    assert.equal(leader.eventsOf('proposalOutcome').at(-1)?.outcome.kind, 'overloaded');
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual([net.node('n3').status.role, net.node('n3').status.term], ['leader', 2]);
    assert.deepEqual(net.node('n3').log.map(text), ['noop', 'a', 'noop']);
  });

  it('"if leadership transfer does not complete after about an election timeout, the prior leader aborts and resumes"', () => {
    const { net, leader } = n3Behind('a');
    leader.step({ kind: 'transferLeadership', to: n3 });
    net.tick(ELECTION_TICKS);
    leader.propose('b');
    assert.equal(leader.eventsOf('proposalOutcome').at(-1)?.outcome.kind, 'appended');
    assert.equal(leader.status.role, 'leader');
  });
});

describe('safety of single-server changes [thesis 4.1]', () => {
  it('a second change is refused while the first is not committed, and any before the leader has committed in its term', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n1');
    assert.equal(propose(leader, voters([n1, n2])), 'appended');
    assert.equal(propose(leader, voters([n1, n2], [n4])), 'one membership change at a time');
  });

  it('the single-server bug of 2015: four servers, two leaders, two pending changes, and still no two majorities', () => {
    // S1 of {1,2,3,4} appends "remove 2" in term 1 and reaches nobody; S2 leads term 2 and wants to remove S1.
    const four = [n1, n2, n3, n4];
    const net = Network.ofVoters(4);
    const s1 = net.elect('n1');
    net.isolate('n1');
    assert.equal(propose(s1, voters([n1, n3, n4])), 'appended');
    for (const name of ['n3', 'n4']) net.node(name).tick(ELECTION_TICKS);
    // S2 is elected, but its no-op reaches nobody: before it has committed in its term it may change nothing.
    net.filter((m) => m.kind !== 'append');
    const s2 = net.elect('n2');
    assert.equal(propose(s2, voters([n2, n3, n4])), 'the leader has not committed in its term yet');
    net.filter((m) => m.from !== n1 && m.to !== n1);
    net.tick(2 * HEARTBEAT_TICKS);
    assert.equal(propose(s2, voters([n2, n3, n4])), 'appended');
    net.settle();
    const committed = s2.status.commitIndex;
    assert.equal(committed, s2.status.lastIndex);
    // S1 comes back with its own pending change: it can't be elected by it, and loses it.
    net.heal();
    for (let i = 0; i < 10 * ELECTION_TICKS; i++) {
      net.tick();
      assert.deepEqual(
        net.leaders().filter((node) => node.id === n1 && node.status.term > 1),
        [],
      );
    }
    for (const id of [n2, n3, n4]) assert.deepEqual(net.node(id).status.config.voters, [n2, n3, n4]);
    assert.equal(four.filter((id) => net.node(id).status.role === 'leader').length, 1);
  });

  it('"the caller’s configuration is used": servers outside of their own configuration vote and accept entries', () => {
    const net = Network.ofVoters(1);
    const leader = net.elect('n1');
    const joiner = join(net, n2);
    propose(leader, voters([n1], [n2]));
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(
      joiner.log.map((entry) => entry.kind),
      ['noop', 'config'],
    );
    assert.equal(propose(leader, voters([n1, n2])), 'appended');
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(joiner.status.config.voters, [n1, n2]);
  });
});

describe('catching up new servers [thesis 4.2.1]', () => {
  it('Figure 4.4: a new server is first a non-voting one, so a slow one can not keep the cluster from committing', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    assert.equal(
      propose(leader, voters([n1, n2, n3, n4])),
      'a new voter must be a learner that has caught up',
    );
    join(net, n4);
    net.isolate('n4');
    assert.equal(propose(leader, voters([n1, n2, n3], [n4])), 'appended');
    net.isolate('n3');
    net.tick(HEARTBEAT_TICKS);
    leader.propose('x');
    net.settle();
    assert.equal(
      leader.status.commitIndex,
      leader.status.lastIndex,
      'n1 and n2 are a majority of three, not of four',
    );
    assert.equal(
      propose(leader, voters([n1, n2, n3, n4])),
      'a new voter must be a learner that has caught up',
    );
  });
});

describe('removing the current leader [thesis 4.2.2]', () => {
  it('it manages a cluster that it is not part of until Cnew is committed, and is not counted in its majorities', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n3');
    assert.equal(propose(leader, voters([n2, n3])), 'appended');
    net.settle();
    assert.deepEqual(
      [leader.status.role, leader.status.commitIndex],
      ['leader', 1],
      'n2 alone is no majority of two',
    );
    net.heal();
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual([leader.status.role, leader.status.commitIndex], ['learner', 2]);
  });
});

describe('disruptive servers [thesis 4.2.3]', () => {
  it('Figure 4.7: a server that does not know of its removal times out again and again, and unseats nobody', () => {
    const net = Network.ofVoters(4);
    const leader = net.elect('n1');
    net.tick(HEARTBEAT_TICKS);
    net.isolate('n4');
    propose(leader, voters([n1, n2, n3]));
    net.settle();
    for (const other of ['n1', 'n2', 'n3']) net.cutOneWay(other, 'n4');
    net.heal();
    for (const other of ['n1', 'n2', 'n3']) net.cutOneWay(other, 'n4');
    net.tick(20 * ELECTION_TICKS);
    assert.deepEqual([leader.status.role, leader.status.term], ['leader', 1]);
    assert.equal(net.node('n4').status.role, 'preCandidate');
  });
});

describe('availability of membership changes [thesis 4.4]', () => {
  it('a leader not in Cnew can be needed to commit it, and stands for that; then it steps down for good', () => {
    const net = Network.ofVoters(2);
    const leader = net.elect('n1');
    net.isolate('n1');
    propose(leader, voters([n2]));
    // n1 crashes before n2 has heard of it. With the old configuration n2 needs n1's vote, and n1's log is longer.
    leader.restart();
    net.heal();
    net.tick(6 * ELECTION_TICKS);
    assert.deepEqual([net.node('n2').status.role, net.node('n2').status.config.voters], ['leader', [n2]]);
    assert.equal(leader.status.role, 'learner');
  });
});

describe('routing requests to the leader [thesis 6.2]', () => {
  it('a follower names the leader; a leader that can not reach a majority steps down, so clients do not wait for it for ever', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.tick(HEARTBEAT_TICKS);
    net.node('n2').propose('x');
    assert.deepEqual(net.node('n2').eventsOf('proposalOutcome')[0]?.outcome, {
      kind: 'notLeader',
      leader: n1,
    });
    net.isolate('n1');
    leader.propose('waits');
    net.tick(ELECTION_TICKS);
    assert.equal(leader.status.role, 'follower');
    assert.equal(leader.eventsOf('proposalsUnknown').length, 1);
  });
});

describe('implementing linearizable semantics [thesis 6.3]', () => {
  it('a request sent twice is executed once: the key is part of the replicated state, and of its snapshot', async () => {
    const driver = await MachineDriver.create();
    const kinds = (results: ReturnType<MachineDriver['submit']>): string =>
      results.kind === 'submitted' ? results.items.map(({ kind }) => kind).join() : results.kind;
    assert.equal(kinds(driver.submit('a', {}, { key: 'client:1', content: 'c' })), 'created');
    assert.equal(kinds(driver.submit('b', {}, { key: 'client:1', content: 'c' })), 'existing');
    assert.equal(driver.machine.state.tasks.liveCount, 1);
    const other = new TaskMachine();
    await restoreMachine(other, driver.index, driver.term, await driver.snapshot(), new MemoryKv());
    assert.equal(other.state.tasks.byKey('client:1')?.id, 'a');
    // The same key with another content is an error, not a second execution.
    assert.equal(kinds(driver.submit('c', {}, { key: 'client:1', content: 'other' })), 'refused');
  });
});

describe('processing read-only queries [thesis 6.4]', () => {
  it('1: a leader that has not yet committed in its term waits with the read', () => {
    const net = Network.ofVoters(3);
    const leader = net.node('n1');
    net.filter((m) => m.kind !== 'append');
    net.elect('n1');
    leader.read(1);
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(leader.eventsOf('readReady'), []);
    net.filter(() => true);
    net.tick(2 * HEARTBEAT_TICKS);
    assert.deepEqual(
      leader.eventsOf('readReady').map((e) => e.index),
      [1],
    );
  });

  it('2 and 3: the read index is the commit index at the start of a round of heartbeats that a majority answers', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.propose('x');
    net.settle();
    leader.read(1);
    leader.propose('later');
    net.settle();
    assert.deepEqual(leader.eventsOf('readReady'), [{ kind: 'readReady', readId: 1, index: 2 }]);
  });

  it('3: a leader that was replaced gets no majority to answer, and answers no read', () => {
    const net = Network.ofVoters(3);
    const old = net.elect('n1');
    net.isolate('n1');
    old.read(1);
    net.node('n3').tick(ELECTION_TICKS);
    net.elect('n2').propose('newer');
    net.settle();
    old.tick(ELECTION_TICKS);
    net.heal();
    net.tick(2 * HEARTBEAT_TICKS);
    assert.deepEqual(old.eventsOf('readReady'), []);
    assert.equal(old.eventsOf('readFailed').length, 1);
  });

  it('followers ask the leader for a read index, so that they can help with reads', () => {
    const net = Network.ofVoters(3);
    net.elect('n1').propose('x');
    net.tick(HEARTBEAT_TICKS);
    net.node('n3').read(5);
    net.settle();
    assert.deepEqual(net.node('n3').eventsOf('readReady'), [{ kind: 'readReady', readId: 5, index: 2 }]);
  });
});

describe('using clocks to reduce messaging for reads [thesis 6.4.1]', () => {
  it('is not done: a leader that has just heard everybody still asks again, for each round of reads', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.tick(HEARTBEAT_TICKS);
    // A process that was stopped for hours believes the same: that is why a lease would be wrong.
    leader.read(1);
    assert.deepEqual(leader.eventsOf('readReady'), []);
    assert.deepEqual(
      leader.sent('heartbeat').map((m) => m.round),
      [1, 1],
    );
  });
});

describe('preventing disruptions when a server rejoins the cluster [thesis 9.6]', () => {
  it('a server that was partitioned has the term it left with, and makes nobody step down', () => {
    const net = Network.ofVoters(5);
    const leader = net.elect('n1');
    net.isolate('n5');
    net.tick(20 * ELECTION_TICKS);
    net.heal();
    net.tick(2 * ELECTION_TICKS);
    assert.deepEqual([leader.status.role, leader.status.term], ['leader', 1]);
    assert.equal(net.node('n5').status.leader, n1);
  });
});

describe('writing to the leader’s disk in parallel [thesis 10.2.1]', () => {
  it('"the leader may even commit an entry before it has been written to its own disk, if a majority of followers has written it"', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.holdWrites = true;
    leader.propose('x');
    net.settle();
    assert.deepEqual([leader.status.commitIndex, leader.status.durableIndex], [2, 1]);
  });

  it('its own disk counts when it is done, not before', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n3');
    leader.holdWrites = true;
    leader.propose('x');
    net.settle();
    assert.equal(leader.status.commitIndex, 1, 'n2 has it, and n1 not yet');
    leader.flush();
    assert.equal(leader.status.commitIndex, 2);
  });
});

describe('networks that are cut in odd ways', () => {
  it('a bridge: the old leader is heard by one server only, which must not keep the others from electing (openraft #2080)', () => {
    const net = Network.ofVoters(3);
    const old = net.elect('n1');
    // n2 hears everybody. n1 and n3 do not hear each other.
    net.cut('n1', 'n3');
    net.tick(10 * ELECTION_TICKS);
    assert.deepEqual(
      net.leaders().map((node) => [node.id, node.status.term]),
      [[n1, 1]],
      'n1 has a majority with n2: it stays, and n3 disturbs nobody',
    );
    // Now the bridge reaches the leader no more, but still hears it.
    net.cutOneWay('n2', 'n1');
    net.tick(10 * ELECTION_TICKS);
    assert.notEqual(old.status.role, 'leader', 'it gave up, and its heartbeats stopped');
    assert.equal(net.leaders().length, 1);
    assert.ok(net.leaders()[0]!.status.term > 1);
  });

  it('a server of an unknown name is no member, whatever it says (raft.md item 37)', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.propose('x');
    const stranger = asNodeId('n9');
    leader.receive(accepted(stranger, 2));
    assert.equal(leader.status.commitIndex, 1);
  });
});
