/** The last resort after a majority is lost for good, on the real thing: three servers, two of them gone with their folders. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, mock } from 'node:test';
import type { NodeId } from '../../../src/raft/core/types.ts';
import { LevelKv } from '../../../src/raft/storage/level-kv.ts';
import { recoverAlone } from '../../../src/raft/storage/recover-alone.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import { KvRaftStorage } from '../../../src/raft/storage/raft-storage.ts';
import { say, TestCluster, until } from '../node/test-cluster.ts';

describe('recovery from a lost majority', () => {
  it('makes the one that is left a cluster of its own with all it has; the lost ones cannot come back into it', async () => {
    const cluster = await TestCluster.start(3);
    try {
      for (let n = 0; n < 10; n++) await say(cluster, `word${n}`);
      const survivor = cluster.members[0]!;
      const { commitIndex } = (await cluster.leader()).node.status();
      await until('the survivor to have it', () => survivor.node!.status().commitIndex >= commitIndex);
      for (const member of cluster.members) await cluster.crash(member);

      const kv = await LevelKv.open(join(survivor.folder, 'raft'));
      const recovered = await recoverAlone(kv, { nodeId: survivor.id, address: 'a.lan:3002' });
      await kv.close();
      assert.equal(recovered.oldClusterId, 'test');
      assert.notEqual(recovered.newClusterId, 'test');
      assert.deepEqual([...recovered.former].sort(), ['server2', 'server3']);

      survivor.clusterId = recovered.newClusterId;
      await cluster.open(survivor);
      const { id, node } = await cluster.leader();
      assert.equal(id, survivor.id);
      assert.deepEqual(node.status().config.voters, [survivor.id]);
      assert.equal(await say(cluster, 'after').then((answer) => answer.split('@')[0]), 'after');
      assert.deepEqual(survivor.machine.words, [
        ...Array.from({ length: 10 }, (_, n) => `word${n}`),
        'after',
      ]);

      // One that was thought lost turns up: it is of another cluster now.
      await cluster.open(cluster.members[1]!);
      await until('it to be turned away', () =>
        cluster.transportLines.some((line) => /server2: raft: .*of cluster test, this server of/.test(line)),
      );
      assert.equal(await say(cluster, 'later').then((answer) => answer.split('@')[0]), 'later');
    } finally {
      await cluster.close();
    }
  });

  it('can be repeated when it was cut off between its two writes', async () => {
    const kv = new MemoryKv();
    const identity = { clusterId: 'test', nodeId: 'server1' as NodeId };
    const bootstrap = { voters: ['server1', 'server2', 'server3'] as NodeId[], learners: [] };
    await KvRaftStorage.open(kv, { identity, bootstrap });
    const create = mock.method(kv.slots, 'create', () => Promise.reject(new Error('crashed')));
    const options = { nodeId: identity.nodeId, address: null };
    await assert.rejects(recoverAlone(kv, options), /crashed/);
    create.mock.restore();
    const { oldClusterId, newClusterId, former } = await recoverAlone(kv, options);
    assert.notEqual(oldClusterId, 'test', 'the first half was done');
    assert.deepEqual(former, []);
    const { recovered } = await KvRaftStorage.open(kv, {
      identity: { ...identity, clusterId: newClusterId },
      bootstrap,
    });
    const last = recovered.entries.at(-1);
    assert.ok(last?.kind === 'config');
    assert.deepEqual(last.config.voters, ['server1']);
    assert.deepEqual(last.config.removed, ['server2', 'server3']);
  });

  it('refuses an empty folder and another server’s', async () => {
    const options = { nodeId: 'server1' as NodeId, address: null };
    await assert.rejects(recoverAlone(new MemoryKv(), options), /is it the right one/);
  });
});
