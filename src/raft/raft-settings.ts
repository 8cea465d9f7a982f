import type { NodeId, RaftConfig } from './core/types.ts';

/** Times and limits of one server. All of a cluster should use the same times. */
export interface RaftSettings {
  readonly tickMs: number;
  readonly heartbeatMs: number;
  /** Followers with nothing on their way hear of a commit after this time, unless entries followed that told them. */
  readonly tellCommitMs: number;
  /** An election timeout is drawn from [electionMs, 2 × electionMs). */
  readonly electionMs: number;
  /** A follower bears a tick more of silence for every so many bytes of entries that came in one append … */
  readonly patienceBytes: number;
  /** … but not more than this in all: so much later may a leader be found missing that dies while it takes in large entries. */
  readonly patienceMs: number;
  /** A timer later than this many ticks means that the event loop stood still, which says nothing about the leader. */
  readonly stallTicks: number;
  /** A voter heard within this time counts as reachable. */
  readonly contactMs: number;
  /** A read barrier without an answer after this time ends as `unknown`. */
  readonly readBarrierMs: number;
  /** How long `stop` waits for another server to take the lead. */
  readonly transferMs: number;
  /** A server that is added must have the log within this time to get its vote; else it stays a learner. */
  readonly catchUpMs: number;
  /** A membership change that is not committed after this time has an unknown outcome. */
  readonly configCommitMs: number;

  /** One append message carries at most this many payload bytes, or one entry. */
  readonly messageBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  readonly uncommittedBytesMax: number;
  readonly proposalBytesMax: number;
  /**
   * Handed to the state machine at once. Where that is slower than the log, proposals are refused when those that wait to be
   * applied are more than this and `uncommittedBytesMax` together.
   */
  readonly unappliedBytesMax: number;
  readonly pendingReadsMax: number;
  /** Proposals waiting for their outcome, beyond which further ones are refused as `overloaded`. */
  readonly waitingProposalsMax: number;

  /** Entries are applied for at most this long before other events get their turn. */
  readonly applySliceMs: number;

  /** How long the superblock may stay behind the log (docs/storage.md); for term and vote it never does. */
  readonly superblockLagMs: number;

  /** With less free space than this the node refuses proposals and hands over the lead, before a write can fail. */
  readonly diskFreeBytesMin: number;
  readonly diskCheckMs: number;

  /**
   * A snapshot is due after this many entries or bytes, whichever comes first (plus up to a quarter by chance); later if the
   * last one was larger than `snapshotEveryBytes`, in proportion.
   */
  readonly snapshotEveryEntries: number;
  readonly snapshotEveryBytes: number;
  /** What of the log a snapshot leaves for followers that are a little behind. */
  readonly trailingEntries: number;
  readonly trailingBytes: number;
  /**
   * What a leader keeps besides while a follower that lacks it is being brought up to date, by log or by snapshot. It is in memory as
   * well. A follower whose snapshot takes longer than so much log starts over.
   */
  readonly catchUpBytesMax: number;
  /** A snapshot chunk is sent again after this time without an answer … */
  readonly chunkResendMs: number;
  /** … and the sending given up after this many times. */
  readonly chunkResendsMax: number;
}

export const RAFT_DEFAULTS: RaftSettings = {
  tickMs: 10,
  heartbeatMs: 60,
  tellCommitMs: 2,
  electionMs: 200,
  patienceBytes: 64 * 1024,
  patienceMs: 500,
  stallTicks: 2,
  contactMs: 800,
  readBarrierMs: 1_000,
  transferMs: 1_000,
  catchUpMs: 50_000,
  configCommitMs: 5_000,
  messageBytesMax: 512 * 1024,
  inflightMessagesMax: 64,
  inflightBytesMax: 4 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  proposalBytesMax: 12 * 1024 * 1024,
  unappliedBytesMax: 32 * 1024 * 1024,
  pendingReadsMax: 10_000,
  waitingProposalsMax: 100_000,
  applySliceMs: 5,
  superblockLagMs: 100,
  diskFreeBytesMin: 128 * 1024 * 1024,
  diskCheckMs: 1_000,
  snapshotEveryEntries: 100_000,
  snapshotEveryBytes: 64 * 1024 * 1024,
  trailingEntries: 10_000,
  trailingBytes: 32 * 1024 * 1024,
  catchUpBytesMax: 512 * 1024 * 1024,
  chunkResendMs: 1_000,
  chunkResendsMax: 10,
};

/** The part of the settings the core needs, times in ticks. */
export function coreConfig(id: NodeId, settings: RaftSettings): RaftConfig {
  return {
    id,
    electionTicks: Math.ceil(settings.electionMs / settings.tickMs),
    heartbeatTicks: Math.ceil(settings.heartbeatMs / settings.tickMs),
    patienceBytes: settings.patienceBytes,
    patienceTicksMax: Math.ceil(settings.patienceMs / settings.tickMs),
    messageBytesMax: settings.messageBytesMax,
    inflightMessagesMax: settings.inflightMessagesMax,
    inflightBytesMax: settings.inflightBytesMax,
    uncommittedBytesMax: settings.uncommittedBytesMax,
    proposalBytesMax: settings.proposalBytesMax,
    unappliedBytesMax: settings.unappliedBytesMax,
    pendingReadsMax: settings.pendingReadsMax,
  };
}
