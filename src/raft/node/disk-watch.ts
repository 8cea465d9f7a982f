import type { RaftLogger } from '../raft-logger.ts';
import type { Timers } from '../timers.ts';

/** Once low, the space counts as low until there is this much more than the minimum. */
const RECOVERED_FACTOR = 1.25;
/** Where all servers are low, the lead must not go round and round. */
const REMIND_EVERY_MAX = 64;

export interface DiskWatchOptions {
  readonly timers: Timers;
  readonly freeBytes: () => Promise<number>;
  readonly minBytes: number;
  readonly everyMs: number;
  readonly log: RaftLogger;
  /** The space is low. Called again, ever more rarely, as long as it is: a server may come to lead meanwhile. */
  readonly onLow: () => void;
}

/**
 * Looks at the free disk space now and then. A write that fails for lack of it ends the process (docs/storage.md), so
 * a node had better stop adding to it before.
 */
export class DiskWatch {
  readonly #options: DiskWatchOptions;
  #isLow = false;
  /** Looks until {@link DiskWatchOptions.onLow} is called again. */
  #looksToGo = 0;
  #remindEvery = 1;
  #isStopped = false;
  #cancel: () => void = () => undefined;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
  }

  get isLow(): boolean {
    return this.#isLow;
  }

  start(): void {
    const { freeBytes, timers, everyMs, log } = this.#options;
    freeBytes()
      .then(
        (free) => this.#seen(free),
        (error: unknown) => log.warn(`raft: the free disk space cannot be read: ${String(error)}`),
      )
      .finally(() => {
        if (!this.#isStopped) this.#cancel = timers.after(everyMs, () => this.start());
      })
      .catch(() => undefined);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  #seen(free: number): void {
    const { minBytes, log } = this.#options;
    if (this.#isStopped) return;
    if (!this.#isLow && free < minBytes) {
      this.#isLow = true;
      this.#looksToGo = 0;
      this.#remindEvery = 1;
      log.warn(
        `raft: only ${free} bytes of disk are free (minimum ${minBytes}): no proposals are taken here until there is room`,
      );
    } else if (this.#isLow && free >= minBytes * RECOVERED_FACTOR) {
      this.#isLow = false;
      log.info(`raft: ${free} bytes of disk are free again`);
    }
    if (this.#isLow) this.#remind();
  }

  #remind(): void {
    this.#looksToGo -= 1;
    if (this.#looksToGo > 0) return;
    this.#looksToGo = this.#remindEvery;
    this.#remindEvery = Math.min(REMIND_EVERY_MAX, this.#remindEvery * 2);
    this.#options.onLow();
  }
}
