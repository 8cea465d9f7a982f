import type { Effect, Entry, HardState, LogIndex, WriteId } from '../core/types.ts';
import type { RaftMetrics } from '../raft-metrics.ts';
import type { KvOp } from '../storage/kv-store.ts';
import type { KvRaftStorage } from '../storage/raft-storage.ts';
import type { Timers } from '../timers.ts';
import { SuperblockKeeper } from './superblock-keeper.ts';

type Persist = Extract<Effect, { kind: 'persist' }>;

/** A write that may wait (snapshot chunks, clearing up, putting a snapshot in force). */
interface Job {
  /** Called when its turn has come; what it returns is in the same atomic write as the log's share. */
  readonly compose: () => readonly KvOp[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface FlusherOptions {
  readonly storage: KvRaftStorage;
  readonly takeDirty: () => readonly KvOp[];
  readonly timers: Timers;
  readonly metrics: RaftMetrics;
  /** How long the superblock may stay behind the log. */
  readonly superblockLagMs: number;
  /** Everything up to this write is durable. */
  readonly onPersisted: (writeId: WriteId) => void;
  /** A write failed (or could not be composed). Nothing more is written. */
  readonly onFailed: (error: unknown) => void;
}

/** The flusher was stopped before this write's turn came. */
export class FlusherStoppedError extends Error {
  readonly code = 'FLUSHER_STOPPED';
}

/**
 * Group commit: one synced write at a time; what is asked meanwhile is merged into the next (docs/storage.md). Each
 * write holds everything due of the log, the state machine's dirty records, and at most one background job, so that a
 * snapshot being written costs no fsyncs of its own and delays none by more than one chunk.
 */
export class Flusher {
  readonly #options: FlusherOptions;
  readonly #superblock: SuperblockKeeper;
  #hardState: HardState | null = null;
  #truncateFrom: LogIndex | null = null;
  #append: Entry[] = [];
  #lastWriteId: WriteId | null = null;
  readonly #jobs: Job[] = [];
  #inFlight: Promise<void> | null = null;
  #isScheduled = false;
  #stopped = false;

  constructor(options: FlusherOptions) {
    this.#options = options;
    const { storage, timers, superblockLagMs: lagMs } = options;
    this.#superblock = new SuperblockKeeper({
      ...{ storage, timers, lagMs },
      onFailed: (error) => this.#failed(error),
    });
  }

  /** Takes a `persist` effect; several of one turn are one write. */
  persist(effect: Persist): void {
    if (this.#stopped) return;
    this.#hardState = effect.hardState ?? this.#hardState;
    if (effect.truncateFrom !== null) this.#truncate(effect.truncateFrom);
    if (this.#append.length === 0) this.#append = effect.append.slice();
    else for (const entry of effect.append) this.#append.push(entry);
    this.#lastWriteId = effect.writeId;
    this.#schedule();
  }

  /** Resolves when the job's ops are durable. @throws FlusherStoppedError */
  background(compose: () => readonly KvOp[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) {
        reject(new FlusherStoppedError('stopped'));
        return;
      }
      this.#jobs.push({ compose, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when nothing waits to be written. */
  async drain(): Promise<void> {
    while (!this.#stopped && (this.#inFlight !== null || this.#hasWork())) {
      if (this.#inFlight === null) this.#flush();
      await this.#inFlight;
    }
    if (!this.#stopped) await this.#superblock.drain();
  }

  /** Writes nothing more, drops what waits, and resolves when the write under way is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const job of this.#jobs.splice(0)) job.reject(new FlusherStoppedError('stopped'));
    await this.#inFlight;
    await this.#superblock.stop();
  }

  /** What waits and is cut off again need never be written. */
  #truncate(from: LogIndex): void {
    const first = this.#append[0];
    if (first !== undefined)
      this.#append.length = Math.max(0, Math.min(this.#append.length, from - first.index));
    this.#truncateFrom = this.#truncateFrom === null || from < this.#truncateFrom ? from : this.#truncateFrom;
  }

  #hasWork(): boolean {
    return this.#lastWriteId !== null || this.#jobs.length > 0;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#inFlight !== null) return;
    this.#isScheduled = true;
    // After the messages of this turn are on their way (one microtask later than the transport's): the followers' disks
    // are the longer path.
    queueMicrotask(() =>
      queueMicrotask(() => {
        this.#isScheduled = false;
        this.#flush();
      }),
    );
  }

  #flush(): void {
    if (this.#stopped || this.#inFlight !== null || !this.#hasWork()) return;
    const { storage } = this.#options;
    const job = this.#jobs.shift();
    const writeId = this.#lastWriteId;
    const entries = this.#append.length;
    const hasVote = this.#hardState !== null;
    const machine = storage.machine;
    let ops: KvOp[];
    try {
      ops = [
        ...storage.composeLog({
          hardState: this.#hardState,
          truncateFrom: this.#truncateFrom,
          append: this.#append,
        }),
        ...machine.stage(this.#options.takeDirty()),
      ];
      if (job !== undefined) for (const op of job.compose()) ops.push(op);
    } catch (error) {
      job?.reject(error);
      this.#failed(error);
      return;
    }
    this.#hardState = null;
    this.#truncateFrom = null;
    this.#append = [];
    this.#lastWriteId = null;
    this.#inFlight = this.#write(ops, entries, hasVote).then(
      () => {
        this.#inFlight = null;
        machine.settle();
        job?.resolve();
        if (this.#stopped) return;
        if (writeId !== null) this.#options.onPersisted(writeId);
        this.#flush();
      },
      (error: unknown) => {
        this.#inFlight = null;
        job?.reject(error);
        this.#failed(error);
      },
    );
  }

  async #write(ops: readonly KvOp[], entries: number, hasVote: boolean): Promise<void> {
    if (ops.length === 0) return;
    const { storage, timers, metrics } = this.#options;
    const startedAtMs = timers.nowMs();
    await storage.write(ops);
    metrics.flushed((timers.nowMs() - startedAtMs) / 1000, entries);
    // A vote that is lost and given again makes two leaders; an entry that is lost takes others to be lost, too.
    if (hasVote) await this.#superblock.now();
    else this.#superblock.soon();
  }

  #failed(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const job of this.#jobs.splice(0)) job.reject(error);
    this.#options.onFailed(error);
  }
}
