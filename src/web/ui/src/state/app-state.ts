import type { TaskEvent, TaskView } from '../../../../api/tasks.ts';
import type { Draft } from '../model/draft.ts';
import { EMPTY_DRAFT } from '../model/draft.ts';
import type { History } from '../model/history.ts';
import type { FeedState } from '../model/link-state.ts';
import type { LogTail } from '../model/log-tail.ts';
import { emptyTail } from '../model/log-tail.ts';
import type { NodeBoard } from '../model/node-board.ts';
import { EMPTY_BOARD } from '../model/node-board.ts';
import type { RaftBoard } from '../model/raft-board.ts';
import { EMPTY_RAFT_BOARD } from '../model/raft-board.ts';
import type { TaskList } from '../model/task-list.ts';
import { emptyList } from '../model/task-list.ts';
import type { ApiFailure } from '../net/client.ts';
import type { FaultItem } from '../model/fault-line.ts';
import type { BulkProgress } from '../model/bulk-progress.ts';
import type { ScenarioRun } from '../model/scenario-run.ts';

/** The task whose page is open. */
export interface Detail {
  readonly id: string;
  readonly task: TaskView | null;
  readonly events: readonly TaskEvent[];
  /** Index of the task for which `events` were fetched. */
  readonly eventsIndex: number;
  readonly stale: boolean;
  readonly failure: ApiFailure | null;
  /** A cancel or retry under way, or what became of it. */
  readonly action:
    | { readonly kind: 'idle' }
    | { readonly kind: 'busy'; readonly what: 'cancel' | 'retry' | 'duplicate' }
    | { readonly kind: 'failed'; readonly failure: ApiFailure };
}

export type SendState =
  | { readonly kind: 'idle' }
  /** `reason`: why it is not the first try. */
  | { readonly kind: 'sending'; readonly attempt: number; readonly reason: string | null }
  | { readonly kind: 'sent'; readonly id: string }
  | {
      readonly kind: 'refused';
      readonly title: string;
      readonly message: string;
      readonly field: string | null;
      readonly advice: string | null;
    };

/** Everything the page shows. Times are milliseconds of this machine's clock unless named otherwise. */
export interface AppState {
  /** `out`: the server asked for a token. */
  readonly session: 'in' | 'out';
  readonly signIn: { readonly busy: boolean; readonly problem: string | null };

  readonly feed: FeedState;
  readonly behind: boolean;
  readonly startedMs: number;
  readonly lastContactMs: number | null;
  /** What to add to this machine's clock to get the servers'. */
  readonly skewMs: number;

  readonly leader: string | null;
  readonly term: number | null;

  readonly list: TaskList;
  readonly listFailure: ApiFailure | null;
  readonly loadingOlder: boolean;
  /** The last bulk action; null while there is none to tell of. */
  readonly bulk: BulkProgress | null;

  readonly board: NodeBoard;
  readonly boardFailure: ApiFailure | null;
  /** What the server said when it refused to stop a node; null while nobody has been refused. */
  readonly stopRefused: string | null;
  /** What went wrong with the last stop or start, by node. */
  readonly nodeProblems: Readonly<Record<string, string>>;

  /** As of when the cluster's view was open last. */
  readonly raft: RaftBoard;

  readonly logs: LogTail;

  /** What happened around faults, as far as heard while their view was open; oldest first. */
  readonly faultItems: readonly FaultItem[];
  readonly scenario: ScenarioRun | null;

  /** Samples of the last minutes. */
  readonly history: History;

  readonly detail: Detail | null;

  readonly draft: Draft;
  readonly send: SendState;
  /** For screen readers: the latest change of a task that was sent from here. */
  readonly announcement: string;
}

export function initialState(nowMs: number, draft: Draft = EMPTY_DRAFT): AppState {
  return {
    session: 'in',
    signIn: { busy: false, problem: null },
    feed: 'connecting',
    behind: false,
    startedMs: nowMs,
    lastContactMs: null,
    skewMs: 0,
    leader: null,
    term: null,
    list: emptyList(),
    listFailure: null,
    loadingOlder: false,
    bulk: null,
    board: EMPTY_BOARD,
    boardFailure: null,
    stopRefused: null,
    nodeProblems: {},
    raft: EMPTY_RAFT_BOARD,
    logs: emptyTail(),
    faultItems: [],
    scenario: null,
    history: [],
    detail: null,
    draft,
    send: { kind: 'idle' },
    announcement: '',
  };
}

export function emptyDetail(id: string): Detail {
  return {
    id,
    task: null,
    events: [],
    eventsIndex: -1,
    stale: false,
    failure: null,
    action: { kind: 'idle' },
  };
}
