/**
 * `npm run sim -- --seeds N [--seed S] [--nodes 3|5] [--kind core|node|tasks]`
 *
 * Runs N seeds from S on; S is drawn if not given, and with --seed and no --seeds it is just that one. Without --kind the
 * seeds take turns. Prints the command that replays a failure, and exits with 1.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { KIND_NAMES, nodesOf, runSeed, type KindName } from './runs.ts';

const SEEDS_END = 2 ** 31;
const SEEDS_DEFAULT = 100;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    nodes: { type: 'string' },
    kind: { type: 'string' },
  },
});

function wholeNumber(name: string, value: string | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0)
    throw new Error(`--${name} must be a whole number, not ${value}`);
  return number;
}

function kindOf(seed: number, name: string | undefined): KindName {
  const known = KIND_NAMES.find((kind) => kind === name);
  if (known !== undefined) return known;
  if (name !== undefined) throw new Error(`--kind must be one of ${KIND_NAMES.join(', ')}, not ${name}`);
  return KIND_NAMES[Math.floor(seed / 2) % KIND_NAMES.length] ?? 'core';
}

const first = wholeNumber('seed', values.seed, randomInt(SEEDS_END));
const count = wholeNumber('seeds', values.seeds, values.seed === undefined ? SEEDS_DEFAULT : 1);
const startedAt = performance.now();
let events = 0;
let committed = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    const report = await runSeed(
      kindOf(seed, values.kind),
      seed,
      wholeNumber('nodes', values.nodes, nodesOf(seed)),
    );
    events += report.events;
    committed += report.committed;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
const seconds = (performance.now() - startedAt) / 1000;
console.log(
  `seeds ${String(first)} to ${String(first + count - 1)}: all well. ` +
    `${String(events)} events, ${String(committed)} entries committed, ${seconds.toFixed(1)} s`,
);
