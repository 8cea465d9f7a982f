/**
 * The command `npm run coverage`: runs the unit tests of the pure parts under V8's coverage (c8 maps it back to TypeScript) and
 * prints branch coverage of the consensus core and of the state machine. Exits with 1 if one of them is below the limit,
 * or a branch is not taken that docs/testing.md does not explain.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const BRANCHES_MIN_PERCENT = 98;
const PARTS: Readonly<Record<string, readonly string[]>> = {
  'the consensus core': ['src/raft/core/**'],
  'the state machine': ['src/scheduler/state/**', 'src/scheduler/task-machine.ts'],
};
/** Folders of tests that exercise them without processes, disks or real time. */
const TEST_FOLDERS: readonly string[] = [
  'test/raft/core',
  'test/raft/paper',
  'test/raft/scripts',
  'test/scheduler/state',
  'test/scheduler/placement',
  'test/scheduler',
];
/** Whole nodes in real time, which show nothing of single branches. */
const LEFT_OUT: readonly string[] = ['on-raft.test.ts', 'server-cluster.test.ts'];

interface Location {
  readonly start: { readonly line: number; readonly column: number };
}
/** What istanbul's json says of one file. */
interface FileCoverage {
  readonly branchMap: Readonly<Record<string, { readonly locations: readonly Location[] }>>;
  readonly b: Readonly<Record<string, readonly number[]>>;
}

function c8(args: readonly string[], quiet = false): number {
  const stdio = quiet ? 'ignore' : 'inherit';
  return spawnSync(process.execPath, ['node_modules/c8/bin/c8.js', ...args], { stdio }).status ?? 1;
}

const scratch = mkdtempSync(join(tmpdir(), 'clb-coverage-'));
const collected = ['--temp-directory', join(scratch, 'v8'), '--reports-dir', join(scratch, 'report')];
const files = TEST_FOLDERS.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts') && !LEFT_OUT.includes(name))
    .map((name) => join(folder, name)),
);

let isGood = true;
const tests = ['--import', 'tsx', '--test', '--test-concurrency=2', '--test-reporter=dot', ...files];
const include = Object.values(PARTS).flatMap((globs) => globs.flatMap((glob) => ['--include', glob]));
if (c8([...collected, ...include, '-r', 'none', process.execPath, ...tests]) !== 0) {
  console.error('coverage: a test failed');
  isGood = false;
}

const explained = readFileSync('docs/testing.md', 'utf8');
for (const [part, globs] of Object.entries(PARTS)) {
  console.log(`\nBranch coverage of ${part}:`);
  const only = globs.flatMap((glob) => ['--include', glob]);
  const limit = ['--check-coverage', '--branches', String(BRANCHES_MIN_PERCENT), '--lines', '0'];
  if (c8(['report', ...collected, ...only, ...limit, '-r', 'text']) !== 0) isGood = false;
  c8(['report', ...collected, ...only, '-r', 'json'], true);
  for (const line of notTaken(join(scratch, 'report', 'coverage-final.json'))) {
    const isExplained = explained.includes(`\`${line.text}\``);
    console.log(
      `  not taken: ${line.place}  ${line.text}${isExplained ? '' : '   (not explained in docs/testing.md)'}`,
    );
    if (!isExplained) isGood = false;
  }
}
rmSync(scratch, { recursive: true, force: true });
process.exit(isGood ? 0 : 1);

/** The lines that hold a branch no test takes. */
function notTaken(report: string): { readonly place: string; readonly text: string }[] {
  const coverage = JSON.parse(readFileSync(report, 'utf8')) as Record<string, FileCoverage>;
  const found = new Map<string, string>();
  for (const [file, { branchMap, b }] of Object.entries(coverage)) {
    const source = readFileSync(file, 'utf8').split('\n');
    for (const [id, { locations }] of Object.entries(branchMap)) {
      locations.forEach(({ start }, arm) => {
        if (b[id]?.[arm] === 0) {
          const place = `${relative('.', file)}:${start.line}`;
          found.set(place, (source[start.line - 1] ?? '').trim());
        }
      });
    }
  }
  return [...found].map(([place, text]) => ({ place, text }));
}
