/** A task as it was at an earlier log index, read from its own timeline. Pure. */
import type { TaskStatus } from '../api/tasks.ts';
import type { TimelineRecord, TaskRecord } from './state/records.ts';

export interface TaskAt {
  readonly status: TaskStatus;
  /** Node and number of the latest attempt there was; null and 0 before the first. */
  readonly node: string | null;
  readonly attempt: number;
  /** The last entry, up to the one asked for, that changed it as far as its timeline tells. */
  readonly index: number;
}

/**
 * null: it had not been submitted. Exact but for tasks with more than 200 entries, of whose middle the timeline keeps nothing:
 * there the last one before the gap stands for it.
 */
export function taskAt(task: TaskRecord, index: number): TaskAt | null {
  if (task.submitIndex > index) return null;
  const then = task.timeline.filter((entry) => entry.index <= index);
  const attempt = then.findLast((entry) => entry.what === 'assigned') ?? null;
  const last = then.findLast(changesStatus) ?? null;
  const next = task.timeline.find((entry) => entry.index > index && changesStatus(entry)) ?? null;
  return {
    status: statusAfter(task, last, next),
    node: attempt?.node ?? null,
    attempt: attempt?.attempt ?? 0,
    index: then.at(-1)?.index ?? task.submitIndex,
  };
}

function changesStatus({ what }: TimelineRecord): boolean {
  return what !== 'cancel_requested' && what !== 'superseded';
}

function statusAfter(task: TaskRecord, last: TimelineRecord | null, next: TimelineRecord | null): TaskStatus {
  // Nothing has changed its status since: it is what it is now.
  if (next === null) return task.status;
  switch (last?.what) {
    case undefined:
    case 'submitted':
      return waiting(next, (task.spec.delayMs ?? 0) > 0 || task.spec.after !== undefined);
    case 'retrying':
      return waiting(next, task.spec.backoffMs !== 0);
    case 'assigned':
      return 'assigned';
    case 'started':
      return 'running';
    default:
      // 'lost', 'queued'. What is final has nothing after it that changes a status.
      return 'queued';
  }
}

/** Whether it waited for its time or for a node, by what came next; only where that was a cancel does its spec decide. */
function waiting(next: TimelineRecord, mayBeScheduled: boolean): TaskStatus {
  if (next.what === 'queued') return 'scheduled';
  return next.what === 'canceled' && mayBeScheduled ? 'scheduled' : 'queued';
}
