/**
 * `clb submit --batch FILE`: a task a line. Three kinds of file, told apart without a flag:
 *
 *     {"script":"print(1)","priority":80}     a line that begins with { is a task as in the HTTP API
 *     convert in.png -resize 50% out.png      any other is a command line for sh
 *     in.png                                  with a command after --, a line is its argument: in place of {}, else last
 *
 * Empty lines are passed over; so are those that begin with # where lines are command lines.
 */
import type { TaskRequest } from '../api/tasks.ts';
import { usageError } from './exit-code.ts';

export const BATCH_LINES_MAX = 1_000_000;
const PLACE = '{}';
const SHOWN_CHARS_MAX = 60;

export interface BatchLine {
  /** In the file, from 1. */
  readonly number: number;
  readonly request: TaskRequest;
}

export interface BatchOf {
  /** Named in messages. */
  readonly source: string;
  /** What the flags say: for every line that does not say otherwise. */
  readonly defaults: TaskRequest;
  /** The command after `--`, if any. */
  readonly words: readonly string[];
}

/** @throws CliError (usage) naming the first line that makes no sense; nothing has been sent by then. */
export function batchLines(text: string, batch: BatchOf): readonly BatchLine[] {
  const lines: BatchLine[] = [];
  let number = 0;
  for (const raw of text.split('\n')) {
    number += 1;
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line.trim() === '') continue;
    const request = batch.words.length > 0 ? argumentTask(line, batch) : lineTask(line, number, batch);
    if (request !== null) lines.push({ number, request });
    if (lines.length > BATCH_LINES_MAX)
      throw usageError(`${batch.source} has more than the ${BATCH_LINES_MAX} lines that a batch may have`);
  }
  if (lines.length === 0) throw usageError(`${batch.source} has no lines: no tasks to submit`);
  return lines;
}

function argumentTask(line: string, { words, defaults }: BatchOf): TaskRequest {
  const hasPlace = words.some((word) => word.includes(PLACE));
  const command = hasPlace ? words.map((word) => word.replaceAll(PLACE, line)) : [...words, line];
  return { ...defaults, command };
}

function lineTask(line: string, number: number, batch: BatchOf): TaskRequest | null {
  const trimmed = line.trimStart();
  if (trimmed.startsWith('#')) return null;
  if (!trimmed.startsWith('{')) return { ...batch.defaults, command: ['sh', '-c', line] };
  const task = parsed(line, number, batch.source);
  const { env, labels, constraints } = batch.defaults;
  return {
    ...batch.defaults,
    ...task,
    ...(env === undefined ? {} : { env: { ...env, ...task.env } }),
    ...(labels === undefined ? {} : { labels: { ...labels, ...task.labels } }),
    ...(constraints === undefined ? {} : { constraints: { ...constraints, ...task.constraints } }),
  };
}

/** What its fields are worth is for the server to say. */
function parsed(line: string, number: number, source: string): TaskRequest {
  try {
    return JSON.parse(line) as TaskRequest;
  } catch (error) {
    const shown = line.length > SHOWN_CHARS_MAX ? `${line.slice(0, SHOWN_CHARS_MAX)}…` : line;
    const why = error instanceof Error ? error.message : String(error);
    throw usageError(
      `${source}:${number}: begins with { but is no JSON (${why}): ${shown}\nNothing has been submitted.`,
    );
  }
}
