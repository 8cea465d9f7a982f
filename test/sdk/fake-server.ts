/** One HTTP server of a fake cluster, which can be told to misbehave. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ERROR_STATUS, type ErrorCode } from '../../src/api/errors.ts';

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** `reset`: the connection breaks before anything is done. `lose-answer`: it is done, then the connection breaks. */
export type Misbehavior =
  | { readonly kind: 'reset' }
  | { readonly kind: 'lose-answer' }
  | { readonly kind: 'hang' }
  | { readonly kind: 'error'; readonly code: ErrorCode; readonly headers?: Record<string, string> }
  | { readonly kind: 'text'; readonly status: number; readonly text: string };

/** What stands behind it. */
export interface FakeRoutes {
  readonly leader: string | null;
  readonly index: number;
  handle(server: FakeServer, request: FakeRequest, res: ServerResponse, asStream: () => void): void;
}

export class FakeServer {
  readonly id: string;
  readonly requests: FakeRequest[] = [];
  /** Asked for each request; null: as it should be. */
  misbehave: (request: FakeRequest) => Misbehavior | null = () => null;
  readonly #cluster: FakeRoutes;
  readonly #http: Server;
  #port = 0;
  readonly #streams = new Set<ServerResponse>();

  constructor(cluster: FakeRoutes, id: string) {
    this.id = id;
    this.#cluster = cluster;
    this.#http = createServer((req, res) => void this.#answer(req, res));
  }

  /** Stays the same when it is killed. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
    this.#port = (this.#http.address() as AddressInfo).port;
  }

  /** Like kill -9: connections are cut, the port refuses. */
  async kill(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve));
    this.#http.closeAllConnections();
    await closed;
  }

  /** Cuts the streams (events, logs) that are open now. */
  breakStreams(): void {
    for (const res of this.#streams) res.destroy();
  }

  get streams(): number {
    return this.#streams.size;
  }

  count(method: string, path: RegExp): number {
    return this.requests.filter((request) => request.method === method && path.test(request.path)).length;
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
    const url = new URL(req.url ?? '/', 'http://fake');
    const request: FakeRequest = {
      method: req.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: req.headers,
      body: Buffer.concat(chunks).toString(),
    };
    this.requests.push(request);
    res.setHeader('x-clb-node', this.id);
    res.setHeader('x-clb-leader', this.#cluster.leader ?? '');
    res.setHeader('x-clb-index', this.#cluster.index);
    const misbehavior = this.misbehave(request);
    switch (misbehavior?.kind) {
      case 'hang':
        return;
      case 'reset':
        req.socket.resetAndDestroy();
        return;
      case 'error':
        for (const [name, value] of Object.entries(misbehavior.headers ?? {})) res.setHeader(name, value);
        sendError(res, misbehavior.code, `made to fail with ${misbehavior.code}`);
        return;
      case 'text':
        res.writeHead(misbehavior.status, { 'content-type': 'text/plain' }).end(misbehavior.text);
        return;
      case 'lose-answer':
        res.end = () => {
          req.socket.resetAndDestroy();
          return res;
        };
        break;
      case undefined:
        break;
    }
    res.on('close', () => this.#streams.delete(res));
    this.#cluster.handle(this, request, res, () => this.#streams.add(res));
  }
}

export function send(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}

export function sendError(res: ServerResponse, code: ErrorCode, message: string): void {
  send(res, ERROR_STATUS[code], { error: { code, message } });
}
