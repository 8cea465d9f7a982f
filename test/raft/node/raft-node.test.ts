/**
 * Whole nodes: core, LevelDB and sockets together, three in one process. What only the core decides is tested with the
 * core; here it is that the loop around it carries everything out.
 */
import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import type { LogIndex, NodeId } from '../../../src/raft/core/types.ts';
import { spyOnWrites } from '../storage/level-writes.ts';
import { PATIENT, say, TestCluster, until } from './test-cluster.ts';

describe('three servers', () => {
  it('elect a leader, agree on commands and answer with the state machine’s result', async () => {
    const cluster = await TestCluster.start(3);
    try {
      assert.match(await say(cluster, 'one'), /^one@\d+$/);
      const { node } = await cluster.leader();
      const results = await Promise.all(
        ['two', 'three', 'four'].map((word) => node.propose(Buffer.from(word))),
      );
      assert.deepEqual(
        results.map((result) => result.kind),
        ['applied', 'applied', 'applied'],
      );
      await until('the same words everywhere', () =>
        cluster.members.every(({ machine }) => machine.words.join() === 'one,two,three,four'),
      );
    } finally {
      await cluster.close();
    }
  });

  it('lose nothing that was acknowledged when the leader crashes, and take it back in afterwards', async () => {
    const cluster = await TestCluster.start(3);
    try {
      await say(cluster, 'before');
      const first = await cluster.leader();
      await cluster.crash(first);
      await say(cluster, 'after');
      await cluster.open(first);
      await until('the same words everywhere', () =>
        cluster.members.every(({ machine }) => machine.words.join() === 'before,after'),
      );
    } finally {
      await cluster.close();
    }
  });

  it('keep everything when all crash at once', async () => {
    const cluster = await TestCluster.start(3);
    try {
      for (let n = 0; n < 20; n++) await say(cluster, `word${n}`);
      await Promise.all(cluster.members.map((member) => cluster.crash(member)));
      for (const member of cluster.members) await cluster.open(member);
      await say(cluster, 'last');
      const { machine } = await cluster.leader();
      assert.equal(machine.words.length, 21);
    } finally {
      await cluster.close();
    }
  });
});

