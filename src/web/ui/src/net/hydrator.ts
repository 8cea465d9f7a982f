import type { Clock } from '../model/clock.ts';

/** Fetches that may go out at once when a page of rows comes into view. */
export const BURST_MAX = 60;
/** And from then on, so that a list in motion does not turn into a stream of requests. */
export const PER_SECOND = 5;
const AT_ONCE_MAX = 4;
/** After a failure nothing is fetched for so long. */
const REST_MS = 2_000;

export interface HydratorOptions {
  /** Fetches one task and takes it in; false where that failed. Must not reject. */
  readonly fetch: (id: string) => Promise<boolean>;
  /** Whether the task is still incomplete. */
  readonly lacking: (id: string) => boolean;
  readonly clock: Clock;
}

/**
 * Fetches the payload and the result of rows that are in view. The list comes without them: with them a page of it could be
 * megabytes long. What comes into view last is fetched first; what has left it again is not fetched.
 */
export class Hydrator {
  readonly #options: HydratorOptions;
  readonly #inView = new Set<string>();
  readonly #fetching = new Set<string>();
  #tokens = BURST_MAX;
  #countedMs: number;
  #cancel: (() => void) | null = null;
  #started = false;

  constructor(options: HydratorOptions) {
    this.#options = options;
    this.#countedMs = options.clock.now();
  }

  start(): void {
    this.#started = true;
    this.check();
  }

  stop(): void {
    this.#started = false;
    this.#cancel?.();
    this.#cancel = null;
  }

  enter(id: string): void {
    this.#inView.delete(id);
    this.#inView.add(id);
    this.check();
  }

  leave(id: string): void {
    this.#inView.delete(id);
  }

  isInView(id: string): boolean {
    return this.#inView.has(id);
  }

  /** To be called when rows have changed. Begins what may begin now, and plans the rest. */
  check(): void {
    if (this.#started && this.#cancel === null) this.#plan(0);
  }

  #plan(delayMs: number): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(delayMs, () => this.#turn());
  }

  #turn(): void {
    this.#cancel = null;
    this.#refill();
    const wanted = [...this.#inView]
      .reverse()
      .filter((id) => !this.#fetching.has(id) && this.#options.lacking(id));
    const room = Math.min(AT_ONCE_MAX - this.#fetching.size, Math.floor(this.#tokens));
    for (const id of wanted.slice(0, Math.max(0, room))) {
      this.#tokens -= 1;
      this.#fetching.add(id);
      void this.#fetch(id);
    }
    // Where others are under way, their end leads here again.
    if (wanted.length === 0 || this.#fetching.size > 0) return;
    this.#plan(1_000 / PER_SECOND);
  }

  async #fetch(id: string): Promise<void> {
    const done = await this.#options.fetch(id);
    this.#fetching.delete(id);
    if (!this.#started) return;
    if (done) this.check();
    else this.#plan(REST_MS);
  }

  #refill(): void {
    const nowMs = this.#options.clock.now();
    const grown = this.#tokens + ((nowMs - this.#countedMs) / 1_000) * PER_SECOND;
    this.#tokens = Math.min(BURST_MAX, grown);
    this.#countedMs = nowMs;
  }
}
