/**
 * What a server shows of itself to be checked (GET /v1/audit; docs/verify.md): its log as it lies on its disk and the tasks
 * it keeps, all as of one moment, as lines of JSON: a head, the log, the tasks, an end. Contents (scripts, output) are left
 * out; digests stand for them.
 */
import type { AttemptOutcome, FinalStatus, TaskEvent, TaskStatus } from './tasks.ts';

/** First line. */
export interface AuditHead {
  readonly kind: 'head';
  readonly node: string;
  readonly role: 'leader' | 'follower' | 'candidate' | 'learner';
  readonly term: number;
  readonly leader: string | null;
  readonly commitIndex: number;
  /** The tasks below are as of this entry. */
  readonly appliedIndex: number;
  readonly counts: Readonly<Record<TaskStatus, number>>;
  /** Tasks that have ever been submitted. */
  readonly submittedCount: number;
  /** Tasks that have ever finished, and how many of them, the oldest, retention has dropped. */
  readonly finishedCount: number;
  readonly retiredCount: number;
}

/** A stretch of the log that was written at once, read from the disk and matching its checksum. */
export interface AuditStretch {
  readonly kind: 'log';
  /** Running checksum over the bytes of the log before and after it. */
  readonly chainBefore: number;
  readonly chainAfter: number;
  readonly entries: readonly AuditEntry[];
}

export interface AuditEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: 'noop' | 'command' | 'config';
  /** SHA-256 over kind and content. */
  readonly digest: string;
  readonly facts: readonly AuditFact[];
}

/** An operation of an entry, without its contents. */
export interface AuditFact {
  readonly op: string;
  readonly task?: string;
  readonly token?: number;
  readonly node?: string;
  readonly outcome?: FinalStatus;
  /** Digest of a reported result. */
  readonly result?: string;
  /** Tasks submitted: id, digest of the idempotency key, ids waited for. */
  readonly submits?: readonly AuditSubmit[];
  readonly atomic?: boolean;
  /** Of a batch in parts: which one, which part (from 0), and whether it is the last. */
  readonly batch?: string;
  readonly part?: number;
  readonly last?: boolean;
}

export interface AuditSubmit {
  readonly id: string;
  readonly key?: string;
  readonly after?: readonly string[];
}

/** Something on the disk is not what it must be. */
export interface AuditDamage {
  readonly kind: 'damage';
  readonly message: string;
}

export interface AuditTask {
  readonly kind: 'task';
  readonly id: string;
  readonly status: TaskStatus;
  /** Log index of the last entry that changed it, and of the one that submitted it. */
  readonly index: number;
  readonly submitIndex: number;
  /** Place in the order of finishing; null while it is live. */
  readonly finishNumber: number | null;
  readonly finishedAt: number | null;
  readonly cancelRequested: boolean;
  readonly attemptCount: number;
  /** Digest of the idempotency key. */
  readonly key: string | null;
  readonly after: readonly string[];
  /** Digest of its result; null without one. */
  readonly result: string | null;
  readonly attempts: readonly AuditAttempt[];
  /** `[index, what, node, attempt]`, after the submission. */
  readonly timeline: readonly (readonly [number, TaskEvent['what'], string | null, number | null])[];
  /** Events left out of the middle of the timeline (attempts may be missing then, too). */
  readonly timelineCut: number;
  /** SHA-256 over the whole record. */
  readonly digest: string;
}

/** Times are milliseconds since 1970 by the clock of the log. */
export interface AuditAttempt {
  readonly number: number;
  readonly node: string;
  readonly token: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly outcome: AttemptOutcome | null;
}

/** Last line: an answer without it is incomplete. */
export interface AuditEnd {
  readonly kind: 'end';
  readonly entries: number;
  readonly tasks: number;
  /** Retention may have gone on meanwhile: finished tasks up to this number may be missing. */
  readonly retiredCount: number;
}

export type AuditLine = AuditHead | AuditStretch | AuditDamage | AuditTask | AuditEnd;
