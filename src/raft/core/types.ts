/**
 * The vocabulary of the consensus core: what goes in ({@link Input}), what comes out ({@link Effect}),
 * and the messages between nodes. Names follow the Raft paper (Ongaro & Ousterhout 2014, Figure 2) and
 * Ongaro's thesis (2014). Everything here is plain immutable data.
 *
 * The driver's contract, in one paragraph: feed inputs one at a time, carry out the effects in the order given.
 * `persist` effects must be written in order, each one atomically and durably, and reported by `persisted`;
 * `send` effects may be carried out at once, because the core itself withholds every message whose truth depends
 * on a write that is not durable yet. Nothing may be skipped.
 */

type Brand<T, B extends string> = T & { readonly __brand: B };

/** Raft term: 0 before the first election, then ≥ 1. A safe integer. */
export type Term = Brand<number, 'Term'>;
/** Position in the log: the first entry has index 1; 0 means "before the log". A safe integer. */
export type LogIndex = Brand<number, 'LogIndex'>;
/** Stable name of a server. Never reused after its disk was lost (raft.md item 37). */
export type NodeId = Brand<string, 'NodeId'>;
/** Numbers the `persist` effects of one process life, from 1, without gaps. */
export type WriteId = Brand<number, 'WriteId'>;
/** Chosen by the driver; comes back in {@link Effect} `proposalOutcome`. */
export type ProposalId = Brand<number, 'ProposalId'>;
/** Chosen by the driver; comes back in `readReady` or `readFailed`. */
export type ReadId = Brand<number, 'ReadId'>;

/** What must survive a crash besides the log (Figure 2, "persistent state"). */
export interface HardState {
  readonly currentTerm: Term;
  readonly votedFor: NodeId | null;
}

/** Who takes part. Learners receive the log but never count in a quorum (thesis §4.2.1). */
export interface Configuration {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Where each member is dialed, as host:port; opaque to the core. Absent or partial: known from elsewhere. */
  readonly addresses?: Readonly<Record<string, string>>;
  /** Who was a member once. Their ids are never used again: whoever comes back under one may have forgotten its votes. */
  readonly removed?: readonly NodeId[];
}

interface EntryBase {
  readonly index: LogIndex;
  readonly term: Term;
}
export type Entry =
  /** Appended by a new leader so that it can commit what came before (§5.4.2, §8). */
  | (EntryBase & { readonly kind: 'noop' })
  /** A command of the state machine, opaque to Raft. */
  | (EntryBase & { readonly kind: 'command'; readonly payload: Uint8Array })
  /** A membership change; in force as soon as it is in the log (thesis §4.1). */
  | (EntryBase & { readonly kind: 'config'; readonly config: Configuration });

/** Names a snapshot: it stands for the log up to and including `index`. */
export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly config: Configuration;
}

