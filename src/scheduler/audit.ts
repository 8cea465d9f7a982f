/** What a server shows of itself to be checked: its log from the disk, its tasks, as of one moment (GET /v1/audit). */
import { createHash } from 'node:crypto';
import type {
  AuditAttempt,
  AuditEntry,
  AuditFact,
  AuditHead,
  AuditLine,
  AuditStretch,
  AuditSubmit,
  AuditTask,
} from '../api/audit.ts';
import type { FileContents } from '../api/task-files.ts';
import type { TaskResult } from '../api/tasks.ts';
import type { Entry } from '../raft/core/types.ts';
import { StorageCorruptError } from '../raft/storage/storage-errors.ts';
import type { StoredStretch } from '../raft/storage/log-packs.ts';
import { decodeEntry } from './state/ops.ts';
import type { NewTask, Op } from './state/ops.ts';
import { encodeTask } from './state/record-codec.ts';
import type { AttemptRecord, TaskRecord } from './state/records.ts';
import type { TaskState } from './state/task-state.ts';

/** Tasks between two chances for everything else to run. */
const TASKS_PER_TURN = 64;

export interface AuditInputs {
  /** Who this is, and how far its consensus is. */
  readonly server: Pick<AuditHead, 'node' | 'role' | 'term' | 'leader' | 'commitIndex'>;
  readonly state: TaskState;
  readonly log: () => AsyncIterable<StoredStretch>;
  /** Gives the event loop a turn. */
  readonly pause: () => Promise<void>;
}

/**
 * The live tasks are frozen by the first call of `next`; finished ones don't change but for late results of replaced attempts,
 * which carry their own index.
 * @throws Error where the state is replaced meanwhile by a snapshot of the master's
 */
export async function* auditLines(inputs: AuditInputs): AsyncGenerator<AuditLine, void, undefined> {
  const { state, server } = inputs;
  const { archive } = state.tasks;
  const { finishCount, retiredThrough } = archive.counters();
  const live = state.tasks.live();
  const { appliedIndex } = state;
  yield {
    kind: 'head',
    ...server,
    // What is applied is committed, whatever was known of it a moment ago.
    commitIndex: Math.max(server.commitIndex, appliedIndex),
    appliedIndex,
    counts: { ...state.tasks.counts() },
    submittedCount: state.tasks.lastSeq,
    finishedCount: finishCount,
    retiredCount: retiredThrough,
  };
  let entries = 0;
  for await (const line of logLines(inputs.log())) {
    if (line.kind === 'log') entries += line.entries.length;
    yield line;
  }
  let tasks = 0;
  for (let number = retiredThrough + 1; number <= finishCount; number += 1) {
    // Retention goes on meanwhile; the end says how far.
    if (number <= archive.counters().retiredThrough) continue;
    yield auditTask(archive.read(number), number);
    tasks += 1;
    if (tasks % TASKS_PER_TURN === 0) await inputs.pause();
  }
  for (const task of live) {
    yield auditTask(task, null);
    tasks += 1;
    if (tasks % TASKS_PER_TURN === 0) await inputs.pause();
  }
  yield { kind: 'end', entries, tasks, retiredCount: archive.counters().retiredThrough };
}

async function* logLines(stored: AsyncIterable<StoredStretch>): AsyncGenerator<AuditLine, void, undefined> {
  try {
    for await (const stretch of stored) yield auditStretch(stretch);
  } catch (error) {
    if (!(error instanceof StorageCorruptError)) throw error;
    yield { kind: 'damage', message: error.message };
  }
}

function auditStretch({ chainBefore, chainAfter, entries }: StoredStretch): AuditStretch {
  return { kind: 'log', chainBefore, chainAfter, entries: entries.map(auditEntry) };
}

function auditEntry(entry: Entry): AuditEntry {
  const { index, term, kind } = entry;
  const hash = createHash('sha256').update(kind);
  if (kind === 'config') hash.update(JSON.stringify(entry.config));
  if (kind === 'command') hash.update(entry.payload);
  const facts = kind === 'command' ? (decodeEntry(entry.payload)?.ops ?? []).map(factOf) : [];
  return { index, term, kind, digest: hash.digest('hex'), facts };
}

function factOf(op: Op): AuditFact {
  switch (op.op) {
    case 'submit':
      return { op: op.op, submits: op.tasks.map(submitOf), atomic: op.atomic };
    case 'stage': {
      const { batch, part, last } = op;
      return { op: op.op, submits: op.tasks.map(submitOf), atomic: true, batch, part, last };
    }
    case 'unstage':
      return { op: op.op, batch: op.batch };
    case 'scheduleTick':
      // Which of two masters' ticks counts is the state machine's to say: refused ones leave no task.
      return { op: op.op };
    case 'assign':
      return { op: op.op, task: op.task, node: op.node };
    case 'finish': {
      const { task, token, outcome, result, contents = null } = op;
      return { op: op.op, task, token, outcome, result: resultDigest(result, contents) };
    }
    case 'start':
    case 'supersede':
    case 'release':
    case 'lost':
      return { op: op.op, task: op.task, token: op.token };
    case 'cancel':
      return { op: op.op, task: op.task };
    case 'nodeUp':
      return { op: op.op, node: op.node.id };
    case 'nodeDown':
    case 'drain':
      return { op: op.op, node: op.node };
    default:
      return { op: op.op };
  }
}

function submitOf({ id, key, spec }: NewTask): AuditSubmit {
  return {
    id,
    ...(key === undefined ? {} : { key }),
    ...(spec.after === undefined || spec.after.length === 0 ? {} : { after: spec.after }),
  };
}

export function auditTask(task: TaskRecord, finishNumber: number | null): AuditTask {
  return {
    kind: 'task',
    id: task.id,
    status: task.status,
    index: task.index,
    submitIndex: task.submitIndex,
    finishNumber,
    finishedAt: task.finishedAt,
    cancelRequested: task.cancelRequested,
    attemptCount: task.attemptNumber,
    key: task.key,
    after: task.spec.after ?? [],
    result: task.result === null ? null : resultDigest(task.result, task.contents),
    attempts: task.attempts.map(auditAttempt),
    timeline: task.timeline.map(({ index, what, node, attempt }) => [index, what, node, attempt]),
    timelineCut: task.timelineCut,
    digest: createHash('sha256').update(encodeTask(task)).digest('hex'),
  };
}

function auditAttempt({ number, node, token, startedAt, finishedAt, outcome }: AttemptRecord): AuditAttempt {
  return { number, node, token, startedAt, finishedAt, outcome };
}

function resultDigest(result: TaskResult, contents: FileContents | null): string {
  const { exitCode, signal, stdout, stderr, stdoutBytes, stderrBytes, truncated } = result;
  const text = JSON.stringify([
    exitCode,
    signal,
    stdout,
    stderr,
    stdoutBytes,
    stderrBytes,
    truncated,
    contents,
  ]);
  return createHash('sha256').update(text).digest('hex');
}
