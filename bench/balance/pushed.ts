import { EventQueue } from '../../test/sim/event-queue.ts';
import { Random } from '../../test/sim/random.ts';
import type { Outcome, SimNode, SimTask, Workload } from './workload.ts';

/**
 * Rules that give a task to a node at once, where it waits for its turn: `original` is the original's (CPU % + memory % + 5 × tasks sent
 * there and not back; every node measures for four seconds before it answers, one after the other), `original-score` the
 * same without the wait, the others need no load.
 */
export type PushRule = 'original' | 'original-score' | 'random' | 'round-robin';

const MEASURING_MS = 4_000;
const OUTSTANDING_POINTS = 5;

interface Lane {
  readonly node: SimNode;
  readonly waiting: SimTask[];
  running: number;
}

export function pushed(workload: Workload, rule: PushRule): Outcome {
  const events = new EventQueue();
  const random = new Random(workload.seed).fork();
  const lanes = workload.nodes.map((node): Lane => ({ node, waiting: [], running: 0 }));
  const { tasks } = workload;
  let turn = 0;
  let waitedMs = 0;
  let doneMs = 0;
  let lastEndMs = 0;

  const start = (lane: Lane): void => {
    while (lane.running < lane.node.slots) {
      const task = lane.waiting.shift();
      if (task === undefined) return;
      lane.running += 1;
      waitedMs += events.nowMs - task.arrivalMs;
      events.after(task.workMs / lane.node.speed, () => {
        lane.running -= 1;
        lastEndMs = events.nowMs;
        doneMs += events.nowMs - task.arrivalMs;
        start(lane);
      });
    }
  };
  const loadOf = ({ node, running, waiting }: Lane): number =>
    Math.min(100, node.cpuIdle + (100 * running) / node.slots) +
    node.memoryIdle +
    running +
    OUTSTANDING_POINTS * (running + waiting.length);
  const leastLoaded = (): Lane => lanes.reduce((best, lane) => (loadOf(lane) < loadOf(best) ? lane : best));
  const choose = (): Lane => {
    if (rule === 'random') return random.pick(lanes);
    if (rule !== 'round-robin') return leastLoaded();
    turn += 1;
    return lanes[turn % lanes.length] ?? leastLoaded();
  };
  const give = (task: SimTask): void => {
    const lane = choose();
    lane.waiting.push(task);
    start(lane);
  };
  // The original's master places one task after the other.
  let freeAtMs = 0;
  for (const task of tasks) {
    const measuringMs = rule === 'original' ? MEASURING_MS * lanes.length : 0;
    freeAtMs = Math.max(freeAtMs, task.arrivalMs) + measuringMs;
    events.after(freeAtMs, () => give(task));
  }
  while (events.runNext());
  return {
    makespanMs: lastEndMs - (tasks[0]?.arrivalMs ?? 0),
    meanWaitMs: waitedMs / tasks.length,
    meanDoneMs: doneMs / tasks.length,
  };
}
