import type { Timers } from '../timers.ts';

export interface TickerOptions {
  readonly timers: Timers;
  readonly tickMs: number;
  readonly ticksPerTurnMax: number;
  readonly onTick: () => void;
}

/**
 * Ticks by a monotonic clock. Time lost to a stalled event loop is made up for only by a few ticks: what the others
 * sent meanwhile lies unread in the sockets, so the stall is no proof of their silence.
 */
export class Ticker {
  readonly #options: TickerOptions;
  #dueMs = 0;
  #cancel: (() => void) | null = null;

  constructor(options: TickerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#dueMs = this.#options.timers.nowMs() + this.#options.tickMs;
    this.#schedule();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  #schedule(): void {
    const { timers } = this.#options;
    this.#cancel = timers.after(Math.max(1, this.#dueMs - timers.nowMs()), () => this.#fire());
  }

  #fire(): void {
    const { timers, tickMs, ticksPerTurnMax, onTick } = this.#options;
    const late = timers.nowMs() - this.#dueMs;
    const elapsed = Math.max(1, Math.floor(late / tickMs) + 1);
    this.#dueMs += elapsed * tickMs;
    // Scheduled first, so that `stop` from within a tick has something to cancel.
    this.#schedule();
    for (let tick = 0; tick < Math.min(elapsed, ticksPerTurnMax); tick++) onTick();
  }
}
