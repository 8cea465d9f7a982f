/**
 * Who takes part, by the log (thesis chapter 4). A configuration is in force as soon as its entry is in the log,
 * committed or not, and out of force again when the entry is truncated; so the history since the snapshot is kept.
 */
import { assert } from './assert.ts';
import type { Configuration, Entry, LogIndex, NodeId, SnapshotMeta } from './types.ts';

interface Placed {
  readonly index: LogIndex;
  readonly config: Configuration;
}

export class Membership {
  #base: Placed;
  #changes: Placed[] = [];

  constructor(snapshot: SnapshotMeta) {
    this.#base = { index: snapshot.index, config: snapshot.config };
  }

  /** In force now. */
  get current(): Configuration {
    return (this.#changes.at(-1) ?? this.#base).config;
  }
  /** Index of the entry that holds {@link current}, or of the snapshot. */
  get currentIndex(): LogIndex {
    return (this.#changes.at(-1) ?? this.#base).index;
  }

  isVoter(id: NodeId): boolean {
    return this.current.voters.includes(id);
  }

  /**
   * Whether a server may stand for election: a voter; or one that the newest configuration removes, as long as that is
   * not committed, for it may be the only one that can win and commit it (thesis §4.2.2).
   */
  mayStand(id: NodeId, commitIndex: LogIndex): boolean {
    if (this.isVoter(id)) return true;
    const before = this.#changes.at(-2) ?? this.#base;
    return this.currentIndex > commitIndex && before.config.voters.includes(id);
  }

  /** Takes note of appended entries. @returns whether one of them changed the configuration */
  append(entries: readonly Entry[]): boolean {
    let changed = false;
    for (const entry of entries) {
      if (entry.kind !== 'config' || entry.index <= this.#base.index) continue;
      assert(entry.index > this.currentIndex, 'configurations come in log order');
      this.#changes.push({ index: entry.index, config: entry.config });
      changed = true;
    }
    return changed;
  }

  /** The log lost `from` and what follows. */
  truncate(from: LogIndex): void {
    this.#changes = this.#changes.filter((change) => change.index < from);
  }

  /** The configuration as of `index`, which must not be before the snapshot. */
  at(index: LogIndex): Configuration {
    assert(index >= this.#base.index, 'configuration before the snapshot is not known');
    return (this.#changes.findLast((change) => change.index <= index) ?? this.#base).config;
  }

  /** A snapshot stands for everything up to its index. */
  rebase(snapshot: SnapshotMeta): void {
    this.#base = { index: snapshot.index, config: snapshot.config };
    this.#changes = this.#changes.filter((change) => change.index > snapshot.index);
  }
}

/** @returns why `to` may not follow `from`, or null. One voter more or fewer at a time (thesis §4.1). */
export function changeRefusal(from: Configuration, to: Configuration): string | null {
  const voters = new Set(to.voters);
  const everybody = new Set([...to.voters, ...to.learners]);
  if (voters.size === 0) return 'a configuration needs a voter';
  if (everybody.size !== to.voters.length + to.learners.length) return 'a server is named twice';
  // Item 37: it may have voted and forgotten it.
  const returned = from.removed?.find((id) => everybody.has(id));
  if (returned !== undefined) return `${returned} was removed before, and ids are not used again`;
  const added = to.voters.filter((id) => !from.voters.includes(id));
  const removed = from.voters.filter((id) => !voters.has(id));
  if (added.length + removed.length > 1) return 'one voter may be added or removed at a time';
  return null;
}

/** @returns the voter that `to` has and `from` has not, if any */
export function addedVoter(from: Configuration, to: Configuration): NodeId | null {
  return to.voters.find((id) => !from.voters.includes(id)) ?? null;
}

export function sameConfiguration(a: Configuration, b: Configuration): boolean {
  const same = (x: readonly string[], y: readonly string[]): boolean =>
    x.length === y.length && x.every((text) => y.includes(text));
  const addresses = ({ addresses = {} }: Configuration): readonly string[] =>
    Object.entries(addresses).map(([id, address]) => `${id}=${address}`);
  return (
    same(a.voters, b.voters) &&
    same(a.learners, b.learners) &&
    same(a.removed ?? [], b.removed ?? []) &&
    same(addresses(a), addresses(b))
  );
}
