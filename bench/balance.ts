/**
 * How evenly the work is spread: `node --import tsx bench/balance.ts [--seeds 200] [--first 1]`.
 * The original's workload (tasks of 10 to 60 whole seconds) on nodes of unequal speed, in bursts and as a steady stream, over simulated
 * time: the production state machine, queue, placer and scores beside the original's rule, random, and round-robin.
 * Makespan as a multiple of the lower bound (goal P9 of docs/benchmarks.md: at most 1.05), and mean time from submission to start and to end.
 * Prints one JSON line.
 */
import { BalanceRun } from './balance/placed.ts';
import { pushed } from './balance/pushed.ts';
import type { PushRule } from './balance/pushed.ts';
import { lowerBoundMs, workloadOf } from './balance/workload.ts';
import type { Arrivals, Outcome, Workload } from './balance/workload.ts';
import { quantile } from './bench-cluster.ts';

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}
const SEEDS = option('--seeds', 200);
const FIRST = option('--first', 1);

const RULES: Readonly<Record<string, (workload: Workload) => Outcome>> = {
  clb: (workload) => new BalanceRun(workload).run(),
  original: by('original'),
  original_without_its_pauses: by('original-score'),
  random: by('random'),
  round_robin: by('round-robin'),
};

function by(rule: PushRule): (workload: Workload) => Outcome {
  return (workload) => pushed(workload, rule);
}

interface Figures {
  readonly makespan_mean: number;
  readonly makespan_p95: number;
  readonly makespan_worst: number;
  readonly wait_s: number;
  readonly done_s: number;
}

function figures(workloads: readonly Workload[], rule: (workload: Workload) => Outcome): Figures {
  const ratios: number[] = [];
  const waits: number[] = [];
  const dones: number[] = [];
  for (const workload of workloads) {
    const { makespanMs, meanWaitMs, meanDoneMs } = rule(workload);
    ratios.push(makespanMs / lowerBoundMs(workload));
    waits.push(meanWaitMs);
    dones.push(meanDoneMs);
  }
  return {
    makespan_mean: rounded(mean(ratios)),
    makespan_p95: rounded(quantile(ratios, 0.95)),
    makespan_worst: rounded(Math.max(...ratios)),
    wait_s: rounded(mean(waits) / 1_000),
    done_s: rounded(mean(dones) / 1_000),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

const result: Record<string, Record<string, Figures>> = {};
for (const arrivals of ['bursts', 'steady', 'light'] satisfies Arrivals[]) {
  const workloads = Array.from({ length: SEEDS }, (_, at) => workloadOf(FIRST + at, arrivals));
  result[arrivals] = Object.fromEntries(
    Object.entries(RULES).map(([name, rule]) => [name, figures(workloads, rule)]),
  );
}
console.log(JSON.stringify({ balance: { seeds: SEEDS, ...result } }));
