/**
 * BullMQ beside CLB: one Redis that syncs its append-only file on every write, one worker process that runs 100 jobs at once,
 * each of which returns at once. Cycles (add to completed) from 1, 64 and 256 clients, how fast a full queue is drained, and
 * how long after `kill -9` of a worker its job runs again. Prints one JSON line.
 *
 *     BENCH_MODULES=FOLDER node --import tsx bench/peers/bullmq.ts [--secs 4] [--reps 2] [--stalled 3] [--dir FOLDER]
 *
 * `--secs`: how long each load lasts. `--reps`: how often each is repeated; medians are printed. `--stalled`: how many workers
 * are killed, ten seconds apart (0: none; it takes a minute or two). `--dir`: where Redis has its folder (default: the
 * system's for temporary files). Needs redis-server (Debian's package of that name), and the libraries bullmq and ioredis in
 * the folder that BENCH_MODULES names (`npm install --prefix FOLDER bullmq ioredis`).
 */
import type { ChildProcess } from 'node:child_process';
import { eventually, freePortBase } from '../../test/cluster/processes.ts';
import { quantile } from '../bench-cluster.ts';
import { bullmqLibrary } from './bullmq-library.ts';
import type { NewJob, Queue as BullmqQueue, WorkerMessage } from './bullmq-library.ts';
import { killNow, messageOf, pause, PeerProcesses, readOptions } from './harness.ts';
import { closedLoop, repeated, times } from './load.ts';
import type { LoadResult } from './load.ts';

const { secs, reps, stalled, dir } = readOptions({ secs: 4, reps: 2, stalled: 3 });
const { Queue } = bullmqLibrary();

const CONCURRENCY = 100;
const DRAINED_JOBS = 5_000;
const BULK_JOBS = 500;
/** After this a cycle counts as failed. */
const CYCLE_TIMEOUT_MS = 10_000;
/** As much as CLB stores of a task. */
const JOB: NewJob = {
  name: 'job',
  data: { pad: 'p'.repeat(270) },
  opts: { removeOnComplete: { count: 1_000 } },
};

const processes = new PeerProcesses(dir);
const port = (await freePortBase(1)) + 1;
const connection = { host: '127.0.0.1', port };
let queues = 0;

/** A queue that nobody has used. */
async function openQueue(): Promise<{ readonly name: string; readonly queue: BullmqQueue }> {
  queues += 1;
  const name = `queue${queues}`;
  const queue = new Queue(name, { connection });
  await queue.waitUntilReady();
  return { name, queue };
}

/** A worker's process; `completed` gets the ids of its jobs. */
async function startWorker(
  queue: string,
  jobs: 'instant' | 'endless',
  completed: (id: string) => void = () => undefined,
): Promise<ChildProcess> {
  const concurrency = jobs === 'instant' ? CONCURRENCY : 1;
  const worker = processes.fork('bullmq-worker.ts', [port, queue, jobs, concurrency]);
  worker.on('message', (message: WorkerMessage) => {
    if (message.kind === 'completed') for (const id of message.ids) completed(id);
  });
  await messageOf(worker, isOfKind('ready'));
  return worker;
}

function isOfKind(kind: WorkerMessage['kind']) {
  return (message: unknown): message is WorkerMessage => (message as WorkerMessage).kind === kind;
}

async function cycles(clients: number, loadSecs: number): Promise<LoadResult> {
  const { name, queue } = await openQueue();
  const completions = new Completions();
  const worker = await startWorker(name, 'instant', (id) => completions.add(id));
  const result = await closedLoop(clients, loadSecs, async () => {
    const { id } = await queue.add(JOB.name, JOB.data, JOB.opts);
    await completions.of(id);
  });
  await killNow(worker);
  await queue.close();
  return result;
}

/** A job may be completed before the client knows its id. */
class Completions {
  readonly #waiting = new Map<string, () => void>();
  readonly #early = new Set<string>();

  add(id: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) this.#early.add(id);
    else waiting();
  }

  async of(id: string): Promise<void> {
    if (this.#early.delete(id)) return;
    let giveUp: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((done, failed) => {
        this.#waiting.set(id, done);
        giveUp = setTimeout(() => failed(new Error('a job was lost')), CYCLE_TIMEOUT_MS);
      });
    } finally {
      clearTimeout(giveUp);
      this.#waiting.delete(id);
    }
  }
}

/** Jobs per second that are added in bulk, and that a worker then completes, from its first on. */
async function drain(): Promise<{ readonly per_s: number; readonly drain_per_s: number }> {
  const { name, queue } = await openQueue();
  const addFrom = performance.now();
  for (let added = 0; added < DRAINED_JOBS; added += BULK_JOBS) {
    await queue.addBulk(Array<NewJob>(BULK_JOBS).fill(JOB));
  }
  const addedBy = performance.now();
  const completedAt: number[] = [];
  const worker = await startWorker(name, 'instant', () => completedAt.push(performance.now()));
  await eventually('the queue is drained', () => completedAt.length === DRAINED_JOBS);
  await killNow(worker);
  await queue.close();
  const perSecond = (from: number, to: number): number => Math.round((DRAINED_JOBS / (to - from)) * 1_000);
  return {
    per_s: perSecond(addFrom, addedBy),
    drain_per_s: perSecond(completedAt[0]!, completedAt.at(-1)!),
  };
}

/** Milliseconds from `kill -9` of the worker that runs a job until another runs it, after both have idled for `idleMs`. */
async function stall(idleMs: number): Promise<number> {
  const { name, queue } = await openQueue();
  const first = await startWorker(name, 'endless');
  const began = messageOf(first, isOfKind('began'));
  await queue.add(JOB.name, JOB.data, JOB.opts);
  await began;
  const second = await startWorker(name, 'endless');
  await pause(idleMs); // where in the period of BullMQ's checks the kill falls
  const again = messageOf(second, isOfKind('began'));
  const killed = performance.now();
  first.kill('SIGKILL');
  await again;
  const ms = Math.round(performance.now() - killed);
  await killNow(second);
  await queue.close();
  return ms;
}

processes.start('redis', 'redis-server', [
  ...['--bind', '127.0.0.1', '--port', String(port), '--dir', processes.folder],
  ...['--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--maxmemory-policy', 'noeviction'],
]);
await cycles(64, 1); // warm
const results = await repeated(reps, {
  always_e2e_c1: () => cycles(1, secs),
  always_e2e_c64: () => cycles(64, secs),
  always_e2e_c256: () => cycles(256, secs),
});
const drains: Awaited<ReturnType<typeof drain>>[] = [];
for (let time = 0; time < reps; time += 1) drains.push(await drain());
const median = (of: (run: (typeof drains)[number]) => number): number => quantile(drains.map(of), 0.5);
const stalls = await Promise.all(Array.from({ length: stalled }, (_, n) => stall(1_000 + n * 10_000)));
console.log(
  JSON.stringify({
    peer: 'BullMQ, one Redis, append-only file synced always',
    ...results,
    always_bulk: { per_s: median((run) => run.per_s), drain_per_s: median((run) => run.drain_per_s) },
    stalled_restart_ms: times(stalls),
  }),
);
process.exit(0);
