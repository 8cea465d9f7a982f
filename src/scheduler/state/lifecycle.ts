/**
 * The life of a task: scheduled → queued → assigned → running → one of the final four. Pure functions from one
 * record to the next; whether a step is allowed is decided here, the tables that follow from it are kept by task-table.ts.
 */
import type { FileContents } from '../../api/task-files.ts';
import type { AttemptOutcome, FinalStatus, TaskRequest, TaskResult } from '../../api/tasks.ts';
import { STATE_LIMITS } from './limits.ts';
import { LOSSES_COUNT_SINCE } from './op-versions.ts';
import type { NewTask } from './ops.ts';
import type {
  AttemptRecord,
  EntryContext,
  Placement,
  TaskRecord,
  TimelineRecord,
  TimelineWhat,
} from './records.ts';
import { backoffMsOf, maxAttemptsOf } from './task-spec.ts';

const NO_ATTEMPTS: readonly AttemptRecord[] = [];
const NO_TIMELINE: readonly TimelineRecord[] = [];

/** The attempt a node holds now: there is one exactly while the task is assigned or running. */
export function currentAttempt(task: TaskRecord): AttemptRecord | null {
  if (task.status !== 'assigned' && task.status !== 'running') return null;
  return task.attempts[task.attempts.length - 1] ?? null;
}

export function submitted(
  ctx: EntryContext,
  task: NewTask,
  seq: number,
  waitsFor: number,
  pendingReason: string | null,
): TaskRecord {
  const delayMs = task.spec.delayMs ?? 0;
  const waits = waitsFor > 0 || delayMs > 0;
  return {
    id: task.id,
    seq,
    spec: task.spec,
    retryOf: task.retryOf ?? null,
    clientPort: task.clientPort ?? null,
    key: task.key ?? null,
    content: task.content ?? null,
    submittedAt: ctx.at,
    submitIndex: ctx.index,
    submitTerm: ctx.term,
    status: waits ? 'scheduled' : 'queued',
    runAt: delayMs > 0 ? ctx.at + delayMs : null,
    waitsFor,
    pendingReason: waits ? pendingReason : null,
    cancelRequested: false,
    startedAt: null,
    finishedAt: null,
    attemptsUsed: 0,
    losses: 0,
    attemptNumber: 0,
    attempts: NO_ATTEMPTS,
    result: null,
    contents: null,
    index: ctx.index,
    timeline: NO_TIMELINE,
    timelineCut: 0,
  };
}

/** One of the tasks it waits for has succeeded. */
export function dependencyMet(ctx: EntryContext, task: TaskRecord): TaskRecord {
  const waitsFor = task.waitsFor - 1;
  if (waitsFor > 0) {
    return { ...task, waitsFor, pendingReason: waitingFor(waitsFor), index: ctx.index };
  }
  if (task.runAt !== null && task.runAt > ctx.at) {
    return { ...task, waitsFor, pendingReason: 'waiting for its time', index: ctx.index };
  }
  return queued(ctx, { ...task, waitsFor: 0 }, 'all tasks it waited for have succeeded');
}

/** What `pendingReason` says while `count` of the tasks in `after` have not succeeded. */
export function waitingFor(count: number): string {
  return count === 1 ? 'waiting for 1 task to succeed' : `waiting for ${count} tasks to succeed`;
}

/** From scheduled to queued. */
export function queued(ctx: EntryContext, task: TaskRecord, why: string | null): TaskRecord {
  return withEvent(
    ctx,
    { ...task, status: 'queued', runAt: null, pendingReason: null, index: ctx.index },
    { what: 'queued', why },
  );
}

export function assigned(
  ctx: EntryContext,
  task: TaskRecord,
  node: string,
  placement: Placement,
): TaskRecord {
  const number = task.attemptNumber + 1;
  const attempt: AttemptRecord = {
    number,
    node,
    token: ctx.index,
    assignedAt: ctx.at,
    startedAt: null,
    finishedAt: null,
    outcome: null,
    exitCode: null,
    signal: null,
    reason: null,
    placement,
  };
  return withEvent(
    ctx,
    {
      ...task,
      status: 'assigned',
      pendingReason: null,
      startedAt: null,
      attemptNumber: number,
      attempts: bounded([...task.attempts, attempt], STATE_LIMITS.attemptsHead, STATE_LIMITS.attemptsTail),
      index: ctx.index,
    },
    { what: 'assigned', node, attempt: number, why: placement.reason },
  );
}

export function started(ctx: EntryContext, task: TaskRecord, attempt: AttemptRecord): TaskRecord {
  return withEvent(
    ctx,
    {
      ...task,
      status: 'running',
      startedAt: ctx.at,
      attempts: replaced(task.attempts, { ...attempt, startedAt: ctx.at }),
      index: ctx.index,
    },
    { what: 'started', node: attempt.node, attempt: attempt.number },
  );
}

