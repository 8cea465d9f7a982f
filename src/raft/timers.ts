/**
 * Time, as everything in src/raft sees it. Injected, so that the simulator decides when what happens.
 */
export interface Timers {
  /** Milliseconds of a monotonic clock; its zero means nothing. */
  nowMs(): number;
  /** Runs `action` once, after at least `delayMs`. Returns what cancels it. */
  after(delayMs: number, action: () => void): () => void;
  /** Runs `action` once, after the IO events of this turn of the event loop. */
  soon(action: () => void): void;
}

export const systemTimers: Timers = {
  nowMs: () => performance.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
  soon: (action) => {
    setImmediate(action);
  },
};
