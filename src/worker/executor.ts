import type { AttemptRef, RunSpec } from '../link/protocol.ts';
import type { FileContents } from '../api/task-files.ts';
import type { FinalStatus, TaskResult } from '../api/tasks.ts';
import type { OutputStream } from '../api/views.ts';

/** How an attempt ended, as the worker keeps it in its outbox. No process of it is left by then. */
export type Ending =
  | {
      readonly kind: 'finished';
      readonly outcome: FinalStatus;
      readonly reason: string | null;
      /** Milliseconds it ran, pauses excluded. */
      readonly runMs: number;
      readonly result: TaskResult;
      /** Of the collected files, those that are to be replicated. */
      readonly contents?: FileContents;
    }
  /**
   * It did not come to its own end: given back, to be run again somewhere; no attempt is used up. `fault`: because
   * something that runs tasks here died, which may be the task's own doing.
   */
  | { readonly kind: 'released'; readonly reason: string; readonly fault?: true }
  /** Killed because the master gave the task to somebody else: nobody waits for it. */
  | { readonly kind: 'dropped' };

/** Characters that an ending takes beside its fixed parts, roughly bytes. */
export function endingChars(ending: Ending | null): number {
  if (ending?.kind !== 'finished') return 0;
  const { result, contents } = ending;
  const files = contents === undefined ? [] : Object.values(contents);
  return files.reduce((sum, { length }) => sum + length, result.stdout.length + result.stderr.length);
}

export interface LaunchOrder extends AttemptRef {
  /** The attempt's number, for CLB_ATTEMPT. */
  readonly number: number;
  readonly spec: RunSpec;
}

/**
 * canceled: SIGTERM, grace, SIGKILL; ends as finished/canceled. released: the same, ends as released.
 * superseded: SIGKILL at once (another node may be running the task by now, so not even a grace); ends as dropped.
 */
export type KillWhy = 'canceled' | 'released' | 'superseded';

export interface ExecutorEvents {
  /** Its process exists. */
  readonly onStarted: (ref: AttemptRef) => void;
  /** May be repeated until it is acknowledged. */
  readonly onEnded: (ref: AttemptRef, ending: Ending) => void;
  /** It can't do its work any more; the node should end. */
  readonly onFatal: (error: Error) => void;
}

export interface ExecutorHoldings {
  /** `started`: its process exists, onStarted will not come. */
  readonly running: readonly (AttemptRef & { readonly started: boolean })[];
  /** Ended, but never acknowledged. */
  readonly ended: readonly (AttemptRef & { readonly ending: Ending })[];
}

export interface OutputRequest {
  readonly stream: OutputStream;
  readonly offset: number;
  readonly maxBytes: number;
  /** How long to wait for bytes if there are none yet. */
  readonly waitMs: number;
}

export interface FileRequest {
  readonly path: string;
  readonly offset: number;
  readonly maxBytes: number;
}

export interface OutputChunk {
  readonly data: Uint8Array;
  readonly nextOffset: number;
  /** The attempt is over and nothing follows. */
  readonly end: boolean;
}

/** The output asked for is not (or no longer) on this node. */
export class OutputGoneError extends Error {
  readonly code = 'OUTPUT_GONE';
}

/**
 * What runs attempts. In production the launcher process (launcher-executor.ts); benchmarks and simulators plug in
 * their own. Calls never block; all but start, stop and crash are only valid between start() and stop() or crash().
 */
export interface Executor {
  /**
   * Whether a launch leaves traces outside this process, so that the worker must have written it down before. Without, the
   * begin record and the result share one write.
   */
  readonly beginBeforeLaunch: boolean;

  /**
   * Makes ready and returns what an earlier life of this node left. Of attempts that are in neither list, no process is
   * left. No event comes before it has resolved.
   */
  start(events: ExecutorEvents): Promise<ExecutorHoldings>;

  /** Starts it as soon as the lease is valid (at once with onDisconnect 'continue'). */
  launch(order: LaunchOrder): void;

  /** Unknown attempts are ignored. */
  kill(ref: AttemptRef, why: KillWhy): void;

  /**
   * The node may run tasks until then, on the machine-wide monotonic clock (milliseconds of process.hrtime). When it
   * passes, attempts are paused, killed (they end as released) or left alone, as their onDisconnect says; a later call
   * resumes what is paused.
   */
  extendLease(untilMonotonicMs: number): void;

  /** Its ending is durable in the outbox (or not wanted): it need not be repeated. */
  acknowledge(ref: AttemptRef): void;

  /** @throws OutputGoneError (as a rejection). */
  readOutput(ref: AttemptRef, request: OutputRequest): Promise<OutputChunk>;

  /** A collected file that is kept on this node. @throws OutputGoneError (as a rejection). */
  readFile(ref: AttemptRef, request: FileRequest): Promise<OutputChunk>;

  /** Tasks of which output or files are kept here. */
  keptTasks(): Promise<readonly string[]>;

  /** The cluster keeps these no more: what is kept of them here may go. */
  forget(tasks: readonly string[]): void;

  /** Ends what still runs and itself. */
  stop(): Promise<void>;

  /** As if the machine had lost power: everything is killed at once, nothing is reported. Resolves when nothing is left. */
  crash(): Promise<void>;
}