/** What a node reports of an attempt that ended. */
export interface Ending {
  readonly outcome: FinalStatus;
  readonly reason: string | null;
  readonly runMs: number;
  readonly result: TaskResult;
  readonly contents?: FileContents;
}

/** The current attempt ended: final, or another attempt follows. */
export function finished(
  ctx: EntryContext,
  task: TaskRecord,
  attempt: AttemptRecord,
  ending: Ending,
): TaskRecord {
  const { outcome, result, contents = null } = ending;
  // Nobody asked to cancel the task, so its node was told to end it for a reason of the cluster (a drain's deadline).
  if (outcome === 'canceled' && !task.cancelRequested) {
    return givenBack(ctx, task, attempt, clip(ending.reason) ?? 'ended by the cluster before it was done');
  }
  const used = task.attemptsUsed + (outcome === 'failed' || outcome === 'timed_out' ? 1 : 0);
  const reason = clip(ending.reason);
  const startedAt = attempt.startedAt ?? Math.max(attempt.assignedAt, ctx.at - Math.max(0, ending.runMs));
  const ended = endedAttempt(ctx, attempt, outcome, reason, startedAt, result);
  const next = withEvent(
    ctx,
    {
      ...task,
      startedAt,
      attemptsUsed: used,
      attempts: replaced(task.attempts, ended),
      index: ctx.index,
    },
    {
      what: outcome === 'canceled' ? 'canceled' : 'finished',
      node: attempt.node,
      attempt: attempt.number,
      why: reason ?? describeEnding(outcome, result),
    },
  );
  if (!mayRetry(task.spec, outcome, used, result.exitCode))
    return final(ctx, { ...next, contents }, outcome, result);
  if (task.cancelRequested) {
    return canceled(ctx, { ...next, result, contents }, 'canceled before its next attempt');
  }
  return retrying(ctx, next, describeEnding(outcome, result));
}

function mayRetry(spec: TaskRequest, outcome: FinalStatus, used: number, exitCode: number | null): boolean {
  if (outcome !== 'failed' && outcome !== 'timed_out') return false;
  if (used >= maxAttemptsOf(spec)) return false;
  return exitCode === null || !(spec.noRetryExitCodes ?? []).includes(exitCode);
}

function retrying(ctx: EntryContext, task: TaskRecord, because: string): TaskRecord {
  const plainMs = backoffDelayMs(task.spec, task.attemptsUsed);
  const isSpread = ctx.version >= LOSSES_COUNT_SINCE;
  const delayMs = isSpread ? jitteredMs(plainMs, `${task.id} ${task.attemptsUsed}`) : plainMs;
  const next = `attempt ${task.attemptsUsed + 1} of ${maxAttemptsOf(task.spec)}`;
  const waits = delayMs > 0;
  return withEvent(
    ctx,
    {
      ...task,
      status: waits ? 'scheduled' : 'queued',
      runAt: waits ? ctx.at + delayMs : null,
      pendingReason: waits
        ? `${because}; ${next} starts after ${describeMs(delayMs)}`
        : `${because}; ${next} follows`,
      startedAt: null,
    },
    {
      what: 'retrying',
      attempt: task.attemptNumber,
      why: waits ? `${next} after ${describeMs(delayMs)}` : next,
    },
  );
}

/** Doubles with each failed attempt, up to the limit. `used` counts from 1. */
export function backoffDelayMs(spec: TaskRequest, used: number): number {
  const base = backoffMsOf(spec);
  const doubled = base * 2 ** Math.max(0, used - 1);
  return Math.max(base, Math.min(doubled, STATE_LIMITS.backoffMsMax));
}

/** With up to a share more, which follows from `seed`: every server comes to the same. */
export function jitteredMs(ms: number, seed: string): number {
  return ms + Math.floor(ms * STATE_LIMITS.backoffJitterShare * (fnv1a(seed) / 2 ** 32));
}

/** FNV-1a, 32 bits: spreads well, and needs nothing. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

/** Back to the queue (or canceled, if that was asked for): the attempt is lost and does not count. */
export function givenBack(
  ctx: EntryContext,
  task: TaskRecord,
  attempt: AttemptRecord,
  why: string,
): TaskRecord {
  const reason = clip(why);
  const ended = endedAttempt(ctx, attempt, 'lost', reason, attempt.startedAt, null);
  const next = withEvent(
    ctx,
    {
      ...task,
      status: 'queued',
      startedAt: null,
      pendingReason: reason,
      attempts: replaced(task.attempts, ended),
      index: ctx.index,
    },
    { what: 'lost', node: attempt.node, attempt: attempt.number, why: reason },
  );
  return task.cancelRequested ? canceled(ctx, next, 'canceled as asked; its node did not confirm') : next;
}

