/**
 * Goal: a worker that is cut off by the network itself (its own network namespace, joined to the rest by a pair of virtual
 * cards of which one is taken down). No process notices anything but silence, and TCP may come to life again later, as after a
 * pulled cable. Needs root and `ip`; skipped aloud without.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TaskView } from '../../src/api/tasks.ts';
import type { NodeView } from '../../src/api/views.ts';
import { beatingPayload, overlaps, ranMs, readTrace } from './payloads.ts';
import { eventually, ProcessCluster } from './processes.ts';

/** A network namespace with one card, and its counterpart here. */
class Namespace {
  readonly name: string;
  readonly here: string;
  readonly there: string;
  readonly #card: string;

  constructor() {
    const number = Math.floor(Math.random() * 60_000);
    this.name = `clb-test-${number}`;
    this.#card = `clb${number}`;
    const net = `10.${200 + (number >> 14)}.${(number >> 6) & 255}`;
    this.here = `${net}.${((number & 63) << 2) + 1}`;
    this.there = `${net}.${((number & 63) << 2) + 2}`;
  }

  /** @throws Error where namespaces can't be made. */
  make(): void {
    ip('netns', 'add', this.name);
    ip('link', 'add', this.#card, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.name);
    ip('addr', 'add', `${this.here}/30`, 'dev', this.#card);
    ip('link', 'set', this.#card, 'up');
    ip('-n', this.name, 'addr', 'add', `${this.there}/30`, 'dev', 'eth0');
    ip('-n', this.name, 'link', 'set', 'eth0', 'up');
    ip('-n', this.name, 'link', 'set', 'lo', 'up');
  }

  cut(): void {
    ip('link', 'set', this.#card, 'down');
  }

  join(): void {
    ip('link', 'set', this.#card, 'up');
  }

  remove(): void {
    spawnSync('ip', ['link', 'del', this.#card]);
    spawnSync('ip', ['netns', 'del', this.name]);
  }
}

function ip(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr}`);
}

/** As the kernel has it: T is stopped; none: it is gone. */
function stateOf(pid: number): string {
  try {
    return / \((?:.*)\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

const namespace = new Namespace();

function whyNot(): string | false {
  try {
    namespace.make();
    return false;
  } catch (error) {
    namespace.remove();
    return `network namespaces can't be made here (root and ip are needed): ${String(error)}`;
  }
}

const skip = whyNot();
if (skip !== false) console.error(`SKIPPED: ${skip}`);

describe('the network between one worker and the rest', { skip, timeout: 300_000 }, () => {
  let cluster: ProcessCluster;
  let count = 0;

  before(async () => {
    cluster = await ProcessCluster.start({
      workers: 2,
      only: ['server1', 'server2', 'server3', 'worker1', 'worker2'],
      extraArgs: {
        server: ['--slots', '0', '--host', '0.0.0.0', '--no-token', '--allow-host', namespace.here],
        worker: ['--slots', '4', '--host', '0.0.0.0', '--no-token', '--allow-host', namespace.there],
      },
      change: (node) =>
        node.id === 'worker1'
          ? { ...node, args: node.args.map((arg) => arg.replaceAll('127.0.0.1:', `${namespace.here}:`)) }
          : node,
      prefix: { worker1: ['ip', 'netns', 'exec', namespace.name] },
      hosts: { worker1: namespace.there },
    });
  });
  after(async () => {
    namespace.join();
    await cluster.destroy();
    namespace.remove();
  });

  function view(id: string): Promise<TaskView> {
    return cluster.getAny<TaskView>(`/v1/tasks/${id}`);
  }

  async function status(node: string): Promise<string> {
    const { nodes } = await cluster.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes');
    return nodes.find(({ id }) => id === node)?.status ?? 'unknown';
  }

  /** Running on worker1, the other worker free again. */
  async function onWorker1(seconds: number): Promise<{ readonly id: string; readonly record: string }> {
    count += 1;
    const record = join(cluster.folder, `record-${count}`);
    const drain = (node: string, on: boolean) =>
      cluster.request('server1', 'POST', `/v1/nodes/${node}/drain`, { drain: on });
    await drain('worker2', true);
    const { body } = await cluster.request<TaskView>(
      'server1',
      'POST',
      '/v1/tasks',
      beatingPayload(record, seconds, 'done'),
    );
    await eventually('it runs', () => readTrace(record).length > 5);
    await drain('worker2', false);
    return { id: body.id, record };
  }

  async function cutFor(ms: number): Promise<void> {
    namespace.cut();
    await new Promise((wake) => setTimeout(wake, ms));
    namespace.join();
  }

  async function final(id: string): Promise<TaskView> {
    return eventually('it is final', async () => {
      const task = await view(id);
      return task.finishedAt === null ? null : task;
    });
  }

  it('gone for 1.5 s: the task goes on where it is, nothing is wasted', async () => {
    const { id, record } = await onWorker1(5);
    await cutFor(1_500);
    const task = await final(id);
    assert.deepEqual([task.status, task.attempts.length, task.result?.stdout], ['succeeded', 1, 'done\n']);
    assert.equal(ranMs(readTrace(record), id).wasted, 0);
  });

  it('gone for 5 s: paused before it runs elsewhere; the old attempt is killed when the worker is back, and shown as superseded', async () => {
    const { id, record } = await onWorker1(20);
    const began = performance.now();
    namespace.cut();
    await eventually('it runs on the other worker', async () => {
      const { status: now, attempts } = await view(id);
      return now === 'running' && attempts.length === 2;
    });
    const elsewhereMs = Math.round(performance.now() - began);
    await new Promise((wake) => setTimeout(wake, Math.max(0, 5_000 - elsewhereMs)));
    namespace.join();
    await eventually('worker1 is back', async () => (await status('worker1')) === 'ready');
    const shown = await eventually('the old attempt is shown as superseded', async () => {
      const task = await view(id);
      return task.attempts[0]?.outcome === 'superseded' ? task : null;
    });
    assert.deepEqual([shown.attempts[0]?.node, shown.attempts[1]?.node], ['worker1', 'worker2']);
    const pid = readTrace(record)[0]?.pid ?? 0;
    await eventually('the old process is dead', () => spawnSync('kill', ['-0', String(pid)]).status !== 0);
    const task = await final(id);
    assert.deepEqual([task.status, task.result?.stdout], ['succeeded', 'done\n']);
    const trace = readTrace(record);
    assert.deepEqual(overlaps(trace), [], 'at no moment two alive copies');
    const { wasted } = ranMs(trace, id);
    console.log(
      `  5 s without the network of one worker: runs elsewhere after ${elsewhereMs} ms, wasted ${Math.round(wasted)} ms (what it had done there)`,
    );
  });

  it('a result that came about during a short cut is delivered, and counts', async () => {
    const { id, record } = await onWorker1(1);
    namespace.cut();
    await eventually('it has ended there', () => readTrace(record).at(-1)?.what === 'end');
    namespace.join();
    const task = await final(id);
    assert.deepEqual([task.status, task.attempts.length, task.result?.stdout], ['succeeded', 1, 'done\n']);
  });

  it('onDisconnect stop: killed at the end of the lease; continue: runs on', async () => {
    count += 1;
    const record = join(cluster.folder, `record-${count}`);
    const { body: stop } = await cluster.request<TaskView>('server1', 'POST', '/v1/tasks', {
      ...beatingPayload(`${record}-stop`, 8, 'done'),
      ...{ onDisconnect: 'stop' },
    });
    const { body: go } = await cluster.request<TaskView>('server1', 'POST', '/v1/tasks', {
      ...beatingPayload(`${record}-continue`, 8, 'done'),
      ...{ onDisconnect: 'continue' },
    });
    await eventually(
      'both run',
      () => readTrace(`${record}-stop`).length > 5 && readTrace(`${record}-continue`).length > 5,
    );
    const nodes = new Map<string, string>();
    for (const { id } of [stop, go]) nodes.set(id, (await view(id)).attempts[0]?.node ?? '');
    const first = readTrace(`${record}-continue`)[0]?.pid ?? 0;
    namespace.cut();
    await new Promise((wake) => setTimeout(wake, 5_000));
    const stateAtTheEnd = stateOf(first);
    namespace.join();
    for (const { id } of [stop, go]) assert.equal((await final(id)).status, 'succeeded');
    assert.deepEqual(overlaps(readTrace(`${record}-stop`)), []);
    if (nodes.get(stop.id) === 'worker1') assert.equal((await view(stop.id)).attempts.length, 2);
    if (nodes.get(go.id) === 'worker1') assert.match(stateAtTheEnd, /^[RSD]$/, 'neither paused nor gone');
  });
});
