import type { KindName, SeedOrder } from '../seed-order.ts';
import { runSeeds } from '../seed-pool.ts';
import type { SeedFailure } from '../seed-process.ts';
import { mutatedFiles } from './mutated-files.ts';
import { SEEDS_MAX, type Mutant } from './mutant.ts';

export interface Caught extends SeedFailure {
  readonly kind: KindName;
  /** The first seed that failed. */
  readonly seed: number;
}

export interface HuntOptions {
  /** Otherwise the mutant's. */
  readonly kind?: KindName | undefined;
  /** From 1 on; otherwise {@link SEEDS_MAX}. */
  readonly seeds?: number | undefined;
}

/** Looks for a seed that shows the mutant's bug. @returns null if there is none. @throws MutantStaleError */
export async function huntDown(mutant: Mutant, options: HuntOptions = {}): Promise<Caught | null> {
  const changed = mutatedFiles(mutant);
  for (const kind of options.kind === undefined ? mutant.kinds : [options.kind]) {
    const seeds = options.seeds ?? SEEDS_MAX[kind];
    const orders: SeedOrder[] = Array.from({ length: seeds }, (_, at) => ({ kind, seed: at + 1 }));
    const caught: Caught[] = [];
    await runSeeds(orders, {
      jobs: 1,
      changed,
      onAnswer: ({ order, failure }) => {
        if (failure !== null) caught.push({ kind, seed: order.seed, ...failure });
        return failure === null;
      },
    });
    if (caught[0] !== undefined) return caught[0];
  }
  return null;
}
