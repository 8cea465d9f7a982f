/** Leadership transfer (thesis §3.10; raft.md item 11). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asTerm } from '../../../src/raft/core/ids.ts';
import type { NodeId } from '../../../src/raft/core/types.ts';
import { ELECTION_TICKS, HEARTBEAT_TICKS, Network, TestNode, emptyState, voters } from './harness.ts';
import { n1, n2, n3, n3Behind } from './three-voters.ts';

function outcomes(node: TestNode): string[] {
  return node.eventsOf('proposalOutcome').map((e) => e.outcome.kind);
}

describe('leadership transfer', () => {
  it('to a follower that is up to date takes effect at once, past pre-vote and stickiness', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.step({ kind: 'transferLeadership', to: n2 });
    assert.deepEqual(
      leader.sent('timeoutNow').map((m) => m.to),
      [n2],
    );
    net.settle();
    assert.deepEqual(
      net.leaders().map((node) => [node.id, node.status.term]),
      [[n2, 2]],
    );
    assert.equal(leader.status.leader, n2);
  });

  it('to a follower that lags waits until it has caught up', () => {
    const { net, leader } = n3Behind('a', 'b');
    net.heal();
    leader.step({ kind: 'transferLeadership', to: n3 });
    assert.deepEqual(leader.sent('timeoutNow'), []);
    net.tick(HEARTBEAT_TICKS);
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(
      net.leaders().map((node) => node.id),
      [n3],
    );
    assert.equal(net.node('n3').status.lastIndex, 4);
  });

  it('refuses proposals meanwhile, and takes them again when it gives up after an election timeout', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n3');
    leader.step({ kind: 'transferLeadership', to: n3 });
    leader.events = [];
    leader.propose('a');
    assert.deepEqual(outcomes(leader), ['overloaded']);
    net.tick(ELECTION_TICKS);
    leader.propose('b');
    assert.deepEqual(outcomes(leader), ['overloaded', 'appended']);
    assert.equal(leader.status.role, 'leader');
  });

  it('to itself, to a learner, to a stranger, or asked of a follower changes nothing', () => {
    const state = emptyState(voters([n1, n2], [n3]));
    const net = new Network([n1, n2, n3].map((id, i) => new TestNode({ id, state, timeoutOffset: i })));
    const leader = net.elect('n1');
    for (const to of [n1, n3, 'stranger' as NodeId]) leader.step({ kind: 'transferLeadership', to });
    net.node('n2').step({ kind: 'transferLeadership', to: n2 });
    net.settle();
    leader.propose('a');
    assert.equal(outcomes(leader).at(-1), 'appended');
    assert.equal(leader.status.role, 'leader');
  });

  it('can be redirected', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.isolate('n3');
    leader.step({ kind: 'transferLeadership', to: n3 });
    leader.step({ kind: 'transferLeadership', to: n2 });
    net.settle();
    assert.deepEqual(
      net.leaders().map((node) => node.id),
      [n2],
    );
  });

  it('a lost timeoutNow is sent again', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.filter((m) => m.kind !== 'timeoutNow');
    leader.step({ kind: 'transferLeadership', to: n2 });
    net.settle();
    assert.equal(leader.status.role, 'leader');
    net.heal();
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(
      net.leaders().map((node) => node.id),
      [n2],
    );
  });

  it('an old timeoutNow is ignored', () => {
    const net = Network.ofVoters(3);
    net.elect('n1').step({ kind: 'transferLeadership', to: n2 });
    net.settle();
    net.node('n3').receive({ kind: 'timeoutNow', from: n1, to: n3, term: asTerm(1) });
    assert.equal(net.node('n3').status.role, 'follower');
  });

  it('loses nothing that was acknowledged', () => {
    const net = Network.ofVoters(3);
    const order = [n1, n2, n3, n1, n3, n2];
    let leader = net.elect('n1');
    for (const to of order) {
      leader.propose(`before ${to}`);
      net.settle();
      leader.step({ kind: 'transferLeadership', to });
      net.settle();
      leader = net.leaders()[0]!;
      assert.equal(leader.id, to);
    }
    const commands = leader.log.filter((entry) => entry.kind === 'command');
    assert.equal(commands.length, order.length);
    assert.equal(leader.status.commitIndex, leader.status.lastIndex);
  });
});
