/**
 * Task records as JSON, short: fields that have their usual value are left out, attempts and timeline are rows.
 * Used by snapshots and by the archive; FORMAT_VERSION in snapshot-format.ts covers both.
 */
import type { FileContents } from '../../api/task-files.ts';
import type { AttemptOutcome, TaskRequest, TaskResult, TaskStatus } from '../../api/tasks.ts';
import type { AttemptRecord, TaskRecord, TimelineRecord, TimelineWhat } from './records.ts';

type AttemptRow = readonly [
  number: number,
  node: string,
  token: number,
  assignedAt: number,
  startedAt: number | null,
  finishedAt: number | null,
  outcome: AttemptOutcome | null,
  exitCode: number | null,
  signal: string | null,
  reason: string | null,
  placementReason: string | null,
  placementRows: string | null,
];

type TimelineRow = readonly [
  index: number,
  term: number,
  at: number,
  what: TimelineWhat,
  node: string | null,
  attempt: number | null,
  why: string | null,
];

interface EncodedTask {
  readonly id: string;
  readonly q: number;
  readonly p: TaskRequest;
  readonly s: TaskStatus;
  readonly ta: number;
  readonly ti: number;
  readonly tt: number;
  readonly i: number;
  readonly ro?: string;
  readonly cp?: number;
  readonly k?: string;
  readonly c?: string;
  readonly ra?: number;
  readonly w?: number;
  readonly pr?: string;
  readonly cr?: true;
  readonly sa?: number;
  readonly fa?: number;
  readonly u?: number;
  readonly l?: number;
  readonly n?: number;
  readonly a?: readonly AttemptRow[];
  readonly r?: TaskResult;
  readonly f?: FileContents;
  readonly t?: readonly TimelineRow[];
  readonly tc?: number;
}

/** One line of JSON (no line break in it). */
export function encodeTask(task: TaskRecord): string {
  const encoded: { -readonly [K in keyof EncodedTask]: EncodedTask[K] } = {
    id: task.id,
    q: task.seq,
    s: task.status,
    ta: task.submittedAt,
    ti: task.submitIndex,
    tt: task.submitTerm,
    i: task.index,
    p: task.spec,
  };
  if (task.retryOf !== null) encoded.ro = task.retryOf;
  if (task.clientPort !== null) encoded.cp = task.clientPort;
  if (task.key !== null) encoded.k = task.key;
  if (task.content !== null) encoded.c = task.content;
  if (task.runAt !== null) encoded.ra = task.runAt;
  if (task.waitsFor > 0) encoded.w = task.waitsFor;
  if (task.pendingReason !== null) encoded.pr = task.pendingReason;
  if (task.cancelRequested) encoded.cr = true;
  if (task.startedAt !== null) encoded.sa = task.startedAt;
  if (task.finishedAt !== null) encoded.fa = task.finishedAt;
  if (task.attemptsUsed > 0) encoded.u = task.attemptsUsed;
  if (task.losses > 0) encoded.l = task.losses;
  if (task.attemptNumber > 0) encoded.n = task.attemptNumber;
  if (task.attempts.length > 0) encoded.a = task.attempts.map(attemptRow);
  if (task.result !== null) encoded.r = task.result;
  if (task.contents !== null) encoded.f = task.contents;
  if (task.timeline.length > 0) encoded.t = task.timeline.map(timelineRow);
  if (task.timelineCut > 0) encoded.tc = task.timelineCut;
  return JSON.stringify(encoded);
}

export function decodeTask(text: string): TaskRecord {
  const task = JSON.parse(text) as EncodedTask;
  return {
    id: task.id,
    seq: task.q,
    spec: task.p,
    retryOf: task.ro ?? null,
    clientPort: task.cp ?? null,
    key: task.k ?? null,
    content: task.c ?? null,
    submittedAt: task.ta,
    submitIndex: task.ti,
    submitTerm: task.tt,
    status: task.s,
    runAt: task.ra ?? null,
    waitsFor: task.w ?? 0,
    pendingReason: task.pr ?? null,
    cancelRequested: task.cr ?? false,
    startedAt: task.sa ?? null,
    finishedAt: task.fa ?? null,
    attemptsUsed: task.u ?? 0,
    losses: task.l ?? 0,
    attemptNumber: task.n ?? 0,
    attempts: task.a === undefined ? NO_ATTEMPTS : task.a.map(attemptOf),
    result: task.r ?? null,
    contents: task.f ?? null,
    index: task.i,
    timeline: task.t === undefined ? NO_TIMELINE : task.t.map(timelineOf),
    timelineCut: task.tc ?? 0,
  };
}

const NO_ATTEMPTS: readonly AttemptRecord[] = [];
const NO_TIMELINE: readonly TimelineRecord[] = [];

function attemptRow(attempt: AttemptRecord): AttemptRow {
  return [
    attempt.number,
    attempt.node,
    attempt.token,
    attempt.assignedAt,
    attempt.startedAt,
    attempt.finishedAt,
    attempt.outcome,
    attempt.exitCode,
    attempt.signal,
    attempt.reason,
    attempt.placement === null ? null : attempt.placement.reason,
    attempt.placement === null ? null : attempt.placement.rows,
  ];
}

function attemptOf(row: AttemptRow): AttemptRecord {
  const [
    number,
    node,
    token,
    assignedAt,
    startedAt,
    finishedAt,
    outcome,
    exitCode,
    signal,
    reason,
    why,
    rows,
  ] = row;
  return {
    number,
    node,
    token,
    assignedAt,
    startedAt,
    finishedAt,
    outcome,
    exitCode,
    signal,
    reason,
    placement: rows === null ? null : { reason: why ?? '', rows },
  };
}

function timelineRow(event: TimelineRecord): TimelineRow {
  return [event.index, event.term, event.at, event.what, event.node, event.attempt, event.why];
}

function timelineOf(row: TimelineRow): TimelineRecord {
  const [index, term, at, what, node, attempt, why] = row;
  return { index, term, at, what, node, attempt, why };
}
