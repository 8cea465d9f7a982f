/** The HTTP side of the client node: the page for people, and the API of the servers through it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import type { Request } from 'express';
import { ApiError } from '../api/errors.ts';
import { LIMITS } from '../api/limits.ts';
import type { LogLines, WriteLine } from '../api/log.ts';
import type { WebLog } from './answers.ts';
import { ClientCalls } from './client-calls.ts';
import { answerLogLines } from './client-log-lines.ts';
import { ClientServers } from './client-servers.ts';
import type { SentTasks } from './client-store.ts';
import { ClientSubmits } from './client-submits.ts';
import { ClientWatch } from './client-watch.ts';
import { checkedFault } from './fault-routes.ts';
import { pathOf } from './guard.ts';
import type { Guard } from './guard.ts';
import { checked, duration } from './input.ts';
import { memoryLogSource } from './log-source.ts';
import type { NodeMetrics } from './metrics.ts';
import { wantsHtml } from './negotiation.ts';
import { parseJson } from './request-body.ts';
import type { WebApp } from './server-app.ts';
import { isApi, WebShell } from './shell.ts';
import { stopNodeByHttp } from './stop-node.ts';
import { stopRequestSchema } from './stop.ts';
import { BATCH_PATH, SUBMIT_PATH } from './submit.ts';
import { passedOnRequestHeaders, relay, Upstream } from './upstream.ts';

export interface ClientAppOptions {
  readonly nodeId: string;
  readonly version: string;
  readonly guard: Guard;
  /** The node's own port. */
  readonly port: number;
  /** host:port of the servers. */
  readonly servers: readonly string[];
  /** For the servers; null: none is needed. */
  readonly token: string | null;
  /** http://host:port of the database node, for the page's log lines; null or left out: none. */
  readonly databaseUrl?: string | null;
  readonly lines: LogLines;
  readonly writeLine: WriteLine;
  readonly sent: SentTasks;
  /** Folder of the built page. */
  readonly uiDir: string;
  readonly metrics: NodeMetrics;
  readonly log: WebLog;
}

export interface ClientApp extends WebApp {
  /** Begins to look at the servers and to watch for results. */
  readonly start: () => void;
  /** Ends both; the store is the caller's to close. */
  readonly stop: () => Promise<void>;
}

/** The page loads what is its own and nothing else. */
const UI_CSP =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export function createClientApp(options: ClientAppOptions): ClientApp {
  const { nodeId, token, writeLine, sent, log } = options;
  const upstream = new Upstream();
  const servers = new ClientServers({ addresses: options.servers, token, upstream });
  const calls = new ClientCalls(servers, upstream);
  const watch = new ClientWatch({ calls, sent, writeLine, log });
  const stopping = stopNodeByHttp((id) => servers.addressOf(id), token);
  const shell = new WebShell({
    nodeId,
    role: 'client',
    version: options.version,
    guard: options.guard,
    logs: memoryLogSource(options.lines),
    stop: null,
    metrics: options.metrics,
    log,
    cluster: () => null,
    identity: () => ({ node: nodeId, leader: servers.leader, index: servers.index }),
    readiness: () =>
      servers.ready
        ? { ready: true, reason: `the master is ${servers.leader ?? ''}` }
        : { ready: false, reason: 'no server that knows a master answers' },
  });
  const { bodies } = shell;
  const submits = new ClientSubmits({ port: options.port, calls, servers, sent, watch, bodies, writeLine });
  const proxy = new ClientProxy(calls, servers, shell);

  shell.route('post', SUBMIT_PATH, (req, res) => submits.submit(req, res, SUBMIT_PATH));
  shell.route('post', BATCH_PATH, (req, res) => submits.submit(req, res, BATCH_PATH));
  shell.route('post', '/v1/tasks/:id/retry', (req, res) => submits.retry(req, res));
  shell.route('post', '/v1/nodes/:id/stop', async (req, res) => {
    // A server is reached directly: it is to be started again even if no other one is left to ask.
    const id = String(req.params['id']);
    if (servers.addressOf(id) === null) {
      await proxy.answer(req, res, true);
      return;
    }
    const body = parseJson(await bodies.read(req, res, LIMITS.bodyBytesMax));
    const { stopped } = checked(stopRequestSchema, body, ['stopped']);
    shell.answers.json(res, 200, { stopped: await stopping.stopNode(id, stopped) });
  });
  shell.route('post', '/v1/nodes/:id/faults', async (req, res) => {
    const id = String(req.params['id']);
    if (servers.addressOf(id) === null) {
      await proxy.answer(req, res, true);
      return;
    }
    const request = checkedFault(await bodies.read(req, res, LIMITS.bodyBytesMax));
    shell.answers.json(res, 200, await stopping.injectFault(id, request));
  });
  const database = { databaseUrl: options.databaseUrl ?? null, token, upstream };
  shell.route('get', '/v1/log-lines', (req, res) => answerLogLines(database, req, res));
  shell.route('get', '/v1/log-lines/stream', (req, res) => answerLogLines(database, req, res));
  shell.use((req, res, next) => {
    if (isApi(pathOf(req))) proxy.answer(req, res, isRepeatable(req)).catch(next);
    else next();
  });
  mountPage(shell, options.uiDir);

  return {
    handle: shell.handle,
    start: () => {
      servers.start();
      watch.start();
    },
    stop: async () => {
      servers.close();
      await watch.close();
    },
    close: () => {
      servers.close();
      stopping.close();
      upstream.close();
    },
  };
}

