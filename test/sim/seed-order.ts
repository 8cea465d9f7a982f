export const KIND_NAMES = ['core', 'node', 'tasks'] as const;
export type KindName = (typeof KIND_NAMES)[number];

export interface SeedOrder {
  readonly kind: KindName;
  readonly seed: number;
  /** Voters at the start; otherwise drawn from the seed. */
  readonly voters?: number | undefined;
  /** Instead of all troubles: so much time without load. */
  readonly idleMs?: number | null;
}
