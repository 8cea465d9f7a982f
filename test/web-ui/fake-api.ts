/**
 * The routes of the client node over a {@link FakeCluster}, and the built page itself under the same strict
 * Content-Security-Policy; what a test wants to go wrong goes wrong.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { ERROR_STATUS } from '../../src/api/errors.ts';
import type { ErrorCode } from '../../src/api/errors.ts';
import { isFinal } from '../../src/api/tasks.ts';
import type { TaskRequest, TaskView } from '../../src/api/tasks.ts';
import { FakeCluster } from './fake-cluster.ts';
import { summary } from './tasks.ts';

const PAGE_DIR = join(import.meta.dirname, '../../dist/web/ui');
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

export interface Faults {
  /** Asked for by every route of the API but /login, as a cookie. */
  token: string | null;
  /** What GET /v1/events answers instead of a stream. */
  refuseEvents: boolean;
  /** Every call of the API breaks off without an answer. */
  unreachable: boolean;
  faultInjection: boolean;
  /** Errors for the next submits, one each; `lost` accepts the task and then breaks the connection. */
  readonly submits: (ErrorCode | 'lost')[];
}

export class FakeApi {
  readonly cluster: FakeCluster;
  readonly faults: Faults = {
    token: null,
    refuseEvents: false,
    unreachable: false,
    faultInjection: true,
    submits: [],
  };
  /** Method and path with query of every call of the API. */
  readonly calls: string[] = [];
  /** The keys submits came with. */
  readonly keys: string[] = [];
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();

