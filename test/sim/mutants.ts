/**
 * `node --import tsx test/sim/mutants.ts [--mutant NAME] [--seeds N] [--kind core|node|tasks]`
 *
 * Puts each deliberate bug into a copy of the sources and lets the simulator look for it, from seed 1 on. Prints the
 * table of docs/testing.md. Exits with 1 if one is not caught, or does not fit the sources any more.
 */
import { parseArgs } from 'node:util';
import { KIND_NAMES } from './seed-order.ts';
import { MUTANTS } from './mutants/all.ts';
import { OPEN_MUTANTS } from './mutants/task-mutants.ts';
import { huntDown, type Caught } from './mutants/hunt.ts';
import { SEEDS_MAX } from './mutants/mutant.ts';

const MESSAGE_CHARS_MAX = 90;

const { values } = parseArgs({
  options: { mutant: { type: 'string' }, seeds: { type: 'string' }, kind: { type: 'string' } },
});

const seeds = values.seeds === undefined ? undefined : Number(values.seeds);
if (seeds !== undefined && (!Number.isSafeInteger(seeds) || seeds < 1))
  throw new Error(`--seeds must be a whole number ≥ 1, not ${String(values.seeds)}`);
const kind = KIND_NAMES.find((name) => name === values.kind);
if (values.kind !== undefined && kind === undefined)
  throw new Error(`--kind must be one of ${KIND_NAMES.join(', ')}, not ${values.kind}`);
const chosen = (values.mutant === undefined ? MUTANTS : [...MUTANTS, ...OPEN_MUTANTS]).filter(
  ({ name, kinds }) =>
    (values.mutant === undefined || name === values.mutant) && (kind === undefined || kinds.includes(kind)),
);
if (chosen.length === 0) throw new Error('no mutant is called that, or is shown by that kind');

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function caughtBy({ invariant, message }: Caught): string {
  if (invariant !== null) return invariant;
  const text = message.length > MESSAGE_CHARS_MAX ? `${message.slice(0, MESSAGE_CHARS_MAX - 1)}…` : message;
  return `own check: ${text}`;
}

console.log(row(['mutant', 'rule it breaks', 'kind', 'seed', 'caught by']));
console.log('|---|---|---|---|---|');
let missed = 0;
for (const mutant of chosen) {
  const caught = await huntDown(mutant, { kind, seeds });
  if (caught === null) missed++;
  const found =
    caught === null
      ? [
          mutant.kinds.join(),
          'none',
          `not caught within ${String(seeds ?? SEEDS_MAX[mutant.kinds[0] ?? 'core'])} seeds`,
        ]
      : [caught.kind, String(caught.seed), caughtBy(caught)];
  console.log(row([`\`${mutant.name}\``, mutant.rule, ...found]));
}
if (missed > 0) {
  console.error(`${String(missed)} of ${String(chosen.length)} mutants were not caught`);
  process.exit(1);
}
