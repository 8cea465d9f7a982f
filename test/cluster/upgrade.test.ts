/**
 * Goal: servers are upgraded one after the other while tasks run. Nothing is lost; what only the new version knows waits until all
 * servers know it; whoever is taken back to the old version after that ends with a message, and the others go on. The old
 * version is this program with the numbers of the one before.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TaskView } from '../../src/api/tasks.ts';
import type { NodeView, RaftLogEntryView } from '../../src/api/views.ts';
import { Load } from './load.ts';
import { CLB, eventually, ProcessCluster } from './processes.ts';

const PROJECT = resolve(import.meta.dirname, '../..');
const RAISED = '"op":"version","version":2';

/** The program as it is built now, but of protocol and operations of version 1. */
function oldProgram(): string {
  const folder = mkdtempSync(join(tmpdir(), 'clb-old-'));
  for (const part of ['bin', 'dist', 'package.json'])
    cpSync(join(PROJECT, part), join(folder, part), { recursive: true });
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  for (const [file, now, then] of [
    [
      'raft/transport/versions.js',
      'PROTOCOL_VERSIONS = { oldest: 1, newest: 2 }',
      'PROTOCOL_VERSIONS = { oldest: 1, newest: 1 }',
    ],
    ['scheduler/state/op-versions.js', 'OP_VERSION_NEWEST = 2', 'OP_VERSION_NEWEST = 1'],
  ] as const) {
    const path = join(folder, 'dist', file);
    const text = readFileSync(path, 'utf8');
    assert.ok(text.includes(now), `${file} has no "${now}" any more`);
    writeFileSync(path, text.replace(now, then));
  }
  return folder;
}

describe('an upgrade, one server after the other', { timeout: 600_000 }, () => {
  let old: string;
  let cluster: ProcessCluster;
  let load: Load;
  const upgraded = new Set<string>(['worker1']);
  before(async () => {
    old = oldProgram();
    cluster = await ProcessCluster.start({
      only: ['server1', 'server2', 'server3', 'worker1'],
      program: (id) => (upgraded.has(id) ? CLB : join(old, 'bin/clb.js')),
    });
    load = new Load(cluster);
  });
  after(async () => {
    load.stop();
    await cluster.destroy();
    rmSync(old, { recursive: true, force: true });
  });

  const isRaised = async (): Promise<boolean> => {
    const { entries } = await cluster.getAny<{ entries: readonly RaftLogEntryView[] }>('/v1/raft/log?from=1');
    return entries.some(({ data }) => JSON.stringify(data).includes(RAISED));
  };
  const restart = async (id: string): Promise<void> => {
    await cluster.signal(id, 'SIGTERM');
    await load.accepts(3);
    cluster.startNode(id);
    await cluster.whenReady();
  };

  it('loses nothing; what the old version does not know comes into the log when the last one is upgraded', async () => {
    load.start();
    await load.accepts(3);
    let leadersStopped = 0;
    const first = (await cluster.raft(await cluster.master())).term;
    let collecting: TaskView | null = null;
    for (const id of cluster.serverIds) {
      assert.equal(await isRaised(), false, `before ${id} is upgraded`);
      if ((await cluster.master()) === id) leadersStopped += 1;
      upgraded.add(id);
      await restart(id);
      // Files that are collected are something only the new version can put into the log.
      collecting ??= (
        await cluster.request<TaskView>(id, 'POST', '/v1/tasks', {
          command: ['sh', '-c', 'echo kept > out.txt'],
          collect: ['out.txt'],
        })
      ).body;
    }
    await eventually('the log to say that all are new', isRaised);
    const id = String(collecting?.id);
    await eventually('the collected file', async () => {
      const { status } = await cluster.getAny<TaskView>(`/v1/tasks/${id}`);
      return status === 'succeeded';
    });
    assert.equal(await cluster.getAny<string>(`/v1/tasks/${id}/files/out.txt`), 'kept\n');
    const elections = (await cluster.raft(await cluster.master())).term - first;
    console.log(`  ${elections} elections, the master was stopped ${leadersStopped} times`);
  });

  it('cannot be taken back: the server ends and says why, the others go on', async () => {
    const master = await cluster.master();
    const id = cluster.serverIds.find((server) => server !== master)!;
    upgraded.delete(id);
    await cluster.signal(id, 'SIGTERM');
    cluster.startNode(id);
    await cluster.whenEnded(id);
    assert.match(
      cluster.output(id),
      /which this version of the program does not know: start a newer version|program knows up to 1: start a newer version/,
    );
    await load.accepts(3);
    upgraded.add(id);
    cluster.startNode(id);
    await cluster.whenReady();
    await load.finish(1);
    const { nodes } = await cluster.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes');
    assert.equal(nodes.filter(({ status }) => status === 'ready').length, 4);
    const servers = cluster.servers.join(',');
    const verified = spawnSync(process.execPath, [CLB, 'verify', '--server', servers], { encoding: 'utf8' });
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  });
});
