import { pino } from 'pino';
import type { Logger } from 'pino';

/**
 * The process's own log, for operators: JSON lines on stderr (stdout carries the original's lines). The level is
 * `CLB_LOG_LEVEL` (default info).
 */
export function createLogger(node: string): Logger {
  return pino(
    {
      level: process.env['CLB_LOG_LEVEL'] ?? 'info',
      base: { node },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
