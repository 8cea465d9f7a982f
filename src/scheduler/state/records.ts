/**
 * What the state machine holds. Records are immutable: a change makes a new one, so a snapshot is a frozen list of
 * references. Times are milliseconds since 1970 by the state machine's clock.
 */
import type { FileContents } from '../../api/task-files.ts';
import type { AttemptOutcome, TaskEvent, TaskRequest, TaskResult, TaskStatus } from '../../api/tasks.ts';

/** Why a node was chosen. */
export interface Placement {
  readonly reason: string;
  /** The candidates, by candidate-rows.ts. */
  readonly rows: string;
}

export interface AttemptRecord {
  /** From 1. */
  readonly number: number;
  readonly node: string;
  /** Log index of the entry that assigned it: the fencing token. */
  readonly token: number;
  readonly assignedAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly outcome: AttemptOutcome | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly reason: string | null;
  readonly placement: Placement | null;
}

export type TimelineWhat = TaskEvent['what'];

export interface TimelineRecord {
  readonly index: number;
  readonly term: number;
  readonly at: number;
  readonly what: TimelineWhat;
  readonly node: string | null;
  readonly attempt: number | null;
  readonly why: string | null;
}

export interface TaskRecord {
  readonly id: string;
  /** Submission number: dense, from 1, never used again. */
  readonly seq: number;
  /** As submitted; defaults are filled in by task-spec.ts. */
  readonly spec: TaskRequest;
  readonly retryOf: string | null;
  readonly clientPort: number | null;
  /** Digest of the idempotency key, and of the content that came with it. */
  readonly key: string | null;
  readonly content: string | null;
  readonly submittedAt: number;
  /** Log index and term of the submission. */
  readonly submitIndex: number;
  readonly submitTerm: number;

  readonly status: TaskStatus;
  /** While scheduled: not before this time. null: no time is waited for. */
  readonly runAt: number | null;
  /** While scheduled: how many of `after` have not succeeded yet. */
  readonly waitsFor: number;
  readonly pendingReason: string | null;
  readonly cancelRequested: boolean;
  /** When the current (or last) attempt started. */
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** Attempts that count against maxAttempts: failed and timed_out. */
  readonly attemptsUsed: number;
  /** Attempts that were lost because a node, or what it runs tasks with, died or was cut off. */
  readonly losses: number;
  /** Number of the latest attempt; 0 before the first. */
  readonly attemptNumber: number;
  readonly attempts: readonly AttemptRecord[];
  readonly result: TaskResult | null;
  /** Of the collected files, those that are replicated; null: none. */
  readonly contents: FileContents | null;
  /** Log index of the last entry that changed it. */
  readonly index: number;
  /** What happened after the submission (which is in the fields above). */
  readonly timeline: readonly TimelineRecord[];
  /** Entries left out of the middle of the timeline. */
  readonly timelineCut: number;
}

export interface NodeRegistration {
  readonly id: string;
  readonly role: 'server' | 'worker';
  /** host:port */
  readonly address: string;
  readonly slots: number;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly instance: string;
}

export interface NodeRecord extends NodeRegistration {
  readonly up: boolean;
  readonly draining: boolean;
  /** Running tasks are ended after this time. */
  readonly drainUntil: number | null;
  /** When `up` last changed. */
  readonly since: number;
  /** Why it is down. */
  readonly reason: string | null;
  readonly index: number;
}

/** Position of the command being applied. */
export interface EntryContext {
  readonly index: number;
  readonly term: number;
  /** In force when the entry is applied (op-versions.ts): what a later one brought must not be done before. */
  readonly version: number;
  /** The state machine's clock as of this entry. */
  readonly at: number;
}
