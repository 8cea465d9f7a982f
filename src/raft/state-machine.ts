import type { LogIndex, SnapshotMeta, Term } from './core/types.ts';
import type { KvOp, KvStore } from './storage/kv-store.ts';

/** A committed command, as the state machine gets it. */
export interface CommittedCommand {
  readonly index: LogIndex;
  readonly term: Term;
  readonly payload: Uint8Array;
}

/**
 * What Raft replicates. Implementations are deterministic: state and results follow from the sequence of
 * commands alone. `apply` is synchronous and must not throw for any command that reached the log: a throw is a bug
 * and ends the process.
 *
 * Part of the state may live in the KvStore beside the log. The machine sees a scoped store: its keys are relative
 * (storage puts `sm!<generation>!` in front; an installed snapshot gets a new generation, so that install is one atomic
 * step). `apply` may read it synchronously and hands its writes over by `takeDirty`; they join the next synced flush of
 * the log. So the stored part may be AHEAD of the last snapshot when the log is replayed after a crash: records carry the
 * index that made them, and a replayed command ignores those of later indexes. A record that must go is deleted
 * physically only by the ops of `dropBefore`, once a snapshot at or after the deletion is durable.
 */
export interface StateMachine<Result> {
  /** Applies one committed command. The result goes to the proposer if that was here. */
  apply(command: CommittedCommand): Result;

  /** A new leader's no-op was applied: no command of an earlier term will follow. */
  applyTermStart(term: Term, index: LogIndex): void;

  /** Writes (relative keys) due since the last call; asked each time a flush is composed and before a snapshot becomes durable. */
  takeDirty(): readonly KvOp[];

  /**
   * Freezes the state as of the last applied command and returns it as chunks (each ≤ 256 KiB), produced lazily while
   * later commands are applied: it must neither disturb them nor see them. Only what is NOT in the KvStore.
   */
  snapshot(): AsyncIterable<Uint8Array>;

  /** Whether a stored record (relative key) belongs to the state as of `index`: filter for sending a snapshot to a peer. */
  storedAt(index: LogIndex, key: string, value: Uint8Array): boolean;

  /** Ops that delete what was logically deleted at or before `index`; written in the batch that makes that snapshot durable. */
  dropBefore(index: LogIndex): readonly KvOp[];

  /**
   * Replaces the whole in-memory state by that of a snapshot (at start, or installed from the leader); at index 0
   * there are no chunks and the state is empty. The stored part is in `kv` already.
   */
  restore(
    meta: SnapshotMeta,
    chunks: AsyncIterable<Uint8Array>,
    kv: Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'>,
  ): Promise<void>;
}
