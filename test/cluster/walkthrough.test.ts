/**
 * Goal: the original's README walked through as it stands, on `npm start`'s own command (`clb up`): every address of its
 * table answers; generate, send, result; every log line with the same task id from creation to result.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TaskView } from '../../src/api/tasks.ts';
import { CLB, eventually, freePortBase, killAndRemove, processesMatching } from './processes.ts';

describe('the original README, walked through', { timeout: 400_000 }, () => {
  let folder: string;
  let base: number;
  let up: ChildProcess;
  let printed = '';
  const url = (offset: number, path: string): string => `http://127.0.0.1:${base + offset}${path}`;
  const text = async (offset: number, path: string): Promise<string> => {
    const response = await fetch(url(offset, path));
    assert.equal(response.status, 200, `${path} at ${offset}`);
    return response.text();
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'clb-walk-'));
    base = await freePortBase(6);
    up = spawn(process.execPath, [CLB, 'up', '--data', folder, '--port-base', String(base)], {
      env: { ...process.env, CLB_TOKEN: '' },
    });
    up.stdout!.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    up.stderr!.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    await eventually('the URLs are printed', () => printed.includes(url(1, '')), 60_000);
    await eventually('four nodes are ready', async () => {
      const { nodes } = (await (await fetch(url(2, '/v1/nodes'))).json()) as {
        nodes?: readonly { status: string }[];
      };
      return nodes?.filter((node) => node.status === 'ready').length === 4;
    });
  });
  after(() => killAndRemove(folder));

  it('every address of the table answers', async () => {
    assert.match(await text(1, '/'), /<html/i);
    for (const offset of [1, 2, 3, 4, 5, 6]) await text(offset, '/logging');
    for (const offset of [2, 4, 5, 6]) {
      // A browser's address bar flips it: stopped, and back.
      assert.match(await text(offset, '/stop'), /True/);
      const refused = await fetch(url(offset, '/'));
      assert.deepEqual(
        [refused.status, (await refused.text()).trim()],
        [418, 'I am simulating a crash, please do not bother me'],
      );
      assert.match(await text(offset, '/stop'), /False/);
    }
    await eventually('a master leads and all run again', async () => {
      const response = await fetch(url(1, '/v1/nodes'));
      if (response.status !== 200) return false;
      // With a first sample each: a placement made without one has no CPU and RAM lines to write.
      const { nodes } = (await response.json()) as {
        nodes: readonly { status: string; cpu: number | null }[];
      };
      return nodes.filter((node) => node.status === 'ready' && node.cpu !== null).length === 4;
    });
  });

  it('a payload leaves its lines from creation to result, in every place the README names', async () => {
    const response = await fetch(url(1, '/v1/tasks'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ script: 'import time\ntime.sleep(1)\nprint(3 + 4)\n' }),
    });
    assert.equal(response.status, 201);
    const { id } = (await response.json()) as TaskView;
    const task = (await (await fetch(url(1, `/v1/tasks/${id}?wait=30s`))).json()) as TaskView;
    assert.equal(task.result?.stdout, '7\n');
    const nodes = (await (await fetch(url(1, '/v1/nodes'))).json()) as {
      nodes: readonly { id: string; address: string; leader: boolean }[];
    };
    const portOf = (node: { address: string }): number => Number(node.address.split(':').at(-1));
    const master = portOf(nodes.nodes.find((node) => node.leader)!);
    const worker = portOf(nodes.nodes.find((node) => node.id === task.attempts[0]!.node)!);
    const client = base + 1;

    const linesOf = async (port: number, expected: readonly string[]): Promise<true> =>
      eventually(`${expected.join(' | ')} at port ${port}`, async () => {
        const lines = (await text(port - base, '/logging')).split('\n');
        let at = -1;
        for (const line of expected) {
          at = lines.findIndex((candidate, index) => index > at && candidate.includes(line));
          if (at === -1) return false;
        }
        return true;
      });
    await linesOf(client, [
      `Created payload: ${id}`,
      `Sent payload: ${id} for execution to port: ${master}`,
      `Received result: ${id}`,
    ]);
    await linesOf(master, [
      `Received payload: ${id}`,
      `Sent payload: ${id} for execution to port: ${worker}`,
      `Received result: ${id}`,
      `Sent result: ${id} for client to port: ${client}`,
    ]);
    await linesOf(worker, [`Received payload: ${id}`, `Sent result: ${id} for leader to port: ${master}`]);
    await eventually('the worker was weighed', async () => {
      const lines = await text(worker - base, '/logging');
      if (/The CPU usage is: [^]*RAM memory \/%\/ used: /.test(lines)) return true;
      // A master that was elected a moment before may have placed the payload without any samples: here is another.
      const more = await fetch(url(1, '/v1/tasks'), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ command: ['true'] }),
      });
      const { id: next } = (await more.json()) as TaskView;
      await (await fetch(url(1, `/v1/tasks/${next}?wait=30s`))).text();
      return false;
    });
    await linesOf(base + 3, ['Is master container']);
    await eventually('the database has the lines of all, numbered', async () => {
      const lines = (await text(3, '/logging')).split('\n').filter((line) => line.includes(id));
      return lines.length >= 9 && lines.every((line) => /^<Log \d+, Container \d+: .*>$/.test(line));
    });
    await eventually('the terminal shows them as CONTAINER_ID,LINE', () =>
      printed.includes(`5,Created payload: ${id}`),
    );
  });

  it('Ctrl-C ends every process it started, and a restart has everything', async () => {
    const tasksBefore = (await (await fetch(url(2, '/v1/tasks'))).json()) as { tasks: readonly TaskView[] };
    const began = performance.now();
    up.kill('SIGINT');
    await new Promise((done) => up.once('exit', done));
    const tookMs = Math.round(performance.now() - began);
    // 10 s are promised, which takes processor time to keep.
    assert.ok(tookMs < 60_000, `${tookMs} ms`);
    console.log(`  Ctrl-C: all ended after ${tookMs} ms`);
    assert.equal(up.exitCode, 0, printed.slice(-2_000));
    await eventually(
      'no process is left',
      () => processesMatching((commandLine) => commandLine.includes(folder)).length === 0,
    );

    up = spawn(process.execPath, [CLB, 'up', '--data', folder, '--port-base', String(base)], {
      env: { ...process.env, CLB_TOKEN: '' },
      stdio: 'ignore',
    });
    const tasksAfter = await eventually('it serves again', async () => {
      const response = await fetch(url(2, '/v1/tasks'));
      return response.status === 200 ? ((await response.json()) as typeof tasksBefore) : null;
    });
    assert.deepEqual(tasksAfter.tasks, tasksBefore.tasks);
    up.kill('SIGTERM');
    await new Promise((done) => up.once('exit', done));
  });
});
