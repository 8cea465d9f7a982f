import type { MasterClock } from './clock.ts';

/** While the wall clock is behind the log, the log's time goes on at this part of the true speed. */
const SLEW = 0.5;

/**
 * The clock that entries are stamped with. Time in the log never goes back, so a wall clock that was ahead for a moment (this
 * master's or an earlier one's) leaves the log ahead of all wall clocks. If its time stood still until they have caught up,
 * whatever waits for a time (a delay, a retry, a schedule) would wait as long as the clock was wrong. So it goes on, at half
 * speed: what waits does so at most twice as long as it should, and the lead is made up for.
 */
export class LogClock implements MasterClock {
  readonly nowMs: MasterClock['nowMs'];
  readonly after: MasterClock['after'];
  readonly soon: MasterClock['soon'];
  readonly #clock: MasterClock;
  readonly #stateClock: () => number;
  #ms = 0;
  /** Of the monotonic clock, when {@link LogClock.wallMs} was last asked. */
  #askedAtMs: number;

  /** @param stateClock the largest stamp that is applied */
  constructor(clock: MasterClock, stateClock: () => number) {
    this.#clock = clock;
    this.#stateClock = stateClock;
    this.nowMs = () => clock.nowMs();
    this.after = (delayMs, action) => clock.after(delayMs, action);
    this.soon = (action) => clock.soon(action);
    this.#askedAtMs = clock.nowMs();
  }

  /** Milliseconds since 1970; never goes back. */
  wallMs(): number {
    const nowMs = this.#clock.nowMs();
    const goneOnMs = this.#ms + (nowMs - this.#askedAtMs) * SLEW;
    this.#askedAtMs = nowMs;
    this.#ms = Math.max(this.#clock.wallMs(), this.#stateClock(), goneOnMs);
    return this.#ms;
  }
}
