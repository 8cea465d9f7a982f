import { currentAttempt } from '../../src/scheduler/state/lifecycle.ts';
import type { TaskRecord } from '../../src/scheduler/state/records.ts';
import { priorityOf, shapeOf } from '../../src/scheduler/state/task-spec.ts';
import type { AppliedEntry } from '../../src/scheduler/state/task-state.ts';
import type { TaskMachine } from '../../src/scheduler/task-machine.ts';
import { broken } from './sim-failure.ts';

/**
 * A master decides with the state that it has applied, while up to four of its entries are on their way: what has come into the
 * queue by one of them it could not know of. One more for each of those that may be no command.
 */
const ENTRIES_ON_THE_WAY_MAX = 6;

/** T10: strictly by priority, then by submission, among those that ask for the same of a node (docs/scheduling.md). */
export class TaskOrder {
  /** Since which index a task has been in the queue without a break. */
  readonly #queuedSince = new Map<string, number>();
  /** Index of the newest entry with news of a node: it may have refused an assignment made before it. */
  #nodesChangedAt = 0;

  applied(entry: AppliedEntry, machine: TaskMachine): void {
    if (entry.events.some(({ kind }) => kind === 'node')) this.#nodesChangedAt = entry.index;
    for (const { id, status } of entry.tasks) {
      if (status !== 'queued') this.#queuedSince.delete(id);
      else if (!this.#queuedSince.has(id)) this.#queuedSince.set(id, entry.index);
    }
    const known = entry.index - ENTRIES_ON_THE_WAY_MAX;
    if (this.#nodesChangedAt >= known) return;
    for (const task of entry.tasks) {
      if (currentAttempt(task)?.token === entry.index && task.status === 'assigned')
        this.#checkTurn(task, known, machine);
    }
  }

  #checkTurn(task: TaskRecord, known: number, { state }: TaskMachine): void {
    const priority = priorityOf(task.spec);
    for (const shape of state.tasks.queue.shapes()) {
      if (shape.shape !== shapeOf(task.spec)) continue;
      for (const turn of shape.inOrder()) {
        // Not by the order of the queue, which may be what is wrong.
        if (turn.priority < priority || (turn.priority === priority && turn.seq > task.seq)) continue;
        const waiting = state.tasks.bySeq(turn.seq);
        const since = waiting === undefined ? undefined : this.#queuedSince.get(waiting.id);
        if (waiting !== undefined && since !== undefined && since <= known)
          broken(
            'T10',
            `${task.id} is assigned while ${waiting.id} waits since ${String(since)} and comes before it`,
          );
      }
    }
  }
}
