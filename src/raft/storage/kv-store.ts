/**
 * The little that the node's state needs of a database: ordered string keys, atomic batches, a synchronous get.
 * Implemented by LevelDB (production), by memory, and by the simulator's disk; one conformance suite runs on all.
 *
 * Keys are ASCII, ordered bytewise; numbers in keys are zero-padded to {@link KEY_DIGITS}. Each owner has a prefix
 * ending in '!' (docs/storage.md lists them).
 */

import type { SlotFile } from './slot-file.ts';

export type KvOp =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'del'; readonly key: string };

export interface KvRange {
  /** Inclusive. */
  readonly gte: string;
  /** Exclusive. */
  readonly lt: string;
  readonly reverse?: boolean;
  /** -1 or absent: no limit. */
  readonly limit?: number;
}

/** A frozen view of the store: later writes don't show. Must be closed. */
export interface KvView {
  iterate(range: KvRange): AsyncIterable<readonly [key: string, value: Uint8Array]>;
  close(): Promise<void>;
}

export interface KvStore {
  /** A small file that lies beside the database: the superblock's. */
  readonly slots: SlotFile;
  /** Synchronous on purpose: the state machine's apply is. */
  get(key: string): Uint8Array | undefined;
  iterate(range: KvRange): AsyncIterable<readonly [key: string, value: Uint8Array]>;
  /** Bounded synchronous range read; `limit` is obligatory. For lookups by prefix. */
  rangeSync(range: KvRange & { readonly limit: number }): readonly (readonly [string, Uint8Array])[];
  view(): KvView;
  /**
   * Atomic. Durable when resolved if `sync`. At most one batch may be in flight (LevelDB gives no order to concurrent
   * writes, raft.md L3): the owner serializes. After ANY rejection the store must not be used again (raft.md L1).
   */
  batch(ops: readonly KvOp[], options: { readonly sync: boolean }): Promise<void>;
  close(): Promise<void>;
}

/** Enough for Number.MAX_SAFE_INTEGER. */
export const KEY_DIGITS = 16;

/** A number as it stands in keys: zero-padded, so that key order is numeric order. */
export function keyNumber(value: number): string {
  return value.toString().padStart(KEY_DIGITS, '0');
}
