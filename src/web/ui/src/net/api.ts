import type { TaskEvent, TaskRequest, TaskView } from '../../../../api/tasks.ts';
import type { FaultKind, FaultsView } from '../../../../api/faults.ts';
import type { TaskFilesView } from '../../../../api/task-files.ts';
import type { NodeView, OutputStream, RaftLogEntryView, RaftView, StateView } from '../../../../api/views.ts';
import type { LogPage } from '../model/log-tail.ts';
import type { LogFilter } from '../model/router.ts';
import type { ListPage, TaskFilter } from '../model/task-list.ts';
import { NARROWINGS } from '../model/task-list.ts';
import { ApiFailure, isPassing } from './client.ts';
import type { Client } from './client.ts';

/** An answer, and whether it comes from a server that could not ask a majority. */
export interface Read<T> {
  readonly value: T;
  readonly stale: boolean;
}

/** A node that is started reads its whole state from disk before it answers. */
const SWITCH_MS_MAX = 60_000;

/** The calls this page makes, by their routes (docs/http-api). All throw {@link ApiFailure}. */
export class Api {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async listTasks(filter: TaskFilter, limit: number, cursor: string | null): Promise<Read<ListPage>> {
    const query = new URLSearchParams({ limit: String(limit) });
    if (filter.status !== null) query.set('status', filter.status);
    if (filter.q !== '') query.set('q', filter.q);
    for (const by of NARROWINGS) if (filter[by] !== undefined) query.set(by, filter[by]);
    if (cursor !== null) query.set('cursor', cursor);
    query.set('brief', 'true');
    const read = await this.#read<ListPage>('/v1/tasks', query);
    mustBe(Array.isArray(read.value.tasks), 'a list of tasks');
    return read;
  }

  task(id: string): Promise<Read<TaskView>> {
    return this.#read(`/v1/tasks/${encodeURIComponent(id)}`, new URLSearchParams());
  }

