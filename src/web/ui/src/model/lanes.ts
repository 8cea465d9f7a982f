/** A task's life as lanes: one per node, its attempts as bars, and the time in which it was on no node. */
import type { TaskEvent, TaskView } from '../../../../api/tasks.ts';
import { parseTime } from './format.ts';
import { OUTCOME_BADGES, STATUS_BADGES } from './status.ts';
import type { Badge } from './status.ts';

/** From 0 (submitted) to 1 (ended, or now). */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Bar extends Span {
  readonly attempt: number;
  readonly badge: Badge;
  /** Part of it in which it was assigned and had not started. */
  readonly waitTo: number;
  readonly ms: number;
}

export interface Lane {
  readonly node: string;
  readonly bars: readonly Bar[];
}

export interface LaneBoard {
  readonly lanes: readonly Lane[];
  /** On no node: queued, or waiting for its time. */
  readonly gaps: readonly Span[];
  /** A new master took over, as the entries tell. */
  readonly seams: readonly { readonly at: number; readonly term: number }[];
  readonly totalMs: number;
}

const TOTAL_MS_MIN = 1;

/** `nowMs`: the servers' time, for what still goes on. */
export function laneBoard(task: TaskView, events: readonly TaskEvent[], nowMs: number): LaneBoard {
  const begin = parseTime(task.submittedAt) ?? nowMs;
  const end = Math.max(parseTime(task.finishedAt) ?? nowMs, begin + TOTAL_MS_MIN);
  const totalMs = end - begin;
  const share = (ms: number): number => Math.min(1, Math.max(0, (ms - begin) / totalMs));
  const lanes = new Map<string, Bar[]>();
  const gaps: Span[] = [];
  let freeSince = begin;
  for (const attempt of task.attempts) {
    const assigned = parseTime(attempt.assignedAt) ?? freeSince;
    const finished = parseTime(attempt.finishedAt) ?? end;
    const started = parseTime(attempt.startedAt) ?? (attempt.finishedAt === null ? end : assigned);
    if (share(assigned) - share(freeSince) > 0) gaps.push({ from: share(freeSince), to: share(assigned) });
    freeSince = finished;
    const badge =
      attempt.outcome === null
        ? STATUS_BADGES[attempt.startedAt === null ? 'assigned' : 'running']
        : OUTCOME_BADGES[attempt.outcome];
    const bar: Bar = {
      attempt: attempt.number,
      badge,
      from: share(assigned),
      to: share(finished),
      waitTo: share(started),
      ms: finished - assigned,
    };
    lanes.set(attempt.node, [...(lanes.get(attempt.node) ?? []), bar]);
  }
  if (task.finishedAt === null && share(freeSince) < 1) gaps.push({ from: share(freeSince), to: 1 });
  const seams = events.flatMap((event, at) => {
    const before = events[at - 1];
    const ms = parseTime(event.time);
    if (before === undefined || ms === null || before.term === event.term) return [];
    return [{ at: share(ms), term: event.term }];
  });
  return { lanes: [...lanes].map(([node, bars]) => ({ node, bars })), gaps, seams, totalMs };
}
