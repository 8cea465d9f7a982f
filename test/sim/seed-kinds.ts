import type { KindName } from './seed-order.ts';

/** The kinds take turns; what costs less has more turns. */
const TURNS: readonly KindName[] = [
  'core',
  'core',
  'core',
  'node',
  'core',
  'core',
  'tasks',
  'core',
  'core',
  'node',
];

export function kindOfSeed(seed: number): KindName {
  return TURNS[seed % TURNS.length] ?? 'core';
}
