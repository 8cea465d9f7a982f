import type { SeedOrder } from './seed-order.ts';

/** Runs one seed again, the same to the last event. */
export function replayCommand({ kind, seed, voters }: SeedOrder): string {
  const size = voters === undefined ? '' : ` --voters ${String(voters)}`;
  return `npm run sim -- --seed ${String(seed)} --kind ${kind}${size}`;
}
