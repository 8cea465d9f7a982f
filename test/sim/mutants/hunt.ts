import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { KindName } from '../runs.ts';
import { MutatedCopy } from './mutated-copy.ts';
import { SEEDS_MAX, type Mutant } from './mutant.ts';

/** More than the seeds of any kind take on a slow machine: beyond it, a run goes round in circles. */
const HUNT_MS_MAX = 600_000;

export interface HuntResult {
  /** The first seed that failed, and how; null: none did. */
  readonly catch: {
    readonly seed: number;
    /** null: an assertion of the code itself, which the simulation has driven into it. */
    readonly invariant: string | null;
    readonly message: string;
  } | null;
}

export interface Caught extends NonNullable<HuntResult['catch']> {
  readonly kind: KindName;
}

export interface HuntOptions {
  /** Otherwise the mutant's. */
  readonly kind?: KindName | undefined;
  /** From 1 on; otherwise {@link SEEDS_MAX}. */
  readonly seeds?: number | undefined;
}

/** Looks for a seed that shows the mutant's bug. @returns null if there is none. @throws MutantStaleError */
export async function huntDown(mutant: Mutant, options: HuntOptions = {}): Promise<Caught | null> {
  const copy = MutatedCopy.make(mutant);
  try {
    for (const kind of options.kind === undefined ? mutant.kinds : [options.kind]) {
      const result = await huntIn(copy.folder, kind, options.seeds ?? SEEDS_MAX[kind]);
      if (result.catch !== null) return { kind, ...result.catch };
    }
    return null;
  } finally {
    copy.remove();
  }
}

async function huntIn(folder: string, kind: KindName, seeds: number): Promise<HuntResult> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', 'test/sim/mutants/hunt-main.ts', kind, '1', String(seeds)],
    { cwd: folder, timeout: HUNT_MS_MAX },
  );
  return JSON.parse(stdout) as HuntResult;
}
