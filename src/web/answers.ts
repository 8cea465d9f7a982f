/** The one place where answers are written, so that every one of them carries the same headers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';
import type { ErrorCode } from '../api/errors.ts';

/** What the web layer tells the operator's log; a pino logger fits. */
export interface WebLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Who answers: the headers X-Clb-Node, X-Clb-Leader (empty while unknown) and X-Clb-Index. */
export interface Identity {
  readonly node: string;
  readonly leader: string | null;
  /** Index of the last entry applied here. */
  readonly index: number;
}

export type Headers = Readonly<Record<string, string | number | readonly string[]>>;

/** Of a request body that is not wanted, at most this much is thrown away before the connection is cut. */
const DISCARD_BYTES_MAX = 64 * 1024 * 1024;
const DISCARD_MS_MAX = 5_000;

/** On everything that is not a page: no script, no frame, nothing to load. */
const CSP_NOTHING = "default-src 'none'; frame-ancestors 'none'";

/** Page with inline style and script of this nonce, talking to its own origin only. */
export function pageCsp(nonce: string): string {
  return (
    `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; ` +
    `img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`
  );
}

export class Answers {
  readonly #identity: () => Identity;
  readonly #log: WebLog;

  constructor(identity: () => Identity, log: WebLog) {
    this.#identity = identity;
    this.#log = log;
  }

  json(res: ServerResponse, status: number, body: unknown, headers: Headers = {}): void {
    this.jsonText(res, status, JSON.stringify(body), headers);
  }

  /** `text` is JSON already. */
  jsonText(res: ServerResponse, status: number, text: string, headers: Headers = {}): void {
    this.#whole(res, status, 'application/json; charset=utf-8', text, headers);
  }

  text(res: ServerResponse, status: number, text: string, headers: Headers = {}): void {
    this.#whole(res, status, 'text/plain; charset=utf-8', text, headers);
  }

  /** A page; `nonce` is that of its inline style and script. */
  html(res: ServerResponse, status: number, html: string, nonce: string, headers: Headers = {}): void {
    this.#whole(res, status, 'text/html; charset=utf-8', html, {
      'content-security-policy': pageCsp(nonce),
      ...headers,
    });
  }

  empty(res: ServerResponse, status: number, headers: Headers = {}): void {
    if (res.headersSent || res.destroyed) return;
    res.writeHead(status, this.#headers(headers));
    res.end();
  }

  /** Sets the headers of an answer that somebody else will write. */
  stamp(res: ServerResponse, headers: Headers): void {
    for (const [name, value] of Object.entries(this.#headers(headers))) res.setHeader(name, value);
  }

  /** Begins an answer whose body follows bit by bit. */
  begin(res: ServerResponse, status: number, headers: Headers): void {
    res.writeHead(status, this.#headers(headers));
  }

  /**
   * The error as JSON; anything but an {@link ApiError} is a fault of ours, told to the log and not to the caller. An
   * answer that has begun can only be cut off.
   */
  error(res: ServerResponse, error: unknown): void {
    if (res.headersSent || res.destroyed) {
      res.destroy();
      return;
    }
    const known = this.known(error, res.req);
    this.json(res, known.status, known.toBody(), errorHeaders(known));
  }

  /** An error of the table for whatever was thrown. */
  known(error: unknown, req: IncomingMessage): ApiError {
    if (error instanceof ApiError) return error;
    // What express and the URL decoder throw for a broken request target.
    if (error instanceof URIError)
      return new ApiError('INVALID', 'the path is not valid percent-encoded UTF-8');
    const code = frameworkCode(error);
    if (code !== null) return new ApiError(code, 'the request target is not one that can be served');
    this.#log.error({ err: error, method: req.method, url: req.url }, 'a route failed');
    return new ApiError('INTERNAL', "internal error; the node's log has the details");
  }

  #whole(res: ServerResponse, status: number, type: string, body: string, headers: Headers): void {
    if (res.headersSent || res.destroyed) return;
    res.writeHead(
      status,
      this.#headers({ 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers }),
    );
    res.end(res.req.method === 'HEAD' ? undefined : body);
    discardRest(res.req);
  }

  #headers(headers: Headers): Record<string, string | number | string[]> {
    const identity = this.#identity();
    const all: Record<string, string | number | string[]> = {
      'x-clb-node': identity.node,
      'x-clb-leader': identity.leader ?? '',
      'x-clb-index': identity.index,
      'cache-control': 'no-store',
      'content-security-policy': CSP_NOTHING,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
    };
    for (const [name, value] of Object.entries(headers))
      all[name] = typeof value === 'object' ? [...value] : value;
    return all;
  }
}

/** Errors of express's parts carry the status they are about; one below 500 is the caller's. */
function frameworkCode(error: unknown): ErrorCode | null {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return null;
  if (error.status === 404) return 'NOT_FOUND';
  if (error.status === 403) return 'FORBIDDEN';
  return error.status >= 400 && error.status < 500 ? 'INVALID' : null;
}

function errorHeaders(error: ApiError): Headers {
  const headers: Record<string, string | number> = {};
  if (error.status === 429 || error.status === 503) headers['retry-after'] = error.retryAfterSeconds ?? 1;
  if (error.code === 'UNAUTHORIZED') headers['www-authenticate'] = 'Bearer realm="clb"';
  return headers;
}

/**
 * Reads on without keeping anything: cutting the connection at once would reset it, and a client still sending would
 * never see the answer. Someone who sends on and on is cut off.
 */
function discardRest(req: IncomingMessage): void {
  if (req.complete || req.destroyed) return;
  let discardedBytes = 0;
  const timer = setTimeout(() => req.socket.destroy(), DISCARD_MS_MAX);
  timer.unref();
  req.on('data', (chunk: Buffer) => {
    discardedBytes += chunk.byteLength;
    if (discardedBytes > DISCARD_BYTES_MAX) req.socket.destroy();
  });
  const done = (): void => clearTimeout(timer);
  req.once('end', done).once('close', done);
  // A reader that gave up has paused it.
  req.resume();
}
