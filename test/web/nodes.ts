/** Nodes for tests: apps on real sockets with fakes behind them, and a plain client to ask them. */
import { request } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LogLine, LogLines } from '../../src/api/log.ts';
import type { WebLog } from '../../src/web/answers.ts';
import { Guard } from '../../src/web/guard.ts';
import type { GuardOptions } from '../../src/web/guard.ts';
import { createHttpServer } from '../../src/web/http-server.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';
import { createServerApp } from '../../src/web/server-app.ts';
import type { ServerAppOptions } from '../../src/web/server-app.ts';
import type { StopControl } from '../../src/web/stop.ts';
import { FakeCluster } from './fake-cluster.ts';

export class FakeLines implements LogLines {
  readonly #lines: LogLine[] = [];
  readonly #listeners = new Set<(line: LogLine) => void>();

  readonly write = (text: string): void => {
    const line = { seq: this.#lines.length + 1, at: '2026-01-01T00:00:00.000Z', text };
    this.#lines.push(line);
    for (const listener of this.#listeners) listener(line);
  };

  texts(): readonly string[] {
    return this.#lines.map(({ text }) => text);
  }

  lines(): readonly LogLine[] {
    return this.#lines;
  }

  subscribe(listener: (line: LogLine) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export class FakeStop implements StopControl {
  stopped = false;
  readonly calls: boolean[] = [];
  set(stopped: boolean): Promise<void> {
    this.calls.push(stopped);
    this.stopped = stopped;
    return Promise.resolve();
  }
}

/** Collects what the web layer tells the operator. */
export class FakeLog implements WebLog {
  readonly messages: string[] = [];
  warn(_fields: object, message: string): void {
    this.messages.push(message);
  }
  error(fields: object, message: string): void {
    this.messages.push(`${message} ${'err' in fields ? String(fields.err) : ''}`);
  }
}

export function guardWith(options: Partial<GuardOptions> = {}): Guard {
  return new Guard({ token: null, names: [], allowHosts: [], sessions: null, ...options });
}

const closers: (() => Promise<void>)[] = [];

/** Ends everything the tests of a file have opened; for `after`. */
export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

export function onClose(close: () => Promise<void> | void): void {
  closers.push(async () => {
    await close();
  });
}

/** Listens on a free port of 127.0.0.1. */
export async function listen(
  handle: Parameters<typeof createHttpServer>[0],
): Promise<{ server: Server; port: number; address: string }> {
  const server = createHttpServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  onClose(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return { server, port, address: `127.0.0.1:${port}` };
}

export interface TestServer {
  readonly cluster: FakeCluster;
  readonly lines: FakeLines;
  readonly stop: FakeStop;
  readonly log: FakeLog;
  readonly metrics: NodeMetrics;
  readonly server: Server;
  readonly port: number;
  readonly address: string;
}

export async function startServer(
  options: Partial<Omit<ServerAppOptions, 'cluster'>> & { readonly cluster?: FakeCluster } = {},
): Promise<TestServer> {
  const nodeId = options.nodeId ?? 'server1';
  const cluster = options.cluster ?? new FakeCluster(nodeId);
  const lines = new FakeLines();
  const stop = new FakeStop();
  const log = new FakeLog();
  const metrics = new NodeMetrics({ id: nodeId, version: '0.0.0' });
  const app = createServerApp({
    nodeId,
    version: '0.0.0',
    guard: guardWith(),
    token: null,
    lines,
    stop,
    stopNode: null,
    metrics,
    log,
    ...options,
    cluster: () => (stop.stopped ? null : cluster),
  });
  onClose(() => app.close());
  const listening = await listen(app.handle);
  return { cluster, lines, stop, log, metrics, ...listening };
}

interface TestTask {
  readonly id: string;
  readonly status: string;
  readonly index: number;
  readonly name: string | null;
  readonly retryOf: string | null;
}

/** Every field that an answer may have here; which ones it does have is for the asserts to find out. */
export interface AnswerBody extends TestTask {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly details: {
      readonly field: string;
      readonly limitBytes: number;
      readonly problems: readonly { readonly field: string; readonly message: string }[];
    };
  };
  readonly results: readonly {
    readonly status: number;
    readonly task: TestTask;
    readonly error: { readonly code: string; readonly message: string };
  }[];
  readonly tasks: readonly TestTask[];
  readonly counts: Readonly<Record<string, number>>;
  readonly nextCursor: string | null;
  readonly nodes: readonly { readonly id: string }[];
  readonly events: readonly { readonly what: string }[];
  readonly entries: readonly { readonly index: number }[];
  readonly lines: readonly {
    readonly seq: number;
    readonly node: string;
    readonly container: number;
    readonly text: string;
  }[];
  readonly stopped: boolean;
  readonly ready: boolean;
  readonly reason: string;
  readonly role: string;
  readonly term: number;
  readonly node: string;
  readonly accepted: number;
  readonly container: number;
  readonly next: number | null;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON. */
  readonly json: AnswerBody;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** An object goes as JSON with its content type. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** Asks for `path` of `address`; rejects where the connection breaks. */
export function ask(address: string, path: string, asked: Asked = {}): Promise<TestAnswer> {
  const { body } = asked;
  const raw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
  const bytes = body === undefined ? null : raw ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(`http://${address}`, {
      path,
      method: asked.method ?? (body === undefined ? 'GET' : 'POST'),
      agent: false,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...asked.headers,
      },
      ...(asked.signal === undefined ? {} : { signal: asked.signal }),
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          get json() {
            return JSON.parse(text) as AnswerBody;
          },
        });
      });
    });
    outgoing.end(bytes ?? undefined);
  });
}

/** Reads a stream until `enough` says so (or it ends), then hangs up. */
export function readStream(
  address: string,
  path: string,
  enough: (text: string) => boolean,
  headers: OutgoingHttpHeaders = {},
): Promise<{ readonly text: string; readonly headers: IncomingHttpHeaders; readonly ended: boolean }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`http://${address}`, { path, agent: false, headers });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      let text = '';
      const done = (ended: boolean): void => {
        resolve({ text, headers: response.headers, ended });
        outgoing.destroy();
      };
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (enough(text)) done(false);
      });
      response.on('error', () => done(true));
      response.on('end', () => done(true));
    });
    outgoing.end();
  });
}

/** Looks until it is so. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