/** Any other call: passed on as it is, its answer passed back bit by bit. */
class ClientProxy {
  readonly #calls: ClientCalls;
  readonly #servers: ClientServers;
  readonly #shell: WebShell;

  constructor(calls: ClientCalls, servers: ClientServers, shell: WebShell) {
    this.#calls = calls;
    this.#servers = servers;
    this.#shell = shell;
  }

  /** `?via=ID` asks that server and no other (for what speaks for one node). @throws ApiError */
  async answer(req: IncomingMessage, res: ServerResponse, repeatable: boolean): Promise<void> {
    const body = await this.#shell.bodies.read(req, res, LIMITS.bodyBytesMax);
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    res.once('close', stop);
    const target = new Target(req.url ?? '/');
    const { answer } = await this.#calls.send({
      method: req.method ?? 'GET',
      path: () => target.path(),
      headers: passedOnRequestHeaders(req),
      body: body.byteLength === 0 ? null : body,
      repeatable,
      server: target.via === null ? null : this.#addressOf(target.via),
      signal: abort.signal,
    });
    res.off('close', stop);
    // The reader of an event stream resumes by itself, at another server, from the same index.
    relay(answer, res, {}, target.isEvents ? 'end' : 'cut');
  }

  #addressOf(id: string): string {
    const address = this.#servers.addressOf(id);
    if (address === null)
      throw new ApiError('NOT_FOUND', `via: no server ${JSON.stringify(id.slice(0, 64))}`);
    return address;
  }
}

/** What is asked for, without `via`, and with the time that is left of a `wait`. */
class Target {
  readonly via: string | null;
  readonly #url: URL;
  readonly #given: string;
  readonly #waitEndMs: number | null;

  constructor(given: string) {
    this.#given = given;
    this.#url = new URL(given, 'http://server');
    const query = this.#url.searchParams;
    this.via = query.get('via');
    query.delete('via');
    const wait = query.get('wait');
    this.#waitEndMs = wait === null ? null : performance.now() + duration('wait', wait, LIMITS.waitMsMax);
  }

  get isEvents(): boolean {
    return this.#url.pathname === '/v1/events';
  }

  path(): string {
    if (this.via === null && this.#waitEndMs === null) return this.#given;
    if (this.#waitEndMs !== null) {
      const leftMs = Math.max(0, Math.round(this.#waitEndMs - performance.now()));
      this.#url.searchParams.set('wait', `${leftMs}ms`);
    }
    return `${this.#url.pathname}${this.#url.search}`;
  }
}

const SETTING_PATH = /^\/v1\/(nodes\/[^/]+\/drain|queue|raft\/transfer|raft\/peers\/[^/]+)$/;

/** Reads, and what sets a thing to what it says. */
function isRepeatable(req: IncomingMessage): boolean {
  return req.method === 'GET' || req.method === 'HEAD' || SETTING_PATH.test(pathOf(req));
}

function mountPage(shell: WebShell, uiDir: string): void {
  const index = join(uiDir, 'index.html');
  const files = express.static(uiDir, {
    cacheControl: false,
    redirect: false,
    setHeaders: (res, path) => {
      // What vite names by its content never changes.
      const lasting = path.startsWith(join(uiDir, 'assets'));
      shell.answers.stamp(res, {
        'content-security-policy': UI_CSP,
        'cache-control': lasting ? 'public, max-age=31536000, immutable' : 'no-cache',
      });
    },
  });
  shell.use((req, res, next) => void files(req, res, next));
  shell.use((req: Request, res, next) => {
    const isPage = req.method === 'GET' && wantsHtml(req) && !isApi(pathOf(req));
    if (!isPage) next();
    else if (!existsSync(index)) shell.answers.text(res, 503, 'The page is not built: npm run build\n');
    else {
      // The page has addresses of its own.
      req.url = '/index.html';
      files(req, res, next);
    }
  });
}
