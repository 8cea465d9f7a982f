import { CORE_KIND, NODE_KIND, tasksKind } from './kinds.ts';
import { World, type RunReport } from './world.ts';

export const KIND_NAMES = ['core', 'node', 'tasks'] as const;
export type KindName = (typeof KIND_NAMES)[number];

/** Seeds alternate between clusters of three and five. */
export function nodesOf(seed: number): number {
  return seed % 2 === 0 ? 3 : 5;
}

/** @throws RunFailure */
export function runSeed(kind: KindName, seed: number, nodes = nodesOf(seed)): Promise<RunReport> {
  switch (kind) {
    case 'core':
      return new World({ kind: CORE_KIND, seed, nodes }).run();
    case 'node':
      return new World({ kind: NODE_KIND, seed, nodes }).run();
    case 'tasks':
      return new World({ kind: tasksKind(seed), seed, nodes }).run();
  }
}
