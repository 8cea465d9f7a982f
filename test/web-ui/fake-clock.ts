import type { Clock } from '../../src/web/ui/src/model/clock.ts';

/** Time that a test turns by hand. */
export class FakeClock implements Clock {
  #nowMs = 1_800_000_000_000;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** As when somebody sets the clock of the machine. */
  putBack(ms: number): void {
    this.#nowMs -= ms;
  }

  get waiting(): number {
    return this.#timers.length;
  }

  /** Lets `ms` pass: every timer that is due fires at its time, and what it set off runs before the next one. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#timers.filter((timer) => timer.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settle();
    }
    this.#nowMs = untilMs;
  }
}

/** Runs everything that only waits for promises that are already decided. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
