/**
 * Task cycles a second (submit → assigned → an executor that returns at once → result recorded, every commit fsynced on a
 * majority), through the sdk, and the time to the acknowledged submit: `node --import tsx bench/cycles.ts [--secs 4]`.
 * Goals P1, P3 of docs/benchmarks.md. Prints one JSON line.
 */
import { Clb } from '../src/sdk/index.ts';
import { quantile, startBenchCluster } from './bench-cluster.ts';

const secsAt = process.argv.indexOf('--secs');
const SECS = secsAt === -1 ? 4 : Number(process.argv[secsAt + 1]);
const CLIENTS = [1, 64, 256] as const;
/** As long as what the peers are given to store. */
const TASK = { command: ['echo', 'p'.repeat(200)] };

interface Load {
  readonly cycles_s: number;
  readonly cycle_p50: number;
  readonly cycle_p99: number;
  readonly submit_p50: number;
  readonly submit_p99: number;
}

async function load(clb: Clb, clients: number, secs: number): Promise<Load> {
  const submits: number[] = [];
  const cycles: number[] = [];
  const began = performance.now();
  const end = began + secs * 1_000;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < end) {
        const from = performance.now();
        const task = await clb.submit(TASK);
        submits.push(performance.now() - from);
        await clb.outcome(task);
        cycles.push(performance.now() - from);
      }
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  return {
    cycles_s: Math.round(cycles.length / seconds),
    cycle_p50: quantile(cycles, 0.5),
    cycle_p99: quantile(cycles, 0.99),
    submit_p50: quantile(submits, 0.5),
    submit_p99: quantile(submits, 0.99),
  };
}

const { cluster, destroy } = await startBenchCluster(4_096);
const clb = new Clb({ servers: [...cluster.servers] });
try {
  await load(clb, 64, 1);
  const result: Record<string, Load> = {};
  for (const clients of CLIENTS) result[`c${clients}`] = await load(clb, clients, SECS);
  console.log(JSON.stringify({ clb: result }));
} finally {
  clb.close();
  await destroy();
}
