import { isFinal } from '../api/tasks.ts';
import type { AuditLine } from '../api/audit.ts';
import type { AddPeerRequest, PeersView, SnapshotView } from '../api/peers.ts';
import type { ScheduleRequest, ScheduleView } from '../api/schedules.ts';
import type { TaskFilesView } from '../api/task-files.ts';
import type {
  BatchResultItem,
  TaskEvent,
  TaskListQuery,
  TaskPage,
  TaskRequest,
  TaskView,
} from '../api/tasks.ts';
import type {
  EventMessage,
  LeadView,
  NodeView,
  QueueView,
  RaftLogEntryView,
  RaftView,
} from '../api/views.ts';
import { DEFAULT_SERVERS, parseAddresses } from './address.ts';
import { ClbError, NoServerError } from './errors.ts';
import { readAudit } from './audit.ts';
import { subscribe, type SubscribeOptions } from './event-stream.ts';
import { listFiles, readFile } from './files.ts';
import { readOutput, type OutputOptions } from './output.ts';
import { pause } from './pause.ts';
import { jsonOf, ServerPool, type Patience, type PoolAnswer, type PoolRequest } from './server-pool.ts';
import { Submitter, type BatchOptions, type SubmitOptions } from './submitter.ts';
import { abortReason, type Transport } from './transport.ts';
import { SharedWaits, type TaskOutcome } from './waits.ts';

export interface ClbOptions {
  /** host:port each; any server (or the client node) will do. No other address is ever dialed. */
  readonly servers?: readonly string[];
  readonly token?: string;
  /** For one answer; after it the next address is tried. Default 10 s. */
  readonly timeoutMs?: number;
  /** How long a call goes on while something may change soon (an election, say). Default 10 s. */
  readonly retryMs?: number;
  /** … while every address refuses connections, is stopped or says that there is no majority. Default 2 s. */
  readonly hopelessMs?: number;
  /** How long `wait`, `logs` and `subscribe` outlast an outage. Default 5 min. */
  readonly outageMs?: number;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface ReadOptions extends CallOptions {
  /** What the server asked has, without a majority's word that it is the newest. */
  readonly stale?: boolean;
}

export interface WaitOptions extends CallOptions {
  /** After it the task is returned as it is then, final or not. Absent: no limit. */
  readonly timeoutMs?: number;
}

/** One server's own view of consensus, or why there is none. */
export type ServerRaft =
  | { readonly kind: 'ok'; readonly server: string; readonly raft: RaftView }
  | {
      readonly kind: 'error';
      readonly server: string;
      /** Its id, where it said that much (a stopped node does) or is known from before. */
      readonly id: string | null;
      readonly error: ClbError;
    };

const TIMEOUT_MS = 10_000;
/** A new server is brought up to date before it is answered. */
const ADD_PEER_MS = 75_000;
const SNAPSHOT_MS = 60_000;
const RETRY_MS = 10_000;
const HOPELESS_MS = 2_000;
const OUTAGE_MS = 300_000;
/** Waits beyond it share one event subscription. */
const LONG_POLLS_MAX = 8;
const LONG_POLL_SECONDS = 10;
const LONG_POLL_GRACE_MS = 3_000;
/** Between polls of a server that answers at once though the task is not final. */
const POLL_PAUSE_MS = 200;
const CANCEL_TRIES_MAX = 3;

/** What every request carries. */
export function requestHeaders(options: ClbOptions): Readonly<Record<string, string>> {
  return {
    accept: 'application/json',
    ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    ...options.headers,
  };
}

/**
 * Every call of the library, over whatever carries requests: `Clb` in Node (clb.ts) and in the browser (browser.ts). Every
 * call may throw {@link ClbError}; where no address could do it, {@link NoServerError}; where its signal was aborted, the
 * signal's reason.
 */
export class ClbClient {
  readonly #transport: Transport;
  readonly #pool: ServerPool;
  readonly #submitter: Submitter;
  readonly #waits: SharedWaits;
  readonly #outage: Patience;
  #longPolls = 0;

