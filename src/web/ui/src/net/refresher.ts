import type { Clock } from '../model/clock.ts';

export interface RefresherOptions {
  /** Handles its own failures: it must not reject. */
  readonly run: () => Promise<void>;
  /** Least time between the end of one run and the start of the next. */
  readonly intervalMs: number;
  readonly clock: Clock;
}

/**
 * Turns many requests for the same fetch into few runs: never two at once, {@link RefresherOptions.intervalMs} apart, and
 * further apart where the runs themselves are slow. On demand it also repeats by itself, each time waiting for the
 * previous answer.
 */
export class Refresher {
  readonly #options: RefresherOptions;
  #started = false;
  #running = false;
  /** A run was asked for while one was under way: how long after its end. */
  #againMs: number | null = null;
  #repeatMs: number | null = null;
  #earliestMs = 0;
  #timer: { readonly atMs: number; readonly cancel: () => void } | null = null;

  constructor(options: RefresherOptions) {
    this.#options = options;
  }

  start(): void {
    this.#started = true;
  }

  /** Ends what waits; a run under way ends by itself. */
  stop(): void {
    this.#started = false;
    this.#againMs = null;
    this.#repeatMs = null;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Asks for one more run, as soon as the interval allows, at least `delayMs` from now. */
  request(delayMs = 0): void {
    if (!this.#started) return;
    if (this.#running) {
      this.#againMs = Math.min(this.#againMs ?? delayMs, delayMs);
      return;
    }
    this.#schedule(Math.max(this.#earliestMs, this.#options.clock.now() + delayMs));
  }

  /** From now on every `ms` after the previous answer; null: only on request. */
  repeat(ms: number | null): void {
    const was = this.#repeatMs;
    this.#repeatMs = ms;
    if (ms !== null && was === null) this.request();
  }

  #schedule(atMs: number): void {
    if (this.#timer !== null && this.#timer.atMs <= atMs) return;
    this.#timer?.cancel();
    const delayMs = Math.max(0, atMs - this.#options.clock.now());
    this.#timer = { atMs, cancel: this.#options.clock.after(delayMs, () => void this.#turn()) };
  }

  async #turn(): Promise<void> {
    const { clock, intervalMs } = this.#options;
    this.#timer = null;
    this.#running = true;
    const startedMs = clock.now();
    await this.#options.run();
    this.#running = false;
    const endedMs = clock.now();
    // A server that is slow to answer gets as long again for others.
    this.#earliestMs = endedMs + Math.max(intervalMs, endedMs - startedMs);
    if (!this.#started) return;
    if (this.#againMs !== null) this.#schedule(Math.max(this.#earliestMs, endedMs + this.#againMs));
    else if (this.#repeatMs !== null) this.#schedule(endedMs + Math.max(this.#repeatMs, endedMs - startedMs));
    this.#againMs = null;
  }
}
