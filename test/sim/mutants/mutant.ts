import type { KindName } from '../seed-order.ts';

/** A change of a source file: `find`, which must be there exactly once, becomes `replace`. */
export interface Edit {
  /** From the project's folder on. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A deliberate bug. It exists only in the copy of the sources that the hunt for it is run on. */
export interface Mutant {
  readonly name: string;
  /** What it breaks, and where that is asked for. */
  readonly rule: string;
  /** The kinds of simulated clusters that can show it, the cheapest first. */
  readonly kinds: readonly KindName[];
  readonly edits: readonly Edit[];
}

/** Every mutant must be caught within so many seeds of one of its kinds, from 1 on. */
export const SEEDS_MAX: Readonly<Record<KindName, number>> = { core: 300, node: 100, tasks: 60 };

/** For mutants of one file. */
export function edits(
  file: string,
  ...changes: readonly (readonly [find: string, replace: string])[]
): Edit[] {
  return changes.map(([find, replace]) => ({ file, find, replace }));
}
