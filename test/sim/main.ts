/**
 * `npm run sim -- --seeds N [--seed S] [--nodes 3|5]`
 *
 * Runs N seeds from S on (S is drawn and printed if not given; with --seed and no --seeds just that one). Prints the
 * command that replays a failure, and exits with 1.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { World } from './world.ts';

const SEEDS_END = 2 ** 31;

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, seed: { type: 'string' }, nodes: { type: 'string' } },
});

function wholeNumber(name: string, value: string | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0)
    throw new Error(`--${name} must be a whole number, not ${value}`);
  return number;
}

const first = wholeNumber('seed', values.seed, randomInt(SEEDS_END));
const count = wholeNumber('seeds', values.seeds, values.seed === undefined ? 100 : 1);
const startedAt = performance.now();
let events = 0;
let committed = 0;
for (let seed = first; seed < first + count; seed++) {
  // Both sizes in turn, unless one is asked for.
  const nodes = wholeNumber('nodes', values.nodes, seed % 2 === 0 ? 3 : 5);
  try {
    const report = new World({ seed, nodes }).run();
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