interface MessageBase {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
}
export type Message =
  /** `preVote`: asked with the term the candidate would have; nobody's term or vote changes (thesis §9.6). */
  | (MessageBase & {
      readonly kind: 'voteRequest';
      readonly preVote: boolean;
      readonly lastLogIndex: LogIndex;
      readonly lastLogTerm: Term;
      /** Set by leadership transfer: ignore leader stickiness (thesis §3.10, §4.2.3). */
      readonly force: boolean;
    })
  | (MessageBase & { readonly kind: 'voteResponse'; readonly preVote: boolean; readonly granted: boolean })
  | (MessageBase & {
      readonly kind: 'append';
      readonly prevLogIndex: LogIndex;
      readonly prevLogTerm: Term;
      readonly entries: readonly Entry[];
      readonly leaderCommit: LogIndex;
    })
  /** Accepted: the follower's log is durable and equal to the leader's up to `matchIndex`. */
  | (MessageBase & { readonly kind: 'appendAccepted'; readonly matchIndex: LogIndex })
  /**
   * Refused: no entry (`prevLogIndex`, `prevLogTerm`). `hintIndex`/`hintTerm`: the follower's last entry whose
   * index ≤ prevLogIndex and term ≤ prevLogTerm; both sides skip from there (fast backtracking).
   */
  | (MessageBase & {
      readonly kind: 'appendRejected';
      readonly rejectedIndex: LogIndex;
      readonly hintIndex: LogIndex;
      readonly hintTerm: Term;
    })
  /** Sent apart from `append`, so that a slow disk causes no election. `round` numbers the read-index rounds. */
  | (MessageBase & { readonly kind: 'heartbeat'; readonly commit: LogIndex; readonly round: number })
  /** Between heartbeats, to a follower that has nothing on its way which would tell it; not answered. */
  | (MessageBase & { readonly kind: 'commit'; readonly commit: LogIndex })
  /** Round 0 answers no round: it only tells whoever spoke in an older term that there is a newer one. */
  | (MessageBase & { readonly kind: 'heartbeatAck'; readonly round: number })
  /**
   * One chunk of a snapshot. Chunks are numbered from 0; `done` marks the last one. The data is handled by the
   * driver; the core sees the message so that terms and leader contact count, and passes it on by the
   * `receiveSnapshotChunk` effect when it is from the current leader and newer than what is here.
   */
  | (MessageBase & {
      readonly kind: 'snapshotChunk';
      readonly meta: SnapshotMeta;
      readonly chunk: number;
      readonly data: Uint8Array;
      readonly done: boolean;
    })
  /**
   * Answers every chunk: `nextChunk` is the one wanted now. `installed`: the snapshot is durable and in force, or was
   * not needed. Sent by the driver; by the core itself for chunks it does not pass on. It only steers the sending: what
   * counts as replicated comes by `appendAccepted`, which the core sends.
   */
  | (MessageBase & {
      readonly kind: 'snapshotAck';
      readonly index: LogIndex;
      readonly nextChunk: number;
      readonly installed: boolean;
    })
  /** Follower → leader: a read that was asked here; answered by `readIndexResponse` after a quorum round. */
  | (MessageBase & { readonly kind: 'readIndexRequest'; readonly readId: ReadId })
  | (MessageBase & {
      readonly kind: 'readIndexResponse';
      readonly readId: ReadId;
      /** null: the node asked cannot tell (not leader any more, or nothing committed in its term yet). */
      readonly index: LogIndex | null;
    })
  /** Leadership transfer: campaign at once (thesis §3.10). */
  | (MessageBase & { readonly kind: 'timeoutNow' });

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader' | 'learner';

export type ProposalOutcome =
  /** In the log of this leader at `index`. NOT yet committed; followed by `committed` or `lost`. */
  | { readonly kind: 'appended'; readonly index: LogIndex; readonly term: Term }
  /** Refused, certainly not in any log. */
  | { readonly kind: 'notLeader'; readonly leader: NodeId | null }
  | { readonly kind: 'overloaded'; readonly limit: string };

export type Input =
  /** One tick of the monotonic clock ({@link RaftConfig} says how many make a timeout). */
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly message: Message }
  /** Several commands may come in one input: they get consecutive indexes and one `persist` effect. */
  | {
      readonly kind: 'propose';
      readonly proposals: readonly { readonly id: ProposalId; readonly payload: Uint8Array }[];
    }
  /**
   * A membership change, one voter more or fewer at a time; a new voter must be a learner that has caught up. Refused
   * as `overloaded` (with the reason) while another one is uncommitted or the leader has committed nothing in its term.
   */
  | { readonly kind: 'proposeConfig'; readonly id: ProposalId; readonly config: Configuration }
  /** A linearizable read (thesis §6.4): answered by `readReady` once a quorum round that began after it succeeded. */
  | {
      readonly kind: 'readIndex';
      readonly readId: ReadId;
      /** Waits for the next heartbeat of this leader instead of causing a round of its own. */
      readonly lazy?: boolean;
    }
  /** The commit index grew a moment ago and no entries followed: followers with nothing on their way are told of it. */
  | { readonly kind: 'tellCommit' }
  | { readonly kind: 'transferLeadership'; readonly to: NodeId }
  /** The `persist` effect with this id is durable. */
  | { readonly kind: 'persisted'; readonly writeId: WriteId }
  /** The state machine has applied everything up to `index` (bounds what may be handed out unapplied). */
  | { readonly kind: 'applied'; readonly index: LogIndex }
  /** A snapshot of the local state machine is durable; the log through `compactThrough` may go. */
  | { readonly kind: 'snapshotTaken'; readonly meta: SnapshotMeta; readonly compactThrough: LogIndex }
  /**
   * A snapshot from the leader is durable and in force in storage and state machine (one atomic step). Storage keeps
   * the log if it has the entry (index, term) of the snapshot, else it drops it. The driver begins the step only while
   * `appliedIndex` < meta.index, holds back `apply` effects from then until it has given this input, and skips what
   * they hold up to meta.index. The core acknowledges it to the leader.
   */
  | { readonly kind: 'snapshotInstalled'; readonly meta: SnapshotMeta }
  /** The driver could not complete sending the snapshot to this peer (or it was acknowledged as installed). */
  | { readonly kind: 'snapshotSent'; readonly to: NodeId; readonly meta: SnapshotMeta; readonly ok: boolean }
  /** The connection to this peer broke: go back to probing it. */
  | { readonly kind: 'peerUnreachable'; readonly peer: NodeId };