  private constructor(cluster: FakeCluster) {
    this.cluster = cluster;
    this.#server = createServer((req, res) => {
      void this.#answer(req, res).catch((error: unknown) => {
        res.destroy(error instanceof Error ? error : undefined);
      });
    });
  }

  static async open(options: { readonly port?: number; readonly speed?: number } = {}): Promise<FakeApi> {
    const api = new FakeApi(new FakeCluster(options));
    await new Promise<void>((resolve) => api.#server.listen(options.port ?? 0, '127.0.0.1', () => resolve()));
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** Breaks every open stream of events. */
  breakStreams(): void {
    for (const res of this.#streams) res.destroy();
  }

  async close(): Promise<void> {
    this.cluster.close();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '/', 'http://page');
    if (url.pathname === '/login') return this.#login(req, res);
    if (!url.pathname.startsWith('/v1/')) return this.#file(url.pathname, res);
    this.calls.push(`${req.method ?? ''} ${url.pathname}${url.search}`);
    if (this.faults.unreachable) {
      res.destroy();
      return undefined;
    }
    if (this.faults.token !== null && req.headers.cookie?.includes('session=yes') !== true) {
      this.#error(res, 'UNAUTHORIZED', 'a token is needed');
      return undefined;
    }
    if (url.pathname === '/v1/events') {
      this.#events(req, res);
      return undefined;
    }
    const body = req.method === 'POST' ? await readJson(req) : null;
    const [, , kind = '', id = '', what = ''] = url.pathname.split('/').map(decodeURIComponent);
    const stale = url.searchParams.get('stale') === 'true';
    const needsMaster = kind !== 'raft' && kind !== 'log-lines' && what !== 'stop' && !stale;
    if (needsMaster && !this.cluster.quorum) {
      this.#error(res, 'NO_QUORUM', 'no majority of the servers can be reached');
    } else if (needsMaster && this.cluster.leader === null) {
      this.#error(res, 'NO_LEADER', 'an election is under way');
    } else this.#route(req, res, { kind, id, what, url, body });
    return undefined;
  }

  #route(
    req: IncomingMessage,
    res: ServerResponse,
    asked: { kind: string; id: string; what: string; url: URL; body: unknown },
  ): void {
    const { kind, id, what, url, body } = asked;
    const { cluster } = this;
    if (kind === 'raft') {
      const running = cluster.nodes.find((node) => node.role === 'server' && !node.stopped);
      this.#raft(res, url.searchParams.get('via') ?? running?.id ?? 'server1', id);
    } else if (kind === 'log-lines') this.#logLines(res, url.searchParams);
    else if (kind === 'nodes' && what === 'stop') this.#stop(res, id, body as { stopped: boolean });
    else if (kind === 'nodes') this.#json(res, 200, { nodes: cluster.nodeViews() });
    else if (kind !== 'tasks') this.#error(res, 'NOT_FOUND', `no route ${url.pathname}`);
    else if (id === '' && req.method === 'POST') this.#submit(req, res, body as TaskRequest);
    else if (id === '') this.#list(res, url.searchParams);
    else this.#task(req, res, id, what, url.searchParams);
  }

  /** `what`: empty for the state of the server, `log` for its entries. */
  #raft(res: ServerResponse, server: string, what: string): void {
    if (this.cluster.nodes.find((node) => node.id === server)?.stopped === true) {
      this.#error(res, 'STOPPED', 'it simulates a crash');
    } else if (what === 'log') this.#json(res, 200, { entries: this.cluster.logEntries() });
    else this.#json(res, 200, this.cluster.raftView(server));
  }

  #logLines(res: ServerResponse, query: URLSearchParams): void {
    const { node, q, after } = Object.fromEntries(query) as Record<string, string | undefined>;
    const all = this.cluster.logLines;
    const lines = all.filter(
      (line) =>
        line.seq > Number(after ?? 0) &&
        (node === undefined || line.node === node) &&
        (q === undefined || line.text.includes(q)),
    );
    this.#json(res, 200, { lines, next: all.length, more: false });
  }

  #submit(req: IncomingMessage, res: ServerResponse, request: TaskRequest): void {
    const key = String(req.headers['idempotency-key']);
    this.keys.push(key);
    const fault = this.faults.submits.shift();
    if (fault !== undefined && fault !== 'lost') {
      this.#error(res, fault, `told to answer ${fault}`, { field: 'script' });
      return;
    }
    const { task, created } = this.cluster.submit(request, { key });
    if (fault === 'lost') res.destroy();
    else this.#json(res, created ? 201 : 200, task);
  }

  #list(res: ServerResponse, query: URLSearchParams): void {
    const limit = Number(query.get('limit') ?? 100);
    const status = query.get('status');
    const q = query.get('q') ?? '';
    const from = Number(query.get('cursor') ?? 0);
    const matching = [...this.cluster.tasks.values()]
      .filter((task) => status === null || task.status === status)
      .filter((task) => q === '' || task.id.startsWith(q) || (task.script ?? '').includes(q))
      .sort((a, b) => (a.submittedAt < b.submittedAt ? 1 : -1));
    const tasks = matching.slice(from, from + limit).map(summary);
    const nextCursor = from + limit < matching.length ? String(from + limit) : null;
    this.#json(res, 200, { tasks, nextCursor, counts: this.cluster.counts() });
  }

  #task(req: IncomingMessage, res: ServerResponse, id: string, what: string, query: URLSearchParams): void {
    const task = this.cluster.tasks.get(id);
    if (task === undefined) this.#error(res, 'NOT_FOUND', `no task ${id}`);
    else if (what === '') this.#json(res, 200, task);
    else if (what === 'events') this.#json(res, 200, { events: this.cluster.timelines.get(id) ?? [] });
    else if (what === 'logs') this.#logs(req, res, task, query);
    else if (what === 'retry') {
      const request = { script: task.script ?? '' };
      this.#json(res, 201, this.cluster.submit(request, { retryOf: task.id }).task);
    } else {
      const canceled = this.cluster.cancel(id);
      if (canceled === null) this.#error(res, 'CONFLICT', 'it is over already');
      else this.#json(res, 200, canceled);
    }
  }

  #logs(req: IncomingMessage, res: ServerResponse, task: TaskView, query: URLSearchParams): void {
    let offset = Number(query.get('offset') ?? 0);
    const isErr = query.get('stream') === 'stderr';
    res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).flushHeaders();
    const write = (): void => {
      const now = this.cluster.tasks.get(task.id) ?? task;
      const text = isErr
        ? (now.result?.stderr ?? '')
        : (now.result?.stdout ?? this.cluster.outputs.get(task.id) ?? '');
      res.write(text.slice(offset));
      offset = Math.max(offset, text.length);
      if (!isFinal(now.status) && query.get('follow') === 'true') return;
      clearInterval(timer);
      res.end();
    };
    const timer = setInterval(write, 100);
    req.once('close', () => clearInterval(timer));
    write();
  }

  #stop(res: ServerResponse, id: string, { stopped }: { readonly stopped: boolean }): void {
    if (!this.faults.faultInjection) this.#error(res, 'FORBIDDEN', 'fault injection is off on this node');
    else if (this.cluster.setStopped(id, stopped)) this.#json(res, 200, { stopped });
    else this.#error(res, 'NOT_FOUND', `no node ${id}`);
  }

  #events(req: IncomingMessage, res: ServerResponse): void {
    if (this.faults.refuseEvents) {
      this.#error(res, 'UNAVAILABLE', 'no streams today');
      return;
    }
    res.writeHead(200, { 'content-type': 'text/event-stream', 'x-clb-index': this.cluster.index });
    res.write('retry: 300\n\n');
    const send = (message: { readonly index: number }): void => {
      res.write(`id: ${String(message.index)}\ndata: ${JSON.stringify(message)}\n\n`);
    };
    const last = Number(req.headers['last-event-id'] ?? Number.POSITIVE_INFINITY);
    this.cluster.messages.filter((message) => message.index > last).forEach(send);
    this.cluster.listeners.add(send);
    this.#streams.add(res);
    res.once('close', () => {
      this.cluster.listeners.delete(send);
      this.#streams.delete(res);
    });
  }

  async #login(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { token } = (await readJson(req)) as { readonly token: string };
    if (token !== this.faults.token) this.#error(res, 'UNAUTHORIZED', 'the token is not the right one');
    else res.writeHead(204, { 'set-cookie': 'session=yes; HttpOnly; SameSite=Strict; Path=/' }).end();
  }

  async #file(path: string, res: ServerResponse): Promise<void> {
    const file = path === '/' ? 'index.html' : normalize(path).replace(/^[/\\.]+/, '');
    const content = await readFile(join(PAGE_DIR, file)).catch(() => null);
    const headers = {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': "default-src 'self'",
    };
    res.writeHead(content === null ? 404 : 200, headers).end(content);
  }

  #json(res: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
    res.writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'x-clb-index': this.cluster.index,
      'x-clb-leader': this.cluster.leader ?? '',
      ...headers,
    });
    res.end(JSON.stringify(body));
  }

  #error(res: ServerResponse, code: ErrorCode, message: string, details?: unknown): void {
    const status = ERROR_STATUS[code];
    const headers: Record<string, string> = status === 503 ? { 'retry-after': '1' } : {};
    this.#json(res, status, { error: { code, message, details } }, headers);
  }
}

async function readJson(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}
