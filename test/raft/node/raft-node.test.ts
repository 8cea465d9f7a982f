/**
 * Whole nodes: core, LevelDB and sockets together, three in one process. What only the core decides is tested with the
 * core; here it is that the loop around it carries everything out.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { say, TestCluster, until } from './test-cluster.ts';

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
