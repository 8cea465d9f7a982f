import type { Timers } from '../../../src/raft/timers.ts';

/** Time that passes only when the test says so. */
export class ManualTimers implements Timers {
  #now = 0;
  #soon: (() => void)[] = [];
  #waiting: { readonly atMs: number; readonly action: () => void }[] = [];

  nowMs(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): () => void {
    const entry = { atMs: this.#now + delayMs, action };
    this.#waiting.push(entry);
    return () => {
      this.#waiting = this.#waiting.filter((waiting) => waiting !== entry);
    };
  }

  soon(action: () => void): void {
    this.#soon.push(action);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs what waits for the end of the turn. */
  turn(): void {
    for (const action of this.#soon.splice(0)) action();
  }

  /** Lets time pass; with `stalled` nothing runs before all of it has passed, as in a stalled event loop. */
  pass(ms: number, how: 'smoothly' | 'stalled' = 'smoothly'): void {
    const end = this.#now + ms;
    if (how === 'stalled') this.#now = end;
    for (;;) {
      const next = this.#waiting.filter(({ atMs }) => atMs <= end).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#waiting = this.#waiting.filter((waiting) => waiting !== next);
      this.#now = Math.max(this.#now, next.atMs);
      next.action();
    }
    this.#now = end;
  }

  /** Time passes while code runs. */
  spend(ms: number): void {
    this.#now += ms;
  }
}
