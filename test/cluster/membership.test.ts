/**
 * Goal: servers come and go while tasks run, nothing of what was accepted is lost, and each task is done once. Real
 * processes, real payloads that record their own starts and ends.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import type { PeersView } from '../../src/api/peers.ts';
import type { NodeView } from '../../src/api/views.ts';
import { Load } from './load.ts';
import { eventually, ProcessCluster } from './processes.ts';

describe('membership', { timeout: 600_000 }, () => {
  let cluster: ProcessCluster;
  let load: Load;
  afterEach(async () => {
    load.stop();
    await cluster.destroy();
  });

  it('server4 joins, server1 leads and is removed, a wiped disk comes back under a new id', async () => {
    cluster = await ProcessCluster.start();
    load = new Load(cluster);
    load.start();
    await load.accepts(10);

    cluster.planJoin('server4', ['server2', 'server1']);
    cluster.startNode('server4');
    await eventually('server4 votes', async () => (await roleOf('server4')) === 'voter', 60_000);
    await load.accepts(10);
    await eventually('it says so', () =>
      cluster.output('server4').includes('join: server4 is a voter of the cluster'),
    );
    const nodes = await cluster.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes');
    assert.ok(nodes.nodes.some(({ id, status }) => id === 'server4' && status === 'ready'));

    await lead('server1');
    const removed = await cluster.request<PeersView>('server3', 'DELETE', '/v1/raft/peers/server1');
    assert.equal(removed.status, 200, JSON.stringify(removed.body));
    assert.deepEqual(removed.body.removed, ['server1']);
    await eventually('server1 ends by itself', () => Promise.resolve(!cluster.isRunning('server1')), 30_000);
    assert.match(cluster.output('server1'), /server1 was removed from the cluster/);
    await load.accepts(10);
    await eventually(
      'server1 is not listed any more',
      async () => !(await nodeIds()).includes('server1'),
      30_000,
    );

    // Started again by mistake it is told so, and disturbs nobody.
    const before = cluster.output('server1').length;
    cluster.startNode('server1');
    await eventually('server1 ends again', () => Promise.resolve(!cluster.isRunning('server1')), 60_000);
    // Others may elect for reasons of their own on a busy machine; a term that it made would have made it a candidate.
    const again = cluster.output('server1').slice(before);
    assert.match(again, /server1 was removed from the cluster/);
    assert.doesNotMatch(again, /raft: (candidate|leader) in term/);
    assert.notEqual(await cluster.master(), 'server1');

    // server2's disk is lost.
    await cluster.killWithLauncher('server2');
    rmSync(join(cluster.folder, 'server2'), { recursive: true, force: true });
    const gone = await cluster.request<PeersView>('server4', 'DELETE', '/v1/raft/peers/server2');
    assert.equal(gone.status, 200, JSON.stringify(gone.body));
    cluster.planJoin('server5', ['server3']);
    cluster.startNode('server5');
    await eventually('server5 votes', async () => (await roleOf('server5')) === 'voter', 60_000);
    // The worker was told of three servers, of which one is left: it knows the new ones.
    await cluster.signal('server3', 'SIGTERM');
    await load.accepts(10);
    await load.finish();
  });

  it('five servers with two of them down: a new one is taken in, the dead ones go', async () => {
    cluster = await ProcessCluster.prepare({ servers: 5 });
    for (const { id } of cluster.nodes) cluster.startNode(id);
    await cluster.whenReady();
    load = new Load(cluster);
    load.start();
    await load.accepts(5);
    const master = await cluster.master();
    const [deadOne, deadTwo, ...others] = cluster.serverIds.filter((id) => id !== master);
    assert.ok(deadOne !== undefined && deadTwo !== undefined && others[0] !== undefined);
    await cluster.killWithLauncher(deadOne);
    await cluster.killWithLauncher(deadTwo);
    await load.accepts(5);

    // With a sixth voter four are needed: the three that are left and the new one.
    cluster.planJoin('server6', [others[0]]);
    cluster.startNode('server6');
    await eventually('server6 votes', async () => (await roleOf('server6')) === 'voter', 60_000);
    await load.accepts(5);
    for (const id of [deadOne, deadTwo]) {
      const gone = await cluster.request<PeersView>('server6', 'DELETE', `/v1/raft/peers/${id}`);
      assert.equal(gone.status, 200, JSON.stringify(gone.body));
    }
    // Four voters are left, all of them there. One may be missing again:
    await cluster.signal(others[0], 'SIGKILL');
    await load.accepts(5);
    const fewer = await cluster.request<PeersView>('server6', 'DELETE', `/v1/raft/peers/${master}`);
    assert.equal(fewer.status, 200, 'two of three are left');
    // … but not two of two.
    const refused = await cluster.request<{ error: { details: { reason: string } } }>(
      'server6',
      'DELETE',
      '/v1/raft/peers/server6',
    );
    assert.equal(refused.status, 409, JSON.stringify(refused.body));
    assert.equal(refused.body.error.details.reason, 'would_lose_quorum');
    await load.accepts(5);
    cluster.startNode(others[0]);
    await load.finish();
  });

  async function roleOf(id: string): Promise<string | undefined> {
    const { peers } = await cluster.getAny<PeersView>('/v1/raft/peers');
    return peers.find((peer) => peer.id === id)?.role;
  }

  async function nodeIds(): Promise<readonly string[]> {
    return (await cluster.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes')).nodes.map(({ id }) => id);
  }

  async function lead(id: string): Promise<void> {
    const answer = await cluster.request(id, 'POST', '/v1/raft/transfer', { to: id });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  }
});
