/**
 * A backlog of a million queued tasks on three real servers (goal P7 of docs/benchmarks.md): cycles a second with it beside those
 * without, elections, memory of a voter per task, the longest pause while snapshots are taken, and the time from the start of a
 * killed server to ready. `node --import tsx bench/backlog.ts [--tasks 999936] [--secs 40] [--clients 64]`. Linux only.
 * Prints one JSON line.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { LIMITS } from '../src/api/limits.ts';
import { Clb } from '../src/sdk/index.ts';
import type { NodeView, RaftView } from '../src/api/views.ts';
import { eventually } from '../test/cluster/processes.ts';
import type { ProcessCluster } from '../test/cluster/processes.ts';
import { quantile, startBenchCluster } from './bench-cluster.ts';

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}
/** Of each kind of load; long enough that snapshots are among what it has to bear. */
const SECS = option('--secs', 40);
const CLIENTS = option('--clients', 64);
/** As many as may be queued, but for those of the cycles. */
const TASKS = option('--tasks', LIMITS.queuedTasksMax - CLIENTS);
const BATCH = 5_000;
/** How often a server is asked how it is: the longest answer shows the longest pause. */
const PROBE_MS = 5;
const READY_WITHIN_MS = 120_000;
const PAYLOAD = 'p'.repeat(200);

const { cluster, destroy } = await startBenchCluster(4_096);
const clb = new Clb({ servers: [...cluster.servers] });
const servers = cluster.serverIds;

/** After collecting garbage would be fairer, but a voter cannot be told to: the figure includes what it has not collected. */
function residentKiB(id: string): number {
  return Number(
    /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${cluster.pid(id)}/status`, 'utf8'))?.[1] ?? Number.NaN,
  );
}

interface Load {
  readonly cycles_s: number;
  /** CPU of the three servers together: says the same on a busy machine. */
  readonly cpu_ms_per_cycle: number;
}

/** USER_HZ, 100 on every Linux this runs on. */
const MS_PER_TICK = 10;

function cpuMs(id: string): number {
  const fields =
    readFileSync(`/proc/${cluster.pid(id)}/stat`, 'utf8')
      .split(') ')[1]
      ?.split(' ') ?? [];
  return MS_PER_TICK * (Number(fields[11]) + Number(fields[12]));
}

/** Cycles of tasks that go before all others. */
async function cycles(): Promise<Load> {
  const cpuOfAll = (): number => servers.reduce((sum, id) => sum + cpuMs(id), 0);
  const cpuBefore = cpuOfAll();
  const end = performance.now() + SECS * 1_000;
  const began = performance.now();
  let count = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (performance.now() < end) {
        await clb.outcome(await clb.submit({ command: ['echo', PAYLOAD], priority: 90 }));
        count += 1;
      }
    }),
  );
  return {
    cycles_s: Math.round((count / (performance.now() - began)) * 1_000),
    cpu_ms_per_cycle: Math.round((100 * (cpuOfAll() - cpuBefore)) / count) / 100,
  };
}

/** The backlog waits for a node that is not there. */
async function fill(): Promise<number> {
  const began = performance.now();
  const task = { command: ['echo', PAYLOAD], constraints: { place: 'nowhere' } };
  const tasks = Array.from({ length: BATCH }, () => task);
  for (let filled = 0; filled < TASKS; filled += BATCH) {
    await eventually('a batch is accepted', async () => {
      const { status } = await cluster.request(await cluster.master(), 'POST', '/v1/tasks/batch', {
        tasks: tasks.slice(0, TASKS - filled),
      });
      return status === 200;
    });
  }
  return (performance.now() - began) / 1_000;
}

/** 99th percentile and longest answer of each server's /healthz, in milliseconds, while `during` runs. */
async function pauses(during: () => Promise<void>): Promise<Record<string, readonly number[]>> {
  let over = false;
  const probes = servers.map(async (id) => {
    const took: number[] = [];
    while (!over) {
      const from = performance.now();
      await fetch(cluster.url(id, '/healthz')).then((answer) => answer.arrayBuffer());
      took.push(performance.now() - from);
      await wait(PROBE_MS);
    }
    return [id, [quantile(took, 0.99), Math.round(Math.max(...took))]] as const;
  });
  await during();
  over = true;
  return Object.fromEntries(await Promise.all(probes));
}

async function snapshotIndexes(): Promise<readonly number[]> {
  return Promise.all(servers.map(async (id) => (await cluster.get<RaftView>(id, '/v1/raft')).snapshotIndex));
}

async function term(): Promise<number> {
  return (await cluster.getAny<RaftView>('/v1/raft')).term;
}

/** From the start of a killed follower to its /readyz. */
async function restart(of: ProcessCluster): Promise<{ readonly s: number; readonly cpu_s: number }> {
  const master = await of.master();
  const follower = servers.find((id) => id !== master) ?? '';
  await of.signal(follower, 'SIGKILL');
  const began = performance.now();
  of.startNode(follower);
  await eventually(
    'it is ready',
    async () => (await of.request(follower, 'GET', '/readyz')).status === 200,
    READY_WITHIN_MS,
  );
  const s = Math.round((performance.now() - began) / 100) / 10;
  return { s, cpu_s: Math.round(cpuMs(follower) / 100) / 10 };
}

try {
  await cycles();
  const empty = await cycles();
  const before = servers.map(residentKiB);
  const snapshotsBefore = await snapshotIndexes();
  const terms = [await term()];
  let fillSeconds = 0;
  const pausesMs = await pauses(async () => {
    fillSeconds = await fill();
  });
  const snapshots = await snapshotIndexes();
  const after = servers.map(residentKiB);
  terms.push(await term());
  const full = await cycles();
  // Of its own, so that asking takes nothing from the cycles that are counted.
  const pausesLaterMs = await pauses(async () => {
    await cycles();
  });
  terms.push(await term());
  const snapshotsLast = await snapshotIndexes();
  const restarted = await restart(cluster);
  const settled = servers.map(residentKiB);
  const { nodes } = await cluster.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes');
  console.log(
    JSON.stringify({
      backlog: {
        tasks: TASKS,
        nodes: nodes.length,
        fill_s: Math.round(fillSeconds),
        ...{ empty, full },
        ratio: Math.round((full.cycles_s / empty.cycles_s) * 100) / 100,
        kib_per_task: before.map((kib, at) => Math.round((((after[at] ?? 0) - kib) / TASKS) * 1_000) / 1_000),
        mb_after: settled.map((kib) => Math.round(kib / 1_024)),
        terms_before_filling_after_it_and_after_cycles: terms,
        snapshots_at: snapshots.map((index, at) => [snapshotsBefore[at], index, snapshotsLast[at]]),
        health_ms_p99_and_max_while_filling: pausesMs,
        health_ms_p99_and_max_during_cycles: pausesLaterMs,
        restart_to_ready: restarted,
      },
    }),
  );
} finally {
  clb.close();
  await destroy();
}
