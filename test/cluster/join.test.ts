/**
 * Goal: servers that are added to a running cluster, and what becomes of them when they are started again, with and without the flag;
 * a server whose folder was lost; the way out when a majority is lost for good. Real processes, the real command line.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { PeersView } from '../../src/api/peers.ts';
import type { TaskView } from '../../src/api/tasks.ts';
import { CLB, eventually, ProcessCluster } from './processes.ts';

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function clb(...args: readonly string[]): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLB, ...args], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

const servers = ['server1', 'server2', 'server3'];

/** Runs something through a server, which shows that the cluster works. */
async function run(cluster: ProcessCluster, id: string, word: string): Promise<TaskView> {
  const request = { command: ['echo', word] };
  const headers = { 'idempotency-key': word };
  return eventually(`${word} is done`, async () => {
    const { status, body } = await cluster.request<TaskView>(id, 'POST', '/v1/tasks', request, headers);
    if (status >= 300) return null;
    const task = await cluster.get<TaskView>(id, `/v1/tasks/${body.id}?wait=10s`);
    return task.status === 'succeeded' ? task : null;
  });
}

async function roleOf(cluster: ProcessCluster, id: string): Promise<string | undefined> {
  const { peers } = await cluster.getAny<PeersView>('/v1/raft/peers');
  return peers.find((peer) => peer.id === id)?.role;
}

/** What it says from now on. */
function listen(cluster: ProcessCluster, id: string): () => string {
  const before = cluster.output(id).length;
  return () => cluster.output(id).slice(before);
}

/** How it will be started from now on. */
function changeArgs(
  cluster: ProcessCluster,
  id: string,
  change: (args: readonly string[]) => readonly string[],
): void {
  const node = cluster.node(id);
  cluster.nodes[cluster.nodes.indexOf(node)] = { ...node, args: change(node.args) };
}

async function endedBySelf(cluster: ProcessCluster, id: string): Promise<void> {
  await eventually(`${id} ends`, () => !cluster.isRunning(id));
}

/** It has applied what the master has. */
async function caughtUp(cluster: ProcessCluster, id: string): Promise<void> {
  const { appliedIndex } = await cluster.raft(await cluster.master());
  await eventually(`${id} catches up`, async () => (await cluster.raft(id)).appliedIndex >= appliedIndex);
}

describe('servers that join', { timeout: 600_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.start({ only: servers });
  });
  after(async () => cluster.destroy());

  it('as a voter: a restart needs nobody, with the flag or with --peers instead', async () => {
    cluster.planJoin('server4', ['server1', 'server2']);
    cluster.startNode('server4');
    await eventually('it votes', async () => (await roleOf(cluster, 'server4')) === 'voter');
    await caughtUp(cluster, 'server4');
    const peers = ['server1', 'server2', 'server4']
      .map((id) => `${id}=127.0.0.1:${cluster.node(id).port}`)
      .join(',');
    for (const title of ['with --join', 'with --peers']) {
      await cluster.signal('server4', 'SIGKILL');
      await run(cluster, 'server1', `meanwhile, ${title}`);
      if (title === 'with --peers')
        changeArgs(cluster, 'server4', (args) => [
          ...args.slice(0, args.indexOf('--join')),
          '--peers',
          peers,
        ]);
      const said = listen(cluster, 'server4');
      cluster.startNode('server4');
      await eventually('it serves', async () => (await cluster.raft('server4')).role === 'follower');
      await caughtUp(cluster, 'server4');
      assert.doesNotMatch(said(), /join: asking/, title);
      await run(cluster, 'server4', `through it, ${title}`);
    }
    assert.equal(await roleOf(cluster, 'server4'), 'voter');
  });

  it('as a learner with --learner, also after a restart; and get a vote when somebody gives it', async () => {
    cluster.planJoin('server5', ['server3']);
    changeArgs(cluster, 'server5', (args) => [...args, '--learner']);
    cluster.startNode('server5');
    await eventually('it is told', () => cluster.output('server5').includes('server5 is a learner'));
    assert.equal(await roleOf(cluster, 'server5'), 'learner');
    assert.equal((await cluster.raft('server5')).role, 'learner');
    await cluster.signal('server5', 'SIGTERM');
    await run(cluster, 'server2', 'without the learner');
    cluster.startNode('server5');
    await eventually('it serves', async () => (await cluster.raft('server5')).role === 'learner');
    await caughtUp(cluster, 'server5');
    await run(cluster, 'server5', 'through the learner');

    const { port } = cluster.node('server5');
    const server = `127.0.0.1:${cluster.node('server1').port}`;
    const added = clb('--server', server, 'raft', 'add', 'server5', `127.0.0.1:${port}`);
    assert.equal(added.code, 0, added.stderr);
    await eventually('it votes', async () => (await cluster.raft('server5')).role === 'follower');
    assert.equal(await roleOf(cluster, 'server5'), 'voter');
  });

  it('under an id that is in use are refused, and told why', () => {
    const port = String(cluster.portBase + 1);
    const flags = ['--id', 'server4', '--port', port, '--data', join(cluster.folder, 'another')];
    const through = `127.0.0.1:${cluster.node('server1').port}`;
    const { code, stderr } = clb('server', ...flags, '--join', through);
    assert.equal(code, 2);
    assert.match(stderr, /the cluster has a server server4 .* may not come back under its id/);
  });
});

