/**
 * A cluster as its clients see it, in memory: several HTTP servers over one list of tasks. Tasks don't run by
 * themselves; the test says what becomes of them.
 */
import type { ScheduleRequest, ScheduleView } from '../../src/api/schedules.ts';
import type { ServerResponse } from 'node:http';
import { ERROR_STATUS, type ErrorCode } from '../../src/api/errors.ts';
import { isFinal, TASK_STATUSES } from '../../src/api/tasks.ts';
import type { AttemptView, FinalStatus, TaskRequest, TaskStatus, TaskView } from '../../src/api/tasks.ts';
import type { ClusterEvent, EventMessage, NodeView, QueueView, RaftView } from '../../src/api/views.ts';
import { FakeServer, send, sendError, type FakeRequest, type FakeRoutes } from './fake-server.ts';
import { endLast, newTask, nodeView, now } from './fake-views.ts';

const NOTHING_RESERVED = { cpuReserved: 0, memoryReservedMb: 0, speed: 1 } as const;

interface FakeTask {
  view: TaskView;
  readonly key: string | null;
  readonly contentJson: string;
  /** By attempt (from 0): what was written so far. */
  readonly output: { stdout: Buffer; stderr: Buffer }[];
}

interface BatchBody {
  readonly tasks: readonly (TaskRequest & { idempotencyKey?: string })[];
  readonly atomic?: boolean;
}

export class FakeCluster implements FakeRoutes {
  leader: string | null = null;
  token: string | null = null;
  readonly servers: FakeServer[] = [];
  readonly stopped = new Set<string>();
  readonly drains: object[] = [];
  nodes: NodeView[] = [];
  paused = false;
  readonly schedules: ScheduleView[] = [];
  index = 10;
  /** Events before it are no longer kept. */
  firstKept = 0;
  /** Called once a task is accepted: lets a test run it at once. */
  onSubmit: (task: TaskView) => void = () => undefined;
  readonly #tasks = new Map<string, FakeTask>();
  readonly #messages: EventMessage[] = [];
  readonly #listeners = new Set<(message: EventMessage) => void>();
  readonly #changed = new Set<() => void>();
  #nextId = 1;

  static async start(servers = 1): Promise<FakeCluster> {
    const cluster = new FakeCluster();
    for (let n = 1; n <= servers; n += 1) {
      const server = new FakeServer(cluster, `server${n}`);
      await server.listen();
      cluster.servers.push(server);
    }
    cluster.leader = 'server1';
    cluster.nodes = cluster.servers.map((server) => nodeView(server.id, server.address, cluster.leader));
    return cluster;
  }

  get addresses(): string[] {
    return this.servers.map((server) => server.address);
  }

