/** Many tasks with dependencies and retries while processes of the cluster are killed at random; then everything is counted. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { BatchResultItem, TaskView } from '../../../src/api/tasks.ts';
import { isFinal } from '../../../src/api/tasks.ts';
import { overlaps, readTrace } from '../payloads.ts';
import { CLB, ProcessCluster, eventually } from '../processes.ts';
import { requestOf, taskGraph } from './graph.ts';
import type { GraphTask } from './graph.ts';
import { Killer } from './killer.ts';

export interface ChaosOptions {
  readonly tasks: number;
  readonly seconds: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface ChaosReport {
  readonly seed: number;
  readonly tasks: number;
  readonly seconds: number;
  readonly kills: Readonly<Record<string, number>>;
  readonly attempts: number;
  readonly lost: number;
  readonly retried: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** What `clb verify` said; null: this program has no such command. */
  readonly verified: string | null;
  /** Empty: everything is as it must be. */
  readonly violations: readonly string[];
}

const BATCH = 50;
const SLOTS = 6;
/** Not done yet; more wait with their submission. */
const OPEN_MAX = 1_000;
const DONE_WITHIN_MS = 15 * 60_000;
const VIOLATIONS_TOLD_MAX = 20;

export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const { tasks: count, seconds, seed, say } = options;
  const slots = ['--slots', String(SLOTS)];
  const cluster = await ProcessCluster.start({ workers: 2, extraArgs: { server: slots, worker: slots } });
  try {
    mkdirSync(join(cluster.folder, 'markers'));
    const graph = taskGraph(seed, count, BATCH);
    const killer = new Killer(cluster, seed);
    const killing = killer.run();
    const endAt = performance.now() + seconds * 1_000;
    const ids = await submitAll(cluster, graph, endAt, say);
    const leftMs = endAt - performance.now();
    if (leftMs > 0) await wait(leftMs);
    killer.stop();
    await killing;
    say(`the killing is over: ${JSON.stringify(killer.kills)}`);
    await cluster.whenReady();
    const tasks = await allFinal(cluster, count, say);
    const violations = [
      ...check(graph, ids, tasks, join(cluster.folder, 'record')),
      ...(await agree(cluster)),
    ];
    const verified = verify(cluster);
    if (verified !== null && verified.failed) violations.push(`clb verify: ${verified.text}`);
    return {
      ...{ seed, tasks: tasks.length, seconds, kills: killer.kills },
      ...figures(tasks),
      verified: verified?.text ?? null,
      violations: violations.slice(0, VIOLATIONS_TOLD_MAX),
    };
  } finally {
    await cluster.destroy();
  }
}

/** In batches, spread over the time, each until some server has said yes; every fifth is sent twice. Returns ids by number. */
async function submitAll(
  cluster: ProcessCluster,
  graph: readonly GraphTask[],
  endAt: number,
  say: (line: string) => void,
): Promise<readonly string[]> {
  const ids: string[] = [];
  const began = performance.now();
  for (let from = 0; from < graph.length; from += BATCH) {
    const batch = graph.slice(from, from + BATCH).map((task) => ({
      ...requestOf(task, cluster.folder, ids),
      idempotencyKey: `chaos-${task.number}`,
    }));
    const repeats = (from / BATCH) % 5 === 0 ? 2 : 1;
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      const items = await submitBatch(cluster, batch);
      items.forEach(({ task }, at) => {
        const known = ids[from + at];
        const id = task?.id ?? '';
        if (known !== undefined && known !== id)
          throw new Error(`key chaos-${from + at}: ${known} and ${id}`);
        ids[from + at] = id;
      });
    }
    if ((from / BATCH) % 20 === 0) say(`${from + batch.length} tasks are submitted`);
    await eventually(
      'the backlog is short',
      async () => (await openTasks(cluster)) < OPEN_MAX,
      DONE_WITHIN_MS,
    );
    // Evenly over nine tenths of the time.
    const dueAt = began + (0.9 * (endAt - began) * (from + BATCH)) / graph.length;
    const earlyMs = dueAt - performance.now();
    if (earlyMs > 0) await wait(earlyMs);
  }
  return ids;
}

async function submitBatch(
  cluster: ProcessCluster,
  tasks: readonly object[],
): Promise<readonly BatchResultItem[]> {
  let turn = 0;
  return eventually(
    'a batch is accepted',
    async () => {
      turn += 1;
      const id = cluster.serverIds[turn % cluster.serverIds.length] ?? '';
      const body = { tasks, atomic: true };
      const answer = await cluster.request<{ results: readonly BatchResultItem[] }>(
        ...([id, 'POST', '/v1/tasks/batch', body] as const),
      );
      if (answer.status === 200) return answer.body.results;
      if (answer.status < 500 && answer.status !== 429)
        throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
      return null;
    },
    DONE_WITHIN_MS,
  );
}

