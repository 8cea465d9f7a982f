/**
 * The log since the last compaction, in memory. The core needs no asynchronous reads.
 *
 *     0 … first-1        gone; stood for by the snapshot
 *     first … last       here; `first` may be ≤ snapshot.index, because a few entries are kept for slow followers
 *
 * Entries are never changed once they are in; arrays handed out are copies.
 */
import { assert, invariantBroken, present } from './assert.ts';
import { entryBytes } from './entry-size.ts';
import { INDEX_ZERO, TERM_ZERO, next, plus, previous } from './ids.ts';
import type { Entry, LogIndex, SnapshotMeta, Term } from './types.ts';

export class RaftLog {
  #entries: Entry[] = [];
  /** Index of the first entry, or of the one that will be. */
  #first: LogIndex;
  /** Term of `first - 1`; null when a restart forgot it. */
  #anchorTerm: Term | null;
  #snapshotIndex: LogIndex;
  #snapshotTerm: Term;

  /** `entries`: contiguous, terms non-decreasing; those that end before the snapshot are of no use and dropped. */
  constructor(snapshot: SnapshotMeta, entries: readonly Entry[]) {
    this.#snapshotIndex = snapshot.index;
    this.#snapshotTerm = snapshot.term;
    this.#first = next(snapshot.index);
    this.#anchorTerm = snapshot.term;
    const first = entries[0];
    const last = entries.at(-1);
    if (first === undefined || last === undefined || last.index < snapshot.index) return;
    if (first.index > next(snapshot.index)) {
      invariantBroken(`log starts at ${first.index}, after snapshot ${snapshot.index}: a gap`);
    }
    assertContiguous(entries, first.index, TERM_ZERO);
    const covered = entries[snapshot.index - first.index];
    if (first.index <= snapshot.index && covered?.term !== snapshot.term) return;
    this.#entries = entries.slice();
    this.#first = first.index;
    this.#anchorTerm = first.index === next(snapshot.index) ? snapshot.term : null;
    if (first.index === 1) this.#anchorTerm = TERM_ZERO;
  }

  get firstIndex(): LogIndex {
    return this.#first;
  }
  get lastIndex(): LogIndex {
    return plus(this.#first, this.#entries.length - 1);
  }
  get lastTerm(): Term {
    // The log is empty only directly after its snapshot (or at the very start).
    return this.#entries.at(-1)?.term ?? this.#snapshotTerm;
  }
  get snapshotIndex(): LogIndex {
    return this.#snapshotIndex;
  }

  /** Term of the entry at `index`; null if it is compacted away or does not exist yet. */
  term(index: LogIndex): Term | null {
    const entry = this.#entries[index - this.#first];
    if (entry !== undefined) return entry.term;
    if (index === this.#snapshotIndex) return this.#snapshotTerm;
    return index === this.#first - 1 ? this.#anchorTerm : null;
  }

  matches(index: LogIndex, term: Term): boolean {
    return index <= this.lastIndex && this.term(index) === term;
  }

  /** §5.4.1: whether a candidate's log is at least as up-to-date as this one. */
  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    const ownTerm = this.lastTerm;
    return lastTerm > ownTerm || (lastTerm === ownTerm && lastIndex >= this.lastIndex);
  }

  /** The entry at an index that must be here. */
  at(index: LogIndex): Entry {
    const entry = this.#entries[index - this.#first];
    return entry ?? invariantBroken(`no entry ${index} in log ${this.#first}..${this.lastIndex}`);
  }

  /** Both ends inclusive, clipped to what is here. */
  range(from: LogIndex, to: LogIndex): Entry[] {
    return this.#entries.slice(Math.max(0, from - this.#first), Math.max(0, to - this.#first + 1));
  }

  /** From `from` on as many entries as fit `bytesMax`, at least one if there is one. Not beyond `to`. */
  rangeBySize(from: LogIndex, to: LogIndex, bytesMax: number): Entry[] {
    assert(from >= this.#first, 'asked for compacted entries');
    const start = from - this.#first;
    const end = Math.min(this.#entries.length, to - this.#first + 1);
    let bytes = 0;
    let stop = start;
    for (; stop < end; stop++) {
      bytes += entryBytes(present(this.#entries[stop], 'an entry within the log'));
      if (bytes > bytesMax && stop > start) break;
    }
    return this.#entries.slice(start, stop);
  }

  /** Adds entries that follow the last one. */
  append(entries: readonly Entry[]): void {
    assertContiguous(entries, next(this.lastIndex), this.lastTerm);
    for (const entry of entries) this.#entries.push(entry);
  }

  /** Drops `from` and everything after it. */
  truncate(from: LogIndex): void {
    assert(from >= this.#first, 'truncates below the first entry');
    assert(from > this.#snapshotIndex, 'truncates what a snapshot covers');
    this.#entries.length = Math.min(this.#entries.length, from - this.#first);
  }

  /**
   * The last index ≤ `index` whose term is ≤ `term`: where the logs can still agree (fast backtracking, §5.3).
   * May be an index whose term is not known any more (just before the first entry).
   */
  lastAtMost(index: LogIndex, term: Term): LogIndex {
    // Terms never decrease along the log, so the wanted place can be found by halving.
    let low = this.#first - 1;
    let high: number = Math.min(index, this.lastIndex);
    if (high <= low) return plus(INDEX_ZERO, Math.max(0, high));
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const found = this.#entries[middle - this.#first];
      if (found !== undefined && found.term <= term) low = middle;
      else high = middle - 1;
    }
    return plus(INDEX_ZERO, low);
  }

  /** A snapshot of the own state machine is durable: entries through `compactThrough` go. */
  compact(snapshot: SnapshotMeta, compactThrough: LogIndex): void {
    assert(snapshot.index >= this.#snapshotIndex, 'snapshots only go forward');
    assert(compactThrough <= snapshot.index, 'compacts what no snapshot covers');
    if (this.term(snapshot.index) !== snapshot.term) {
      invariantBroken(
        `snapshot ${snapshot.index} has term ${snapshot.term}, the log ${this.term(snapshot.index)}`,
      );
    }
    if (compactThrough >= this.#first) {
      this.#anchorTerm = this.term(compactThrough);
      this.#entries = this.#entries.slice(compactThrough - this.#first + 1);
      this.#first = next(compactThrough);
    }
    this.#snapshotIndex = snapshot.index;
    this.#snapshotTerm = snapshot.term;
  }

  /**
   * A snapshot of the leader is in force. What follows it is kept if the log has the entry the snapshot ends with
   * (§7); otherwise everything goes.
   * @returns whether the entries were dropped
   */
  installSnapshot(snapshot: SnapshotMeta): boolean {
    assert(snapshot.index >= this.#snapshotIndex, 'installs a snapshot older than the last one');
    const keep = this.matches(snapshot.index, snapshot.term);
    this.#snapshotIndex = snapshot.index;
    this.#snapshotTerm = snapshot.term;
    if (keep) return false;
    this.#entries = [];
    this.#first = next(snapshot.index);
    this.#anchorTerm = snapshot.term;
    return true;
  }
}

function assertContiguous(entries: readonly Entry[], first: LogIndex, termBefore: Term): void {
  let index = previous(first) as number;
  let term: number = termBefore;
  for (const entry of entries) {
    index++;
    if (entry.index !== index) invariantBroken(`entry ${entry.index} where ${index} must be`);
    if (entry.term < term) invariantBroken(`term falls from ${term} to ${entry.term} at entry ${index}`);
    term = entry.term;
  }
}
