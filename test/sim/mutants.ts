/**
 * `npm run mutants -- [--mutant NAME] [--seeds N] [--kind core|node|tasks] [--jobs J] [--write]`
 *
 * Bundles the sources with each deliberate bug and lets the simulator look for it, from seed 1 on, several mutants at a time
 * (otherwise one per core). Prints the table of docs/testing.md; --write puts it there. Exits with 1 if one is not
 * caught, or does not fit the sources any more.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from './bundle.ts';
import { KIND_NAMES } from './seed-order.ts';
import { MUTANTS } from './mutants/all.ts';
import { huntDown, type Caught } from './mutants/hunt.ts';
import { SEEDS_MAX, type Mutant } from './mutants/mutant.ts';
import { JOBS_DEFAULT } from './seed-pool.ts';

const MESSAGE_CHARS_MAX = 90;

const { values } = parseArgs({
  options: {
    mutant: { type: 'string' },
    seeds: { type: 'string' },
    kind: { type: 'string' },
    jobs: { type: 'string' },
    write: { type: 'boolean' },
  },
});

const seeds = values.seeds === undefined ? undefined : Number(values.seeds);
if (seeds !== undefined && (!Number.isSafeInteger(seeds) || seeds < 1))
  throw new Error(`--seeds must be a whole number ≥ 1, not ${String(values.seeds)}`);
const kind = KIND_NAMES.find((name) => name === values.kind);
if (values.kind !== undefined && kind === undefined)
  throw new Error(`--kind must be one of ${KIND_NAMES.join(', ')}, not ${values.kind}`);
const chosen = MUTANTS.filter(
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

async function rowOf(mutant: Mutant): Promise<{ readonly isCaught: boolean; readonly text: string }> {
  const caught = await huntDown(mutant, { kind, seeds });
  const limit = String(seeds ?? SEEDS_MAX[mutant.kinds[0] ?? 'core']);
  const found =
    caught === null
      ? [mutant.kinds.join(), 'none', `not caught within ${limit} seeds`]
      : [caught.kind, String(caught.seed), caughtBy(caught)];
  return { isCaught: caught !== null, text: row([`\`${mutant.name}\``, mutant.rule, ...found]) };
}

/** The rows, in the order of the mutants; each is printed as soon as it is there. */
async function huntAll(jobs: number): Promise<{ readonly missed: number; readonly rows: readonly string[] }> {
  const rows: string[] = [];
  let missed = 0;
  const waiting = chosen.entries();
  const work = async (): Promise<void> => {
    for (const [at, mutant] of waiting) {
      const { isCaught, text } = await rowOf(mutant);
      if (!isCaught) missed++;
      rows[at] = text;
      console.log(text);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return { missed, rows };
}

const DOC = join(PROJECT, 'docs/testing.md');
const BEGIN = '<!-- mutants: begin -->';
const END = '<!-- mutants: end -->';
const HEAD = [row(['mutant', 'rule it breaks', 'kind', 'seed', 'caught by']), '|---|---|---|---|---|'];

function writeTable(rows: readonly string[]): void {
  const text = readFileSync(DOC, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${DOC} has no place for the table`);
  const table = [BEGIN, '', ...HEAD, ...rows, '', ''].join('\n');
  writeFileSync(DOC, text.slice(0, begin) + table + text.slice(end));
}

const jobs = values.jobs === undefined ? JOBS_DEFAULT : Number(values.jobs);
if (!Number.isSafeInteger(jobs) || jobs < 1)
  throw new Error(`--jobs must be a whole number ≥ 1, not ${String(values.jobs)}`);
console.log(HEAD.join('\n'));
const { missed, rows } = await huntAll(jobs);
if (values.write === true) writeTable(rows);
if (missed > 0) {
  console.error(`${String(missed)} of ${String(chosen.length)} mutants were not caught`);
  process.exitCode = 1;
}
