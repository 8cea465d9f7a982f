/**
 * The command line as plain JavaScript in a folder of its own, made once per test file: a process under tsx takes 1.5 s
 * to start on a busy machine, these tests start dozens. Types are checked elsewhere.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildModules } from '../../scripts/quick-build.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What it takes to run everything but a node. */
const SOURCES = ['api/', 'sdk/', 'cli/', 'verify/', 'node/options.ts'] as const;

export interface CompiledCli {
  /** The file to give to node. */
  readonly main: string;
  remove(): void;
}

export async function compileCli(): Promise<CompiledCli> {
  // Below the project, so that its packages are found from there.
  const cache = join(ROOT, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'cli-test-'));
  writeFileSync(join(folder, 'package.json'), readFileSync(join(ROOT, 'package.json')));
  await buildModules({
    source: join(ROOT, 'src'),
    out: join(folder, 'src'),
    stamps: join(folder, 'stamps.json'),
    only: (file) => SOURCES.some((source) => file.startsWith(source)),
  });
  return {
    main: join(folder, 'src/cli/main.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
