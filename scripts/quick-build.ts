/**
 * The build of `npm start`: only what is out of date, without looking at types (`npm run build` and `npm test` do). tsc
 * takes eight seconds for the whole, this one, and the second time a twentieth of that.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

/** Of each source as it was when its output was made: time of change and size. */
type Stamps = Readonly<Record<string, string>>;

/** By it tsc would take outputs of this build for its own, and leave them as they are. */
const TSC_STAMPS_FILE = '.tsbuildinfo';

export interface QuickBuild {
  readonly source: string;
  readonly out: string;
  /** File that keeps what was built when; whatever is wrong with it makes everything out of date. */
  readonly stamps: string;
  /** Sources to look at, relative to `source`; all of TypeScript unless told. */
  readonly only?: (file: string) => boolean;
}

/** Turns every module into JavaScript that is not there yet as it is now; resolves to those that it turned. */
export async function buildModules({ source, out, stamps, only }: QuickBuild): Promise<readonly string[]> {
  const before = readStamps(stamps);
  const now = stampsOf(source, (file) => /(?<!\.d)\.ts$/.test(file) && only?.(file) !== false);
  for (const file of Object.keys(before)) {
    if (now[file] === undefined) rmSync(outputOf(out, file), { force: true });
  }
  const stale = Object.keys(now).filter(
    (file) => now[file] !== before[file] || !existsSync(outputOf(out, file)),
  );
  if (stale.length === 0) return stale;
  rmSync(join(out, TSC_STAMPS_FILE), { force: true });
  await build({
    entryPoints: stale.map((file) => join(source, file)),
    outbase: source,
    outdir: out,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    sourcemap: true,
    // Each module by itself; "bundling" is what lets the names of its imports be changed.
    bundle: true,
    packages: 'external',
    logLevel: 'warning',
    plugins: [
      {
        name: 'imports of .ts become imports of .js, as tsc has it',
        setup: (builder) => {
          builder.onResolve({ filter: /^\.\.?\// }, ({ kind, path }) =>
            kind === 'entry-point' ? null : { path: path.replace(/\.ts$/, '.js'), external: true },
          );
        },
      },
    ],
  });
  writeStamps(stamps, now);
  return stale;
}

/** Runs `make` where a source is other than when it ran last, or `out` is not there; resolves to whether it ran. */
export async function buildWhole(
  { source, out, stamps, only }: QuickBuild,
  make: () => Promise<unknown>,
): Promise<boolean> {
  const now = stampsOf(source, (file) => only?.(file) !== false);
  if (existsSync(out) && JSON.stringify(readStamps(stamps)) === JSON.stringify(now)) return false;
  await make();
  writeStamps(stamps, now);
  return true;
}

function outputOf(out: string, file: string): string {
  return join(out, file.replace(/\.ts$/, '.js'));
}

function stampsOf(source: string, wanted: (file: string) => boolean): Stamps {
  const files = readdirSync(source, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(source, join(entry.parentPath, entry.name)))
    .filter(wanted)
    .sort();
  return Object.fromEntries(
    files.map((file) => {
      const { mtimeMs, size } = statSync(join(source, file));
      return [file, `${mtimeMs} ${size}`];
    }),
  );
}

function readStamps(file: string): Stamps {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Stamps;
  } catch {
    return {};
  }
}

function writeStamps(file: string, stamps: Stamps): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(stamps));
}