  async taskEvents(id: string): Promise<readonly TaskEvent[]> {
    const path = `/v1/tasks/${encodeURIComponent(id)}/events`;
    const { value } = await this.#read<readonly TaskEvent[] | { readonly events: readonly TaskEvent[] }>(
      path,
      new URLSearchParams(),
    );
    return 'events' in value ? value.events : value;
  }

  async nodes(): Promise<Read<readonly NodeView[]>> {
    const read = await this.#read<{ readonly nodes: readonly NodeView[] }>(
      '/v1/nodes',
      new URLSearchParams(),
    );
    mustBe(Array.isArray(read.value.nodes), 'a list of nodes');
    return { value: read.value.nodes, stale: read.stale };
  }

  /** Of the server named, else of whichever answers first. */
  raft(server: string | null = null): Promise<RaftView> {
    return this.#client.get(server === null ? '/v1/raft' : `/v1/raft?via=${encodeURIComponent(server)}`);
  }

  /** Entries of one server's log, both ends included. */
  async raftLog(server: string, from: number, to: number): Promise<readonly RaftLogEntryView[]> {
    const query = new URLSearchParams({ from: String(from), to: String(to), via: server });
    const body = await this.#client.get<{ readonly entries: readonly RaftLogEntryView[] }>(
      `/v1/raft/log?${query.toString()}`,
    );
    mustBe(Array.isArray(body.entries), 'a list of entries');
    return body.entries;
  }

  /** `after`: number of the last line known; null for the newest lines. */
  async logLines(filter: LogFilter, after: number | null, limit: number): Promise<LogPage> {
    const query = new URLSearchParams({ limit: String(limit) });
    if (filter.node !== '') query.set('node', filter.node);
    if (filter.q !== '') query.set('q', filter.q);
    if (after !== null) query.set('after', String(after));
    const page = await this.#client.get<LogPage>(`/v1/log-lines?${query.toString()}`);
    mustBe(Array.isArray(page.lines), 'a list of lines');
    return page;
  }

  submit(request: TaskRequest, idempotencyKey: string): Promise<TaskView> {
    return this.#client.post('/v1/tasks', request, { headers: { 'Idempotency-Key': idempotencyKey } });
  }

  cancel(id: string): Promise<TaskView> {
    return this.#client.post(`/v1/tasks/${encodeURIComponent(id)}/cancel`, {});
  }

  retry(id: string): Promise<TaskView> {
    return this.#client.post(`/v1/tasks/${encodeURIComponent(id)}/retry`, {});
  }

  async drain(node: string, drain: boolean): Promise<void> {
    await this.#client.post(`/v1/nodes/${encodeURIComponent(node)}/drain`, { drain });
  }

  async injectFault(node: string, fault: FaultKind, forMs: number): Promise<FaultsView> {
    return this.#client.post(`/v1/nodes/${encodeURIComponent(node)}/faults`, { fault, forMs });
  }

  /** Tasks and nodes as they were at an index of the log; null: now. As that server knows them. */
  stateAt(server: string | null, at: number | null, limit: number): Promise<StateView> {
    const query = new URLSearchParams({ limit: String(limit) });
    if (at !== null) query.set('at', String(at));
    if (server !== null) query.set('via', server);
    return this.#client.get(`/v1/state?${query.toString()}`);
  }

  /** The files that were kept of a finished task. */
  taskFiles(id: string): Promise<TaskFilesView> {
    return this.#client.get(`/v1/tasks/${encodeURIComponent(id)}/files`);
  }

  async setStopped(node: string, stopped: boolean): Promise<void> {
    const path = `/v1/nodes/${encodeURIComponent(node)}/stop`;
    await this.#client.post(path, { stopped }, { timeoutMs: SWITCH_MS_MAX });
  }

  async signIn(token: string): Promise<void> {
    await this.#client.post('/login', { token });
  }

  output(
    id: string,
    stream: OutputStream,
    offset: number,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    return this.#client.stream(outputPath(id, stream, { follow: true, offset }), signal);
  }

  /** Without a quorum a server refuses a plain read; then what it has is better than nothing, if said so. */
  async #read<T>(path: string, query: URLSearchParams): Promise<Read<T>> {
    const suffix = query.size === 0 ? '' : `?${query.toString()}`;
    try {
      return { value: await this.#client.get<T>(path + suffix), stale: false };
    } catch (thrown) {
      // Where nobody answered at all, nobody answers a second question either.
      if (!(thrown instanceof ApiFailure) || !isPassing(thrown) || thrown.code === 'NETWORK') throw thrown;
      const again = new URLSearchParams(query);
      again.set('stale', 'true');
      return { value: await this.#client.get<T>(`${path}?${again.toString()}`), stale: true };
    }
  }
}

/** Address of the stream of events behind this index of the log; null: from now on. */
export function eventsPath(after: number | null): string {
  return after === null ? '/v1/events' : `/v1/events?after=${after}`;
}

/** Address of the stream of log lines after this number. */
export function linesPath(filter: LogFilter, after: number): string {
  const query = new URLSearchParams({ after: String(after) });
  if (filter.node !== '') query.set('node', filter.node);
  if (filter.q !== '') query.set('q', filter.q);
  return `/v1/log-lines/stream?${query.toString()}`;
}

/** Address of one file that was kept of a task. */
export function filePath(id: string, path: string): string {
  return `/v1/tasks/${encodeURIComponent(id)}/files/${path.split('/').map(encodeURIComponent).join('/')}`;
}

/** Address of a task's output; also used as a plain link to all of it. */
export function outputPath(
  id: string,
  stream: OutputStream,
  options: { readonly follow?: boolean; readonly offset?: number } = {},
): string {
  const query = new URLSearchParams({ stream });
  if (options.follow === true) query.set('follow', 'true');
  if (options.offset !== undefined && options.offset > 0) query.set('offset', String(options.offset));
  return `/v1/tasks/${encodeURIComponent(id)}/logs?${query.toString()}`;
}

function mustBe(condition: boolean, what: string): void {
  if (!condition) throw new ApiFailure('UNREADABLE', `The answer is not ${what}.`);
}
