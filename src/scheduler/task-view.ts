/** Records of the state machine as the API shows them. */
import type { AttemptView, PlacementRecord, TaskEvent, TaskView } from '../api/tasks.ts';
import { decodeRows } from './state/candidate-rows.ts';
import type { AttemptRecord, Placement, TaskRecord } from './state/records.ts';
import type { TaskTable } from './state/task-table.ts';
import { TASK_DEFAULTS } from './state/task-spec.ts';

/** `pendingReason`: what the record itself does not say (the master's knowledge of the nodes). */
export function taskView(task: TaskRecord, pendingReason: string | null): TaskView {
  const { spec } = task;
  return {
    id: task.id,
    name: spec.name ?? null,
    status: task.status,
    priority: spec.priority ?? TASK_DEFAULTS.priority,
    pendingReason: joined(task.pendingReason, pendingReason),
    submittedAt: isoTime(task.submittedAt),
    startedAt: isoTimeOrNull(task.startedAt),
    finishedAt: isoTimeOrNull(task.finishedAt),
    attempts: task.attempts.map(attemptView),
    result: task.result,
    index: task.index,
    script: spec.script ?? null,
    command: spec.command ?? null,
    interpreter: spec.script === undefined ? null : (spec.interpreter ?? TASK_DEFAULTS.interpreter),
    stdin: spec.stdin ?? null,
    env: spec.env ?? EMPTY_MAP,
    cwd: spec.cwd ?? null,
    timeoutMs: spec.timeoutMs ?? null,
    maxAttempts: spec.maxAttempts ?? TASK_DEFAULTS.maxAttempts,
    backoffMs: spec.backoffMs ?? TASK_DEFAULTS.backoffMs,
    cpu: spec.cpu ?? TASK_DEFAULTS.cpu,
    memoryMb: spec.memoryMb ?? TASK_DEFAULTS.memoryMb,
    labels: spec.labels ?? EMPTY_MAP,
    constraints: spec.constraints ?? EMPTY_MAP,
    delayMs: spec.delayMs ?? TASK_DEFAULTS.delayMs,
    onDisconnect: spec.onDisconnect ?? TASK_DEFAULTS.onDisconnect,
    after: spec.after ?? [],
    noRetryExitCodes: spec.noRetryExitCodes ?? [],
    files: spec.files ?? [],
    collect: spec.collect ?? [],
    retryOf: task.retryOf,
  };
}

/** Tasks in `after` that are looked at to find one that is not done. */
const DEPENDENCIES_LOOKED_AT_MAX = 1_000;

/** Which task or time a scheduled one waits for; null where its record says it all. */
export function whatItIsScheduledFor(task: TaskRecord, tasks: Pick<TaskTable, 'get'>): string | null {
  if (task.waitsFor > 0) {
    for (const id of (task.spec.after ?? []).slice(0, DEPENDENCIES_LOOKED_AT_MAX)) {
      const on = tasks.get(id);
      if (on !== undefined) return `the first of them is ${id} (${on.status})`;
    }
  }
  return task.runAt === null ? null : `not before ${isoTime(task.runAt)}`;
}

const EMPTY_MAP: Readonly<Record<string, string>> = {};

function joined(first: string | null, second: string | null): string | null {
  if (first === null || second === null) return first ?? second;
  return `${first}; ${second}`;
}

function attemptView(attempt: AttemptRecord): AttemptView {
  return {
    number: attempt.number,
    node: attempt.node,
    assignedAt: isoTime(attempt.assignedAt),
    startedAt: isoTimeOrNull(attempt.startedAt),
    finishedAt: isoTimeOrNull(attempt.finishedAt),
    outcome: attempt.outcome,
    exitCode: attempt.exitCode,
    signal: attempt.signal,
    reason: attempt.reason,
    placement: attempt.placement === null ? null : placementRecord(attempt.placement),
  };
}

/** A task is shown when it was taken in and when it has ended, mostly with the same placement. */
const unpacked = new WeakMap<Placement, PlacementRecord>();

export function placementRecord(placement: Placement): PlacementRecord {
  const known = unpacked.get(placement);
  if (known !== undefined) return known;
  const record: PlacementRecord = {
    reason: placement.reason,
    candidates: decodeRows(placement.rows).map((row) => ({
      node: row[0],
      cpu: row[1],
      memory: row[2],
      running: row[3],
      slots: row[4],
      score: row[5],
      why: row[6],
      cpuReserved: row[7],
      memoryReservedMb: row[8],
      speed: row[9],
    })),
  };
  unpacked.set(placement, record);
  return record;
}

/** The timeline, from the submission on. */
export function taskEvents(task: TaskRecord): readonly TaskEvent[] {
  const submitted: TaskEvent = {
    index: task.submitIndex,
    term: task.submitTerm,
    time: isoTime(task.submittedAt),
    node: null,
    what: 'submitted',
    why: task.retryOf === null ? null : `repeats task ${task.retryOf}`,
    attempt: null,
  };
  return [
    submitted,
    ...task.timeline.map(({ index, term, at, node, what, why, attempt }): TaskEvent => {
      return { index, term, time: isoTime(at), node, what, why, attempt };
    }),
  ];
}

/** Times come in clusters: what one entry did happened at one time. A power of two. */
const REMEMBERED_TIMES = 64;
const rememberedMs = new Float64Array(REMEMBERED_TIMES).fill(NaN);
const rememberedText: string[] = new Array<string>(REMEMBERED_TIMES).fill('');

/** ISO 8601 in UTC with milliseconds. */
export function isoTime(ms: number): string {
  const slot = ms & (REMEMBERED_TIMES - 1);
  if (rememberedMs[slot] === ms) return rememberedText[slot] ?? '';
  const text = new Date(ms).toISOString();
  rememberedMs[slot] = ms;
  rememberedText[slot] = text;
  return text;
}

export function isoTimeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}
