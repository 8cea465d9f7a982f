/** How fast the simulator is: seconds simulated per second of one core (of its processor time, so that others do not count). */
import type { KindName } from './seed-order.ts';
import { KIND_NAMES } from './seed-order.ts';
import { runSeeds } from './seed-pool.ts';

const VOTERS = 3;
/** The first seeds are not counted: the compiler is still at work on the code. A run of thousands goes at the pace after that. */
const WARM_UP_SEEDS: Readonly<Record<KindName, number>> = { core: 400, node: 400, tasks: 100 };
const SEEDS: Readonly<Record<KindName, number>> = { core: 600, node: 400, tasks: 200 };
const IDLE_MS = 600_000;

async function speedOf(kind: KindName, idleMs: number | null): Promise<number> {
  const warmUp = idleMs === null ? WARM_UP_SEEDS[kind] : 2;
  const seeds = idleMs === null ? SEEDS[kind] : 2;
  let virtualMs = 0;
  let cpuMs = 0;
  const orders = Array.from({ length: warmUp + seeds }, (_, at) => ({
    kind,
    seed: at + 1,
    voters: VOTERS,
    idleMs,
  }));
  await runSeeds(orders, {
    jobs: 1,
    onAnswer: ({ order, report, failure }) => {
      if (report === null) throw new Error(failure?.text);
      if (order.seed <= warmUp) return true;
      virtualMs += report.virtualMs;
      cpuMs += report.cpuMs;
      return true;
    },
  });
  return virtualMs / cpuMs;
}

/** Prints a table. */
export async function printSpeed(): Promise<void> {
  console.log('| three voters | simulated seconds per second of one core |\n|---|---|');
  for (const kind of KIND_NAMES) {
    console.log(`| ${kind}, under all faults | ${(await speedOf(kind, null)).toFixed(0)} |`);
    console.log(`| ${kind}, without load | ${(await speedOf(kind, IDLE_MS)).toFixed(0)} |`);
  }
}
