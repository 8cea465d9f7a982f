import type { Configuration, Entry, LogIndex, NodeId, RaftStatus, Term } from '../../src/raft/core/types.ts';
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
  /** The newest committed one. */
  #config: Configuration;

  constructor(bootstrap: Configuration) {
    this.#config = bootstrap;
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
  committed(entry: Entry): void {
    this.#committedIndex = entry.index;
    this.#termsCommitted.add(entry.term);
    if (entry.kind !== 'config') return;
    const before = this.#config;
    const added = entry.config.voters.filter((id) => !before.voters.includes(id));
    const removed = before.voters.filter((id) => !entry.config.voters.includes(id));
    check(
      added.length + removed.length <= 1,
      'I14',
      () => `${before.voters.join()} → ${entry.config.voters.join()} at ${entry.index}`,
    );
    this.#config = entry.config;
  }

  /** What is in force is what the log says; a leader adds one at a time, and none before an entry of its own is committed. */
  observe({ id, role, term, firstIndex, config }: RaftStatus): void {
    const placed = this.#inLogs.get(id) ?? [];
    const last = placed.at(-1);
    // Before that only the snapshot knows.
    if (last === undefined || last.index < firstIndex) return;
    check(
      sameMembers(last.config, config),
      'I14',
      () => `${id} acts on ${config.voters.join()}, its log ends with ${last.config.voters.join()}`,
    );
    if (role !== 'leader' || last.index <= this.#committedIndex) return;
    const open = placed.filter(({ index }) => index > this.#committedIndex);
    check(open.length === 1, 'I14', () => `${id} leads with ${String(open.length)} changes not committed`);
    check(
      last.term !== term || this.#termsCommitted.has(term),
      'I14',
      () => `${id} changes the members in term ${term}, in which nothing is committed`,
    );
  }
}

function sameMembers(a: Configuration, b: Configuration): boolean {
  return a.voters.join() === b.voters.join() && a.learners.join() === b.learners.join();
}
