/**
 * What every node serves, whatever it is: the guard, /stop, /logging, /healthz, /readyz, /metrics, /login. The shell
 * stays while the node behind it is stopped and built anew.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import type { Express, NextFunction, Request, Response } from 'express';
import { ApiError } from '../api/errors.ts';
import { STOPPED_TEXT } from '../api/log.ts';
import type { Cluster } from '../api/cluster.ts';
import { Answers } from './answers.ts';
import type { Identity, WebLog } from './answers.ts';
import { answerFaults, FAULTS_PATH } from './fault-routes.ts';
import type { FaultControl } from './fault-routes.ts';
import { LOGIN_PATH, pathOf } from './guard.ts';
import type { Guard, GuardVerdict } from './guard.ts';
import { queryOf } from './input.ts';
import { answerLogging, streamLogging } from './logging.ts';
import type { LogSource } from './log-source.ts';
import { Login, LOGOUT_PATH, loginRedirect } from './login.ts';
import type { NodeMetrics } from './metrics.ts';
import { wantsHtml } from './negotiation.ts';
import { escapeHtml, page } from './page.ts';
import type { Page } from './page.ts';
import { BodyReader, RequestAbortedError } from './request-body.ts';
import { SseHub } from './sse.ts';
import { answerStop, StopSwitch } from './stop.ts';
import type { StopControl } from './stop.ts';

export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

export interface ShellOptions {
  readonly nodeId: string;
  readonly role: 'server' | 'worker' | 'client' | 'database';
  readonly version: string;
  readonly guard: Guard;
  readonly logs: LogSource;
  /** null: fault injection is off. */
  readonly stop: StopControl | null;
  /** null or left out: fault injection is off. */
  readonly faults?: FaultControl | null;
  readonly metrics: NodeMetrics;
  readonly log: WebLog;
  readonly identity: () => Identity;
  readonly readiness: () => Readiness;
  /** For the Raft and task metrics; null on nodes that are no servers. */
  readonly cluster: () => Cluster | null;
}

/** Routes that a stopped node still answers (contract §6). */
const ALIVE_PATHS: ReadonlySet<string> = new Set(['/stop', '/logging', '/logging/stream', '/healthz']);

export interface RouteName {
  readonly method: 'get' | 'post' | 'delete';
  /** As express has it: `/v1/tasks/:id`. */
  readonly path: string;
}

export type Route = (req: Request, res: Response) => Promise<void> | void;
/** Answers ahead of express, or says that it is none of its business. */
export type HotRoute = (req: IncomingMessage, res: ServerResponse) => Promise<void> | null;

export class WebShell {
  readonly answers: Answers;
  readonly bodies = new BodyReader();
  readonly stop: StopSwitch;
  readonly events: SseHub;
  readonly #options: ShellOptions;
  readonly #logEvents: SseHub;
  readonly #app: Express;
  /** Answers that a crash would cut off. */
  readonly #open = new Set<ServerResponse>();
  #hot: HotRoute = () => null;
  readonly #routes: RouteName[] = [];