describe('a server', () => {
  it('hands over the lead when it is stopped in order', async () => {
    const cluster = await TestCluster.start(3, PATIENT);
    try {
      await say(cluster, 'word');
      const leader = await cluster.leader();
      const { term } = leader.node.status();
      await cluster.stop(leader);
      const next = await cluster.leader();
      assert.notEqual(next.id, leader.id);
      assert.equal(next.node.status().term, term + 1, 'by one campaign, not by a timeout and its chances');
      assert.equal(await say(cluster, 'more').then((said) => said.split('@')[0]), 'more');
    } finally {
      await cluster.close();
    }
  });

  it('transfers the lead to the one that is named', async () => {
    const cluster = await TestCluster.start(3, PATIENT);
    try {
      await say(cluster, 'word');
      const leader = await cluster.leader();
      const to = cluster.running().find(({ id }) => id !== leader.id)!;
      assert.equal(await leader.node.transferLeadership(to.id), true);
      assert.equal((await cluster.leader()).id, to.id);
      assert.equal(await leader.node.transferLeadership(leader.id), false, 'only the leader can');
    } finally {
      await cluster.close();
    }
  });

  it('answers waiting proposals and reads as unknown when it crashes, and nothing afterwards', async () => {
    const cluster = await TestCluster.start(3);
    try {
      await say(cluster, 'word');
      const leader = await cluster.leader();
      const { node } = leader;
      for (const member of cluster.running()) if (member.id !== leader.id) await cluster.crash(member);
      const proposal = node.propose(Buffer.from('into the void'));
      const read = node.readBarrier();
      await new Promise((resolve) => setImmediate(resolve));
      await cluster.crash(leader);
      assert.equal((await proposal).kind, 'unknown');
      assert.notEqual((await read).kind, 'ready');
      assert.equal((await node.propose(Buffer.from('x'))).kind, 'notLeader');
      assert.equal((await node.readBarrier()).kind, 'notLeader');
      assert.equal(node.quorumReachable(), false);
    } finally {
      await cluster.close();
    }
  });

  it('refuses proposals where it does not lead, and names the leader', async () => {
    const cluster = await TestCluster.start(3, PATIENT);
    try {
      await say(cluster, 'word');
      const leader = await cluster.leader();
      const follower = cluster.running().find(({ id }) => id !== leader.id)!;
      await until('the leader to be known', () => follower.node.status().leader === leader.id);
      assert.deepEqual(await follower.node.propose(Buffer.from('x')), {
        kind: 'notLeader',
        leader: leader.id,
      });
    } finally {
      await cluster.close();
    }
  });

  it('gives linearizable reads on every server', async () => {
    const cluster = await TestCluster.start(3, PATIENT);
    try {
      for (let n = 0; n < 10; n++) {
        await say(cluster, `word${n}`);
        for (const { node, machine } of cluster.running()) {
          const barrier = await node.readBarrier();
          assert.equal(barrier.kind, 'ready');
          assert.ok(machine.words.includes(`word${n}`));
        }
      }
    } finally {
      await cluster.close();
    }
  });

  it('knows whether a majority is within reach, and serves no reads without', async () => {
    const cluster = await TestCluster.start(3);
    try {
      await say(cluster, 'word');
      const leader = await cluster.leader();
      await until('contact', () => cluster.running().every(({ node }) => node.quorumReachable()));
      for (const member of cluster.running()) if (member.id !== leader.id) await cluster.crash(member);
      await until('the loss to be noticed', () => !leader.node.quorumReachable());
      await until('the lead to be given up', () => leader.node.status().role !== 'leader');
      assert.equal((await leader.node.readBarrier()).kind, 'notLeader');
    } finally {
      await cluster.close();
    }
  });

  it('goes on alone as a cluster of one', async () => {
    const cluster = await TestCluster.start(1);
    try {
      assert.equal(await say(cluster, 'alone'), 'alone@2');
      const { node } = await cluster.leader();
      assert.deepEqual(await node.readBarrier(), { kind: 'ready', index: 2 });
      assert.equal(node.quorumReachable(), true);
      assert.deepEqual(
        node.entries(1 as LogIndex, 9 as LogIndex).map(({ kind }) => kind),
        ['noop', 'command'],
      );
    } finally {
      await cluster.close();
    }
  });

  it('refuses proposals and hands over the lead while its disk is nearly full', async () => {
    const cluster = await TestCluster.start(3, { diskCheckMs: 20, diskFreeBytesMin: 1_000 });
    try {
      await say(cluster, 'word');
      const leader = await cluster.leader();
      leader.disk.freeBytes = 999;
      await until('another leader', () =>
        cluster.running().some(({ id, node }) => id !== leader.id && node.status().role === 'leader'),
      );
      assert.deepEqual(await leader.node.propose(Buffer.from('x')), {
        kind: 'overloaded',
        limit: 'diskFreeBytesMin',
      });
      await say(cluster, 'elsewhere');
      await until('it to follow', () => leader.machine.words.join() === 'word,elsewhere');
    } finally {
      await cluster.close();
    }
  });

  it('hands the lead on if it comes to a server whose disk is nearly full already', async () => {
    const cluster = await TestCluster.start(3, { diskCheckMs: 20, diskFreeBytesMin: 1_000 });
    try {
      await say(cluster, 'word');
      const leader = await cluster.leader();
      const low = cluster.running().find(({ id }) => id !== leader.id);
      if (low === undefined) throw new Error('there is no follower');
      low.disk.freeBytes = 999;
      await until(
        'it to notice',
        async () => (await low.node.propose(Buffer.from('x'))).kind === 'overloaded',
      );
      await leader.node.transferLeadership(low.id);
      await until('a server with room to lead', () =>
        cluster.running().some(({ id, node }) => id !== low.id && node.status().role === 'leader'),
      );
      await say(cluster, 'elsewhere');
    } finally {
      await cluster.close();
    }
  });

  it('does not start on the folder of another, and leaves it closed', async () => {
    const cluster = await TestCluster.start(1);
    try {
      const [member] = cluster.members;
      await cluster.crash(member!);
      const stranger = { ...member!, id: 'stranger' as NodeId };
      await assert.rejects(
        cluster.open(stranger),
        /belongs to node server1 of cluster test, but this is node stranger/,
      );
      await cluster.open(member!);
    } finally {
      await cluster.close();
    }
  });

  it('ends for good, and says so once, when a write fails', async () => {
    const cluster = await TestCluster.start(1);
    try {
      await say(cluster, 'fine');
      const { node } = await cluster.leader();
      const writes = spyOnWrites(new Error('No space left on device'));
      const results = await Promise.all(['a', 'b'].map((word) => node.propose(Buffer.from(word))));
      assert.deepEqual(
        results.map(({ kind }) => kind),
        ['unknown', 'unknown'],
      );
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(writes.length, 1, 'a failed write is never repeated');
      assert.equal(cluster.fatal.length, 1);
      assert.match(String(cluster.fatal[0]), /No space left on device/);
      cluster.fatal.length = 0;
    } finally {
      mock.restoreAll();
      await cluster.close();
    }
  });
});
