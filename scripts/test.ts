/**
 * The test command: `node --import tsx scripts/test.ts unit|system [filter]`.
 *
 * unit   = everything that needs no processes of ours: two files at a time (the machine has two cores).
 * system = real processes, disks, browser, containers: one file at a time, because they share ports and cores.
 * node:test's own summary closes the output; a failing file makes this exit with 1.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const SYSTEM_FOLDERS: readonly string[] = ['cluster', 'api', 'browser', 'docker'];

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

const [kind = 'unit', filter = ''] = process.argv.slice(2);
const isSystem = (file: string): boolean =>
  SYSTEM_FOLDERS.some((folder) => file.startsWith(join('test', folder)));
const files = testFiles('test').filter(
  (file) => isSystem(file) === (kind === 'system') && file.includes(filter),
);
if (files.length === 0) {
  console.error(`no test file matches ${kind} ${filter}`);
  process.exit(1);
}
/** A file that fails may leave timers and sockets behind that keep its process alive: it is ended, and counted as failed. */
const FILE_LIMIT_MS = { unit: 300_000, system: 600_000 };
const concurrency = kind === 'system' ? 1 : 2;
const result = spawnSync(
  process.execPath,
  [
    '--import',
    'tsx',
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${String(concurrency)}`,
    `--test-timeout=${String(FILE_LIMIT_MS[kind === 'system' ? 'system' : 'unit'])}`,
    ...files,
  ],
  { stdio: 'inherit' },
);
process.exit(result.status ?? 1);
