/**
 * The simulator as one file of plain JavaScript, as it is run: started a hundred times faster than the sources, and without what
 * a loader adds to every function. A mutant is a bundle in which some sources read otherwise.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
/** Inside the project, so that the bundle finds its packages. */
const BUNDLES = join(PROJECT, 'node_modules/.cache/sim');

export interface Bundle {
  /** What a simulating process is started from. */
  readonly path: string;
  readonly remove: () => void;
}

/** @param changed texts of sources to be used instead of what is on the disk, by path from the project's folder on */
export async function bundleSimulator(changed: ReadonlyMap<string, string> = new Map()): Promise<Bundle> {
  mkdirSync(BUNDLES, { recursive: true });
  const folder = mkdtempSync(join(BUNDLES, 'run-'));
  const path = join(folder, 'seed-process.mjs');
  await build({
    entryPoints: [join(PROJECT, 'test/sim/seed-process.ts')],
    outfile: path,
    ...{ bundle: true, platform: 'node', format: 'esm', target: 'node20', packages: 'external' },
    ...{ sourcemap: 'linked', logLevel: 'error' },
    plugins: [replacing(changed)],
  });
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function replacing(changed: ReadonlyMap<string, string>): Plugin {
  return {
    name: 'replacing',
    setup: (hooks) => {
      hooks.onLoad({ filter: /\.ts$/ }, ({ path }) => ({
        contents: changed.get(relative(PROJECT, path)) ?? readFileSync(path, 'utf8'),
        loader: 'ts',
      }));
    },
  };
}
