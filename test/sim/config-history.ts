import type { Configuration, Entry, LogIndex, NodeId, RaftStatus, Term } from '../../src/raft/core/types.ts';
import type { FaultCounts } from './faults.ts';
import { check } from './sim-failure.ts';

interface Placed {
  readonly index: LogIndex;
  readonly term: Term;
  readonly config: Configuration;
}

/** The part of the history that knows of changes of membership (I14). */
export class ConfigHistory {
  /** In each node's log, since its log begins. */
  readonly #inLogs = new Map<NodeId, Placed[]>();
  /** Terms whose leader has committed an entry of its own. */
  readonly #termsCommitted = new Set<Term>();
  #committedIndex = 0;
  /** In the order of the log. */
  readonly #faults: FaultCounts;
  readonly #committed: { readonly index: number; readonly config: Configuration }[];

  constructor(bootstrap: Configuration, faults: FaultCounts) {
    this.#faults = faults;
    this.#committed = [{ index: 0, config: bootstrap }];
  }

  /** Index of the newest configuration in the node's log; 0: none is there. */
  newestIndex(id: NodeId): number {
    return this.#inLogs.get(id)?.at(-1)?.index ?? 0;
  }

  started(id: NodeId): void {
    this.#inLogs.set(id, []);
  }

  appended(id: NodeId, { index, term, config }: Extract<Entry, { kind: 'config' }>): void {
    this.#inLogs.get(id)?.push({ index, term, config });
  }

  /** What follows `last` is gone from the node's log. */
  truncated(id: NodeId, last: number): void {
    const placed = this.#inLogs.get(id) ?? [];
    this.#inLogs.set(
      id,
      placed.filter(({ index }) => index <= last),
    );
  }

  /** Configurations change by one voter at a time, so that majorities overlap. */
  committed(entry: Entry, leader: NodeId): void {
    this.#committedIndex = entry.index;
    this.#termsCommitted.add(entry.term);
    if (entry.kind !== 'config') return;
    const before = this.#asOf(entry.index);
    const added = entry.config.voters.filter((id) => !before.voters.includes(id));
    const removed = before.voters.filter((id) => !entry.config.voters.includes(id));
    check(
      added.length + removed.length <= 1,
      'I14',
      () => `${before.voters.join()} → ${entry.config.voters.join()} at ${entry.index}`,
    );
    this.#count(before, entry.config, leader);
    this.#committed.push({ index: entry.index, config: entry.config });
  }

  #count(before: Configuration, after: Configuration, leader: NodeId): void {
    if (after.learners.some((id) => !before.learners.includes(id) && !before.voters.includes(id)))
      this.#faults.struck('learner added');
    if (after.voters.some((id) => before.learners.includes(id))) this.#faults.struck('learner promoted');
    if (before.voters.some((id) => !after.voters.includes(id)))
      this.#faults.struck(after.voters.includes(leader) ? 'voter removed' : 'leader removed');
  }

  /** What is in force is what the log says; a leader adds one at a time, and none before an entry of its own is committed. */
  observe({ id, role, term, firstIndex, snapshotIndex, config }: RaftStatus): void {
    const placed = this.#inLogs.get(id) ?? [];
    const last = placed.at(-1);
    const isInLog = last !== undefined && last.index >= firstIndex;
    // One that has joined and was sent nothing yet knows of nobody.
    if (!isInLog && snapshotIndex === 0) return;
    const inForce = isInLog ? last.config : this.#asOf(snapshotIndex);
    check(
      sameMembers(inForce, config),
      'I14',
      () => `${id} acts on ${config.voters.join()}, by its log it is ${inForce.voters.join()}`,
    );
    if (!isInLog) return;
    if (role !== 'leader' || last.index <= this.#committedIndex) return;
    const open = placed.filter(({ index }) => index > this.#committedIndex);
    check(open.length === 1, 'I14', () => `${id} leads with ${String(open.length)} changes not committed`);
    check(
      last.term !== term || this.#termsCommitted.has(term),
      'I14',
      () => `${id} changes the members in term ${term}, in which nothing is committed`,
    );
  }

  /** The committed one in force at an index. */
  #asOf(index: number): Configuration {
    const newest = this.#committed.findLast((placed) => placed.index <= index);
    if (newest === undefined) throw new Error(`no configuration at ${String(index)}`);
    return newest.config;
  }
}

function sameMembers(a: Configuration, b: Configuration): boolean {
  return a === b || (sameIds(a.voters, b.voters) && sameIds(a.learners, b.learners));
}

function sameIds(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
