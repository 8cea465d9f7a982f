import type { KvRaftStorage } from '../storage/raft-storage.ts';
import type { Timers } from '../timers.ts';

export interface SuperblockKeeperOptions {
  readonly storage: Pick<KvRaftStorage, 'writeSuperblock'>;
  readonly timers: Timers;
  /** How long the superblock may stay behind the log. */
  readonly lagMs: number;
  readonly onFailed: (error: unknown) => void;
}

/**
 * Has the superblock follow the durable writes. It costs an fsync of its own, so for entries it lags behind by a bounded time, beside
 * the writes of the log; a write of term or vote is reported only when the superblock has it, too (docs/storage.md).
 */
export class SuperblockKeeper {
  readonly #options: SuperblockKeeperOptions;
  #inFlight: Promise<void> | null = null;
  #cancelTimer: (() => void) | null = null;
  /** Something became durable since the last write of the superblock began. */
  #isBehind = false;
  #isStopped = false;

  constructor(options: SuperblockKeeperOptions) {
    this.#options = options;
  }

  /** Something became durable; the superblock says so at the latest after `lagMs` and the duration of two writes. */
  soon(): void {
    this.#isBehind = true;
    if (this.#isStopped || this.#cancelTimer !== null || this.#inFlight !== null) return;
    const { timers, lagMs, onFailed } = this.#options;
    this.#cancelTimer = timers.after(lagMs, () => {
      this.#cancelTimer = null;
      this.#write().catch(onFailed);
    });
  }

  /** Resolves when the superblock says all that was durable at the call. A rejection is fatal. */
  async now(): Promise<void> {
    this.#isBehind = true;
    await this.#inFlight;
    await this.#write();
  }

  /** Catches up, for an orderly end. */
  async drain(): Promise<void> {
    await this.#inFlight;
    if (this.#isBehind && !this.#isStopped) await this.#write();
  }

  /** Nothing more is begun. Resolves when the write under way is over. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer?.();
    await this.#inFlight?.catch(() => undefined);
  }

  #write(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#isBehind = false;
    const writing = this.#options.storage.writeSuperblock().finally(() => {
      this.#inFlight = null;
      if (this.#isBehind) this.soon();
    });
    this.#inFlight = writing;
    return writing;
  }
}
