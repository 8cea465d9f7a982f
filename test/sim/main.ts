/**
 * `npm run sim -- [--seeds N] [--seed S] [--minutes M] [--jobs J] [--kind core|node|tasks] [--voters V]`, `npm run sim -- --speed`
 *
 * Simulates N seeds from S on, J at a time (otherwise one per core). S is drawn if it is not given; with --seed and no
 * --seeds it is just that one. Without --kind the seeds take turns. With --minutes fresh seeds are simulated for that long. Prints
 * how often each kind of fault struck, or, of a failure, the last events and the command that replays it, and exits with 1.
 * --speed measures instead (speed.ts).
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { FaultCounts } from './faults.ts';
import { Progress } from './progress.ts';
import { KIND_NAMES, type KindName, type SeedOrder } from './seed-order.ts';
import { JOBS_DEFAULT, runSeeds } from './seed-pool.ts';
import { kindOfSeed } from './seed-kinds.ts';
import { printSpeed } from './speed.ts';

const SEEDS_END = 2 ** 31;
const SEEDS_DEFAULT = 100;
const MINUTE_MS = 60_000;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    minutes: { type: 'string' },
    jobs: { type: 'string' },
    kind: { type: 'string' },
    voters: { type: 'string' },
    speed: { type: 'boolean' },
  },
});

function wholeNumber(name: 'seeds' | 'seed' | 'jobs' | 'voters', least: number): number | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < least)
    throw new Error(`--${name} must be a whole number of at least ${String(least)}, not ${value}`);
  return number;
}

function minutes(): number | undefined {
  if (values.minutes === undefined) return undefined;
  const number = Number(values.minutes);
  if (!Number.isFinite(number) || number <= 0)
    throw new Error(`--minutes must be a number above 0, not ${values.minutes}`);
  return number;
}

function onlyKind(): KindName | undefined {
  if (values.kind === undefined) return undefined;
  const known = KIND_NAMES.find((kind) => kind === values.kind);
  if (known === undefined)
    throw new Error(`--kind must be one of ${KIND_NAMES.join(', ')}, not ${values.kind}`);
  return known;
}

function* orders(first: number, count: number, untilMs: number): Generator<SeedOrder> {
  const kind = onlyKind();
  const voters = wholeNumber('voters', 1);
  for (let seed = first; seed < first + count && performance.now() < untilMs; seed++)
    yield { kind: kind ?? kindOfSeed(seed), seed, voters };
}

/** @returns whether all was well */
async function simulate(): Promise<boolean> {
  const first = wholeNumber('seed', 0) ?? randomInt(SEEDS_END);
  const forMinutes = minutes();
  const count =
    wholeNumber('seeds', 1) ??
    (forMinutes !== undefined ? SEEDS_END : values.seed === undefined ? SEEDS_DEFAULT : 1);
  const untilMs = performance.now() + (forMinutes ?? Infinity) * MINUTE_MS;
  const progress = new Progress(forMinutes === undefined ? count : null);
  const faults = new FaultCounts();
  const failures: string[] = [];
  await runSeeds(orders(first, count, untilMs), {
    jobs: wholeNumber('jobs', 1) ?? JOBS_DEFAULT,
    onAnswer: ({ report, failure }) => {
      if (failure !== null) {
        failures.push(failure.text);
      } else if (report !== null) {
        faults.add(report.faults);
        progress.done(report);
      }
      return failures.length === 0;
    },
  });
  progress.clear();
  const [failure] = failures;
  if (failure !== undefined) {
    console.error(failure);
    return false;
  }
  console.log(
    `seeds ${String(first)} to ${String(first + progress.seeds - 1)}: all well. ${progress.summary()}`,
  );
  console.log(`faults: ${faults.toString()}`);
  return true;
}

if (values.speed === true) await printSpeed();
else if (!(await simulate())) process.exitCode = 1;
