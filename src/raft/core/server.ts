/**
 * The state of one server (Figure 2), and the few changes that keep its parts consistent with one another. What to do
 * about messages and time is in the files that import this one.
 */
import { assert, invariantBroken, present } from './assert.ts';
import { entryBytes } from './entry-size.ts';
import { ForwardedReads } from './forwarded-reads.ts';
import { FIRST_INDEX, maxIndex, minIndex, next, plus } from './ids.ts';
import type { Leadership } from './leadership.ts';
import { RaftLog } from './log.ts';
import { Membership } from './membership.ts';
import { Outbox } from './outbox.ts';
import type {
  Entry,
  LogIndex,
  NodeId,
  RaftConfig,
  RecoveredState,
  Role,
  SnapshotMeta,
  Term,
} from './types.ts';
import { VoteTally } from './votes.ts';
import { Writes } from './writes.ts';

export class Server {
  readonly config: RaftConfig;
  readonly random: (boundExclusive: number) => number;
  readonly id: NodeId;
  readonly out = new Outbox();
  readonly log: RaftLog;
  readonly membership: Membership;
  readonly writes: Writes;
  readonly forwardedReads: ForwardedReads;

  currentTerm: Term;
  votedFor: NodeId | null;
  role: Role;
  leader: NodeId | null = null;
  /** Not null exactly while the role is leader. */
  leadership: Leadership | null = null;
  /** Answers to the campaign under way. */
  votes = new VoteTally();

  commitIndex: LogIndex;
  /** Given out by `apply`. */
  handedOutIndex: LogIndex;
  appliedIndex: LogIndex;
  unappliedBytes = 0;

  /** Ticks since the start. */
  tick = 0;
  /** Ticks since the leader was heard, a vote was granted, or a campaign began; those of {@link patience} do not count. */
  electionElapsed = 0;
  electionTimeout = 0;
  /** Ticks for which the election timer stands still ({@link RaftConfig.patienceBytes}). */
  patience = 0;

  constructor(config: RaftConfig, recovered: RecoveredState, random: (boundExclusive: number) => number) {
    checkConfig(config);
    this.config = config;
    this.random = random;
    this.id = config.id;
    const { hardState, snapshot, entries } = recovered;
    this.currentTerm = hardState.currentTerm;
    this.votedFor = hardState.votedFor;
    this.log = new RaftLog(snapshot, entries);
    if (hardState.currentTerm < this.log.lastTerm) {
      invariantBroken(`stored term ${hardState.currentTerm} is older than the log's ${this.log.lastTerm}`);
    }
    const stale = entries[0];
    // Storage still has entries that the snapshot made useless: the next write removes them, lest they meet new ones.
    if (stale !== undefined && this.log.firstIndex > stale.index) this.out.logTruncated(FIRST_INDEX);
    this.membership = new Membership(snapshot);
    this.membership.append(this.log.range(next(snapshot.index), this.log.lastIndex));
    this.writes = new Writes(this.log.lastIndex);
    this.forwardedReads = new ForwardedReads(random);
    this.commitIndex = snapshot.index;
    this.handedOutIndex = snapshot.index;
    this.appliedIndex = snapshot.index;
    this.role = this.restingRole();
    this.redrawElectionTimeout();
  }

  /** What this server is when it neither leads nor campaigns. */
  restingRole(): 'follower' | 'learner' {
    return this.membership.mayStand(this.id, this.commitIndex) ? 'follower' : 'learner';
  }

  /** The voters other than this one. */
  otherVoters(): readonly NodeId[] {
    return this.membership.current.voters.filter((id) => id !== this.id);
  }

  redrawElectionTimeout(): void {
    this.electionTimeout = this.config.electionTicks + this.random(this.config.electionTicks);
  }

  /** The state of a leader; only for code that runs on leaders. */
  leading(): Leadership {
    return present(this.leadership, 'the leadership of a leader');
  }

  /** Enters a newer term (Figure 2, "rules for all servers"): no vote yet, and old promises are void. */
  enterTerm(term: Term, votedFor: NodeId | null): void {
    assert(term > this.currentTerm, 'terms only grow');
    this.currentTerm = term;
    this.votedFor = votedFor;
    this.patience = 0;
    this.out.hardStateChanged({ currentTerm: term, votedFor });
  }

