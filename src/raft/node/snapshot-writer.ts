import type { LogIndex, SnapshotMeta } from '../core/types.ts';
import type { RaftMetrics } from '../raft-metrics.ts';
import type { StateMachine } from '../state-machine.ts';
import type { KvOp } from '../storage/kv-store.ts';
import { continueCrc } from '../storage/stored-snapshot.ts';
import type { NeededLog, TrailingLog } from '../storage/log-packs.ts';
import type { ChunkTotals, KvRaftStorage } from '../storage/raft-storage.ts';
import type { Timers } from '../timers.ts';
import { FlusherStoppedError } from './flusher.ts';
import type { Flusher } from './flusher.ts';

/** Up to this share of the thresholds is added by chance, lest all servers write their snapshots at once. */
const STAGGER = 0.25;
const STAGGER_STEPS = 1_000;

export interface SnapshotWriterOptions {
  readonly machine: Pick<StateMachine<unknown>, 'snapshot' | 'dropBefore'>;
  readonly storage: KvRaftStorage;
  readonly flusher: Flusher;
  readonly timers: Timers;
  readonly random: (boundExclusive: number) => number;
  readonly metrics: RaftMetrics;
  readonly everyEntries: number;
  readonly everyBytes: number;
  readonly trailing: TrailingLog;
  /** Asked when the log is about to go. */
  readonly needed: () => NeededLog;
  readonly onTaken: (meta: SnapshotMeta, compactThrough: LogIndex) => void;
}

/** The larger a snapshot, the rarer: the thresholds grow with the last one's size, up to this many times. */
const SCALE_MAX = 8;

interface Run {
  readonly meta: SnapshotMeta;
  readonly done: Promise<SnapshotMeta | null>;
  isAborted: boolean;
}

/**
 * Writes snapshots of the local state machine: chunk by chunk between the log's flushes, while commands go on being
 * applied. The last write puts it in force and drops the log before it.
 */
export class SnapshotWriter {
  readonly #options: SnapshotWriterOptions;
  #entries = 0;
  #bytes = 0;
  #stagger: number;
  #run: Run | null = null;

  constructor(options: SnapshotWriterOptions) {
    this.#options = options;
    this.#stagger = this.#drawStagger();
  }

  /** Counts what was applied. @returns whether a snapshot is due */
  applied(entries: number, bytes: number): boolean {
    this.#entries += entries;
    this.#bytes += bytes;
    if (this.#run !== null) return false;
    const { everyEntries, everyBytes, storage } = this.#options;
    const scale = Math.min(SCALE_MAX, Math.max(1, storage.snapshot.bytes / everyBytes)) * this.#stagger;
    return this.#entries >= everyEntries * scale || this.#bytes >= everyBytes * scale;
  }

  /**
   * Takes a snapshot of the state as it is now, which is that as of `meta.index`. One at a time: while one is being
   * written, that one is returned.
   * @returns null if it was aborted
   */
  take(meta: SnapshotMeta): Promise<SnapshotMeta | null> {
    if (this.#run !== null) return this.#run.done;
    this.#entries = 0;
    this.#bytes = 0;
    this.#stagger = this.#drawStagger();
    // The state is frozen now: a generator does nothing before its first `next`.
    const chunks = this.#options.machine.snapshot()[Symbol.asyncIterator]();
    const first = chunks.next();
    const run: Run = { meta, isAborted: false, done: this.#write(meta, chunks, first, () => run.isAborted) };
    this.#run = run;
    const ended = (): void => {
      if (this.#run === run) this.#run = null;
    };
    run.done.then(ended, ended);
    return run.done;
  }

  /** Gives up the snapshot being written; what is on disk of it is cleared away. */
  abort(): void {
    if (this.#run !== null) this.#run.isAborted = true;
  }

  async #write(
    meta: SnapshotMeta,
    chunks: AsyncIterator<Uint8Array>,
    first: Promise<IteratorResult<Uint8Array>>,
    isAborted: () => boolean,
  ): Promise<SnapshotMeta | null> {
    const { storage, flusher, timers, metrics } = this.#options;
    const startedAtMs = timers.nowMs();
    let count = 0;
    let bytes = 0;
    let crc = 0;
    for (let next = await first; next.done !== true; next = await chunks.next()) {
      if (isAborted()) break;
      const chunk = next.value;
      const number = count;
      await flusher.background(() => [storage.composeChunk(meta.index, number, chunk)]);
      count += 1;
      bytes += chunk.byteLength;
      crc = continueCrc(crc, chunk);
    }
    const compactThrough = isAborted()
      ? null
      : await this.#commit(meta, { chunks: count, bytes, crc }, isAborted);
    if (compactThrough === null) {
      await chunks.return?.();
      await this.#clear(meta, count);
      return null;
    }
    metrics.snapshotTaken((timers.nowMs() - startedAtMs) / 1000, bytes);
    this.#options.onTaken(meta, compactThrough);
    return meta;
  }

  /** The write that puts the snapshot in force. @returns through where the log went; null if it was aborted */
  async #commit(meta: SnapshotMeta, totals: ChunkTotals, isAborted: () => boolean): Promise<LogIndex | null> {
    const { storage, flusher, machine, trailing, needed } = this.#options;
    const through: LogIndex[] = [];
    await flusher.background(() => {
      if (isAborted()) return [];
      const { ops, compactThrough } = storage.composeSnapshotCommit(meta, totals, trailing, needed());
      through.push(compactThrough);
      return [...ops, ...storage.machine.stage(machine.dropBefore(meta.index))];
    });
    return through[0] ?? null;
  }

  async #clear(meta: SnapshotMeta, chunks: number): Promise<void> {
    const { storage, flusher } = this.#options;
    const ops: KvOp[] = [];
    for (let chunk = 0; chunk < chunks; chunk++) ops.push(storage.composeChunkDeletion(meta.index, chunk));
    await flusher.background(() => ops);
  }

  #drawStagger(): number {
    return 1 + (STAGGER * this.#options.random(STAGGER_STEPS)) / STAGGER_STEPS;
  }
}

/** Whether an error only says that the node was stopped. */
export function isStopped(error: unknown): boolean {
  return error instanceof FlusherStoppedError;
}
