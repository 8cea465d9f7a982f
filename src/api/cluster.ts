import type { FileBytes, TaskFilesView } from './task-files.ts';
import type { AuditLine } from './audit.ts';
import type { Peers } from './peers.ts';
import type { Schedules } from './schedules.ts';
import type {
  EventMessage,
  LeadView,
  NodeView,
  OutputStream,
  QueueView,
  RaftLogEntryView,
  RaftView,
  StateQuery,
  StateView,
} from './views.ts';
import type { BatchResultItem, TaskEvent, TaskListQuery, TaskPage, TaskRequest, TaskView } from './tasks.ts';

export interface SubmitItem {
  readonly request: TaskRequest;
  readonly idempotencyKey: string | null;
  /** Id of the task this one repeats. */
  readonly retryOf: string | null;
  /** Port of the client node it came through (header X-Clb-Client-Port), for the log lines; null if it came directly. */
  readonly clientPort: number | null;
}

/**
 * How the web layer meets the cluster: one server as seen from its own HTTP routes. Failures are thrown as
 * ApiError (errors.ts). Calls marked (master) throw NO_LEADER on any other node: the web layer forwards them.
 */
export interface Cluster extends Schedules, Peers {
  readonly nodeId: string;

  /** Who leads, as far as this node knows; `address` is host:port of its configured peer entry. */
  leader(): { readonly id: string; readonly address: string } | null;
  isLeader(): boolean;
  /** Index of the last entry applied here (X-Clb-Index). */
  appliedIndex(): number;
  /** A leader is known and this node has applied what was committed when it learned of it. */
  ready(): { readonly ready: boolean; readonly reason: string };

  /** (master) Resolves once the tasks are on the disks of a majority and applied here. 201 new, 200 known key. */
  submit(
    items: readonly SubmitItem[],
    options: { readonly atomic: boolean },
  ): Promise<readonly BatchResultItem[]>;
  /** (master) */
  cancel(id: string): Promise<TaskView>;
  /** (master) A new task of the same content. */
  retry(id: string): Promise<TaskView>;

  /** (master) Resolves when this node may serve a linearizable read; NO_QUORUM if it can't be had. */
  readBarrier(): Promise<void>;
  /** From the local state. `idOrPrefix`: NOT_FOUND, or CONFLICT where ambiguous. */
  getTask(idOrPrefix: string): TaskView;
  /** Resolves as soon as it is final, or after the time with what it is then. */
  waitTask(id: string, waitMs: number, signal: AbortSignal): Promise<TaskView>;
  listTasks(query: TaskListQuery): Promise<TaskPage>;
  taskEvents(idOrPrefix: string): readonly TaskEvent[];
  /**
   * (master) Raw bytes from `offset`, of the attempt that is the last one when it is called (of the first one, if there is
   * none yet); with follow until that attempt has ended. Output of a later attempt is never appended: readers start anew.
   */
  readOutput(
    idOrPrefix: string,
    options: {
      readonly stream: OutputStream;
      readonly offset: number;
      readonly follow: boolean;
      readonly signal: AbortSignal;
    },
  ): AsyncIterable<Uint8Array>;

  /** What is kept of a task by `collect`; empty while it has no result. */
  taskFiles(idOrPrefix: string): TaskFilesView;
  /** (master) One of these files. NOT_FOUND, or UNAVAILABLE while the only node that has it is away. */
  openFile(idOrPrefix: string, path: string, signal: AbortSignal): Promise<FileBytes>;

  /** (master for live values) */
  nodes(): readonly NodeView[];
  /** (master) */
  drain(node: string, drain: boolean, deadlineMs: number | null): Promise<void>;

  queue(): QueueView;
  /** (master) Stops or resumes placing; what runs goes on. */
  pauseQueue(paused: boolean): Promise<void>;

  /**
   * (master) Hands the lead to this voter; resolves once it is known to lead, at once if it does already. NOT_FOUND where
   * there is no such server; CONFLICT, `details.reason` being `not_a_voter`, `not_reachable` or `timed_out`, where it can't
   * lead or did not begin to within a bounded time.
   */
  transferLeadership(to: string): Promise<LeadView>;
  raft(): RaftView;
  raftLog(from: number, to: number): readonly RaftLogEntryView[];
  /**
   * What this server has, log from the disk and tasks, as of one moment, to be checked (audit.ts). Breaks off with an error
   * where the state is replaced meanwhile.
   */
  audit(): AsyncIterable<AuditLine>;
  /** Tasks and nodes as they were at a log index. NOT_FOUND where this server can't tell; its message names what it can. */
  stateAt(query: StateQuery): Promise<StateView>;

  /**
   * Calls back for every entry applied after `afterIndex` (null: from now on). Returns 'reset' if that is older than
   * what is kept. `unsubscribe` must be called in the end.
   */
  subscribe(
    afterIndex: number | null,
    onMessage: (message: EventMessage) => void,
  ):
    | { readonly kind: 'ok'; readonly unsubscribe: () => void }
    | { readonly kind: 'reset'; readonly index: number };
}
