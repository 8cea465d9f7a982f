/** `ticksUntilDue`: a driver that gives out ticks late, but before this one, changes nothing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asTerm } from '../../../src/raft/core/ids.ts';
import type { NodeId } from '../../../src/raft/core/types.ts';
import { ELECTION_TICKS, HEARTBEAT_TICKS, Network, TestNode, emptyState, ids, voters } from './harness.ts';

const [n1, n2, n3] = ids(3) as [NodeId, NodeId, NodeId];
const three = voters([n1, n2, n3]);

describe('the next tick that matters', () => {
  it('is for a follower the one that ends its election timeout', () => {
    const node = new TestNode({ id: n1, state: emptyState(three), timeoutOffset: 4 });
    assert.equal(node.core.ticksUntilDue(), ELECTION_TICKS + 4);
    node.tick(5);
    const due = node.core.ticksUntilDue();
    assert.equal(due, ELECTION_TICKS - 1);
    node.tick(due - 1);
    assert.deepEqual([node.status.role, node.core.ticksUntilDue()], ['follower', 1]);
    node.tick();
    assert.equal(node.status.role, 'preCandidate');
  });

  it('is for a leader its next heartbeat', () => {
    const leader = Network.ofVoters(3).elect('n1');
    leader.takeOutgoing();
    assert.equal(leader.core.ticksUntilDue(), HEARTBEAT_TICKS);
    leader.tick(HEARTBEAT_TICKS - 1);
    assert.deepEqual([leader.core.ticksUntilDue(), leader.outgoing], [1, []]);
    leader.tick();
    assert.equal(leader.sent('heartbeat').length, 2);
  });

  it('is for a learner, which never stands, an election timeout away', () => {
    const node = new TestNode({ id: n3, state: emptyState(voters([n1, n2], [n3])), timeoutOffset: 5 });
    node.tick(3);
    assert.equal(node.core.ticksUntilDue(), ELECTION_TICKS);
  });

  it('is at most an election timeout away while a forwarded read waits, which fails then', () => {
    const node = new TestNode({ id: n1, state: emptyState(three), timeoutOffset: 9 });
    node.receive({ kind: 'heartbeat', from: n2, to: n1, term: asTerm(1), commit: 0 as never, round: 0 });
    assert.equal(node.core.ticksUntilDue(), ELECTION_TICKS + 9);
    node.read(1);
    assert.equal(node.core.ticksUntilDue(), ELECTION_TICKS);
    assert.equal(node.core.commitIndex, 0);
  });
});
