import type { TaskStatus, TaskView } from '../../../../api/tasks.ts';
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
  readonly payload: ClippedText;
  /** Known only for payloads of the generator. */
  readonly expectedMs: number | null;
  readonly result: RowResult | null;
  /** Log index of the last change: a row never goes back to an older one. */
  readonly index: number;
}

export interface RowResult {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: ClippedText;
  readonly stderr: ClippedText;
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

export function toRow(task: TaskView): TaskRow {
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
    payload: keepHead(payloadText(task)),
    expectedMs: task.script === null ? null : expectedMs(task.script),
    result:
      task.result === null
        ? null
        : {
            exitCode: task.result.exitCode,
            signal: task.result.signal,
            stdout: keepHead(task.result.stdout),
            stderr: keepTail(task.result.stderr),
          },
    index: task.index,
  };
}

/** One line that tells the result: the first of stdout, or, where it went wrong, the last of stderr. */
export function resultPreview(result: RowResult): string {
  const hasText = (line: string): boolean => line.trim() !== '';
  const stdout = result.stdout.text.split('\n').find(hasText) ?? '';
  const stderr = result.stderr.text.split('\n').findLast(hasText) ?? '';
  const failed = result.exitCode !== 0;
  return (failed ? stderr || stdout : stdout || stderr).trimEnd();
}
