import { CORE_KIND, NODE_KIND, tasksKind } from './kinds.ts';
import type { SeedOrder } from './seed-order.ts';
import { World, type RunReport } from './world.ts';

/** Something to simulate. */
export interface Run {
  /** @throws RunFailure */
  run(): Promise<RunReport>;
  idle(forMs: number): Promise<RunReport>;
}

export function makeRun({ kind, seed, voters }: SeedOrder): Run {
  switch (kind) {
    case 'core':
      return new World({ kind: CORE_KIND, seed, voters });
    case 'node':
      return new World({ kind: NODE_KIND, seed, voters });
    case 'tasks':
      return new World({ kind: tasksKind(seed), seed, voters });
  }
}