/** The same through a death or a cut: it counts, because the task itself may be what its nodes die of. */
export function lost(ctx: EntryContext, task: TaskRecord, attempt: AttemptRecord, why: string): TaskRecord {
  if (ctx.version < LOSSES_COUNT_SINCE) return givenBack(ctx, task, attempt, why);
  const losses = task.losses + 1;
  if (losses < STATE_LIMITS.lossesMax || task.cancelRequested) {
    return givenBack(ctx, { ...task, losses }, attempt, why);
  }
  const reason = clip(`given up after ${losses} lost attempts, which is the limit; the last one: ${why}`);
  const ended = endedAttempt(ctx, attempt, 'lost', reason, attempt.startedAt, null);
  const next = withEvent(
    ctx,
    { ...task, losses, attempts: replaced(task.attempts, ended), index: ctx.index },
    { what: 'finished', node: attempt.node, attempt: attempt.number, why: reason },
  );
  return final(ctx, next, 'failed', null);
}

/** Asked of a task that a node holds: the node ends it and confirms. */
export function cancelRequested(ctx: EntryContext, task: TaskRecord, node: string): TaskRecord {
  return withEvent(
    ctx,
    { ...task, cancelRequested: true, index: ctx.index },
    { what: 'cancel_requested', node, attempt: task.attemptNumber },
  );
}

export function canceled(ctx: EntryContext, task: TaskRecord, why: string): TaskRecord {
  return final(ctx, withEvent(ctx, task, { what: 'canceled', why: clip(why) }), 'canceled', task.result);
}

/** A replaced attempt came back late: noted at the attempt, nothing else changes. */
export function superseded(ctx: EntryContext, task: TaskRecord, attempt: AttemptRecord): TaskRecord {
  return withEvent(
    ctx,
    { ...task, attempts: replaced(task.attempts, { ...attempt, outcome: 'superseded' }), index: ctx.index },
    {
      what: 'superseded',
      node: attempt.node,
      attempt: attempt.number,
      why: `attempt ${attempt.number} came back after it had been replaced; it is not used`,
    },
  );
}

function final(
  ctx: EntryContext,
  task: TaskRecord,
  status: FinalStatus,
  result: TaskResult | null,
): TaskRecord {
  return {
    ...task,
    status,
    result,
    runAt: null,
    waitsFor: 0,
    pendingReason: null,
    finishedAt: ctx.at,
    index: ctx.index,
  };
}

function endedAttempt(
  ctx: EntryContext,
  attempt: AttemptRecord,
  outcome: AttemptOutcome,
  reason: string | null,
  startedAt: number | null,
  result: TaskResult | null,
): AttemptRecord {
  return {
    ...attempt,
    startedAt,
    finishedAt: ctx.at,
    outcome,
    exitCode: result === null ? null : result.exitCode,
    signal: result === null ? null : result.signal,
    reason,
  };
}

function replaced(attempts: readonly AttemptRecord[], attempt: AttemptRecord): readonly AttemptRecord[] {
  return attempts.map((present) => (present.token === attempt.token ? attempt : present));
}

interface NewEvent {
  readonly what: TimelineWhat;
  readonly node?: string;
  readonly attempt?: number;
  readonly why?: string | null;
}

function withEvent(ctx: EntryContext, task: TaskRecord, event: NewEvent): TaskRecord {
  const { timelineHead, timelineTail } = STATE_LIMITS;
  const timeline: readonly TimelineRecord[] = [
    ...task.timeline,
    {
      index: ctx.index,
      term: ctx.term,
      at: ctx.at,
      what: event.what,
      node: event.node ?? null,
      attempt: event.attempt ?? null,
      why: event.why ?? null,
    },
  ];
  if (timeline.length <= timelineHead + timelineTail) return { ...task, timeline };
  const kept = bounded(timeline, timelineHead, timelineTail);
  return { ...task, timeline: kept, timelineCut: task.timelineCut + timeline.length - kept.length };
}

/** Keeps the first and the last ones. */
function bounded<T>(list: readonly T[], head: number, tail: number): readonly T[] {
  return list.length <= head + tail ? list : [...list.slice(0, head), ...list.slice(-tail)];
}

export function clip(text: string): string;
export function clip(text: string | null): string | null;
export function clip(text: string | null): string | null {
  if (text === null || text.length <= STATE_LIMITS.reasonCharsMax) return text;
  return `${text.slice(0, STATE_LIMITS.reasonCharsMax - 1)}…`;
}

/** "exit code 1", "signal SIGKILL", "timed out", … */
function describeEnding(outcome: FinalStatus, result: TaskResult | null): string {
  if (outcome === 'timed_out') return 'timed out';
  if (outcome === 'canceled') return 'canceled';
  if (result !== null && result.signal !== null) return `ended by signal ${result.signal}`;
  if (result !== null && result.exitCode !== null) return `exit code ${result.exitCode}`;
  return outcome;
}

function describeMs(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`;
}
