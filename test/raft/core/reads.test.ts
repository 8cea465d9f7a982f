/** Linearizable reads by read index (thesis §6.4; raft.md item 27). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asLogIndex, asProposalId, asReadId, asTerm } from '../../../src/raft/core/ids.ts';
import { RaftCore } from '../../../src/raft/core/raft-core.ts';
import {
  ELECTION_TICKS,
  HEARTBEAT_TICKS,
  Network,
  TestNode,
  emptyState,
  testConfig,
  voters,
} from './harness.ts';
import { heartbeatAck, n1, n2, n3 } from './three-voters.ts';

function ready(node: TestNode): [read: number, index: number][] {
  return node.eventsOf('readReady').map((e) => [e.readId, e.index]);
}
function failed(node: TestNode): number[] {
  return node.eventsOf('readFailed').map((e) => e.readId);
}
/** n1 leads and has committed its no-op; the network is not used any more. */
function leader(config = {}): TestNode {
  const net = Network.ofVoters(3, config);
  const node = net.elect('n1');
  node.events = [];
  return node;
}

describe('reads on the leader', () => {
  it('are answered when a majority has answered a round of heartbeats that began after them', () => {
    const node = leader();
    node.read(1);
    const round = node.sent('heartbeat')[0]?.round;
    assert.ok(round !== undefined);
    assert.deepEqual(ready(node), []);
    node.receive(heartbeatAck(n2, round));
    assert.deepEqual(ready(node), [[1, 1]]);
  });

  it('wait for the next heartbeat when they are lazy, and go with any round that others cause', () => {
    const node = leader();
    node.step({ kind: 'readIndex', readId: asReadId(1), lazy: true });
    assert.equal(node.sent('heartbeat').length, 0);
    node.tick(HEARTBEAT_TICKS);
    const beat = node.sent('heartbeat').at(-1)!.round;
    node.receive(heartbeatAck(n2, beat));
    assert.deepEqual(ready(node), [[1, 1]]);
    node.events = [];
    node.step({ kind: 'readIndex', readId: asReadId(2), lazy: true });
    node.read(3);
    const round = node.sent('heartbeat').at(-1)!.round;
    assert.ok(round > beat);
    node.receive(heartbeatAck(n3, round));
    assert.deepEqual(ready(node), [
      [2, 1],
      [3, 1],
    ]);
  });

  it('are not answered by an answer to an earlier round', () => {
    const node = leader();
    node.read(1);
    const first = node.sent('heartbeat')[0]!.round;
    node.read(2);
    node.receive(heartbeatAck(n2, first - 1));
    assert.deepEqual(ready(node), []);
    node.receive(heartbeatAck(n2, first));
    assert.deepEqual(ready(node), [[1, 1]], 'the second was asked after that round began');
    node.receive(heartbeatAck(n2, first));
    node.receive(heartbeatAck(n3, first));
    assert.deepEqual(ready(node), [[1, 1]]);
    const second = node.sent('heartbeat').at(-1)!.round;
    assert.ok(second > first);
    node.receive(heartbeatAck(n3, second));
    assert.deepEqual(
      ready(node).map(([id]) => id),
      [1, 2],
    );
  });

  it('share rounds: a hundred waiting reads cost one', () => {
    const node = leader();
    for (let id = 1; id <= 101; id++) node.read(id);
    const rounds = (): Set<number> => new Set(node.sent('heartbeat').map((m) => m.round));
    assert.equal(rounds().size, 1);
    node.receive(heartbeatAck(n2, Math.max(...rounds())));
    assert.equal(rounds().size, 2);
    node.receive(heartbeatAck(n2, Math.max(...rounds())));
    assert.equal(ready(node).length, 101);
  });

  it('join the next heartbeat when answers are lost', () => {
    const node = leader();
    node.read(1);
    node.read(2);
    node.tick(HEARTBEAT_TICKS);
    node.receive(heartbeatAck(n2, node.sent('heartbeat').at(-1)!.round));
    assert.deepEqual(
      ready(node).map(([id]) => id),
      [1, 2],
    );
  });

  it('wait until the leader has committed in its term (§8)', () => {
    const net = Network.ofVoters(3);
    net.filter((m) => m.kind !== 'append');
    const node = net.elect('n1');
    node.read(1);
    net.settle();
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(ready(node), []);
    net.heal();
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(ready(node), [[1, 1]]);
  });

  it('name the commit index of the moment the round began', () => {
    const net = Network.ofVoters(3);
    const node = net.elect('n1');
    node.propose('a');
    net.settle();
    node.read(1);
    net.settle();
    assert.deepEqual(ready(node), [[1, 2]]);
  });

  it('are never answered by a leader that has been replaced', () => {
    const net = Network.ofVoters(3);
    const old = net.elect('n1');
    net.isolate('n1');
    net.node('n2').tick(ELECTION_TICKS);
    net.node('n3').tick(ELECTION_TICKS);
    net.elect('n2').propose('newer');
    net.settle();
    assert.equal(old.status.role, 'leader', 'it does not know');
    old.read(1);
    net.tick(2 * ELECTION_TICKS);
    assert.deepEqual([ready(old), failed(old)], [[], [1]]);
  });

  it('are not answered by the answer to a heartbeat of an earlier lead, though it bears the new term', () => {
    const net = Network.ofVoters(3);
    const old = net.elect('n1');
    // A heartbeat of term 1, with a high round, is on its way to n3 while n1 loses the lead and wins it again.
    for (let id = 1; id <= 5; id++) {
      old.read(id);
      net.settle();
    }
    old.tick(HEARTBEAT_TICKS);
    const late = old.takeOutgoing().find((m) => m.to === n3)!;
    assert.equal(late.kind === 'heartbeat' && late.round > 1, true);
    old.step({ kind: 'transferLeadership', to: n2 });
    net.settle();
    net.node('n2').step({ kind: 'transferLeadership', to: n1 });
    net.settle();
    assert.deepEqual([old.status.role, old.status.term], ['leader', 3]);
    net.node('n3').receive(late);
    for (const answer of net.node('n3').takeOutgoing()) old.receive(answer);
    old.events = [];
    old.read(9);
    assert.deepEqual(ready(old), [], 'nobody has answered a round of term 3');
  });

  it('fail beyond pendingReadsMax', () => {
    const node = leader({ pendingReadsMax: 2 });
    for (const id of [1, 2, 3]) node.read(id);
    assert.deepEqual(failed(node), [3]);
  });

  it('fail when the lead is lost', () => {
    const node = leader();
    node.read(1);
    node.receive({
      kind: 'appendRejected',
      from: n2,
      to: n1,
      term: asTerm(2),
      rejectedIndex: asLogIndex(0),
      hintIndex: asLogIndex(0),
      hintTerm: asTerm(0),
    });
    assert.deepEqual(failed(node), [1]);
  });

  it('are answered at once in a cluster of one', () => {
    const net = Network.ofVoters(1);
    net.tick(2 * ELECTION_TICKS);
    net.node('n1').read(5);
    assert.deepEqual(ready(net.node('n1')), [[5, 1]]);
  });

  it('are answered when a change of the members makes those a majority that have answered', () => {
    const state = emptyState(voters([n1, n2]));
    const net = new Network([n1, n2].map((id, i) => new TestNode({ id, state, timeoutOffset: i })));
    const node = net.elect('n1');
    node.events = [];
    node.read(1);
    node.read(2);
    assert.deepEqual(ready(node), []);
    // n2 is gone for good: nobody else will ever answer.
    node.step({ kind: 'proposeConfig', id: asProposalId(1), config: voters([n1]) });
    assert.deepEqual(
      ready(node).map(([id]) => id),
      [1, 2],
    );
  });

  it('do not count learners', () => {
    const state = emptyState(voters([n1, n2], [n3]));
    const net = new Network([n1, n2, n3].map((id, i) => new TestNode({ id, state, timeoutOffset: i })));
    const node = net.elect('n1');
    node.read(1);
    const { round } = node.sent('heartbeat')[0]!;
    node.receive(heartbeatAck(n3, round));
    assert.deepEqual(ready(node), []);
    node.receive(heartbeatAck(n2, round));
    assert.deepEqual(ready(node), [[1, 1]]);
  });
});

