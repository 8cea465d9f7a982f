/** Values as a person reads them in a table. */
import type { TaskView } from '../api/tasks.ts';

/** Stands for "none" in a table. */
export const NONE = '-';

/** Ids are shown by so many characters, by more where that would be ambiguous in what is shown. */
const SHORT_ID_CHARS = 8;

/** How to shorten these ids so that each stays distinct. */
export function shortener(ids: readonly string[]): (id: string) => string {
  const distinct = new Set(ids).size;
  let chars = SHORT_ID_CHARS;
  while (new Set(ids.map((id) => id.slice(0, chars))).size < distinct) chars += 1;
  return (id) => id.slice(0, chars);
}

/** `450ms`, `4.2s`, `3m12s`, `2h05m`, `3d04h`. */
export function duration(ms: number): string {
  if (ms < 0) return duration(0);
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h${two(minutes % 60)}m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Time since, coarser than {@link duration}: `now`, `12s`, `3m`, `2h`, `3d`. */
export function age(iso: string | null, nowMs: number): string {
  if (iso === null) return NONE;
  const seconds = Math.floor((nowMs - Date.parse(iso)) / 1_000);
  if (seconds < 1) return 'now';
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

export function percent(value: number | null): string {
  return value === null ? NONE : `${value.toFixed(0)}%`;
}

/** How long it has run, or ran. */
export function taskDuration(task: TaskView, nowMs: number): string {
  if (task.startedAt === null) return NONE;
  const end = task.finishedAt === null ? nowMs : Date.parse(task.finishedAt);
  return duration(end - Date.parse(task.startedAt));
}

/** Its exit code, or the signal that ended it. */
export function taskExit(task: TaskView): string {
  return task.result?.signal ?? task.result?.exitCode?.toString() ?? NONE;
}

const NAME_CHARS_MAX = 32;

/** Its name, else what it runs (lists come without the script itself). */
export function taskName(task: TaskView): string {
  const line = printable(
    task.name ?? task.command?.join(' ') ?? `script by ${task.interpreter ?? 'python3'}`,
  );
  return line.length > NAME_CHARS_MAX ? `${line.slice(0, NAME_CHARS_MAX - 1)}…` : line;
}

/** Control characters would move the cursor of the terminal (or worse): they are shown as blanks. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}

/** The node of its last attempt. */
export function taskNode(task: TaskView): string {
  return task.attempts.at(-1)?.node ?? NONE;
}

export function pairs(map: Readonly<Record<string, string>>): string {
  const list = Object.entries(map).map(([key, value]) => `${key}=${value}`);
  return list.length === 0 ? NONE : printable(list.join(','));
}
