/** The whole logic of the page, without the page: state, live updates and actions over a server in memory. */
import { ERROR_STATUS } from '../../src/api/errors.ts';
import type { ErrorCode } from '../../src/api/errors.ts';
import { TASK_STATUSES } from '../../src/api/tasks.ts';
import type { TaskRequest, TaskView } from '../../src/api/tasks.ts';
import type { ClusterEvent, EventMessage, NodeView } from '../../src/api/views.ts';
import { Api } from '../../src/web/ui/src/net/api.ts';
import { Client } from '../../src/web/ui/src/net/client.ts';
import { Actions } from '../../src/web/ui/src/state/actions.ts';
import type { PendingSend } from '../../src/web/ui/src/state/actions.ts';
import { initialState } from '../../src/web/ui/src/state/app-state.ts';
import type { AppState } from '../../src/web/ui/src/state/app-state.ts';
import { Live } from '../../src/web/ui/src/state/live.ts';
import { Store } from '../../src/web/ui/src/state/store.ts';
import type { Draft } from '../../src/web/ui/src/model/draft.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeSource } from './fake-source.ts';
import { node, summary, task } from './tasks.ts';

/** What a call gets instead of its answer: an error of the API, or none at all. */
export type Trouble = ErrorCode | 'no answer';

export class MemoryServer {
  readonly tasks = new Map<string, TaskView>();
  readonly calls: string[] = [];
  readonly keys: string[] = [];
  nodes: NodeView[] = [node('server1', { leader: true }), node('server2'), node('server3'), node('worker1')];
  index = 100;
  leader: string | null = 'server1';
  term = 3;
  /** Decides which calls fail. */
  trouble: (call: string) => Trouble | null = () => null;

  /** Puts a task there, or changes it; `index` tells that it did. */
  put(changed: TaskView): TaskView {
    this.index += 1;
    const stored = { ...changed, index: this.index };
    this.tasks.set(stored.id, stored);
    return stored;
  }

  readonly fetch: typeof fetch = (input, init) => {
    const path = input as string;
    const call = `${init?.method ?? 'GET'} ${path}`;
    this.calls.push(call);
    const trouble = this.trouble(call);
    const body = typeof init?.body === 'string' ? (JSON.parse(init.body) as unknown) : null;
    const key = new Headers(init?.headers).get('idempotency-key');
    if (key !== null) this.keys.push(key);
    if (trouble === 'no answer') return Promise.reject(new TypeError('Failed to fetch'));
    return Promise.resolve(trouble === null ? this.#answer(path, body) : refusal(trouble));
  };

  callsTo(pattern: RegExp): string[] {
    return this.calls.filter((call) => pattern.test(call));
  }

  #answer(path: string, body: unknown): Response {
    const url = new URL(path, 'http://page');
    const headers = { 'x-clb-index': String(this.index) };
    const [, , kind, id, what] = url.pathname.split('/');
    if (url.pathname === '/login') return new Response(null, { status: 204 });
    if (kind === 'raft') {
      return Response.json({ id: 'server1', leader: this.leader, leaderSince: null, term: this.term });
    }
    if (kind === 'nodes') return Response.json(what === 'stop' ? body : { nodes: this.nodes }, { headers });
    if (id === undefined && body !== null) {
      const created = this.put(task(this.index + 1, body as TaskRequest as Partial<TaskView>));
      return Response.json(created, { status: 201, headers });
    }
    if (id === undefined) return this.#list(url.searchParams, headers);
    const found = this.tasks.get(id);
    if (found === undefined) return refusal('NOT_FOUND');
    if (what === 'events') return Response.json({ events: [] }, { headers });
    if (what === 'retry') return Response.json(this.put(task(this.index + 1, { retryOf: id })), { headers });
    return Response.json(found, { headers });
  }

  #list(query: URLSearchParams, headers: Record<string, string>): Response {
    const status = query.get('status');
    const matching = [...this.tasks.values()]
      .filter((each) => status === null || each.status === status)
      .sort((a, b) => (a.submittedAt < b.submittedAt ? 1 : -1));
    const from = Number(query.get('cursor') ?? 0);
    const until = from + Number(query.get('limit'));
    const counts = Object.fromEntries(
      TASK_STATUSES.map((each) => [each, [...this.tasks.values()].filter((t) => t.status === each).length]),
    );
    const nextCursor = until < matching.length ? String(until) : null;
    const tasks = matching.slice(from, until).map((each) => summary(each));
    return Response.json({ tasks, nextCursor, counts }, { headers });
  }
}

function refusal(code: ErrorCode): Response {
  const body = { error: { code, message: `it is ${code}` } };
  return Response.json(body, { status: ERROR_STATUS[code] });
}

export interface Harness {
  readonly server: MemoryServer;
  readonly clock: FakeClock;
  readonly store: Store<AppState>;
  readonly live: Live;
  readonly actions: Actions;
  readonly kept: { draft: Draft; pending: PendingSend | null }[];
  readonly sources: FakeSource[];
  readonly source: () => FakeSource;
  /** An entry of the log comes through the stream. */
  readonly event: (...events: ClusterEvent[]) => void;
  readonly state: () => AppState;
}

/** `open`: the stream is open and everything fetched. */
export async function harness(
  options: {
    readonly open?: boolean;
    readonly tasks?: readonly TaskView[];
    readonly pending?: PendingSend;
  } = {},
): Promise<Harness> {
  const clock = new FakeClock();
  const server = new MemoryServer();
  for (const each of options.tasks ?? []) server.put(each);
  const store = new Store<AppState>(initialState(clock.now()));
  const kept: Harness['kept'] = [];
  const sources: FakeSource[] = [];
  const client = new Client({
    fetch: server.fetch,
    onAnswer: (meta) => live.noteAnswer(meta),
    readMs: 6_000,
    changeMs: 15_000,
  });
  const api = new Api(client);
  let drawn = 0;
  const actions = new Actions({
    store,
    api,
    clock,
    randomBytes: (length) => new Uint8Array(length).fill((drawn += 1)),
    keeper: { save: (draft, pending) => kept.push({ draft, pending }) },
    pending: options.pending ?? null,
  });
  const live = new Live({
    store,
    api,
    clock,
    openEvents: () => {
      const source = new FakeSource();
      sources.push(source);
      return source;
    },
    onTask: (each) => actions.noteTask(each),
  });
  actions.bind(live);
  const source = (): FakeSource => sources.at(-1)!;
  live.start();
  if (options.open !== false) {
    source().open();
    await clock.pass(1_000);
  }
  const event = (...events: ClusterEvent[]): void => {
    const message: EventMessage = { index: server.index, term: 3, time: new Date().toISOString(), events };
    source().receive(message);
  };
  return { server, clock, store, live, actions, kept, sources, source, event, state: () => store.get() };
}

/** The event of a task that was just put on the server. */
export function taskEvent(changed: TaskView): ClusterEvent {
  const { id, name, status } = changed;
  return { kind: 'task', id, name, status, what: 'x', node: null, attempt: null, exitCode: null };
}