describe('reads on a follower', () => {
  it('are forwarded and answered through the leader', () => {
    const net = Network.ofVoters(3);
    net.elect('n1').propose('a');
    net.settle();
    net.node('n3').read(7);
    net.settle();
    assert.deepEqual(ready(net.node('n3')), [[7, 2]]);
  });

  it('work on learners too', () => {
    const state = emptyState(voters([n1, n2], [n3]));
    const net = new Network([n1, n2, n3].map((id, i) => new TestNode({ id, state, timeoutOffset: i })));
    net.elect('n1');
    net.node('n3').read(7);
    net.settle();
    assert.deepEqual(ready(net.node('n3')), [[7, 1]]);
  });

  it('fail at once without a leader', () => {
    const net = Network.ofVoters(3);
    net.node('n2').read(1);
    assert.deepEqual(failed(net.node('n2')), [1]);
  });

  it('fail after an election timeout if question or answer is lost', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    net.filter((m) => m.kind !== 'readIndexResponse');
    net.node('n2').read(1);
    net.tick(ELECTION_TICKS);
    assert.deepEqual(failed(net.node('n2')), []);
    net.tick();
    assert.deepEqual(failed(net.node('n2')), [1]);
  });

  it('fail when the leader changes', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    const node = net.node('n2');
    node.read(1);
    node.receive({ kind: 'heartbeat', from: n3, to: n2, term: asTerm(5), commit: asLogIndex(0), round: 0 });
    assert.deepEqual(failed(node), [1]);
  });

  it('fail when the node asked does not lead', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    const node = net.node('n3');
    node.receive({ kind: 'readIndexRequest', from: n2, to: n3, term: asTerm(1), readId: asReadId(9) });
    assert.deepEqual(
      node.sent('readIndexResponse').map((m) => [m.to, m.readId, m.index]),
      [[n2, 9, null]],
    );
  });

  it('are bounded', () => {
    const net = Network.ofVoters(3, { pendingReadsMax: 1 });
    net.elect('n1');
    const node = net.node('n2');
    node.read(1);
    node.read(2);
    assert.deepEqual(failed(node), [2]);
  });

  it('are not answered by an answer meant for the process before a restart', () => {
    const net = Network.ofVoters(3);
    net.elect('n1');
    // The first life asks with one nonce, the second with another.
    let life = 0;
    const nonce = (bound: number): number => (bound > 1000 ? ++life : 3);
    const node = net.node('n2');
    const reboot = (): void => {
      node.restart();
      node.core = new RaftCore(testConfig(n2), node.disk.recovered(), nonce);
      node.receive({ kind: 'heartbeat', from: n1, to: n2, term: asTerm(1), commit: asLogIndex(0), round: 0 });
    };
    reboot();
    node.read(1);
    const old = node.sent('readIndexRequest')[0]!;
    reboot();
    node.read(1);
    const fresh = node.sent('readIndexRequest')[0]!;
    const answer = {
      kind: 'readIndexResponse',
      from: n1,
      to: n2,
      term: asTerm(1),
      index: asLogIndex(1),
    } as const;
    node.receive({ ...answer, readId: old.readId });
    assert.deepEqual(ready(node), []);
    node.receive({ ...answer, readId: fresh.readId });
    assert.deepEqual(ready(node), [[1, 1]]);
  });
});
