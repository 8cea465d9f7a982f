/** What the balance benchmark places: the original's tasks and nodes of unequal speed, all from a seed. */
import { Random } from '../../test/sim/random.ts';

/** `light`: a steady stream that leaves most slots free. */
export type Arrivals = 'bursts' | 'steady' | 'light';

export interface SimTask {
  readonly id: string;
  readonly arrivalMs: number;
  /** Run time on a node of speed 1. Known to nobody who places. */
  readonly workMs: number;
}

export interface SimNode {
  readonly id: string;
  readonly slots: number;
  readonly speed: number;
  /** Percent that is always taken. */
  readonly cpuIdle: number;
  readonly memoryIdle: number;
}

export interface Workload {
  readonly seed: number;
  readonly nodes: readonly SimNode[];
  /** By arrival. */
  readonly tasks: readonly SimTask[];
}

export interface Outcome {
  /** From the first arrival to the last end. */
  readonly makespanMs: number;
  /** From arrival to start. */
  readonly meanWaitMs: number;
  /** From arrival to end. */
  readonly meanDoneMs: number;
}

const TASKS_PER_SLOT = 40;
/** Of a stream: what comes in beside what all nodes together can do. */
const LOADS = { steady: 0.9, light: 0.3 } as const;
const BURSTS = 8;

export function workloadOf(seed: number, arrivals: Arrivals): Workload {
  const random = new Random(seed);
  const nodes = Array.from({ length: 3 + random.below(4) }, (_, at): SimNode => ({
    id: `node${at + 1}`,
    slots: 1 + random.below(4),
    speed: 2 ** (2 * random.fraction() - 1),
    cpuIdle: 2 + random.below(10),
    memoryIdle: 15 + random.below(40),
  }));
  const slots = nodes.reduce((sum, node) => sum + node.slots, 0);
  const works = Array.from({ length: slots * TASKS_PER_SLOT }, () => 1_000 * (10 + random.below(51)));
  const spanMs = works.reduce((sum, work) => sum + work, 0) / capacityOf(nodes);
  const times = works.map((_, at) => {
    if (arrivals !== 'bursts') return (spanMs / LOADS[arrivals]) * random.fraction();
    // Bursts of equal size, the last of which comes when half of the time is over.
    return Math.floor((at * BURSTS) / works.length) * ((0.5 * spanMs) / (BURSTS - 1));
  });
  times.sort((a, b) => a - b);
  const tasks = times.map((time, at) => ({
    id: `task${at}`,
    arrivalMs: Math.round(time),
    workMs: works[at] ?? 0,
  }));
  return { seed, nodes, tasks };
}

function capacityOf(nodes: readonly SimNode[]): number {
  return nodes.reduce((sum, node) => sum + node.slots * node.speed, 0);
}

/**
 * No placement is over before: from each arrival on, the work that is still to come is done at full speed, and no task takes
 * less than on the fastest node.
 */
export function lowerBoundMs({ nodes, tasks }: Workload): number {
  const capacity = capacityOf(nodes);
  const fastest = Math.max(...nodes.map((node) => node.speed));
  const firstMs = tasks[0]?.arrivalMs ?? 0;
  let bound = 0;
  let toCome = 0;
  for (let at = tasks.length - 1; at >= 0; at -= 1) {
    const task = tasks[at];
    if (task === undefined) break;
    toCome += task.workMs;
    bound = Math.max(bound, task.arrivalMs + toCome / capacity, task.arrivalMs + task.workMs / fastest);
  }
  return bound - firstMs;
}
