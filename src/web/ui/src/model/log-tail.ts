import type { LogFilter } from './router.ts';
import { NO_LOG_FILTER } from './router.ts';

/** Lines kept on the page; the database keeps the others. */
export const LINES_MAX = 1_000;
export const FIRST_LINES = 200;
export const PAGE_LINES = 1_000;

/** A line as the database gives it. */
export interface LogLine {
  readonly seq: number;
  readonly node: string;
  readonly container: number;
  readonly at: string;
  readonly text: string;
}

/** An answer of GET /v1/log-lines. */
export interface LogPage {
  readonly lines: readonly LogLine[];
  /** Number of the last line looked at. */
  readonly next: number;
  /** There are lines behind `next`. */
  readonly more: boolean;
}

/** The newest lines that pass the filter, oldest first. */
export interface LogTail {
  readonly filter: LogFilter;
  readonly lines: readonly LogLine[];
  /** Where the next question begins; null before the first answer. */
  readonly after: number | null;
  /** Lines left out because more came than the page could take in. */
  readonly skipped: boolean;
  /** Why the last question was not answered; null where it was. */
  readonly problem: string | null;
}

export function emptyTail(filter: LogFilter = NO_LOG_FILTER): LogTail {
  return { filter, lines: [], after: null, skipped: false, problem: null };
}

/** Takes in an answer. Numbers that went back mean another database: what was shown is not its own. */
export function withLines(tail: LogTail, page: LogPage): LogTail {
  const anew = tail.after === null || page.next < tail.after;
  const lines = anew ? page.lines : [...tail.lines, ...page.lines];
  return { ...tail, lines: lines.slice(-LINES_MAX), after: page.next, problem: null };
}

/** More lines come than can be asked for: go on from the newest, and say so. */
export function skippedAhead(tail: LogTail): LogTail {
  return { ...tail, lines: [], after: null, skipped: true };
}

/** As the original shows them: `<Log 3, Container 1: Is master container>`. */
export function lineText(line: LogLine): string {
  return `<Log ${line.seq}, Container ${line.container}: ${line.text}>`;
}

/** A text in pieces: those that begin with an id of a task lead to its page. Ids stand at the end or before a blank. */
export function linked(text: string): {
  readonly before: string;
  readonly id: string | null;
  readonly after: string;
} {
  const found = /^((?:Created|Received|Sent) (?:payload|result): )(\S+)(.*)$/s.exec(text);
  const [, before = text, id = null, after = ''] = found ?? [];
  return { before, id, after };
}
