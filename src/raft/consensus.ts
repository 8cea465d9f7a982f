import type { Entry, LogIndex, NodeId, RaftStatus, Role, Term } from './core/types.ts';
import type { StoredStretch } from './storage/log-packs.ts';

export { TRANSFERRING } from './core/leading.ts';

/** What became of a proposal (raft.md item 42). `unknown` is never to be treated as failed. */
export type ProposeResult<Result> =
  | { readonly kind: 'applied'; readonly index: LogIndex; readonly term: Term; readonly result: Result }
  /** Certainly in no log. */
  | { readonly kind: 'notLeader'; readonly leader: NodeId | null }
  /** Certainly in no log: a named limit is reached, or the lead is being handed over ({@link TRANSFERRING}); try later. */
  | { readonly kind: 'overloaded'; readonly limit: string }
  /** In this node's log when it lost the lead (or stopped): it may be committed or not. */
  | { readonly kind: 'unknown'; readonly reason: string };

export type ReadBarrierResult =
  /** The local state machine has applied everything acknowledged before the call. */
  | { readonly kind: 'ready'; readonly index: LogIndex }
  | { readonly kind: 'notLeader'; readonly leader: NodeId | null }
  | { readonly kind: 'unknown'; readonly reason: string };

export interface RoleChange {
  readonly role: Role;
  readonly term: Term;
  readonly leader: NodeId | null;
}

/** What others use of a Raft node. The results are those of the local state machine's `apply`. */
export interface Consensus<Result> {
  /** Proposals made in one turn of the event loop share a log write. */
  propose(payload: Uint8Array): Promise<ProposeResult<Result>>;
  /**
   * A linearizable read barrier; works on followers too (forwarded to the leader). All calls of a turn share a
   * round. With `lazy` it waits for the leader's next heartbeat, and costs no message of its own.
   */
  readBarrier(options?: { readonly lazy?: boolean }): Promise<ReadBarrierResult>;
  status(): RaftStatus;
  /** Whether this node has recently heard from enough voters (itself included) for a majority to exist. */
  quorumReachable(): boolean;
  /** Milliseconds since each peer was last heard of (any message); null: never. */
  lastContactMs(): ReadonlyMap<NodeId, number | null>;
  /**
   * The newest version of the protocol that every member speaks, as far as is known: a member not heard of since this
   * process began counts as speaking the oldest.
   */
  commonVersion(): number;
  /** Entries still in the log, both ends inclusive, clipped to what is kept. */
  entries(from: LogIndex, to: LogIndex): readonly Entry[];
  /**
   * The kept log as it lies on the disk at the moment of the call. @throws StorageCorruptError while iterating, at a record
   * that is damaged
   */
  storedLog(): AsyncIterable<StoredStretch>;
  /** Called after each change; returns the unsubscriber. */
  onRoleChanged(listener: (change: RoleChange) => void): () => void;
}
