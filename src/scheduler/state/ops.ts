/**
 * The commands of the replicated task list. The payload of a log entry is JSON `{at, ops:[…]}`; `at` was stamped
 * by the master that proposed it. Everything random (ids) or costly (digests) is made by the proposer.
 */
import type { FileContents } from '../../api/task-files.ts';
import type { FinalStatus, TaskRequest, TaskResult } from '../../api/tasks.ts';
import type { NodeRegistration, Placement } from './records.ts';
import type { NewSchedule } from './schedule-table.ts';

export interface NewTask {
  readonly id: string;
  /** Validated by the proposer. */
  readonly spec: TaskRequest;
  readonly retryOf?: string;
  readonly clientPort?: number;
  /** Digest of the idempotency key; goes with `content`. */
  readonly key?: string;
  /** Digest of what was asked for under the key. */
  readonly content?: string;
}

/** One time of a schedule. */
export interface ScheduleTick {
  readonly schedule: string;
  /** The time it stands for: what the record has as `nextAt`. */
  readonly time: number;
  /** The first time after now. */
  readonly nextAt: number | null;
  /** Times between the two, which nobody was there to use. */
  readonly missed: number;
  readonly task: NewTask;
}

interface AttemptOp {
  readonly task: string;
  /** Log index of the entry that assigned the attempt. */
  readonly token: number;
}

export type Op =
  /** atomic: all or nothing. */
  | { readonly op: 'submit'; readonly atomic: boolean; readonly tasks: readonly NewTask[] }
  /** Part of an atomic batch that is too large for one entry; parts count from 0. The last makes all visible. */
  | {
      readonly op: 'stage';
      readonly batch: string;
      readonly part: number;
      readonly last: boolean;
      readonly tasks: readonly NewTask[];
    }
  /** Forget a batch that can't be completed. */
  | { readonly op: 'unstage'; readonly batch: string }
  /** Gives a queued task to a node; this entry's index becomes the fencing token. */
  | { readonly op: 'assign'; readonly task: string; readonly node: string; readonly placement: Placement }
  | (AttemptOp & { readonly op: 'start' })
  | (AttemptOp & {
      readonly op: 'finish';
      readonly outcome: FinalStatus;
      readonly reason: string | null;
      readonly runMs: number;
      readonly result: TaskResult;
      /** Of the collected files, those that are replicated. */
      readonly contents?: FileContents;
    })
  /** Given back unfinished; `fault`: not in order, something that runs tasks on the node died. */
  | (AttemptOp & { readonly op: 'release'; readonly reason: string; readonly fault?: true })
  /** A node came back with an attempt that had been replaced; it was killed there. */
  | (AttemptOp & { readonly op: 'supersede' })
  /** The node says that it does not have this attempt. */
  | (AttemptOp & { readonly op: 'lost'; readonly reason: string })
  | { readonly op: 'cancel'; readonly task: string }
  /** Moves scheduled tasks whose time has come, up to a limit; `more` in the result says that there are others. */
  | { readonly op: 'due' }
  | { readonly op: 'nodeUp'; readonly node: NodeRegistration }
  /** The node is gone: what it had goes back to the queue. */
  | { readonly op: 'nodeDown'; readonly node: string; readonly reason: string }
  | {
      readonly op: 'drain';
      readonly node: string;
      readonly drain: boolean;
      readonly deadlineMs: number | null;
    }
  | { readonly op: 'pause'; readonly paused: boolean }
  | { readonly op: 'scheduleAdd'; readonly schedule: NewSchedule }
  | { readonly op: 'scheduleRemove'; readonly schedule: string }
  /** A time of a schedule has come. */
  | ({ readonly op: 'scheduleTick' } & ScheduleTick)
  /** From here on ops of this version may follow: every server was seen to know them. It never goes back. */
  | { readonly op: 'version'; readonly version: number }
  /** Drops finished tasks from the oldest on, through this finish number. */
  | { readonly op: 'retire'; readonly through: number };

export interface LogEntryContent {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly ops: readonly Op[];
}

export type SubmitItemResult =
  | { readonly kind: 'created'; readonly id: string }
  /** The key was seen before with the same content. */
  | { readonly kind: 'existing'; readonly id: string }
  | {
      readonly kind: 'refused';
      readonly code: 'INVALID' | 'CONFLICT';
      /** Which field of the task. */
      readonly field: string;
      readonly message: string;
    };

/** What became of an op, for its proposer. */
export type OpResult =
  | { readonly kind: 'done' }
  /** In the order of the tasks. `accepted` is false where an atomic batch was refused as a whole. */
  | { readonly kind: 'submitted'; readonly accepted: boolean; readonly items: readonly SubmitItemResult[] }
  /** The same was recorded before (a message sent twice): as good as done. */
  | { readonly kind: 'duplicate' }
  /** The token is not the current one. */
  | { readonly kind: 'superseded' }
  | { readonly kind: 'more'; readonly more: boolean }
  | {
      readonly kind: 'refused';
      readonly code: 'NOT_FOUND' | 'CONFLICT' | 'INVALID';
      readonly message: string;
    };

/** What `apply` gives to the proposer: one result per op, in order. */
export interface ApplyResult {
  readonly results: readonly OpResult[];
}

/** The last time that a Date can hold. */
const TIME_MAX = 8.64e15;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** An entry from ops that are JSON already (each is turned into text once, when its size is measured). */
export function encodeEntry(at: number, opTexts: readonly string[]): Uint8Array {
  return encoder.encode(`{"at":${at},"ops":[${opTexts.join(',')}]}`);
}

/** null for what is no entry of this program: applied as nothing, on every server alike. */
export function decodeEntry(payload: Uint8Array): LogEntryContent | null {
  try {
    const parsed: unknown = JSON.parse(decoder.decode(payload));
    if (typeof parsed !== 'object' || parsed === null) return null;
    const { at, ops } = parsed as { at?: unknown; ops?: unknown };
    if (typeof at !== 'number' || !(at >= 0 && at <= TIME_MAX) || !Array.isArray(ops)) return null;
    return { at, ops: ops as Op[] };
  } catch {
    return null;
  }
}
