import type { MasterClock } from '../../src/scheduler/master/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly action: () => void;
}

/** Time that stands still until it is moved. */
export class FakeClock implements MasterClock {
  #nowMs = 10_000;
  #soon: (() => void)[] = [];
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Date.UTC(2026, 0, 1) + this.#nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  soon(action: () => void): void {
    this.#soon.push(action);
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Runs everything that was put off to the end of the turn, and what follows from it, without letting time pass. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      const actions = this.#soon;
      this.#soon = [];
      for (const action of actions) action();
      // Promise callbacks, however deep their chain.
      await new Promise((resolve) => setImmediate(resolve));
      quiet = actions.length === 0 && this.#soon.length === 0 ? quiet + 1 : 0;
    }
  }

  /** Lets time pass, timer by timer. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    for (;;) {
      let next: Timer | null = null;
      for (const timer of this.#timers) {
        if (timer.atMs <= untilMs && (next === null || timer.atMs < next.atMs)) next = timer;
      }
      if (next === null) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#timers.delete(next);
      next.action();
      await this.settle();
    }
    this.#nowMs = untilMs;
  }

  /** As if this process had stood still: time has passed, and no timer ran meanwhile. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }
}
