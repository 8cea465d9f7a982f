/**
 * P6, real processes: 2,000 × /bin/true through a whole cluster (three servers and a worker, all on this machine), beside a
 * bare loop of two Node processes that spawn the same; and the event loops of the servers meanwhile.
 * `node --import tsx bench/spawn.ts [--tasks 2000] [--rounds 3]`. Needs a build. Prints one JSON line.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { transformSync } from 'esbuild';
import { Clb } from '../src/sdk/clb.ts';
import { ProcessCluster, launcherPids } from '../test/cluster/processes.ts';
import { join } from 'node:path';
import { quantile } from './bench-cluster.ts';

const TASKS = option('--tasks', 2_000);
const ROUNDS = option('--rounds', 3);
/** Of USER_HZ: the unit of times in /proc/PID/stat. */
const TICK_MS = 10;
/** As JavaScript: in a process that loads TypeScript a spawn costs half as much again, and this is to be the bare loop. */
const SPAWN_LOOP = transformSync(readFileSync(resolve(import.meta.dirname, 'peers/spawn-loop.ts'), 'utf8'), {
  loader: 'ts',
}).code;

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}

/** Two processes, each half of the tasks, one after the other. Returns tasks per second. */
async function bareLoop(): Promise<number> {
  const halves = [0, 1].map(
    () =>
      new Promise<void>((done, failed) => {
        const child = spawn(
          process.execPath,
          ['--input-type=module', '--eval', SPAWN_LOOP, String(TASKS / 2)],
          { stdio: 'inherit' },
        );
        child.on('exit', (code) =>
          code === 0 ? done() : failed(new Error(`the loop ended with ${code ?? 'a signal'}`)),
        );
      }),
  );
  const began = performance.now();
  await Promise.all(halves);
  return (TASKS / (performance.now() - began)) * 1_000;
}

/** Submits all at once and waits for the last. Returns tasks per second. */
async function throughCluster(clb: Clb): Promise<number> {
  const began = performance.now();
  const items = await clb.submitBatch(Array.from({ length: TASKS }, () => ({ command: ['/bin/true'] })));
  const outcomes = await Promise.all(items.map(({ task }) => clb.outcome(task ?? '')));
  const failed = outcomes.filter(({ status }) => status !== 'succeeded').length;
  if (failed > 0) throw new Error(`${failed} of ${TASKS} tasks failed`);
  return (TASKS / (performance.now() - began)) * 1_000;
}

/** CPU used by a process and what it has reaped of its children, in milliseconds. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Event-loop delay of a server as /metrics has it, in milliseconds. */
async function loopDelayP99Ms(cluster: ProcessCluster, id: string): Promise<number> {
  const { body } = await cluster.request<string>(id, 'GET', '/metrics');
  const seconds = /^clb_event_loop_delay_seconds\{[^}]*quantile="0\.99"[^}]*\} (\S+)$/m.exec(body)?.[1];
  if (seconds === undefined) throw new Error('no event-loop delay in /metrics');
  return Number(seconds) * 1_000;
}

const cluster = await ProcessCluster.start({
  only: ['server1', 'server2', 'server3', 'worker1'],
  env: { CLB_LOG_LEVEL: 'warn' },
});
const clb = new Clb({ servers: cluster.servers });
try {
  await throughCluster(clb); // warm
  const rounds: { readonly bare: number; readonly cluster: number; readonly delaysMs: readonly number[] }[] =
    [];
  const pids = cluster.nodes.flatMap(({ id }) => [
    { name: id, pid: cluster.pid(id) },
    ...launcherPids(join(cluster.folder, id)).map((pid) => ({ name: `${id} launcher`, pid })),
  ]);
  const cpu = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const bare = await bareLoop();
    await Promise.all(cluster.serverIds.map((id) => loopDelayP99Ms(cluster, id))); // begins a new window
    const before = pids.map(({ pid }) => cpuMs(pid));
    const through = await throughCluster(clb);
    for (const [at, { name, pid }] of pids.entries()) {
      cpu.set(name, (cpu.get(name) ?? 0) + (cpuMs(pid) - (before[at] ?? 0)) / TASKS / ROUNDS);
    }
    const delaysMs = await Promise.all(cluster.serverIds.map((id) => loopDelayP99Ms(cluster, id)));
    rounds.push({ bare, cluster: through, delaysMs });
  }
  const ratios = rounds.map((round) => round.cluster / round.bare);
  console.log(
    JSON.stringify({
      tasks: TASKS,
      bare_per_s: rounds.map(({ bare }) => Math.round(bare)),
      cluster_per_s: rounds.map((round) => Math.round(round.cluster)),
      ratio: { median: quantile(ratios, 0.5), worst: quantile(ratios, 0) },
      voters_loop_delay_p99_ms: quantile(
        rounds.flatMap(({ delaysMs }) => delaysMs),
        1,
      ),
      cpu_ms_per_task: Object.fromEntries(
        [...cpu].map(([name, ms]) => [name, Math.round(ms * 1_000) / 1_000]),
      ),
    }),
  );
} finally {
  clb.close();
  await cluster.destroy();
}
