/**
 * The god's-eye history of a run. It outlives every crash and is asked after each event whether an invariant is broken;
 * the names I1 to I17 are those of docs/testing.md.
 */
import { crc32 } from 'node:zlib';
import { entryBytes } from '../../src/raft/core/entry-size.ts';
import { asLogIndex } from '../../src/raft/core/ids.ts';
import type {
  Configuration,
  Entry,
  LogIndex,
  Message,
  NodeId,
  RaftConfig,
  RaftStatus,
  Term,
} from '../../src/raft/core/types.ts';
import type { FaultCounts } from './faults.ts';
import { ConfigHistory } from './config-history.ts';
import { holds, type DurableState } from './durable-state.ts';
import { broken } from './sim-failure.ts';

/** A running node as the history sees it. */
export interface NodeView {
  readonly id: NodeId;
  /** Counts the starts of its process. */
  readonly life: number;
  readonly status: RaftStatus;
  entries(from: LogIndex, to: LogIndex): readonly Entry[];
}

interface Committed {
  readonly term: Term;
  readonly hash: number;
  /** The term of the leader that committed it. */
  readonly byTerm: Term;
  readonly isConfig: boolean;
}

export interface HistoryOptions {
  readonly limits: Omit<RaftConfig, 'id'>;
  readonly bootstrap: Configuration;
  readonly durable: (id: NodeId) => DurableState;
  /** Snapshots and changes of membership are counted with the faults: other faults are to strike meanwhile. */
  readonly faults: FaultCounts;
}

/** What was seen of one life of a node. */
interface Seen {
  readonly life: number;
  status: RaftStatus;
  /** Terms of its log by index. */
  readonly terms: (Term | undefined)[];
  appliedIndex: number;
}

/** Terms stay below this in a run, so that (index, term) is one number. */
const TERMS_MAX = 2 ** 20;

export class History {
  readonly #durable: (id: NodeId) => DurableState;
  readonly #limits: Omit<RaftConfig, 'id'>;
  readonly #faults: FaultCounts;
  readonly #leaders = new Map<Term, string>();
  readonly #votes = new Map<string, NodeId>();
  readonly #entries = new Map<number, { readonly hash: number; readonly prevTerm: Term | null }>();
  readonly #committed: (Committed | undefined)[] = [];
  readonly #digests = new Map<number, string | number>();
  readonly #seen = new Map<NodeId, Seen>();
  readonly #configs: ConfigHistory;
  /** Every answered command took effect at or before this index, every answered read saw it. */
  #answeredIndex = 0;

  constructor({ limits, bootstrap, durable, faults }: HistoryOptions) {
    this.#limits = limits;
    this.#faults = faults;
    this.#configs = new ConfigHistory(bootstrap, faults);
    this.#durable = durable;
  }

