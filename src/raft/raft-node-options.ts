import type { Configuration, NodeId } from './core/types.ts';
import type { RaftLogger } from './raft-logger.ts';
import type { RaftMetrics } from './raft-metrics.ts';
import type { RaftSettings } from './raft-settings.ts';
import type { StateMachine } from './state-machine.ts';
import type { KvStore } from './storage/kv-store.ts';
import type { Timers } from './timers.ts';
import type { RaftTransport } from './transport/transport.ts';

export interface RaftNodeOptions<Result> {
  readonly id: NodeId;
  readonly clusterId: string;
  /** Who takes part at the very first start; of no effect once anything is stored. Empty for a server that joins. */
  readonly bootstrap: Configuration;
  /**
   * host:port of members by the word of whoever started this server: once it leads, it writes them down where the
   * configuration has none or others.
   */
  readonly addresses?: Readonly<Record<string, string>>;
  /**
   * Draws a name for a data folder that has none (unlike any other): members are known by it, so that one that lost its folder can't
   * come back under its old id. Left out: folders stay without, and nobody is found out.
   */
  readonly newFolderId?: () => string;
  /** Owned by the node from now on: closed by `stop`, `crash`, and when `open` fails. */
  readonly kv: KvStore;
  /** Owned by the node from now on. */
  readonly transport: RaftTransport;
  readonly machine: StateMachine<Result>;
  readonly timers: Timers;
  /** Uniform whole numbers in [0, boundExclusive). */
  readonly random: (boundExclusive: number) => number;
  readonly log: RaftLogger;
  /** The process must end: a write failed, or an invariant is broken. Called once; the node is dead by then. */
  readonly onFatal: (error: unknown) => void;
  /**
   * This server takes no part any more: the log says so (`by` is this server itself), or a member does that has turned it
   * away. It may be called more than once; the node goes on until it is stopped.
   */
  readonly onRemoved?: (by: NodeId) => void;
  /** Free space where `kv` lies ({@link ./storage/disk-space.ts}); not watched if absent. */
  readonly diskFreeBytes?: () => Promise<number>;
  readonly metrics?: RaftMetrics;
  readonly settings?: Partial<RaftSettings>;
}
