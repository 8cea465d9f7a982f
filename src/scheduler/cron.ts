/** When a schedule's time comes. croner reads the expression and knows the time zones. */
import { Cron } from 'croner';
import { ApiError } from '../api/errors.ts';

/** Times passed by that are counted one by one (each takes a quarter of a millisecond); of more it is only known that they were at least so many. */
export const MISSED_COUNTED_MAX = 20;

/**
 * The first time strictly after `afterMs` (milliseconds since 1970); null: there is none.
 * @throws ApiError INVALID, naming `cron` or `tz`
 */
export function nextTime(cron: string, tz: string, afterMs: number): number | null {
  return parsed(cron, tz).nextRun(new Date(afterMs))?.getTime() ?? null;
}

/** What is made of a time that has come: the first time after now, and how many passed between the two unused. */
export function afterTime(
  cron: string,
  tz: string,
  time: number,
  nowMs: number,
): { readonly nextAt: number | null; readonly missed: number } {
  const times = parsed(cron, tz);
  let missed = 0;
  let last = time;
  for (; missed < MISSED_COUNTED_MAX; missed += 1) {
    const next = times.nextRun(new Date(last))?.getTime() ?? null;
    if (next === null || next > nowMs) return { nextAt: next, missed };
    last = next;
  }
  return { nextAt: times.nextRun(new Date(nowMs))?.getTime() ?? null, missed };
}

function parsed(cron: string, tz: string): Cron {
  try {
    new Intl.DateTimeFormat('en', { timeZone: tz });
  } catch {
    throw invalid('tz', `${JSON.stringify(tz)} is no time zone (such as Europe/Berlin)`);
  }
  try {
    // Paused: it only computes, and sets no timers.
    return new Cron(cron, { timezone: tz, paused: true });
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
    throw invalid('cron', `${JSON.stringify(cron)} is no cron expression: ${why}`);
  }
}

function invalid(field: string, message: string): ApiError {
  return new ApiError('INVALID', `${field}: ${message}`, { details: { field } });
}