  voteFor(candidate: NodeId): void {
    assert(this.votedFor === null || this.votedFor === candidate, 'one vote per term');
    if (this.votedFor === candidate) return;
    this.votedFor = candidate;
    this.out.hardStateChanged({ currentTerm: this.currentTerm, votedFor: candidate });
  }

  /** Appends at the end of the log; a configuration among the entries is in force at once. */
  appendToLog(entries: readonly Entry[]): { readonly configChanged: boolean } {
    this.log.append(entries);
    this.out.logAppended(entries);
    const last = entries.at(-1);
    assert(last === undefined || last.term <= this.currentTerm, 'no entry of a future term');
    return { configChanged: this.membership.append(entries) };
  }

  /** Drops `from` and what follows. Committed entries can't go (§5.4.3). */
  truncateLog(from: LogIndex): void {
    assert(from > this.commitIndex, 'truncates what is committed');
    assert(this.leadership === null, 'a leader never overwrites its log (§5.3)');
    this.log.truncate(from);
    this.writes.truncated(from);
    this.out.logTruncated(from);
    this.membership.truncate(from);
  }

  /** Everything through `index` is committed. Never goes back. */
  commitThrough(index: LogIndex): void {
    if (index <= this.commitIndex) return;
    assert(index <= this.log.lastIndex, 'commits what is not in the log');
    this.commitIndex = index;
  }

  /** The next committed entries to hand out, as far as the bounds allow; empty if none. */
  takeApplicable(): readonly Entry[] {
    // Not before they are durable here: the state machine never gets ahead of the own log.
    const through = minIndex(this.commitIndex, this.writes.durableIndex);
    if (this.handedOutIndex >= through) return [];
    const room = this.config.unappliedBytesMax - this.unappliedBytes;
    if (room <= 0) return [];
    const entries = this.log.rangeBySize(next(this.handedOutIndex), through, room);
    for (const entry of entries) this.unappliedBytes += entryBytes(entry);
    this.handedOutIndex = plus(this.handedOutIndex, entries.length);
    return entries;
  }

  applied(index: LogIndex): void {
    assert(index <= this.handedOutIndex, 'applied what was not handed out');
    if (index <= this.appliedIndex) return;
    for (const entry of this.log.range(next(this.appliedIndex), index))
      this.unappliedBytes -= entryBytes(entry);
    this.appliedIndex = index;
    assert(this.unappliedBytes >= 0, 'unapplied bytes counted wrong');
  }

  /** A snapshot of the leader has replaced the state machine. */
  installSnapshot(meta: SnapshotMeta): void {
    assert(meta.index >= this.appliedIndex, 'a snapshot took the state machine back');
    const dropped = this.log.installSnapshot(meta);
    if (dropped) {
      assert(this.leadership === null, 'a leader has everything that is committed');
      assert(meta.index > this.commitIndex, 'a snapshot contradicts committed entries');
      // A write that was on its way while the snapshot was put in force may have left old entries behind.
      this.out.logTruncated(FIRST_INDEX);
      this.membership.truncate(FIRST_INDEX);
    }
    this.writes.snapshotInstalled(meta.index, dropped);
    this.membership.rebase(meta);
    this.commitIndex = maxIndex(this.commitIndex, meta.index);
    this.handedOutIndex = maxIndex(this.handedOutIndex, meta.index);
    this.appliedIndex = meta.index;
    this.unappliedBytes = 0;
    for (const entry of this.log.range(next(meta.index), this.handedOutIndex)) {
      this.unappliedBytes += entryBytes(entry);
    }
  }
}

function checkConfig(config: RaftConfig): void {
  const positive: readonly Exclude<keyof RaftConfig, 'id'>[] = [
    'electionTicks',
    'heartbeatTicks',
    'patienceBytes',
    'patienceTicksMax',
    'messageBytesMax',
    'inflightMessagesMax',
    'inflightBytesMax',
    'uncommittedBytesMax',
    'proposalBytesMax',
    'unappliedBytesMax',
    'pendingReadsMax',
  ];
  for (const name of positive) {
    const value = config[name];
    if (!Number.isSafeInteger(value) || value < 1) invariantBroken(`${name} must be a whole number ≥ 1`);
  }
  assert(config.heartbeatTicks < config.electionTicks, 'heartbeatTicks must be less than electionTicks');
}
