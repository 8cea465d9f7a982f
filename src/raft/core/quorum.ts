/** Majorities (§5.2, §5.4.2). */
import { present } from './assert.ts';
import type { NodeId } from './types.ts';

/** How many of `voterCount` are a majority. */
export function majority(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/**
 * The greatest value that a majority has reached. Used for match indexes and read rounds.
 * @returns 0 if there are no voters: nobody can agree on anything
 */
export function reachedByMajority(voters: readonly NodeId[], valueOf: (id: NodeId) => number): number {
  if (voters.length === 0) return 0;
  const values = voters.map(valueOf).sort((a, b) => b - a);
  return present(values[majority(voters.length) - 1], 'what a majority has reached');
}
