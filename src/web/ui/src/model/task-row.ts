import type { TaskResult, TaskStatus, TaskSummary, TaskView } from '../../../../api/tasks.ts';
import { joinCommand } from './command-line.ts';
import { expectedMs } from './payload.ts';

/** What a row keeps of a payload or a stream; the task's own page fetches the rest. Bounds the page's memory. */
export const ROW_TEXT_CHARS_MAX = 4_096;

export interface ClippedText {
  readonly text: string;
  readonly clipped: boolean;
}

/** A task as the list keeps it: small, whatever the task carries. */
export interface TaskRow {
  readonly id: string;
  readonly name: string | null;
  readonly status: TaskStatus;
  readonly pendingReason: string | null;
  readonly submittedAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** Node of the latest attempt. */
  readonly node: string | null;
  readonly attempts: number;
  /** Why the latest attempt ended as it did, where its exit code does not tell. */
  readonly reason: string | null;
  /** null: the list came without scripts, and the task itself has not been fetched yet. */
  readonly payload: ClippedText | null;
  /** Known only for payloads of the generator. */
  readonly expectedMs: number | null;
  readonly result: RowResult | null;
  /** Log index of the last change: a row never goes back to an older one. */
  readonly index: number;
}

export interface RowResult {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** null: as with {@link TaskRow.payload}. */
  readonly streams: { readonly stdout: ClippedText; readonly stderr: ClippedText } | null;
}

function keepHead(text: string): ClippedText {
  return { text: text.slice(0, ROW_TEXT_CHARS_MAX), clipped: text.length > ROW_TEXT_CHARS_MAX };
}

/** The end of an error stream is what tells: a Python traceback names its error last. */
function keepTail(text: string): ClippedText {
  return { text: text.slice(-ROW_TEXT_CHARS_MAX), clipped: text.length > ROW_TEXT_CHARS_MAX };
}

/** What was submitted, as one text. */
export function payloadText(task: Pick<TaskView, 'script' | 'command'>): string {
  return task.script ?? joinCommand(task.command ?? []);
}

/** The list gives tasks without their bulky parts, GET of a single one with them. */
function isWhole(task: TaskSummary | TaskView): task is TaskView {
  return 'script' in task;
}

export function toRow(task: TaskSummary | TaskView): TaskRow {
  return {
    id: task.id,
    name: task.name,
    status: task.status,
    pendingReason: task.pendingReason,
    submittedAt: task.submittedAt,
    startedAt: task.startedAt,
    finishedAt: task.finishedAt,
    node: task.attempts.at(-1)?.node ?? null,
    attempts: task.attempts.length,
    reason: task.attempts.at(-1)?.reason ?? null,
    payload: payloadOf(task),
    expectedMs: isWhole(task) && task.script !== null ? expectedMs(task.script) : null,
    result: resultOf(task),
    index: task.index,
  };
}

function payloadOf(task: TaskSummary | TaskView): ClippedText | null {
  if (isWhole(task)) return keepHead(payloadText(task));
  return task.command === null ? null : keepHead(joinCommand(task.command));
}

function resultOf(task: TaskSummary | TaskView): RowResult | null {
  const { result } = task;
  if (result === null) return null;
  const { exitCode, signal } = result;
  if (!('stdout' in result)) return { exitCode, signal, streams: null };
  const { stdout, stderr } = result;
  return { exitCode, signal, streams: { stdout: keepHead(stdout), stderr: keepTail(stderr) } };
}

/** The newer of two states of a task, with the bulky parts of either: once known they do not change. */
export function merged(known: TaskRow, row: TaskRow): TaskRow {
  const [newer, older] = row.index >= known.index ? [row, known] : [known, row];
  const payload = newer.payload ?? older.payload;
  const streams = newer.result?.streams ?? older.result?.streams ?? null;
  const result = newer.result === null ? null : { ...newer.result, streams };
  const same =
    known.index >= row.index && payload === known.payload && streams === (known.result?.streams ?? null);
  if (same) return known;
  return { ...newer, payload, expectedMs: newer.expectedMs ?? older.expectedMs, result };
}

/** Something a person would look for is missing: the task itself should be fetched. */
export function lacksBulk(row: TaskRow): boolean {
  return row.payload === null || (row.result !== null && row.result.streams === null);
}

/** One line that tells the result: the first of stdout, or, where it went wrong, the last of stderr; else why it ended. */
export function resultPreview(
  { exitCode, stdout, stderr }: Pick<TaskResult, 'exitCode' | 'stdout' | 'stderr'>,
  reason: string | null,
): string {
  const hasText = (line: string): boolean => line.trim() !== '';
  const out = stdout.split('\n').find(hasText) ?? '';
  const err = stderr.split('\n').findLast(hasText) ?? '';
  return (exitCode === 0 ? out || err : err || out || (reason ?? '')).trimEnd();
}