describe('a server whose data folder was lost', { timeout: 600_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.start({ only: servers });
  });
  after(async () => cluster.destroy());

  it('started again with the same flags ends and names the way out, as often as it is tried; the way out works', async () => {
    await run(cluster, 'server1', 'before');
    const master = await cluster.master();
    const lost = servers.find((id) => id !== master) ?? '';
    const other = servers.find((id) => id !== master && id !== lost) ?? '';
    await cluster.killWithLauncher(lost);
    rmSync(join(cluster.folder, lost), { recursive: true, force: true });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const said = listen(cluster, lost);
      cluster.startNode(lost);
      await endedBySelf(cluster, lost);
      assert.match(said(), new RegExp(`server\\d knows ${lost} by another data folder than this one`));
      assert.match(said(), new RegExp(`clb raft remove ${lost}.*NEW --id`));
      await run(cluster, master, `after attempt ${attempt}`);
    }
    const server = `127.0.0.1:${cluster.node(other).port}`;
    const removed = clb('--server', server, 'raft', 'remove', lost);
    assert.equal(removed.code, 0, removed.stderr);
    cluster.planJoin('server4', [other]);
    cluster.startNode('server4');
    await eventually('the new one votes', async () => (await roleOf(cluster, 'server4')) === 'voter');
    await run(cluster, 'server4', 'through the new one');
  });

  it('that was moved with its folder is the same as before', async () => {
    const moved = 'server4';
    await cluster.signal(moved, 'SIGTERM');
    const to = join(cluster.folder, 'moved');
    renameSync(join(cluster.folder, moved), to);
    changeArgs(cluster, moved, (args) => args.map((arg) => (arg === join(cluster.folder, moved) ? to : arg)));
    cluster.startNode(moved);
    await eventually('it serves', async () => (await cluster.raft(moved)).role !== 'candidate');
    await caughtUp(cluster, moved);
  });
});

describe('a first start', { timeout: 300_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.prepare({ only: servers });
  });
  after(async () => cluster.destroy());

  it('of two of three makes a cluster; the third may come much later', async () => {
    cluster.startNode('server1');
    cluster.startNode('server2');
    await run(cluster, 'server1', 'by two');
    cluster.startNode('server3');
    await eventually('it follows', async () => (await cluster.raft('server3')).role === 'follower');
    await caughtUp(cluster, 'server3');
    await cluster.signal('server2', 'SIGKILL');
    await run(cluster, 'server3', 'with the third');
  });
});

describe('clb raft recover', { timeout: 300_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.start({ only: servers });
  });
  after(async () => cluster.destroy());

  it('makes the one survivor a cluster of its own, to which others are added under new ids', async () => {
    const done = await run(cluster, 'server1', 'before');
    await caughtUp(cluster, 'server1');
    const old = await cluster.get<PeersView>('server1', '/v1/raft/peers');
    for (const id of servers) await cluster.killWithLauncher(id);
    for (const id of ['server2', 'server3']) {
      rmSync(join(cluster.folder, id), { recursive: true, force: true });
    }
    const data = join(cluster.folder, 'server1');
    const flags = ['raft', 'recover', '--data', data, '--id', 'server1'];
    const warned = clb(...flags);
    assert.equal(warned.code, 2);
    assert.match(warned.stderr, /lost.*--accept-data-loss/s);
    const wrong = clb('raft', 'recover', '--data', data, '--id', 'server2', '--accept-data-loss');
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.stderr, /belongs to node server1/);
    const recovered = clb(...flags, '--accept-data-loss');
    assert.equal(recovered.code, 0, recovered.stderr);
    assert.match(recovered.stdout, /server1 is a cluster of its own now/);

    const alone = `server1=127.0.0.1:${cluster.node('server1').port}`;
    changeArgs(cluster, 'server1', (args) => args.with(args.indexOf('--peers') + 1, alone));
    cluster.nodes.splice(1);
    cluster.startNode('server1');
    await run(cluster, 'server1', 'alone');
    const kept = await cluster.get<TaskView>('server1', `/v1/tasks/${done.id}`);
    assert.deepEqual([kept.status, kept.result?.stdout], ['succeeded', 'before\n']);
    const now = await cluster.get<PeersView>('server1', '/v1/raft/peers');
    assert.notEqual(now.clusterId, old.clusterId);
    assert.deepEqual(
      now.peers.map(({ id }) => id),
      ['server1'],
    );

    for (const id of ['server4', 'server5']) {
      cluster.planJoin(id, ['server1']);
      cluster.startNode(id);
      await eventually(`${id} votes`, async () => (await roleOf(cluster, id)) === 'voter');
    }
    await cluster.signal('server1', 'SIGKILL');
    await run(cluster, 'server4', 'by the new ones');
    const still = await cluster.get<TaskView>('server5', `/v1/tasks/${done.id}`);
    assert.equal(still.result?.stdout, 'before\n');
  });

  it('leaves the folders of the others out: they are of the cluster before', async () => {
    cluster.planJoin('server2', ['server4']);
    cluster.startNode('server2');
    const said = listen(cluster, 'server2');
    await endedBySelf(cluster, 'server2');
    assert.match(said(), /server2 was removed from the cluster, and an id is never used again/);
  });
});
