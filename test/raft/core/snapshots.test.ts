/** Compaction and snapshots (§7; raft.md items 30, 31). The data itself is the driver's; here the core's part is tested. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asLogIndex, asTerm } from '../../../src/raft/core/ids.ts';
import type { SnapshotMeta } from '../../../src/raft/core/types.ts';
import {
  ELECTION_TICKS,
  HEARTBEAT_TICKS,
  Network,
  command,
  hardState,
  meta,
  text,
  voters,
} from './harness.ts';
import type { MessageOf, TestNode } from './harness.ts';
import {
  accepted,
  append,
  heartbeat,
  n1,
  n2,
  n3,
  n3NeedsSnapshot,
  sendingSnapshot,
  serverWithLog,
  three,
} from './three-voters.ts';

function chunk(
  of: SnapshotMeta,
  overrides: Partial<MessageOf<'snapshotChunk'>> = {},
): MessageOf<'snapshotChunk'> {
  return {
    kind: 'snapshotChunk',
    from: n1,
    to: n3,
    term: asTerm(1),
    meta: of,
    chunk: 0,
    data: new Uint8Array(),
    done: true,
    ...overrides,
  };
}

function install(node: TestNode, snapshot: SnapshotMeta): void {
  node.disk.install(snapshot);
  node.step({ kind: 'snapshotInstalled', meta: snapshot });
}

describe('compaction', () => {
  it('drops entries through compactThrough and keeps the rest for slow followers', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    for (let i = 0; i < 9; i++) leader.propose(String(i));
    net.settle();
    leader.compact(asLogIndex(4));
    assert.deepEqual(
      [leader.status.firstIndex, leader.status.snapshotIndex, leader.status.lastIndex],
      [5, 10, 10],
    );
    leader.propose('more');
    net.settle();
    net.tick(HEARTBEAT_TICKS);
    assert.equal(net.node('n3').status.commitIndex, 11);
  });

  it('of everything leaves an empty log that still connects', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    net.tick(HEARTBEAT_TICKS);
    for (const node of net.nodes.values()) node.compact();
    assert.deepEqual([leader.status.firstIndex, leader.status.lastIndex, leader.status.lastTerm], [2, 1, 1]);
    leader.propose('x');
    net.settle();
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual(
      [...net.nodes.values()].map((node) => node.status.commitIndex),
      [2, 2, 2],
    );
  });

  it('refuses what is not applied, and another term or configuration than the log had', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    const wrong: readonly SnapshotMeta[] = [
      meta(5, 1, three),
      meta(1, 0, three),
      meta(1, 1, voters([n1, n2])),
    ];
    for (const bad of wrong) {
      assert.throws(() => leader.step({ kind: 'snapshotTaken', meta: bad, compactThrough: asLogIndex(0) }), {
        code: 'RAFT_INVARIANT',
      });
    }
  });

  it('survives a restart: commit and applied start at the snapshot, kept entries are not applied again', () => {
    const net = Network.ofVoters(3);
    const leader = net.elect('n1');
    leader.propose('a', 'b', 'c');
    net.settle();
    leader.compact(asLogIndex(2), asLogIndex(3));
    leader.restart();
    const { firstIndex, commitIndex, appliedIndex, lastIndex } = leader.status;
    assert.deepEqual([firstIndex, commitIndex, appliedIndex, lastIndex], [3, 3, 3, 4]);
    for (const name of ['n2', 'n3']) net.node(name).tick(ELECTION_TICKS);
    net.elect('n1');
    assert.deepEqual(leader.applied.map(text), ['c', 'noop']);
  });
});

describe('sending a snapshot', () => {
  it('starts when the follower needs compacted entries, and pauses appends', () => {
    const { net, leader, snapshot } = sendingSnapshot();
    assert.deepEqual(leader.eventsOf('sendSnapshot'), [{ kind: 'sendSnapshot', to: n3, term: 1 }]);
    leader.propose('more');
    assert.deepEqual(
      leader.sent('append').filter((m) => m.to === n3),
      [],
    );
    net.tick(3 * HEARTBEAT_TICKS);
    assert.equal(leader.eventsOf('sendSnapshot').length, 1, 'one at a time');
    assert.equal(leader.status.peers.get(n3)?.state, 'snapshot');
    assert.equal(snapshot.index, 21);
  });

  it('goes on with appends after it: the follower ends with the same log', () => {
    const { net, leader, follower, snapshot } = sendingSnapshot();
    leader.propose('more');
    follower.receive(chunk(snapshot));
    assert.equal(follower.eventsOf('receiveSnapshotChunk').length, 1);
    install(follower, snapshot);
    net.settle();
    leader.step({ kind: 'snapshotSent', to: n3, meta: snapshot, ok: true });
    net.settle();
    net.tick(HEARTBEAT_TICKS);
    assert.deepEqual([follower.status.commitIndex, follower.status.snapshotIndex], [22, 21]);
    assert.deepEqual(follower.applied.map(text), ['noop', 'more']);
    assert.equal(leader.status.peers.get(n3)?.state, 'replicate');
  });

  it('is tried again after a failure, not faster than heartbeats', () => {
    const { net, leader, snapshot } = sendingSnapshot();
    leader.step({ kind: 'snapshotSent', to: n3, meta: snapshot, ok: false });
    net.settle();
    assert.equal(leader.eventsOf('sendSnapshot').length, 1);
    net.tick(HEARTBEAT_TICKS);
    assert.equal(leader.eventsOf('sendSnapshot').length, 2);
  });

  it('is not tried towards a follower that is silent', () => {
    const { net, leader } = n3NeedsSnapshot();
    net.tick(ELECTION_TICKS);
    leader.step({ kind: 'peerUnreachable', peer: n3 });
    net.tick(3 * ELECTION_TICKS);
    assert.deepEqual(leader.eventsOf('sendSnapshot'), []);
  });

  it('ends early when the follower turns out to have what it needs (snapshot_succeed_via_app_resp)', () => {
    const { leader, snapshot } = sendingSnapshot();
    leader.receive(accepted(n3, 21));
    assert.equal(leader.status.peers.get(n3)?.state, 'replicate');
    leader.step({ kind: 'snapshotSent', to: n3, meta: snapshot, ok: false });
    assert.equal(leader.status.peers.get(n3)?.state, 'replicate');
  });

  it('passes the answers on to the driver', () => {
    const { leader } = sendingSnapshot();
    const index = asLogIndex(21);
    leader.receive({
      kind: 'snapshotAck',
      from: n3,
      to: n1,
      term: asTerm(1),
      index,
      nextChunk: 1,
      installed: false,
    });
    assert.equal(leader.eventsOf('snapshotAcked')[0]?.message.nextChunk, 1);
  });
});

describe('receiving a snapshot', () => {
  const follower = (terms: readonly number[]): TestNode => serverWithLog(terms, { id: n3 });
  /** What n3 is sent behind this entry. */
  const appendAfter = (
    index: number,
    term: number,
    fields: Partial<MessageOf<'append'>>,
  ): MessageOf<'append'> =>
    append({ from: n1, to: n3, prevLogIndex: asLogIndex(index), prevLogTerm: asTerm(term), ...fields });

  it('drops a log that does not have its last entry, on disk too', () => {
    const node = follower([1, 1, 2]);
    const snapshot = meta(3, 1, three);
    node.receive(chunk(snapshot, { term: asTerm(3) }));
    install(node, snapshot);
    const { firstIndex, lastIndex, lastTerm, commitIndex, appliedIndex, durableIndex } = node.status;
    assert.deepEqual(
      [firstIndex, lastIndex, lastTerm, commitIndex, appliedIndex, durableIndex],
      [4, 3, 1, 3, 3, 3],
    );
    assert.deepEqual(node.disk.entries, []);
  });

  it('keeps what follows its last entry if the log has that (§7)', () => {
    const node = follower([1, 1, 1, 1]);
    install(node, meta(2, 1, three));
    assert.deepEqual([node.status.lastIndex, node.status.commitIndex, node.status.snapshotIndex], [4, 2, 2]);
    assert.deepEqual(
      node.disk.entries.map((e) => e.index),
      [3, 4],
    );
  });

  it('needs none when the log has its last entry: it learns what is committed instead', () => {
    const node = follower([1, 1, 1]);
    node.receive(chunk(meta(2, 1, three)));
    assert.deepEqual(node.eventsOf('receiveSnapshotChunk'), []);
    assert.deepEqual(
      node.applied.map((e) => e.index),
      [1, 2],
    );
    assert.deepEqual(
      node.sent('appendAccepted').map((m) => m.matchIndex),
      [2],
    );
    assert.deepEqual(
      node.sent('snapshotAck').map((m) => m.installed),
      [true],
    );
  });

  it('ignores an older one than what is committed', () => {
    const node = follower([]);
    install(node, meta(9, 1, three));
    node.receive(chunk(meta(5, 1, three)));
    assert.deepEqual(node.eventsOf('receiveSnapshotChunk'), []);
    assert.deepEqual(node.sent('appendAccepted').at(-1)?.matchIndex, 9);
  });

  it('acknowledges to the leader once it is in force, and takes its configuration', () => {
    const node = follower([]);
    const snapshot = meta(9, 1, voters([n1, n2], [n3]));
    node.receive(chunk(snapshot));
    assert.deepEqual(node.sent('appendAccepted'), []);
    install(node, snapshot);
    assert.deepEqual(
      node.sent('appendAccepted').map((m) => m.matchIndex),
      [9],
    );
    assert.equal(node.status.role, 'learner');
  });

  it('drops an uncommitted configuration together with the log that it was in', () => {
    const node = follower([1, 1]);
    const config = voters([n1, n3]);
    const entry = { kind: 'config', index: asLogIndex(4), term: asTerm(1), config } as const;
    node.receive(appendAfter(2, 1, { entries: [command(3, 1), entry] }));
    assert.deepEqual(node.status.config.voters, [n1, n3]);
    // Of another history: entry 3 is of term 2 there, so what this server has from there on is void.
    node.receive({ ...chunk(meta(3, 2, three)), from: n2, term: asTerm(2) });
    install(node, meta(3, 2, three));
    assert.equal(node.status.lastIndex, 3);
    assert.deepEqual(node.status.config, three);
  });

  it('refuses to take the state machine back', () => {
    const node = follower([1, 1, 1]);
    node.receive(heartbeat({ from: n1, to: n3, commit: asLogIndex(3) }));
    assert.throws(() => node.step({ kind: 'snapshotInstalled', meta: meta(2, 1, three) }), {
      code: 'RAFT_INVARIANT',
    });
  });

  it('a write that was on its way while it was put in force leaves nothing behind', () => {
    const node = follower([1, 1]);
    node.holdWrites = true;
    node.receive(appendAfter(2, 1, { entries: [command(3, 1)] }));
    install(node, meta(9, 2, three));
    node.receive(appendAfter(9, 2, { from: n2, term: asTerm(2), entries: [command(10, 2)] }));
    node.flush();
    assert.deepEqual(
      node.disk.entries.map((e) => e.index),
      [10],
    );
    assert.equal(node.status.durableIndex, 10);
    node.restart();
    assert.deepEqual([node.status.firstIndex, node.status.lastIndex], [10, 10]);
  });

  it('goes on after a crash between the snapshot and the removal of the old log', () => {
    const node = follower([1, 1, 1]);
    node.disk.snapshot = meta(9, 2, three);
    node.disk.hardState = hardState(2);
    node.restart();
    assert.deepEqual([node.status.firstIndex, node.status.lastIndex, node.status.commitIndex], [10, 9, 9]);
    node.tick();
    assert.deepEqual(node.disk.entries, [], 'the first write cleans up');
  });
});
