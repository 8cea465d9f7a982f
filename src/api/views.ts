/** Shapes of the remaining answers: nodes, Raft, events. */
import type { TaskStatus } from './tasks.ts';

export type NodeStatus = 'ready' | 'draining' | 'disconnected' | 'down';

export interface NodeView {
  readonly id: string;
  readonly role: 'server' | 'worker';
  /** host:port */
  readonly address: string;
  readonly status: NodeStatus;
  readonly eligible: boolean;
  /** Percent of what the node (its cgroup) may use; null before the first sample. */
  readonly cpu: number | null;
  readonly memory: number | null;
  readonly slots: number;
  readonly running: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly lastSeenAt: string | null;
  /** True for the current master. */
  readonly leader: boolean;
}

export interface RaftView {
  readonly id: string;
  readonly role: 'leader' | 'follower' | 'candidate' | 'learner';
  readonly term: number;
  readonly votedFor: string | null;
  readonly leader: string | null;
  readonly leaderSince: string | null;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly snapshotIndex: number;
  readonly voters: readonly string[];
  readonly learners: readonly string[];
  /** Filled on the leader. */
  readonly peers: Readonly<
    Record<
      string,
      { readonly matchIndex: number; readonly lag: number; readonly lastContactMs: number | null }
    >
  >;
}

export interface RaftLogEntryView {
  readonly index: number;
  readonly term: number;
  readonly kind: 'noop' | 'command' | 'config';
  /** Stamped by the master that proposed it; null for noop and config. */
  readonly time: string | null;
  /** Decoded content (a command's operations, a configuration). */
  readonly data: unknown;
}

/** What one applied entry changed, for GET /v1/events. Small on purpose: readers fetch what they need. */
export type ClusterEvent =
  | {
      readonly kind: 'task';
      readonly id: string;
      readonly name: string | null;
      readonly status: TaskStatus;
      readonly what: string;
      readonly node: string | null;
      readonly attempt: number | null;
      readonly exitCode: number | null;
    }
  | { readonly kind: 'node'; readonly id: string; readonly status: NodeStatus }
  | { readonly kind: 'leader'; readonly id: string; readonly term: number };

export interface EventMessage {
  readonly index: number;
  readonly term: number;
  readonly time: string;
  readonly events: readonly ClusterEvent[];
}

/** A task as it was at a log index. */
export interface TaskAtView {
  readonly id: string;
  readonly name: string | null;
  readonly status: TaskStatus;
  /** Node of the latest attempt there was by then. */
  readonly node: string | null;
  /** Its number; 0 before the first. */
  readonly attempt: number;
  /** Last entry by then that changed it. */
  readonly index: number;
  readonly submittedAt: string;
}

/** A node as the log had it at an index: its load is not in the log. */
export interface NodeAtView {
  readonly id: string;
  readonly role: 'server' | 'worker';
  readonly status: Exclude<NodeStatus, 'disconnected'>;
  readonly slots: number;
  readonly running: number;
}

/** GET /v1/state: tasks and nodes as they were once the entry `at` was applied. */
export interface StateView {
  readonly at: number;
  /** Of that entry, as far as known. */
  readonly term: number | null;
  readonly time: string | null;
  /** Who led then, where the entries kept tell it. */
  readonly leader: string | null;
  /** The indexes that can be asked for. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly counts: Readonly<Record<TaskStatus, number>>;
  readonly nodes: readonly NodeAtView[];
  /** Newest submission first. */
  readonly tasks: readonly TaskAtView[];
  readonly nextCursor: string | null;
}

export interface StateQuery {
  /** null: as it is now. */
  readonly at: number | null;
  readonly limit: number;
  readonly cursor?: string;
}

/** The queue as a whole. While it is paused nothing is placed on a node; what runs goes on. */
export interface QueueView {
  readonly paused: boolean;
  /** Tasks that are not final, by status. */
  readonly lengths: Readonly<Record<'scheduled' | 'queued' | 'assigned' | 'running', number>>;
}

/** Who leads after a transfer of the lead. */
export interface LeadView {
  readonly leader: string;
  readonly term: number;
}

export type OutputStream = 'stdout' | 'stderr';