  /** @throws AddressError where a server is not host:port. */
  constructor(options: ClbOptions, transport: Transport) {
    const retryMs = options.retryMs ?? RETRY_MS;
    const outageMs = options.outageMs ?? OUTAGE_MS;
    const addresses = parseAddresses(options.servers ?? DEFAULT_SERVERS);
    this.#transport = transport;
    this.#pool = new ServerPool(transport, addresses, {
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      patience: { retryMs, hopelessMs: Math.min(options.hopelessMs ?? HOPELESS_MS, retryMs) },
    });
    this.#outage = { retryMs: outageMs, hopelessMs: outageMs };
    this.#submitter = new Submitter(this.#pool, retryMs);
    this.#waits = new SharedWaits(this.#pool, this.#outage);
  }

  /** The addresses as given. */
  get servers(): readonly string[] {
    return this.#pool.servers;
  }

  /** Resolves once the task is on the disks of a majority. Safe to repeat with the same key. */
  submit(request: TaskRequest, options: SubmitOptions = {}): Promise<TaskView> {
    return this.#submitter.submit(request, options);
  }

  /** Many at once, all or none unless `atomic: false`; results in the order of the requests. */
  submitBatch(
    requests: readonly TaskRequest[],
    options: BatchOptions = {},
  ): Promise<readonly BatchResultItem[]> {
    return this.#submitter.submitBatch(requests, options);
  }

  /** Submits and waits until it is final. */
  async run(request: TaskRequest, options: SubmitOptions = {}): Promise<TaskView> {
    const task = await this.submit(request, options);
    return this.wait(task, options.signal === undefined ? {} : { signal: options.signal });
  }

  get(id: string, options: ReadOptions = {}): Promise<TaskView> {
    return this.#read<TaskView>(`/v1/tasks/${encodeURIComponent(id)}`, {}, options);
  }

  /** Resolves when it is final. `task`: an id, a unique prefix of one, or the task as `submit` returned it. */
  async wait(task: string | TaskView, options: WaitOptions = {}): Promise<TaskView> {
    if (typeof task !== 'string' && isFinal(task.status)) return task;
    if (this.#longPolls < LONG_POLLS_MAX)
      return this.#longPoll(typeof task === 'string' ? task : task.id, options);
    const timeout = options.timeoutMs === undefined ? null : AbortSignal.timeout(options.timeoutMs);
    const signal = anyOf(options.signal, timeout ?? undefined);
    const id = typeof task === 'string' ? task : task.id;
    try {
      const outcome = await this.outcome(task, signal === undefined ? {} : { signal });
      return await this.#waits.finalTask(outcome.id, signal);
    } catch (error) {
      if (timeout?.aborted !== true || options.signal?.aborted === true) throw error;
      return this.get(id);
    }
  }

  /**
   * Like {@link wait}, but tells only how it ended, not what it printed: by the shared event subscription, so
   * that waiting for very many tasks costs no request each.
   */
  async outcome(task: string | TaskView, options: CallOptions = {}): Promise<TaskOutcome> {
    if (typeof task !== 'string') {
      if (isFinal(task.status)) return outcomeOf(task, task.status);
      return this.#waits.outcome(task.id, task.index, options.signal);
    }
    const answer = await this.#waits.look(task, options.signal);
    const view = jsonOf(answer) as TaskView;
    if (isFinal(view.status)) return outcomeOf(view, view.status);
    // Not final as of the answer, which is later than the last change of the task.
    const index = Number(answer.headers['x-clb-index'] ?? 0);
    return this.#waits.outcome(view.id, Math.max(index, view.index), options.signal);
  }

  list(query: Partial<TaskListQuery> = {}, options: ReadOptions = {}): Promise<TaskPage> {
    return this.#read<TaskPage>('/v1/tasks', { ...query }, options);
  }

  /** The task's timeline: every log entry that touched it. */
  async events(id: string, options: ReadOptions = {}): Promise<readonly TaskEvent[]> {
    const path = `/v1/tasks/${encodeURIComponent(id)}/events`;
    return (await this.#read<{ events: readonly TaskEvent[] }>(path, {}, options)).events;
  }

  /** Its output as raw bytes; with `follow` live until it is final, across a change of master or of attempt. */
  logs(id: string, options: OutputOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    return readOutput(this.#pool, id, options, this.#outage);
  }

  /** The files kept of it by `collect`; empty while it has no result. */
  files(id: string, options: CallOptions = {}): Promise<TaskFilesView> {
    return listFiles(this.#pool, id, options.signal);
  }

  /** One of these files. @throws ClbError NOT_FOUND; UNAVAILABLE while the only node that has it is away. */
  file(id: string, path: string, options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    return readFile(this.#pool, id, path, options.signal);
  }

  /** @throws ClbError CONFLICT where it is final already. */
  async cancel(id: string, options: CallOptions = {}): Promise<TaskView> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#post<TaskView>(
          `/v1/tasks/${encodeURIComponent(id)}/cancel`,
          {},
          'unless-sent',
          options,
        );
      } catch (error) {
        const unknown = error instanceof NoServerError && error.code === 'UNKNOWN_OUTCOME';
        if (!unknown || tries >= CANCEL_TRIES_MAX) throw error;
      }
      // The answer was lost: whether it was done shows in the task.
      const task = await this.get(id, options);
      if (isFinal(task.status)) return task;
    }
  }

  /** A new task of the same content; only of a final one. Not repeated by itself: it would make two. */
  retry(id: string, options: CallOptions = {}): Promise<TaskView> {
    return this.#post<TaskView>(`/v1/tasks/${encodeURIComponent(id)}/retry`, {}, 'unless-sent', options);
  }

  async nodes(options: ReadOptions = {}): Promise<readonly NodeView[]> {
    return (await this.#read<{ nodes: readonly NodeView[] }>('/v1/nodes', {}, options)).nodes;
  }

  /** Gives the node no further tasks (or again). After `deadlineMs` those still running there are given to others. */
  async drain(
    node: string,
    options: CallOptions & { readonly drain?: boolean; readonly deadlineMs?: number } = {},
  ): Promise<void> {
    const body = {
      drain: options.drain ?? true,
      ...(options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs }),
    };
    await this.#post(`/v1/nodes/${encodeURIComponent(node)}/drain`, body, 'always', options);
  }

  /** Whether the queue is paused, and how many tasks are not final yet. */
  queue(options: ReadOptions = {}): Promise<QueueView> {
    return this.#read<QueueView>('/v1/queue', {}, options);
  }

  /** Stops placing tasks on nodes (`true`), or goes on with it; what runs is not touched. */
  pauseQueue(paused: boolean, options: CallOptions = {}): Promise<QueueView> {
    return this.#post<QueueView>('/v1/queue', { paused }, 'always', options);
  }

  /** Makes a task again and again. Not repeated by itself once it may have been received: that could make two of them. */
  addSchedule(request: ScheduleRequest, options: CallOptions = {}): Promise<ScheduleView> {
    return this.#post<ScheduleView>('/v1/schedules', request, 'unless-sent', options);
  }

  async schedules(options: ReadOptions = {}): Promise<readonly ScheduleView[]> {
    const { schedules } = await this.#read<{ schedules: readonly ScheduleView[] }>(
      '/v1/schedules',
      {},
      options,
    );
    return schedules;
  }

  /** Resolves to the full id. @throws ClbError NOT_FOUND; CONFLICT where the prefix is ambiguous */
  async removeSchedule(id: string, options: CallOptions = {}): Promise<string> {
    const answer = await this.#pool.request({
      method: 'DELETE',
      path: `/v1/schedules/${encodeURIComponent(id)}`,
      repeat: 'unless-sent',
      signal: options.signal,
    });
    return (jsonOf(answer) as { readonly id: string }).id;
  }

  /** Simulated crash (`true`) and recovery of a node, through any other; where fault injection is on. */
  async stopNode(node: string, stopped: boolean, options: CallOptions = {}): Promise<void> {
    await this.#post(`/v1/nodes/${encodeURIComponent(node)}/stop`, { stopped }, 'always', options);
  }

  /** Consensus as one server sees it: the one named (an address as given), else any that answers. */
  async raft(server?: string, options: CallOptions = {}): Promise<RaftView> {
    const request = { method: 'GET', path: '/v1/raft', repeat: 'always', signal: options.signal } as const;
    const answer = await (server === undefined
      ? this.#pool.request(request)
      : this.#pool.ask(server, request));
    return jsonOf(answer) as RaftView;
  }

  /**
   * Makes this server the master; resolves once it is. @throws ClbError NOT_FOUND where there is no such voter; CONFLICT
   * where it can't be reached, or did not take the lead in time.
   */
  transferLeadership(to: string, options: CallOptions = {}): Promise<LeadView> {
    return this.#post<LeadView>('/v1/raft/transfer', { to }, 'always', options);
  }

  /** Who takes part in consensus, as one server knows it: the one named (an address as given), else any that answers. */
  async peers(server?: string, options: CallOptions = {}): Promise<PeersView> {
    const request = {
      method: 'GET',
      path: '/v1/raft/peers',
      repeat: 'always',
      signal: options.signal,
    } as const;
    return jsonOf(await this.#askOne(server, request)) as PeersView;
  }

  /**
   * Adds a server that runs already; resolves once it has its vote, or takes part as a learner. Twice is the same as once.
   * @throws ClbError CONFLICT with `details.reason`: see docs/http-api.md
   */
  async addPeer(id: string, request: AddPeerRequest, options: CallOptions = {}): Promise<PeersView> {
    const answer = await this.#pool.request({
      method: 'POST',
      path: `/v1/raft/peers/${encodeURIComponent(id)}`,
      body: JSON.stringify(request),
      repeat: 'always',
      signal: options.signal,
      timeoutMs: ADD_PEER_MS,
    });
    return jsonOf(answer) as PeersView;
  }

  /** Removes a server, the master too; resolves once it is committed. Its id can't be used again. */
  async removePeer(id: string, options: CallOptions = {}): Promise<PeersView> {
    const answer = await this.#pool.request({
      method: 'DELETE',
      path: `/v1/raft/peers/${encodeURIComponent(id)}`,
      repeat: 'always',
      signal: options.signal,
    });
    return jsonOf(answer) as PeersView;
  }

  /** Has one server take a snapshot and drop the log before it: the one named (an address as given), else any that answers. */
  async takeSnapshot(server?: string, options: CallOptions = {}): Promise<SnapshotView> {
    const request: PoolRequest = {
      method: 'POST',
      path: '/v1/raft/snapshot',
      body: '{}',
      repeat: 'always',
      signal: options.signal,
      timeoutMs: SNAPSHOT_MS,
    };
    return jsonOf(await this.#askOne(server, request)) as SnapshotView;
  }

  #askOne(server: string | undefined, request: PoolRequest): Promise<PoolAnswer> {
    return server === undefined ? this.#pool.request(request) : this.#pool.ask(server, request);
  }

  /** Every given address asked at once, in the order given. */
  raftAll(options: CallOptions = {}): Promise<readonly ServerRaft[]> {
    return Promise.all(
      this.servers.map(async (server): Promise<ServerRaft> => {
        try {
          return { kind: 'ok', server, raft: await this.raft(server, options) };
        } catch (error) {
          if (error instanceof ClbError)
            return { kind: 'error', server, id: this.#pool.nodeIdOf(server), error };
          throw error;
        }
      }),
    );
  }

  /** Decoded log entries as one server has them. */
  async raftLog(
    range: { readonly from?: number; readonly to?: number; readonly server?: string } = {},
    options: CallOptions = {},
  ): Promise<readonly RaftLogEntryView[]> {
    const path = withQuery('/v1/raft/log', { from: range.from, to: range.to });
    const request = { method: 'GET', path, repeat: 'always', signal: options.signal } as const;
    const answer = await (range.server === undefined
      ? this.#pool.request(request)
      : this.#pool.ask(range.server, request));
    return (jsonOf(answer) as { entries: readonly RaftLogEntryView[] }).entries;
  }

  /**
   * What one server has, log and tasks, line by line, to be checked (docs/verify.md). `server`: an address as given to the
   * constructor.
   */
  audit(server: string, options: CallOptions = {}): AsyncGenerator<AuditLine, void, undefined> {
    return readAudit(this.#pool, server, options.signal);
  }

  /** What is committed, entry by entry, without end; resumes by itself on another server. */
  subscribe(options: SubscribeOptions = {}): AsyncGenerator<EventMessage, void, undefined> {
    return subscribe(this.#pool, options, this.#outage);
  }

  /** Drops connections; waits still open are rejected. */
  close(): void {
    this.#waits.close();
    this.#transport.close();
  }

  async #longPoll(id: string, options: WaitOptions): Promise<TaskView> {
    const deadlineMs = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
    this.#longPolls += 1;
    try {
      for (;;) {
        const leftMs = deadlineMs - performance.now();
        const seconds = Math.min(LONG_POLL_SECONDS, Math.floor(leftMs / 1000));
        const askedMs = performance.now();
        if (seconds < 1) await pause(Math.max(0, leftMs), options.signal);
        const task = await this.#pollOnce(id, Math.max(0, seconds), options.signal);
        if (isFinal(task.status) || performance.now() >= deadlineMs) return task;
        if (performance.now() - askedMs < POLL_PAUSE_MS) await pause(POLL_PAUSE_MS, options.signal);
      }
    } finally {
      this.#longPolls -= 1;
    }
  }

  async #pollOnce(id: string, seconds: number, signal: AbortSignal | undefined): Promise<TaskView> {
    const path = `/v1/tasks/${encodeURIComponent(id)}${seconds > 0 ? `?wait=${seconds}s` : ''}`;
    const answer = await this.#pool.request({
      method: 'GET',
      path,
      repeat: 'always',
      signal,
      timeoutMs: seconds * 1000 + LONG_POLL_GRACE_MS,
      patience: this.#outage,
    });
    return jsonOf(answer) as TaskView;
  }

  #answer(path: string, signal: AbortSignal | undefined, patience?: Patience): Promise<PoolAnswer> {
    return this.#pool.request({
      method: 'GET',
      path,
      repeat: 'always',
      signal,
      ...(patience === undefined ? {} : { patience }),
    });
  }

  async #read<T>(path: string, query: Query, options: ReadOptions): Promise<T> {
    const withStale = options.stale === true ? { ...query, stale: true } : query;
    return jsonOf(await this.#answer(withQuery(path, withStale), options.signal)) as T;
  }

  async #post<T>(
    path: string,
    body: object,
    repeat: 'always' | 'unless-sent',
    options: CallOptions,
  ): Promise<T> {
    const answer = await this.#pool.request({
      method: 'POST',
      path,
      body: JSON.stringify(body),
      repeat,
      signal: options.signal,
    });
    return jsonOf(answer) as T;
  }
}

/** The class without a say in what carries its requests. */
export type Clb = ClbClient;

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

function withQuery(path: string, query: Query): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) params.set(name, String(value));
  const text = params.toString();
  return text === '' ? path : `${path}?${text}`;
}

function outcomeOf(task: TaskView, status: TaskOutcome['status']): TaskOutcome {
  return { id: task.id, status, exitCode: task.result?.exitCode ?? null };
}

function anyOf(a: AbortSignal | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  if (a?.aborted === true) throw abortReason(a);
  return a === undefined || b === undefined ? (a ?? b) : AbortSignal.any([a, b]);
}