export type Effect =
  /**
   * Write atomically and durably, in the order of `writeId`: first drop the log from `truncateFrom` on, then append,
   * then the hard state. Effects not yet written may be merged into one write; report each `writeId` (or the last).
   * `truncateFrom` 1 also comes after a snapshot was put in force: nothing of the log before it is of use any more.
   */
  | {
      readonly kind: 'persist';
      readonly writeId: WriteId;
      readonly hardState: HardState | null;
      readonly truncateFrom: LogIndex | null;
      readonly append: readonly Entry[];
    }
  /** Safe to send at once. May be lost, doubled, reordered, delayed. */
  | { readonly kind: 'send'; readonly message: Message }
  /** Committed, durable here, and in order, each exactly once per process life, starting after the recovered snapshot. */
  | { readonly kind: 'apply'; readonly entries: readonly Entry[] }
  /** Stream the newest local snapshot to this peer, and answer with the input `snapshotSent`. */
  | { readonly kind: 'sendSnapshot'; readonly to: NodeId; readonly term: Term }
  /** A chunk from the current leader for a snapshot newer than what is committed here. */
  | {
      readonly kind: 'receiveSnapshotChunk';
      readonly message: Extract<Message, { kind: 'snapshotChunk' }>;
    }
  | { readonly kind: 'snapshotAcked'; readonly message: Extract<Message, { kind: 'snapshotAck' }> }
  | { readonly kind: 'proposalOutcome'; readonly id: ProposalId; readonly outcome: ProposalOutcome }
  /**
   * This node stopped being leader (or was overwritten) with these proposals appended and not known to be committed:
   * whether they will be is UNKNOWN (raft.md item 42), unless they are applied later.
   */
  | { readonly kind: 'proposalsUnknown'; readonly ids: readonly ProposalId[] }
  /** Reads may be served once the state machine has applied `index`. */
  | { readonly kind: 'readReady'; readonly readId: ReadId; readonly index: LogIndex }
  | { readonly kind: 'readFailed'; readonly readId: ReadId; readonly leader: NodeId | null }
  | {
      readonly kind: 'roleChanged';
      readonly role: Role;
      readonly term: Term;
      readonly leader: NodeId | null;
    };

/** Timing and limits. Ticks are of the driver's monotonic clock. */
export interface RaftConfig {
  readonly id: NodeId;
  /** An election timeout is drawn from [electionTicks, 2 × electionTicks). */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** A follower's election timer stands still for one tick for every so many bytes of entries that an append brings … */
  readonly patienceBytes: number;
  /** … but for no more than this at once: the leader has them to apply, and may be late with its heartbeats meanwhile. */
  readonly patienceTicksMax: number;
  /** One `append` message carries at most this many payload bytes, or one entry. */
  readonly messageBytesMax: number;
  /** Pipeline window per follower. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** A leader refuses proposals (`overloaded`) beyond this many bytes not yet committed; one is always allowed. */
  readonly uncommittedBytesMax: number;
  /** Largest single proposal. */
  readonly proposalBytesMax: number;
  /** At most this many payload bytes handed out by `apply` and not yet reported `applied`. */
  readonly unappliedBytesMax: number;
  /** Reads waiting for a round, beyond which further ones fail. */
  readonly pendingReadsMax: number;
}

/** What storage found at start. */
export interface RecoveredState {
  readonly hardState: HardState;
  /** The snapshot the log starts after; index 0 with the bootstrap configuration if none was taken. */
  readonly snapshot: SnapshotMeta;
  /** Contiguous from the first kept entry (which may be ≤ snapshot.index) to the last. */
  readonly entries: readonly Entry[];
}

export interface PeerStatus {
  readonly state: 'probe' | 'replicate' | 'snapshot';
  readonly matchIndex: LogIndex;
  readonly nextIndex: LogIndex;
  /** Ticks since anything of the current term was heard from it. */
  readonly ticksSinceContact: number;
}

export interface RaftStatus {
  readonly id: NodeId;
  readonly role: Role;
  readonly term: Term;
  readonly votedFor: NodeId | null;
  readonly leader: NodeId | null;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** Own log is durable up to here. */
  readonly durableIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly snapshotIndex: LogIndex;
  readonly config: Configuration;
  /** Only on the leader. */
  readonly peers: ReadonlyMap<NodeId, PeerStatus>;
}