  constructor(options: ShellOptions) {
    this.#options = options;
    this.answers = new Answers(options.identity, options.log);
    this.events = new SseHub(this.answers);
    this.#logEvents = new SseHub(this.answers);
    this.stop = new StopSwitch(options.stop, () => this.#cutOff());
    options.faults?.onStop(() => {
      this.stop
        .set(true)
        .catch((error: unknown) => options.log.error({ err: error }, 'the node did not stop'));
    });
    this.#app = express();
    this.#app.disable('x-powered-by').disable('etag').set('case sensitive routing', true);
    this.#app.set('query parser', false);
    this.#mountOwn();
  }

  /** Adds a route. Whatever it throws is answered. */
  route(method: RouteName['method'], path: string, route: Route): void {
    this.#app[method](path, route);
    this.#routes.push({ method, path });
  }

  /** All that were added, hot ones included; for the description of the API to be compared with. */
  get routes(): readonly RouteName[] {
    return this.#routes;
  }

  /** Adds a handler for everything, in the order of adding; it calls `next` for what is not its own. */
  use(handler: (req: Request, res: Response, next: NextFunction) => void): void {
    this.#app.use(handler);
  }

  /** `names` says which ones it answers. */
  hot(names: readonly RouteName[], route: HotRoute): void {
    this.#routes.push(...names);
    this.#hot = route;
  }

  readonly handle = (req: IncomingMessage, res: ServerResponse): void => {
    res.on('error', () => undefined);
    res.once('close', () => {
      this.#open.delete(res);
      this.#options.metrics.answered(req.method ?? '', res.statusCode);
    });
    try {
      if (!this.#admit(req, res)) return;
      const hot = this.#hot(req, res);
      if (hot === null) this.#express(req, res);
      else hot.catch((error: unknown) => this.#failed(res, error));
    } catch (error) {
      this.#failed(res, error);
    }
  };

  /** express ends here with what a route threw, or with nothing where none was found. */
  #express(req: IncomingMessage, res: ServerResponse): void {
    // Its types know only requests it has made itself.
    const app = this.#app as unknown as (
      req: IncomingMessage,
      res: ServerResponse,
      done: (error?: unknown) => void,
    ) => void;
    const noRoute = (): ApiError =>
      new ApiError('NOT_FOUND', `no route ${req.method ?? ''} ${pathOf(req).slice(0, 100)}`);
    // It would answer these by itself, without our headers.
    if (req.method === 'OPTIONS') throw noRoute();
    app(req, res, (error) => this.#failed(res, error ?? noRoute()));
  }

  /** This answer is to outlive a stop of the node (it is the answer to the stop). */
  spare(res: ServerResponse): void {
    this.#open.delete(res);
  }

  /** The guard and the stopped mode; false: it has been answered. */
  #admit(req: IncomingMessage, res: ServerResponse): boolean {
    const verdict = this.#options.guard.check(req);
    if (!verdict.ok) {
      this.#refuse(req, res, verdict);
      return false;
    }
    const url = req.url ?? '';
    if (!url.startsWith('/') || /[^\x21-\x7e]/.test(url)) {
      throw new ApiError('INVALID', 'the request target must be a path of percent-encoded ASCII');
    }
    const path = pathOf(req);
    if (ALIVE_PATHS.has(path)) return true;
    if (this.stop.stopped) {
      if (isApi(path)) throw new ApiError('STOPPED', STOPPED_TEXT);
      this.answers.text(res, 418, STOPPED_TEXT);
      return false;
    }
    this.#open.add(res);
    return true;
  }

  #refuse(req: IncomingMessage, res: ServerResponse, verdict: Extract<GuardVerdict, { ok: false }>): void {
    const isPage = req.method === 'GET' && wantsHtml(req) && !isApi(pathOf(req));
    if (isPage && verdict.code === 'UNAUTHORIZED' && this.#options.guard.sessions !== null)
      this.answers.empty(res, 303, { location: loginRedirect(req) });
    else if (isPage && verdict.followedLink && mayBeLinked(req)) {
      const { html, nonce } = linkPage(this.#options.nodeId, req.url ?? '/');
      this.answers.html(res, 403, html, nonce);
    } else this.answers.error(res, new ApiError(verdict.code, verdict.message));
  }

  #failed(res: ServerResponse, error: unknown): void {
    if (error instanceof RequestAbortedError) res.destroy();
    // What was under way when the node stopped fails in many ways; a crash would tell none of them.
    else if (this.stop.stopped && !(error instanceof ApiError)) res.destroy();
    else this.answers.error(res, error);
  }

  #cutOff(): void {
    for (const res of this.#open) res.socket?.destroy();
    this.#open.clear();
  }

  #mountOwn(): void {
    const { answers, bodies } = this;
    const { nodeId, role, version, metrics, guard } = this.#options;
    const logging = { node: nodeId, source: this.#options.logs, answers, hub: this.#logEvents };
    this.#app.all('/stop', (req: Request, res: Response) => answerStop(this.stop, answers, bodies, req, res));
    this.#app.all(FAULTS_PATH, (req: Request, res: Response) =>
      answerFaults(this.#options.faults ?? null, answers, bodies, req, res),
    );
    this.route('get', '/logging', (req, res) => answerLogging(logging, req, res));
    this.route('get', '/logging/stream', (req, res) => streamLogging(logging, req, res));
    this.route('get', '/healthz', (_req, res) =>
      answers.json(res, 200, { status: 'ok', node: nodeId, role, version, stopped: this.stop.stopped }),
    );
    this.route('get', '/readyz', (req, res) => {
      queryOf(req, []);
      const readiness = this.#options.readiness();
      const headers = readiness.ready ? {} : { 'retry-after': 1 };
      answers.json(res, readiness.ready ? 200 : 503, { ...readiness, node: nodeId }, headers);
    });
    this.route('get', '/metrics', async (req, res) => {
      queryOf(req, []);
      const text = await metrics.text(this.#options.cluster());
      answers.text(res, 200, text, { 'content-type': metrics.contentType });
    });
    if (guard.sessions === null) return;
    const login = new Login({ guard, sessions: guard.sessions, answers, bodies, node: nodeId });
    this.#app.all([LOGIN_PATH, LOGOUT_PATH], (req: Request, res: Response) => login.answer(req, res));
  }
}

/** What acts when it is looked at is not offered for a click; `//host` would be a link to somewhere else. */
function mayBeLinked(req: IncomingMessage): boolean {
  return pathOf(req) !== '/stop' && /^\/(?![/\\])/.test(req.url ?? '');
}

/** A person followed a link from elsewhere, another node's page perhaps: one more click, and it is our own page's link. */
function linkPage(node: string, url: string): Page {
  const link = `<a href="${escapeHtml(url)}">Open it on ${escapeHtml(node)}</a>`;
  const body = `<main><p>A link on another site led here. ${link}</p></main>`;
  return page({ title: `CLB: ${node}`, body });
}

export function isApi(path: string): boolean {
  return path === '/v1' || path.startsWith('/v1/');
}
