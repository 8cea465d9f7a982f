import type { RaftLogger } from '../raft-logger.ts';
import type { Timers } from '../timers.ts';

/** The same line is written again after this time at the earliest … */
const REPEAT_MS = 60_000;
/** … and no more than this many different ones within it: what strangers send must not fill the log. */
const LINES_MAX = 50;

/** Lines about what comes from outside: each once, not at every attempt of a peer that dials again and again. */
export class Complaints {
  readonly #log: RaftLogger;
  readonly #timers: Timers;
  #windowFromMs = -Infinity;
  /** How often each line came up in the window. */
  #lines = new Map<string, number>();
  #dropped = 0;

  constructor(log: RaftLogger, timers: Timers) {
    this.#log = log;
    this.#timers = timers;
  }

  warn(line: string): void {
    const nowMs = this.#timers.nowMs();
    if (nowMs - this.#windowFromMs >= REPEAT_MS) this.#begin(nowMs);
    const count = this.#lines.get(line);
    if (count !== undefined) {
      this.#lines.set(line, count + 1);
    } else if (this.#lines.size < LINES_MAX) {
      this.#lines.set(line, 1);
      this.#log.warn(line);
    } else {
      if (this.#dropped === 0)
        this.#log.warn('raft: more is wrong with connections than is worth a line each');
      this.#dropped += 1;
    }
  }

  #begin(nowMs: number): void {
    let repeated = this.#dropped;
    for (const count of this.#lines.values()) repeated += count - 1;
    if (repeated > 0) this.#log.warn(`raft: ${repeated} more like the last lines about connections`);
    this.#windowFromMs = nowMs;
    this.#lines = new Map();
    this.#dropped = 0;
  }
}
