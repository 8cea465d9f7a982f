import { isFinal } from '../../api/tasks.ts';
import type { ClusterEvent, NodeStatus } from '../../api/views.ts';
import { canceled, dependencyMet } from './lifecycle.ts';
import { OP_VERSION_FIRST } from './op-versions.ts';
import type { NewTask } from './ops.ts';
import type { EntryContext, NodeRecord, TaskRecord } from './records.ts';
import { ScheduleTable } from './schedule-table.ts';
import { TaskTable } from './task-table.ts';

/** A batch of which not all parts have come. */
export interface StagedBatch {
  readonly term: number;
  readonly parts: number;
  readonly tasks: readonly NewTask[];
}

/** What one entry changed. */
export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  /** The state machine's clock as of this entry, milliseconds since 1970. */
  readonly at: number;
  readonly events: readonly ClusterEvent[];
  /** Every record that came about, in order; a task that changed twice is there twice. */
  readonly tasks: readonly TaskRecord[];
}

/** Collects what the ops of one entry change. */
export class Changes {
  readonly ctx: EntryContext;
  readonly events: ClusterEvent[] = [];
  readonly tasks: TaskRecord[] = [];

  constructor(ctx: EntryContext) {
    this.ctx = ctx;
  }
}

/** Everything that is replicated. Changed only by the ops (apply-op.ts); see {@link TaskTable} for the tasks. */
export class TaskState {
  readonly tasks: TaskTable;
  /** In the order of their first registration. */
  readonly nodes = new Map<string, NodeRecord>();
  readonly staged = new Map<string, StagedBatch>();
  readonly schedules = new ScheduleTable();
  paused = false;
  /** Ops up to this version may be proposed (op-versions.ts). */
  version = OP_VERSION_FIRST;
  /** The largest time stamp applied. */
  clock = 0;
  /** Log index of the last applied entry that this state saw. */
  appliedIndex = 0;

  constructor(segmentTasks?: number) {
    this.tasks = new TaskTable(segmentTasks);
  }

  /** Takes a task's next record, and settles who waited for it if it is final. */
  change(changes: Changes, next: TaskRecord): void {
    this.#record(changes, next);
    if (isFinal(next.status)) this.#settle(changes, next);
  }

  #record(changes: Changes, next: TaskRecord): void {
    this.tasks.put(next);
    changes.tasks.push(next);
    changes.events.push(taskEvent(changes.ctx, next));
  }

  /** Tasks that waited for this one go on or are canceled, and so on through all that hang on them. */
  #settle(changes: Changes, first: TaskRecord): void {
    const work: TaskRecord[] = [first];
    for (let done = work.pop(); done !== undefined; done = work.pop()) {
      const waiting = this.tasks.dependentsOf(done.id);
      if (waiting.length === 0) continue;
      this.tasks.dropDependents(done.id);
      for (const dependent of waiting) {
        if (dependent.status !== 'scheduled' || dependent.waitsFor === 0) continue;
        const next =
          done.status === 'succeeded'
            ? dependencyMet(changes.ctx, dependent)
            : canceled(changes.ctx, dependent, doomedBy(done));
        this.#record(changes, next);
        if (isFinal(next.status)) work.push(next);
      }
    }
  }

  putNode(changes: Changes, node: NodeRecord): void {
    this.nodes.set(node.id, node);
    changes.events.push({ kind: 'node', id: node.id, status: nodeStatus(node) });
  }
}

/** Why a task that waits for `done` is canceled. */
export function doomedBy(done: TaskRecord): string {
  return `task ${done.id}, which it waited for, ended as ${done.status}`;
}

/** As far as the log knows; whether a node is merely disconnected is the master's knowledge. */
function nodeStatus(node: NodeRecord): NodeStatus {
  if (!node.up) return 'down';
  return node.draining ? 'draining' : 'ready';
}

function taskEvent(ctx: EntryContext, task: TaskRecord): ClusterEvent {
  const latest = task.timeline[task.timeline.length - 1];
  const attempt = task.attempts[task.attempts.length - 1];
  return {
    kind: 'task',
    id: task.id,
    name: task.spec.name ?? null,
    status: task.status,
    what:
      latest?.index === ctx.index ? latest.what : task.submitIndex === ctx.index ? 'submitted' : 'waiting',
    node: attempt === undefined ? null : attempt.node,
    attempt: attempt === undefined ? null : attempt.number,
    exitCode: attempt === undefined ? null : attempt.exitCode,
  };
}