async function openTasks(cluster: ProcessCluster): Promise<number> {
  const { counts } = await cluster.getAny<{ counts: Record<string, number> }>('/v1/tasks?limit=1&brief=true');
  return ['scheduled', 'queued', 'assigned', 'running'].reduce(
    (sum, status) => sum + (counts[status] ?? 0),
    0,
  );
}

async function allFinal(
  cluster: ProcessCluster,
  count: number,
  say: (line: string) => void,
): Promise<readonly TaskView[]> {
  let told = 0;
  await eventually(
    'every task is final',
    async () => {
      const open = await openTasks(cluster);
      if (performance.now() - told > 10_000) {
        say(`${open} tasks are open`);
        told = performance.now();
      }
      if (open > 0) await wait(500);
      return open === 0;
    },
    DONE_WITHIN_MS,
  );
  const tasks = await cluster.allTasks();
  if (tasks.length > count + BATCH) throw new Error(`${tasks.length} tasks of ${count}`);
  return tasks;
}

/** What must hold of the tasks and of what their processes wrote down. */
function check(
  graph: readonly GraphTask[],
  ids: readonly string[],
  tasks: readonly TaskView[],
  record: string,
): string[] {
  const violations: string[] = [];
  if (tasks.length !== graph.length) violations.push(`${tasks.length} tasks, ${graph.length} were submitted`);
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const trace = readTrace(record);
  const ended = new Set(trace.filter(({ what }) => what === 'end').map(({ task }) => task));
  for (const planned of graph) {
    const id = ids[planned.number] ?? '';
    const task = byId.get(id);
    if (task === undefined) {
      violations.push(`task ${planned.number} (${id}) is lost`);
      continue;
    }
    violations.push(...checkTask(planned, task));
    if (planned.expected === 'succeeded' && !ended.has(id))
      violations.push(`${id} succeeded and never ran to its end`);
    if (planned.expected === 'canceled' && trace.some((entry) => entry.task === id))
      violations.push(`${id} ran though what it waited for did not succeed`);
  }
  for (const id of overlaps(trace)) violations.push(`${id} was alive twice at once`);
  return violations;
}

function checkTask(planned: GraphTask, task: TaskView): readonly string[] {
  const found: string[] = [];
  const { id, status, attempts, result } = task;
  if (!isFinal(status) || status !== planned.expected)
    found.push(`${id} (${planned.kind}) is ${status}, not ${planned.expected}: ${JSON.stringify(attempts)}`);
  if (planned.expected === 'succeeded' && result?.stdout !== `task ${planned.number}\n`)
    found.push(`${id} has another result: ${JSON.stringify(result)}`);
  const succeeded = attempts.filter(({ outcome }) => outcome === 'succeeded').length;
  if (succeeded !== (status === 'succeeded' ? 1 : 0)) found.push(`${id} succeeded ${succeeded} times`);
  const failed = attempts.filter(({ outcome }) => outcome === 'failed').length;
  if (failed > task.maxAttempts) found.push(`${id} failed ${failed} times of ${task.maxAttempts}`);
  if (attempts.some(({ outcome }) => outcome === null)) found.push(`${id} has an open attempt`);
  return found;
}

/** Every server has the same counts and, at the same index, the same tasks. */
async function agree(cluster: ProcessCluster): Promise<readonly string[]> {
  const path = '/v1/tasks?limit=1000&stale=true';
  try {
    await eventually('all servers show the same', async () => {
      const pages = await Promise.all(
        cluster.serverIds.map(async (id) => JSON.stringify(await cluster.get<object>(id, path))),
      );
      return new Set(pages).size === 1;
    });
    return [];
  } catch (error) {
    return [String(error)];
  }
}

function verify(cluster: ProcessCluster): { readonly failed: boolean; readonly text: string } | null {
  const clb = (...args: readonly string[]) =>
    spawnSync(process.execPath, [CLB, '--server', cluster.servers.join(','), ...args], { encoding: 'utf8' });
  const help = clb('help');
  if (!/^\s*verify\b/m.test(help.stdout)) return null;
  const { status, stdout, stderr } = clb('verify');
  return { failed: status !== 0, text: `${stdout}${stderr}`.trim() };
}

function figures(
  tasks: readonly TaskView[],
): Pick<ChaosReport, 'attempts' | 'lost' | 'retried' | 'statuses'> {
  const statuses: Record<string, number> = {};
  let attempts = 0;
  let lost = 0;
  let retried = 0;
  for (const task of tasks) {
    statuses[task.status] = (statuses[task.status] ?? 0) + 1;
    attempts += task.attempts.length;
    for (const { outcome } of task.attempts) {
      if (outcome === 'lost' || outcome === 'superseded') lost += 1;
      else if (outcome === 'failed') retried += 1;
    }
  }
  return { attempts, lost, retried, statuses };
}