  server(n: number): FakeServer {
    const server = this.servers[n];
    if (server === undefined) throw new RangeError(`no server ${n}`);
    return server;
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill().catch(() => undefined)));
  }

  tasks(): TaskView[] {
    return [...this.#tasks.values()].map(({ view }) => view);
  }

  task(id: string): TaskView {
    return this.#find(id).view;
  }

  requests(method: string, path: RegExp): number {
    return this.servers.reduce((sum, server) => sum + server.count(method, path), 0);
  }

  /** As if someone else had submitted it. */
  submitted(request: TaskRequest): TaskView {
    return this.#submit(request, null).task;
  }

  startTask(id: string, node = 'worker1'): void {
    const task = this.#find(id);
    task.output.push({ stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) });
    const attempt: AttemptView = {
      number: task.view.attempts.length + 1,
      node,
      assignedAt: now(),
      startedAt: now(),
      finishedAt: null,
      outcome: null,
      exitCode: null,
      signal: null,
      reason: null,
      placement: {
        reason: `${node} has the most room`,
        candidates: [
          { ...NOTHING_RESERVED, node, cpu: 3, memory: 40, running: 0, slots: 2, score: 0.25, why: null },
          {
            ...NOTHING_RESERVED,
            node: 'server2',
            cpu: null,
            memory: null,
            running: 0,
            slots: 2,
            score: null,
            why: 'draining',
          },
        ],
      },
    };
    this.#change(task, { status: 'running', startedAt: now(), attempts: [...task.view.attempts, attempt] });
  }

  loseAttempt(id: string, reason: string): void {
    const task = this.#find(id);
    const attempts = endLast(task.view.attempts, { finishedAt: now(), outcome: 'lost', reason });
    this.#change(task, { status: 'queued', pendingReason: reason, attempts });
  }

  write(id: string, stream: 'stdout' | 'stderr', text: string | Buffer): void {
    const output = this.#find(id).output.at(-1);
    if (output === undefined) throw new Error('not started');
    output[stream] = Buffer.concat([output[stream], Buffer.from(text)]);
    this.#wake();
  }

  finish(
    id: string,
    status: FinalStatus = 'succeeded',
    end: { exitCode?: number | null; signal?: string | null; reason?: string | null } = {},
  ): void {
    const task = this.#find(id);
    const exitCode = end.exitCode === undefined ? (status === 'succeeded' ? 0 : 1) : end.exitCode;
    const signal = end.signal ?? null;
    const output = task.output.at(-1) ?? { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
    const outcome = { finishedAt: now(), outcome: status, exitCode, signal, reason: end.reason ?? null };
    this.#change(task, {
      status,
      finishedAt: now(),
      pendingReason: null,
      attempts: endLast(task.view.attempts, outcome),
      result: {
        exitCode,
        signal,
        stdout: output.stdout.toString(),
        stderr: output.stderr.toString(),
        stdoutBytes: output.stdout.byteLength,
        stderrBytes: output.stderr.byteLength,
        truncated: false,
      },
    });
  }

  /** One message for all listeners, as an applied entry. */
  publish(events: readonly ClusterEvent[]): void {
    this.index += 1;
    const message: EventMessage = { index: this.index, term: 1, time: now(), events };
    this.#messages.push(message);
    for (const listener of this.#listeners) listener(message);
  }

  handle(server: FakeServer, request: FakeRequest, res: ServerResponse, asStream: () => void): void {
    if (this.token !== null && request.headers.authorization !== `Bearer ${this.token}`) {
      sendError(res, 'UNAUTHORIZED', 'a token is needed');
      return;
    }
    const parts = request.path.split('/').filter((part) => part !== '');
    const route = `${request.method} /${parts.map((part, i) => (i === 2 && isId(parts) ? ':id' : part)).join('/')}`;
    const id = parts[2] ?? '';
    const routes: Readonly<Record<string, () => void>> = {
      'GET /healthz': () => send(res, 200, { ok: true }),
      'POST /v1/tasks': () => {
        const { status, task } = this.#submit(
          JSON.parse(request.body) as TaskRequest,
          header(request, 'idempotency-key'),
        );
        send(res, status, task);
      },
      'POST /v1/tasks/batch': () => this.#batch(res, JSON.parse(request.body) as BatchBody),
      'GET /v1/tasks': () => this.#list(res, request.query),
      'GET /v1/tasks/:id': () => this.#get(res, id, request.query),
      'GET /v1/tasks/:id/events': () => send(res, 200, { events: this.#timeline(this.#find(id)) }),
      'GET /v1/tasks/:id/logs': () => {
        const task = this.#find(id);
        asStream();
        this.#logs(res, task, request.query);
      },
      'POST /v1/tasks/:id/cancel': () => this.#cancel(res, this.#find(id)),
      'POST /v1/tasks/:id/retry': () => this.#retry(res, this.#find(id)),
      'GET /v1/nodes': () => send(res, 200, { nodes: this.nodes }),
      'POST /v1/nodes/:id/drain': () => {
        this.drains.push({ node: id, ...(JSON.parse(request.body) as object) });
        send(res, 200, {});
      },
      'POST /v1/nodes/:id/stop': () =>
        this.#stopNode(res, id, JSON.parse(request.body) as { stopped: boolean }),
      'GET /v1/schedules': () => send(res, 200, { schedules: this.schedules }),
      'POST /v1/schedules': () => {
        const { cron, tz = 'UTC', task } = JSON.parse(request.body) as ScheduleRequest;
        const schedule: ScheduleView = {
          ...{ id: `5v1r0c8m${this.schedules.length}x7d3h999`, cron, tz, task, runs: 0, missed: 0, index: 7 },
          ...{ createdAt: '2026-01-01T00:00:00.000Z', nextAt: '2026-01-02T03:00:00.000Z' },
          ...{ lastAt: null, lastTask: null },
        };
        this.schedules.push(schedule);
        send(res, 201, schedule);
      },
      'DELETE /v1/schedules/:id': () => {
        const at = this.schedules.findIndex((schedule) => schedule.id.startsWith(id));
        const [removed] = at === -1 ? [] : this.schedules.splice(at, 1);
        if (removed === undefined)
          send(res, 404, { error: { code: 'NOT_FOUND', message: `no schedule ${id}` } });
        else send(res, 200, { id: removed.id });
      },
      'GET /v1/queue': () => send(res, 200, this.#queue()),
      'POST /v1/queue': () => {
        this.paused = (JSON.parse(request.body) as { paused: boolean }).paused;
        send(res, 200, this.#queue());
      },
      'POST /v1/raft/transfer': () => this.#transfer(res, JSON.parse(request.body) as { to: string }),
      'GET /v1/raft': () => send(res, 200, this.raftView(server.id)),
      'GET /v1/raft/log': () => this.#raftLog(res, request.query),
      'GET /v1/events': () => {
        asStream();
        this.#events(res, header(request, 'last-event-id'));
      },
    };
    try {
      const run = routes[route];
      if (run === undefined) throw new FakeError('NOT_FOUND', `no route ${route}`);
      run();
    } catch (error) {
      if (error instanceof FakeError) sendError(res, error.code, error.message);
      else throw error;
    }
  }

  raftView(id: string): RaftView {
    const isLeader = id === this.leader;
    const others = this.servers.filter((server) => server.id !== id).map((server) => server.id);
    return {
      id,
      role: isLeader ? 'leader' : 'follower',
      term: 3,
      votedFor: this.leader,
      leader: this.leader,
      leaderSince: '2026-01-02T03:04:05.678Z',
      firstIndex: 1,
      lastIndex: this.index,
      commitIndex: this.index,
      appliedIndex: this.index,
      snapshotIndex: 0,
      voters: this.servers.map((server) => server.id),
      learners: [],
      peers: isLeader
        ? Object.fromEntries(
            others.map((other) => [other, { matchIndex: this.index, lag: 0, lastContactMs: 4 }]),
          )
        : {},
    };
  }

  #submit(request: TaskRequest, key: string | null): { status: number; task: TaskView } {
    const contentJson = JSON.stringify(request);
    const known = key === null ? undefined : [...this.#tasks.values()].find((task) => task.key === key);
    if (known !== undefined) {
      if (known.contentJson !== contentJson)
        throw new FakeError('CONFLICT', `key ${key ?? ''} is another task's`);
      return { status: 200, task: known.view };
    }
    if (request.command === undefined && request.script === undefined) {
      throw new FakeError('INVALID', 'script: exactly one of script and command must be given');
    }
    const id = `${String(this.#nextId++).padStart(8, 'a')}-0000-4000-8000-000000000000`;
    const task: FakeTask = { view: newTask(id, request), key, contentJson, output: [] };
    this.#tasks.set(id, task);
    this.#change(task, {});
    const accepted = task.view;
    this.onSubmit(accepted);
    return { status: 201, task: accepted };
  }

  #stopNode(res: ServerResponse, id: string, { stopped }: { stopped: boolean }): void {
    if (!this.nodes.some((node) => node.id === id)) throw new FakeError('NOT_FOUND', `no node ${id}`);
    if (stopped) this.stopped.add(id);
    else this.stopped.delete(id);
    send(res, 200, { stopped });
  }

  #queue(): QueueView {
    const count = (status: TaskStatus): number =>
      this.tasks().filter((task) => task.status === status).length;
    const lengths = {
      scheduled: count('scheduled'),
      queued: count('queued'),
      assigned: count('assigned'),
      running: count('running'),
    };
    return { paused: this.paused, lengths };
  }

  #transfer(res: ServerResponse, { to }: { to: string }): void {
    if (!this.servers.some(({ id }) => id === to)) throw new FakeError('NOT_FOUND', `no voter ${to}`);
    if (this.stopped.has(to)) throw new FakeError('CONFLICT', `${to} was never heard of`);
    this.leader = to;
    send(res, 200, { leader: to, term: 4 });
  }

  #batch(res: ServerResponse, { tasks, atomic = true }: BatchBody): void {
    const results = tasks.map(({ idempotencyKey, ...request }, i) => {
      try {
        return this.#submit(request, idempotencyKey ?? null);
      } catch (error) {
        if (!(error instanceof FakeError)) throw error;
        if (atomic) throw new FakeError(error.code, `tasks[${i}].${error.message}`);
        return { status: ERROR_STATUS[error.code], error: { code: error.code, message: error.message } };
      }
    });
    send(res, 200, { results });
  }

  #list(res: ServerResponse, query: URLSearchParams): void {
    const status = query.get('status');
    const limit = Number(query.get('limit') ?? 100);
    const from = Number(query.get('cursor') ?? 0);
    const all = this.tasks().reverse();
    const matching = all.filter((task) => status === null || task.status === status);
    const counts = Object.fromEntries(
      TASK_STATUSES.map((name) => [name, all.filter((task) => task.status === name).length]),
    );
    const nextCursor = from + limit < matching.length ? String(from + limit) : null;
    send(res, 200, { tasks: matching.slice(from, from + limit), nextCursor, counts });
  }

  #get(res: ServerResponse, id: string, query: URLSearchParams): void {
    const task = this.#find(id);
    const seconds = Number(/^(\d+)s$/.exec(query.get('wait') ?? '')?.[1] ?? 0);
    if (isFinal(task.view.status) || seconds === 0) {
      send(res, 200, task.view);
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      this.#changed.delete(check);
      if (!res.destroyed) send(res, 200, task.view);
    };
    const check = (): void => {
      if (isFinal(task.view.status)) done();
    };
    const timer = setTimeout(done, seconds * 1000);
    res.on('close', () => {
      clearTimeout(timer);
      this.#changed.delete(check);
    });
    this.#changed.add(check);
  }

  #logs(res: ServerResponse, task: FakeTask, query: URLSearchParams): void {
    const stream = query.get('stream') === 'stderr' ? 'stderr' : 'stdout';
    const follow = query.get('follow') === 'true';
    const attempt = task.output.length;
    let offset = Number(query.get('offset') ?? 0);
    res.writeHead(200, { 'content-type': 'application/octet-stream' });
    res.flushHeaders();
    const push = (): void => {
      const bytes = task.output[attempt - 1]?.[stream] ?? Buffer.alloc(0);
      if (bytes.byteLength > offset) res.write(bytes.subarray(offset));
      offset = Math.max(offset, bytes.byteLength);
      if (follow && !isFinal(task.view.status) && attempt === task.output.length) return;
      this.#changed.delete(push);
      res.end();
    };
    this.#changed.add(push);
    res.on('close', () => this.#changed.delete(push));
    push();
  }

  #cancel(res: ServerResponse, task: FakeTask): void {
    if (isFinal(task.view.status)) throw new FakeError('CONFLICT', `the task is ${task.view.status} already`);
    this.finish(task.view.id, 'canceled', { exitCode: null });
    send(res, 200, task.view);
  }

  #retry(res: ServerResponse, task: FakeTask): void {
    if (!isFinal(task.view.status)) throw new FakeError('CONFLICT', `the task is ${task.view.status}`);
    const { task: again } = this.#submit(JSON.parse(task.contentJson) as TaskRequest, null);
    this.#change(this.#find(again.id), { retryOf: task.view.id });
    send(res, 201, this.task(again.id));
  }

  #timeline(task: FakeTask): object[] {
    const base = { term: 1, time: task.view.submittedAt, attempt: null };
    return [
      { ...base, index: 11, node: null, what: 'submitted', why: null },
      { ...base, index: 12, node: 'worker1', what: 'assigned', why: 'worker1 has the most room' },
    ];
  }

  #raftLog(res: ServerResponse, query: URLSearchParams): void {
    const [from, to] = [Number(query.get('from')), Number(query.get('to'))];
    const entries = [];
    for (let index = Math.max(1, from); index <= Math.min(to, this.index); index += 1) {
      entries.push({
        index,
        term: 1,
        kind: index === 1 ? 'noop' : 'command',
        time: null,
        data: { n: index },
      });
    }
    send(res, 200, { entries });
  }

  #events(res: ServerResponse, lastEventId: string | null): void {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(': hello\n\n');
    const write = (message: EventMessage): void => {
      res.write(`id: ${message.index}\ndata: ${JSON.stringify(message)}\n\n`);
    };
    if (lastEventId !== null) {
      if (Number(lastEventId) < this.firstKept) {
        res.write(`id: ${this.index}\nevent: reset\ndata: {"index":${this.index}}\n\n`);
      } else {
        for (const message of this.#messages) if (message.index > Number(lastEventId)) write(message);
      }
    }
    this.#listeners.add(write);
    res.on('close', () => this.#listeners.delete(write));
  }

  #find(idOrPrefix: string): FakeTask {
    const found = [...this.#tasks.entries()].filter(([id]) => id.startsWith(idOrPrefix));
    const [only] = found;
    if (only === undefined || idOrPrefix.length < 6)
      throw new FakeError('NOT_FOUND', `no task ${idOrPrefix}`);
    if (found.length > 1) throw new FakeError('CONFLICT', `${idOrPrefix} is the beginning of several ids`);
    return only[1];
  }

  #change(task: FakeTask, change: Partial<TaskView>): void {
    const { status } = { ...task.view, ...change };
    task.view = { ...task.view, ...change, index: this.index + 1 };
    const { id, name, attempts, result } = task.view;
    this.publish([
      {
        kind: 'task',
        id,
        name,
        status,
        what: status,
        node: attempts.at(-1)?.node ?? null,
        attempt: attempts.length || null,
        exitCode: result?.exitCode ?? null,
      },
    ]);
    this.#wake();
  }

  #wake(): void {
    for (const changed of [...this.#changed]) changed();
  }
}

class FakeError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

function isId(parts: readonly string[]): boolean {
  const [, kind, name] = parts;
  return (kind === 'tasks' && name !== 'batch') || kind === 'nodes' || kind === 'schedules';
}

function header(request: FakeRequest, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' ? value : null;
}
