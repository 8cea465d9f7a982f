import type { Entry, HardState, LogIndex, SnapshotMeta, Term } from '../../src/raft/core/types.ts';

/** What would be found after a crash now. */
export interface DurableState {
  readonly hardState: HardState;
  readonly snapshotIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** null: not there, or only in the snapshot. */
  term(index: LogIndex): Term | null;
}

/** Whether the disk has this entry, or a snapshot that stands for it. */
export function holds(durable: DurableState, index: LogIndex, term: Term | null): boolean {
  return durable.snapshotIndex >= index || (term !== null && durable.term(index) === term);
}

export interface StoredSnapshot {
  readonly meta: SnapshotMeta;
  readonly data: Uint8Array;
}

/** A disk that knows log, hard state and snapshot as such. Its changes are atomic; when they happen is the host's affair. */
export class LogDisk implements DurableState {
  hardState: HardState;
  snapshot: StoredSnapshot;
  #entries: Entry[] = [];

  constructor(hardState: HardState, snapshot: StoredSnapshot) {
    this.hardState = hardState;
    this.snapshot = snapshot;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }
  get snapshotIndex(): LogIndex {
    return this.snapshot.meta.index;
  }
  get lastIndex(): LogIndex {
    return this.#entries.at(-1)?.index ?? this.snapshot.meta.index;
  }

  term(index: LogIndex): Term | null {
    const first = this.#entries[0];
    return first === undefined ? null : (this.#entries[index - first.index]?.term ?? null);
  }

  write(hardState: HardState | null, truncateFrom: LogIndex | null, append: readonly Entry[]): void {
    if (truncateFrom !== null) this.#entries = this.#entries.filter((entry) => entry.index < truncateFrom);
    const first = append[0];
    const last = this.#entries.at(-1);
    if (first !== undefined && last !== undefined && first.index !== last.index + 1) {
      throw new Error(`a gap on disk: ${String(first.index)} after ${String(last.index)}`);
    }
    for (const entry of append) this.#entries.push(entry);
    if (hardState !== null) this.hardState = hardState;
  }

  takeSnapshot(snapshot: StoredSnapshot, compactThrough: LogIndex): void {
    this.snapshot = snapshot;
    this.#entries = this.#entries.filter((entry) => entry.index > compactThrough);
  }

  /** Keeps what follows the snapshot if the log has its last entry, else begins anew (§7). */
  install(snapshot: StoredSnapshot): void {
    const { index, term } = snapshot.meta;
    const keeps = this.term(index) === term;
    this.#entries = keeps ? this.#entries.filter((entry) => entry.index > index) : [];
    this.snapshot = snapshot;
  }
}
