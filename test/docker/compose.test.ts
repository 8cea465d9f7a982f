/**
 * Goal: the containers, on a real engine: build, up, a payload to its result, the master's container killed with a task
 * in flight, `down` and `up` again with the data there. Needs an engine (`docker info`); says so loudly where there
 * is none, and counts as skipped.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TaskView } from '../../src/api/tasks.ts';
import type { NodeView } from '../../src/api/views.ts';
import { eventually } from '../cluster/processes.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PORTS: Readonly<Record<string, number>> = {
  client: 3001,
  server1: 3002,
  database: 3003,
  server2: 3004,
  server3: 3005,
  worker1: 3006,
};
const engine = spawnSync('docker', ['info'], { encoding: 'utf8' }).status === 0;
if (!engine)
  console.error('SKIPPED: the container tests need a Docker engine, and `docker info` does not answer here');

function docker(
  args: readonly string[],
  timeoutMs = 60_000,
): { status: number | null; stdout: string; stderr: string } {
  const npmrc = join(homedir(), '.npmrc');
  return spawnSync('docker', args, {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: timeoutMs,
    env: {
      ...process.env,
      COMPOSE_PROJECT_NAME: 'clbtest',
      CLB_TOKEN: '',
      ...(existsSync(npmrc) ? { CLB_NPMRC: npmrc } : {}),
    },
  });
}

function compose(args: readonly string[], timeoutMs = 120_000): string {
  const result = docker(['compose', ...args], timeoutMs);
  assert.equal(
    result.status,
    0,
    `docker compose ${args.join(' ')}\n${result.stdout.slice(-2_000)}\n${result.stderr.slice(-4_000)}`,
  );
  return result.stdout;
}

const url = (id: string, path: string): string => `http://127.0.0.1:${PORTS[id] ?? 0}${path}`;

async function json<T>(id: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(url(id, path), {
    ...(body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  assert.ok(response.ok, `${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

async function master(): Promise<string> {
  return eventually(
    'a master',
    async () => {
      const { nodes } = await json<{ nodes: readonly NodeView[] }>('client', '/v1/nodes');
      return nodes.filter((node) => node.status === 'ready').length >= 3
        ? nodes.find((node) => node.leader)?.id
        : null;
    },
    60_000,
  );
}

async function allReady(): Promise<void> {
  await eventually(
    'four nodes are ready',
    async () => {
      const { nodes } = await json<{ nodes: readonly NodeView[] }>('client', '/v1/nodes');
      return nodes.filter((node) => node.status === 'ready').length === 4;
    },
    60_000,
  );
}

describe('containers', { skip: engine ? false : 'no Docker engine', timeout: 900_000 }, () => {
  before(() => {
    compose(['down', '--volumes', '--remove-orphans']);
    compose(['up', '--build', '--detach', '--wait'], 600_000);
  });
  after(() => {
    const logs = docker(['compose', 'logs', '--no-color', '--tail', '30']);
    if (process.exitCode !== undefined && process.exitCode !== 0) console.error(logs.stdout);
    compose(['down', '--volumes', '--remove-orphans']);
  });

  it('a payload goes to its result, through the published ports', async () => {
    await allReady();
    const { id } = await json<TaskView>('client', '/v1/tasks', { script: 'print(40 + 2)' });
    const task = await json<TaskView>('client', `/v1/tasks/${id}?wait=30s`);
    assert.deepEqual([task.status, task.result?.stdout], ['succeeded', '42\n']);
    for (const node of Object.keys(PORTS))
      assert.equal((await fetch(url(node, '/logging'))).status, 200, node);
  });

  it('runs as a user of its own, on a read-only root file system, published on the loopback address only', () => {
    assert.notEqual(compose(['exec', '-T', 'server1', 'id', '-u']).trim(), '0');
    assert.notEqual(docker(['compose', 'exec', '-T', 'server1', 'touch', '/app/x']).status, 0);
    for (const [node, port] of Object.entries(PORTS)) {
      assert.equal(compose(['port', node, String(port)]).trim(), `127.0.0.1:${port}`);
    }
  });

  it("the master's container is killed with a task in flight: the task finishes", async () => {
    const killed = await master();
    const { id } = await json<TaskView>('client', '/v1/tasks', {
      script: 'import time\ntime.sleep(6)\nprint("survived")',
    });
    await eventually(
      'it runs',
      async () => (await json<TaskView>('client', `/v1/tasks/${id}`)).status === 'running',
    );
    compose(['kill', '--signal', 'SIGKILL', killed]);
    const task = await eventually('it is finished', async () => {
      const view = await json<TaskView>('client', `/v1/tasks/${id}?wait=20s`);
      return view.finishedAt === null ? null : view;
    });
    assert.deepEqual(
      [task.status, task.result?.stdout, task.attempts.length],
      ['succeeded', 'survived\n', 1],
    );
    compose(['up', '--detach', '--wait']);
    await allReady();
  });

  it('down and up again: everything is there, and it goes on', async () => {
    const before = await json<{ tasks: readonly TaskView[] }>('client', '/v1/tasks');
    assert.ok(before.tasks.length >= 2);
    compose(['down']);
    compose(['up', '--detach', '--wait'], 180_000);
    await allReady();
    const afterwards = await json<{ tasks: readonly TaskView[] }>('client', '/v1/tasks');
    assert.deepEqual(afterwards.tasks, before.tasks);
    const { id } = await json<TaskView>('client', '/v1/tasks', { command: ['echo', 'again'] });
    assert.equal((await json<TaskView>('client', `/v1/tasks/${id}?wait=30s`)).result?.stdout, 'again\n');
  });
});