  get committedIndex(): number {
    return Math.max(0, this.#committed.length - 1);
  }
  get leaderCount(): number {
    return this.#leaders.size;
  }
  get answeredIndex(): number {
    return this.#answeredIndex;
  }

  /** To be called whenever something happened to a running node. */
  observe(node: NodeView): void {
    const { id, life, status } = node;
    let seen = this.#seen.get(id);
    if (seen?.life !== life) seen = this.#begin(node);
    const before = seen.status;
    checkMonotone(id, before, status);
    this.#observeLog(node, seen, before);
    if (status.snapshotIndex > before.snapshotIndex) {
      const isOwn = status.snapshotIndex <= before.appliedIndex;
      this.#faults.struck(isOwn ? 'snapshot taken' : 'snapshot installed');
    }
    if (status.role === 'leader' && (before.role !== 'leader' || before.term !== status.term)) {
      this.#observeElection(node);
    }
    if (status.commitIndex > before.commitIndex) this.#observeCommit(node, before);
    this.#configs.observe(status);
    if (status.role === 'leader') this.#observePeers(node);
    this.#observeDurable(node, seen, before);
    seen.status = status;
  }

  /** I9: nothing is promised that is not durable. I7: one vote per term, across restarts. */
  sent(from: NodeId, message: Message): void {
    const durable = this.#durable(from);
    const { currentTerm, votedFor } = durable.hardState;
    switch (message.kind) {
      case 'voteResponse':
      case 'voteRequest': {
        if (message.kind === 'voteRequest') this.#checkMayStand(from);
        if (message.preVote || (message.kind === 'voteResponse' && !message.granted)) return;
        const candidate = message.kind === 'voteRequest' ? from : message.to;
        if (!(currentTerm === message.term && votedFor === candidate))
          broken(
            'I9',
            `${from} gives ${candidate} its vote in term ${message.term}, on disk is ${String(votedFor)} in ${currentTerm}`,
          );
        const vote = `${from} ${message.term}`;
        const given = this.#votes.get(vote) ?? candidate;
        if (given !== candidate)
          broken('I7', `${from} votes in term ${message.term} for ${given} and ${candidate}`);
        this.#votes.set(vote, candidate);
        return;
      }
      case 'appendAccepted': {
        const term = this.#seen.get(from)?.terms[message.matchIndex] ?? null;
        if (currentTerm !== message.term)
          broken('I9', `${from} answers in term ${message.term}, on disk is ${currentTerm}`);
        if (!(message.matchIndex === 0 || holds(durable, message.matchIndex, term)))
          broken(
            'I9',
            `${from} acknowledges ${message.matchIndex}@${String(term)}, which is not on its disk`,
          );
        return;
      }
      case 'append': {
        const bytes = message.entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
        if (!(message.entries.length <= 1 || bytes <= this.#limits.messageBytesMax))
          broken('I16', `an append of ${String(bytes)} bytes`);
        return;
      }
      default:
    }
  }

  /**
   * I5: the same command and the same state at the same index everywhere, each index once and in order; I9: not before
   * the node has it on its own disk.
   */
  applied(id: NodeId, life: number, entry: Entry, digest: string | number | null): void {
    if (!holds(this.#durable(id), entry.index, entry.term))
      broken('I9', `${id} applies ${entry.index}, which is not on its disk`);
    const seen = this.#seen.get(id);
    if (seen?.life === life) {
      if (entry.index !== this.#pastConfigs(seen.appliedIndex, entry.index) + 1)
        broken('I5', `${id} applies ${entry.index} after ${String(seen.appliedIndex)}`);
      seen.appliedIndex = entry.index;
    }
    const committed = this.#committed[entry.index];
    if (!(committed?.term === entry.term && committed.hash === hashEntry(entry)))
      broken('I5', `${id} applies ${entry.index}@${entry.term}, committed is @${String(committed?.term)}`);
    if (digest !== null) this.#digest(id, entry.index, digest, 'I5');
  }

  /** I5 after applying; I12 after a snapshot: the state as of an index is one and the same. */
  #digest(id: NodeId, index: number, digest: string | number, invariant: 'I5' | 'I12'): void {
    const known = this.#digests.get(index) ?? digest;
    if (known !== digest) broken(invariant, `${id} has another state at ${String(index)} than others had`);
    this.#digests.set(index, digest);
  }

  /** A snapshot took the place of the state. */
  installed(id: NodeId, life: number, index: LogIndex, digest: string | number | null): void {
    const seen = this.#seen.get(id);
    if (seen?.life === life) seen.appliedIndex = index;
    if (digest !== null) this.#digest(id, index, digest, 'I12');
  }

  /** A client was told that its command took effect at `index` (and is committed). */
  answered(index: number): void {
    if (this.#committed[index] === undefined)
      broken('I4', `a client was answered for ${String(index)}, not committed`);
    this.#answeredIndex = Math.max(this.#answeredIndex, index);
  }

  /** I15: a read that was asked when `floor` was answered sees at least that. */
  read(id: NodeId, floor: number, appliedIndex: number): void {
    const seenIndex = this.#pastConfigs(appliedIndex);
    if (seenIndex < floor)
      broken(
        'I15',
        `a read on ${id} sees ${String(seenIndex)}, but ${String(floor)} was answered before it was asked`,
      );
    this.#answeredIndex = Math.max(this.#answeredIndex, appliedIndex);
  }

  /** State machines need not be told of configurations: with those that follow, but before `end`, this one has seen as much. */
  #pastConfigs(appliedIndex: number, end = Infinity): number {
    let index = appliedIndex;
    while (index + 1 < end && this.#committed[index + 1]?.isConfig === true) index++;
    return index;
  }

  #begin(node: NodeView): Seen {
    const { id, life, status } = node;
    const { currentTerm } = this.#durable(id).hardState;
    if (status.term < currentTerm)
      broken('I6', `${id} starts in term ${status.term}, on disk is ${currentTerm}`);
    const seen: Seen = {
      life,
      status: { ...status, role: 'follower' },
      terms: [],
      appliedIndex: status.snapshotIndex,
    };
    this.#configs.started(id);
    for (const entry of node.entries(status.firstIndex, status.lastIndex)) this.#appended(id, seen, entry);
    this.#seen.set(id, seen);
    return seen;
  }

  /** I2, I3, I8: how the log changed since it was last looked at. */
  #observeLog(node: NodeView, seen: Seen, before: RaftStatus): void {
    const { id, status } = node;
    const { lastIndex } = status;
    // What is compacted or replaced by a snapshot is not compared any more.
    for (let index = before.firstIndex; index < status.firstIndex; index++) seen.terms[index] = undefined;
    if (lastIndex === before.lastIndex && status.lastTerm === before.lastTerm) return;
    // Where the last terms agree everything before agrees (I3), so the change begins after the last such place.
    let agreeing = Math.min(lastIndex, before.lastIndex);
    const last = node.entries(asLogIndex(agreeing), asLogIndex(agreeing))[0];
    if (last?.term !== seen.terms[agreeing]) {
      const common = node.entries(status.firstIndex, asLogIndex(agreeing));
      agreeing =
        common.findLast((entry) => entry.term === seen.terms[entry.index])?.index ?? status.firstIndex - 1;
    }
    if (before.lastIndex > agreeing) this.#truncated(node, seen, before, agreeing);
    const fresh = node.entries(asLogIndex(Math.max(agreeing + 1, status.firstIndex)), lastIndex);
    for (const entry of fresh) this.#appended(id, seen, entry);
    if (status.lastTerm > status.term)
      broken('I8', `${id} has an entry of term ${status.lastTerm} in ${status.term}`);
  }

  #truncated(node: NodeView, seen: Seen, before: RaftStatus, agreeing: number): void {
    const { id, status } = node;
    const isLeader = before.role === 'leader' && status.role === 'leader' && before.term === status.term;
    if (isLeader) broken('I2', `${id} removes entries from ${String(agreeing + 1)} on while it leads`);
    for (let index = agreeing + 1; index <= before.lastIndex; index++) {
      const committed = this.#committed[index];
      if (!(index <= status.snapshotIndex || committed?.term !== seen.terms[index]))
        broken('I4', `${id} removes ${String(index)}@${String(committed?.term)}, which is committed`);
    }
    seen.terms.length = agreeing + 1;
    this.#configs.truncated(id, agreeing);
  }

  /** I3: an entry (index, term) is the same everywhere, and so is the term of the one before it. */
  #appended(id: NodeId, seen: Seen, entry: Entry): void {
    const prevTerm = seen.terms[entry.index - 1] ?? null;
    if (!(prevTerm === null || prevTerm <= entry.term)) broken('I8', `${id}: terms fall at ${entry.index}`);
    seen.terms[entry.index] = entry.term;
    if (entry.kind === 'config') this.#configs.appended(id, entry);
    const key = entry.index * TERMS_MAX + entry.term;
    const hash = hashEntry(entry);
    const known = this.#entries.get(key);
    if (known === undefined) {
      this.#entries.set(key, { hash, prevTerm });
      return;
    }
    if (known.hash !== hash) broken('I3', `${id} has another entry ${entry.index}@${entry.term} than others`);
    if (prevTerm === null) return;
    if (!((known.prevTerm ?? prevTerm) === prevTerm))
      broken('I3', `${id}: logs differ before ${entry.index}@${entry.term}`);
    if (known.prevTerm === null) this.#entries.set(key, { hash, prevTerm });
  }

  /** I1 and I4: one leader per term ever, by the votes of a majority, and it has everything committed in earlier terms. */
  #observeElection(node: NodeView): void {
    const { id, life, status } = node;
    const name = `${id} (life ${String(life)})`;
    const known = this.#leaders.get(status.term);
    if (known !== undefined) broken('I1', `${name} and ${known} are both elected in term ${status.term}`);
    this.#leaders.set(status.term, name);
    const { voters } = status.config;
    const given = voters.filter((voter) => this.#hasVotedFor(voter, status.term, id));
    if (given.length * 2 <= voters.length)
      broken('I1', `${id} leads term ${status.term} with the votes of ${given.join()} of ${voters.join()}`);
    // One that its newest, uncommitted configuration removes may still lead (thesis §4.2.2).
    const open = node.entries(asLogIndex(status.commitIndex + 1), status.lastIndex);
    const mayLead = voters.includes(id) || open.some((entry) => entry.kind === 'config');
    if (!mayLead) broken('I13', `${id} leads and is no voter`);
    const log = new Map(
      node.entries(status.firstIndex, status.lastIndex).map((entry) => [entry.index, entry.term]),
    );
    for (let index = status.snapshotIndex + 1; index < this.#committed.length; index++) {
      const committed = this.#committed[index];
      if (committed === undefined || committed.byTerm >= status.term) continue;
      if (!(log.get(asLogIndex(index)) === committed.term))
        broken(
          'I4',
          `${id} leads term ${status.term} without ${String(index)}@${committed.term}, committed in term ${committed.byTerm}`,
        );
    }
  }

  /** I13: learners do not stand, but for one whose removal from the voters is not known to be committed. */
  #checkMayStand(id: NodeId): void {
    const status = this.#seen.get(id)?.status;
    if (status === undefined) return;
    const isLearner = status.config.learners.includes(id);
    const isSettled = this.#configs.newestIndex(id) <= status.commitIndex;
    if (isLearner && isSettled) broken('I13', `${id} stands for election and is a learner`);
  }

  /** Its own vote a candidate may have told nobody of. */
  #hasVotedFor(voter: NodeId, term: Term, candidate: NodeId): boolean {
    if (this.#votes.get(`${voter} ${term}`) === candidate) return true;
    const { currentTerm, votedFor } = this.#durable(candidate).hardState;
    return voter === candidate && currentTerm === term && votedFor === candidate;
  }

  /** I5 and I11: a leader commits what a majority has on disk, in its own term; others what a leader has committed. */
  #observeCommit(node: NodeView, before: RaftStatus): void {
    const { id, status } = node;
    // A leader that has just committed its own removal leads no more.
    const isLeader = status.role === 'leader' || (before.role === 'leader' && before.term === status.term);
    if (isLeader) {
      const entry = node.entries(status.commitIndex, status.commitIndex)[0];
      if (entry?.term !== status.term)
        broken(
          'I11',
          `${id} commits ${status.commitIndex}@${String(entry?.term)} by counting in term ${status.term}`,
        );
      const { voters } = status.config;
      const holders = voters.filter((voter) => holds(this.#durable(voter), status.commitIndex, status.term));
      if (holders.length * 2 <= voters.length)
        broken(
          'I11',
          `${id} commits ${status.commitIndex}, durable only on ${holders.join()} of ${voters.join()}`,
        );
    }
    for (const entry of node.entries(asLogIndex(before.commitIndex + 1), status.commitIndex)) {
      const hash = hashEntry(entry);
      const known = this.#committed[entry.index];
      if (known === undefined) {
        if (!isLeader) broken('I11', `${id} commits ${entry.index}, which no leader has committed`);
        this.#configs.committed(entry, id);
        this.#committed[entry.index] = {
          term: entry.term,
          hash,
          byTerm: status.term,
          isConfig: entry.kind === 'config',
        };
        continue;
      }
      if (!(known.term === entry.term && known.hash === hash))
        broken('I5', `${id} commits ${entry.index}@${entry.term}, elsewhere @${known.term} is committed`);
    }
  }

  /** I9: what a node believes of its own disk is true. */
  #observeDurable({ id, status }: NodeView, seen: Seen, before: RaftStatus): void {
    const { durableIndex, lastIndex } = status;
    if (durableIndex === before.durableIndex && lastIndex === before.lastIndex) return;
    if (durableIndex > lastIndex)
      broken('I9', `${id} believes to have ${durableIndex} of ${lastIndex} on disk`);
    const term = seen.terms[durableIndex] ?? null;
    if (!holds(this.#durable(id), durableIndex, term))
      broken('I9', `${id} believes to have ${durableIndex}@${String(term)} on disk`);
  }

  /** I10: what a leader believes of a follower of its term is true. */
  #observePeers(node: NodeView): void {
    const { id, status } = node;
    for (const [peer, { matchIndex }] of status.peers) {
      const durable = this.#durable(peer);
      const { currentTerm } = durable.hardState;
      if (matchIndex === 0 || currentTerm > status.term) continue;
      if (currentTerm !== status.term)
        broken(
          'I10',
          `${id} believes that ${peer} has ${matchIndex}, but it knows nothing of term ${status.term}`,
        );
      const term = this.#seen.get(id)?.terms[matchIndex] ?? null;
      if (term === null && matchIndex <= status.snapshotIndex) continue;
      if (!holds(durable, matchIndex, term))
        broken('I10', `${id} believes that ${peer} has ${matchIndex}@${String(term)}`);
    }
  }
}

/** I6: term, commit and applied index never go back in a life, and keep their order. */
function checkMonotone(id: NodeId, before: RaftStatus, now: RaftStatus): void {
  if (now.term < before.term) broken('I6', `${id}: term ${before.term} → ${now.term}`);
  if (now.commitIndex < before.commitIndex)
    broken('I6', `${id}: commit ${before.commitIndex} → ${now.commitIndex}`);
  if (now.appliedIndex < before.appliedIndex)
    broken('I6', `${id}: applied ${before.appliedIndex} → ${now.appliedIndex}`);
  if (now.commitIndex > now.lastIndex)
    broken('I6', `${id}: commit ${now.commitIndex} beyond the log ${now.lastIndex}`);
  if (now.appliedIndex > now.commitIndex)
    broken('I6', `${id}: applied ${now.appliedIndex} beyond ${now.commitIndex}`);
  if (now.term === before.term && before.votedFor !== null) {
    if (now.votedFor !== before.votedFor) broken('I7', `${id} changes its vote in term ${now.term}`);
  }
}

/** The same for the same configuration, whatever way its parts came about in. */
function textOf({ voters, learners, removed = [], addresses = {} }: Configuration): string {
  const places = Object.entries(addresses).map(([id, address]) => `${id}=${address}`);
  return [voters.join(), learners.join(), removed.join(), places.sort().join()].join(';');
}

/** Shorter payloads are hashed here: a call of crc32 costs more than that. */
const SHORT_BYTES = 96;

/** Of kind and content. */
function hashEntry(entry: Entry): number {
  switch (entry.kind) {
    case 'command':
      return entry.payload.byteLength <= SHORT_BYTES ? shortHash(entry.payload) : crc32(entry.payload);
    case 'noop':
      return 2;
    case 'config':
      return crc32(textOf(entry.config), 3);
  }
}

/** FNV-1a. */
function shortHash(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  return hash >>> 0;
}
