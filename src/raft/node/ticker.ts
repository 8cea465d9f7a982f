import type { Timers } from '../timers.ts';

export interface TickerOptions {
  readonly timers: Timers;
  readonly tickMs: number;
  /** A timer that is later than this many ticks means that the event loop stood still. */
  readonly stallTicks: number;
  /** How many ticks from now the first one is that can have an effect; at least 1. */
  readonly ticksUntilDue: () => number;
  readonly onTick: () => void;
}

/**
 * Ticks by a monotonic clock, but wakes up only for a tick that can have an effect: those before it are made up for, all at
 * once, before the next input (each wake-up costs an idle machine more than what a tick does).
 *
 * Time lost to a stalled event loop does not count: what the others sent meanwhile lies unread in the sockets, so the
 * stall is no proof of their silence. The tick that was due then comes one tick later, after the sockets were read.
 */
export class Ticker {
  readonly #options: TickerOptions;
  /** Of the last tick that was given out. */
  #tickedMs = 0;
  /** Of the tick the timer waits for. */
  #dueMs = 0;
  #cancel: (() => void) | null = null;

  constructor(options: TickerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#tickedMs = this.#options.timers.nowMs();
    this.#schedule();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  /** To be called before each input: gives out the ticks that have passed, up to the one before the next that is due. */
  catchUp(): void {
    if (this.#cancel === null) return;
    const { timers, tickMs } = this.#options;
    const passed = Math.floor((timers.nowMs() - this.#tickedMs) / tickMs);
    if (passed > 0) this.#give(Math.min(passed, this.#ticksToDue() - 1));
  }

  /** To be called after each input: something may be due earlier than before. Later is found out when the timer fires. */
  reconsider(): void {
    if (this.#cancel === null) return;
    const { tickMs, ticksUntilDue } = this.#options;
    if (this.#tickedMs + ticksUntilDue() * tickMs >= this.#dueMs) return;
    this.#cancel();
    this.#schedule();
  }

  #ticksToDue(): number {
    return Math.round((this.#dueMs - this.#tickedMs) / this.#options.tickMs);
  }

  #schedule(): void {
    const { timers, tickMs, ticksUntilDue } = this.#options;
    this.#dueMs = this.#tickedMs + ticksUntilDue() * tickMs;
    this.#cancel = timers.after(Math.max(1, this.#dueMs - timers.nowMs()), () => this.#fire());
  }

  #fire(): void {
    const { timers, tickMs, stallTicks } = this.#options;
    const nowMs = timers.nowMs();
    const passed = Math.floor((nowMs - this.#tickedMs) / tickMs);
    const toDue = this.#ticksToDue();
    if (passed >= toDue + stallTicks) {
      this.#give(toDue - 1);
      this.#tickedMs = nowMs;
    } else {
      this.#give(passed);
    }
    if (this.#cancel !== null) this.#schedule();
  }

  #give(count: number): void {
    for (let tick = 0; tick < count; tick++) {
      this.#tickedMs += this.#options.tickMs;
      this.#options.onTick();
      // `stop` was called from within.
      if (this.#cancel === null) return;
    }
  }
}
