/**
 * The original's workload, ten times as fast, on real nodes: `node --import tsx bench/balance-real.ts [--tasks 120] [--seed 1]`.
 * Three workers of one slot each, limited to different shares of a core by control groups; Python payloads that use up a drawn
 * amount of processor time each, all submitted at once. Makespan as a multiple of the lower bound (all work ÷ all shares), as CLB places them, and
 * dealt out one node after the other. Root, Linux, Python, a build. Prints one JSON line.
 */
import type { TaskView } from '../src/api/tasks.ts';
import { Clb } from '../src/sdk/clb.ts';
import { ProcessCluster } from '../test/cluster/processes.ts';
import { Random } from '../test/sim/random.ts';
import { cpuShare } from './balance/cpu-shares.ts';

/** Cores; what is left of the machine is for the servers. */
const SHARES: Readonly<Record<string, number>> = { worker1: 0.5, worker2: 0.3, worker3: 0.2 };
const WORKERS = Object.keys(SHARES);
/** Of processor time of one task. */
const WORK_MS = { least: 1_000, most: 6_000 } as const;

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}
const TASKS = option('--tasks', 120);
const SEED = option('--seed', 1);

function burning(ms: number): string[] {
  return ['python3', '-c', `import time\nwhile time.process_time() < ${String(ms / 1_000)}: pass`];
}

interface Outcome {
  readonly makespan_s: number;
  readonly of_the_bound: number;
  readonly tasks: Readonly<Record<string, number>>;
}

const random = new Random(SEED);
const works = Array.from({ length: TASKS }, () => random.between(WORK_MS.least, WORK_MS.most));
const boundMs =
  works.reduce((sum, ms) => sum + ms, 0) / Object.values(SHARES).reduce((sum, share) => sum + share, 0);

async function run(clb: Clb, nodeOf: ((task: number) => string) | null): Promise<Outcome> {
  const began = performance.now();
  const items = await clb.submitBatch(
    works.map((ms, at) => ({
      command: burning(ms),
      ...(nodeOf === null ? {} : { constraints: { name: nodeOf(at) } }),
    })),
  );
  const tasks: TaskView[] = await Promise.all(items.map(({ task }) => clb.wait(task?.id ?? '')));
  const makespanMs = performance.now() - began;
  const bad = tasks.filter(({ status }) => status !== 'succeeded');
  if (bad.length > 0) throw new Error(`${String(bad.length)} tasks did not succeed`);
  const on = (worker: string): number =>
    tasks.filter(({ attempts }) => attempts.at(-1)?.node === worker).length;
  return {
    makespan_s: Math.round(makespanMs / 100) / 10,
    of_the_bound: Math.round((makespanMs / boundMs) * 1_000) / 1_000,
    tasks: Object.fromEntries(WORKERS.map((worker) => [worker, on(worker)])),
  };
}

const shares = WORKERS.map((id) => [id, cpuShare(`clb-balance-${id}`, SHARES[id] ?? 1)] as const);
const cluster = await ProcessCluster.start({
  workers: WORKERS.length,
  only: ['server1', 'server2', 'server3', ...WORKERS],
  env: { CLB_LOG_LEVEL: 'warn' },
  extraArgs: { server: ['--slots', '0'], worker: ['--slots', '1'] },
  change: (node) =>
    node.kind === 'worker' ? { ...node, args: [...node.args, '--label', `name=${node.id}`] } : node,
  prefix: Object.fromEntries(shares.map(([id, { prefix }]) => [id, prefix])),
});
const clb = new Clb({ servers: [...cluster.servers] });
try {
  const placed = await run(clb, null);
  const dealt = await run(clb, (task) => WORKERS[task % WORKERS.length] ?? '');
  console.log(
    JSON.stringify({
      balance_real: { tasks: TASKS, bound_s: Math.round(boundMs / 100) / 10, placed, round_robin: dealt },
    }),
  );
} finally {
  clb.close();
  await cluster.destroy();
  for (const [, share] of shares) share.remove();
}
