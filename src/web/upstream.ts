/** One HTTP exchange with another node, and what can become of it. */
import { Agent, request } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { errorOfBody, isErrorCode } from '../api/errors.ts';
import type { ErrorCode } from '../api/errors.ts';

const CONNECT_MS_MAX = 2_000;
const SOCKETS_PER_NODE_MAX = 1_024;
const SOCKETS_IDLE_MAX = 64;
/** Below the keep-alive time of the servers (http-server.ts): then it is always we who close an idle connection. */
const SOCKET_IDLE_MS = 30_000;
/** Bodies of errors are read whole, to see their code. */
const ERROR_BODY_BYTES_MAX = 64 * 1024;

/** Set by a server that forwards, with its id; a request that carries it is not forwarded again. */
export const FORWARDED_HEADER = 'x-clb-forwarded-by';
export const CLIENT_PORT_HEADER = 'x-clb-client-port';

export interface UpstreamRequest {
  /** host:port */
  readonly address: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
  /** Until the headers of the answer are there. */
  readonly answerMsMax: number;
  readonly signal: AbortSignal;
}

export type Exchange =
  | { readonly kind: 'answer'; readonly response: IncomingMessage }
  /** A whole answer with an error status of which the code matters (418, 503, 504). */
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly code: ErrorCode | null;
      readonly headers: IncomingHttpHeaders;
      readonly body: Buffer;
    }
  /** The other side has not got it. */
  | { readonly kind: 'not-sent'; readonly reason: string }
  /** The connection broke, or nothing came, after it was (perhaps) received. */
  | { readonly kind: 'broken'; readonly reason: string };

/** Connections to other nodes, kept alive. */
export class Upstream {
  readonly #agent = new Agent({
    keepAlive: true,
    maxSockets: SOCKETS_PER_NODE_MAX,
    maxFreeSockets: SOCKETS_IDLE_MAX,
    scheduling: 'lifo',
    timeout: SOCKET_IDLE_MS,
    noDelay: true,
  });

  /** Never rejects. */
  async exchange(options: UpstreamRequest): Promise<Exchange> {
    const outcome = await this.#send(options);
    if (outcome.kind !== 'answer' || !isTelling(outcome.response.statusCode ?? 0)) return outcome;
    return readError(outcome.response);
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(options: UpstreamRequest): Promise<Exchange> {
    return new Promise((resolve) => {
      const { hostname, port } = new URL(`http://${options.address}`);
      const outgoing = request({
        host: hostname.replace(/^\[|\]$/g, ''),
        // URL drops a port of 80.
        port: port === '' ? 80 : Number(port),
        method: options.method,
        path: options.path,
        agent: this.#agent,
        headers: {
          ...options.headers,
          host: options.address,
          ...(options.body === null ? {} : { 'content-length': options.body.byteLength }),
        },
        signal: options.signal,
      });
      const connection = watchConnection(outgoing);
      const timer = setTimeout(
        () => outgoing.destroy(new Error(`no answer within ${options.answerMsMax} ms`)),
        options.answerMsMax,
      );
      outgoing.once('response', (response) => {
        clearTimeout(timer);
        // Whoever reads it listens too; without this an error between here and there would end the process.
        response.on('error', () => undefined);
        resolve({ kind: 'answer', response });
      });
      outgoing.on('error', (error) => {
        clearTimeout(timer);
        resolve({ kind: connection.mayHaveSent() ? 'broken' : 'not-sent', reason: error.message });
      });
      if (options.body === null) outgoing.end();
      else outgoing.end(options.body);
    });
  }
}

/** Gives up on a connection that does not come about, and knows whether one did. */
function watchConnection(outgoing: ClientRequest): { readonly mayHaveSent: () => boolean } {
  let connected = false;
  outgoing.once('socket', (socket: Socket) => {
    // The agent's idle time must not cut an exchange that takes longer (long polls, streams).
    socket.setTimeout(0);
    if (!socket.connecting) {
      connected = true;
      return;
    }
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no connection within ${CONNECT_MS_MAX} ms`)),
      CONNECT_MS_MAX,
    );
    socket.once('connect', () => {
      connected = true;
      clearTimeout(timer);
    });
    socket.once('close', () => clearTimeout(timer));
  });
  return { mayHaveSent: () => connected };
}

function isTelling(status: number): boolean {
  return status === 418 || status === 503 || status === 504;
}

async function readError(response: IncomingMessage): Promise<Exchange> {
  try {
    const body = await wholeBody(response, ERROR_BODY_BYTES_MAX);
    const status = response.statusCode ?? 502;
    return { kind: 'error', status, code: codeOf(body), headers: response.headers, body };
  } catch (error) {
    return { kind: 'broken', reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The body of an answer, read whole. @throws Error where it breaks off or is longer than `bytesMax`. */
export async function wholeBody(response: AsyncIterable<Buffer>, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

function codeOf(body: Buffer): ErrorCode | null {
  const code = errorOfBody(body.toString('utf8'))?.code;
  return isErrorCode(code) ? code : null;
}

/** Headers that belong to one connection and not to the message. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export function passedOnHeaders(
  headers: IncomingHttpHeaders,
  extra: Readonly<Record<string, string>>,
): Record<string, string | readonly string[]> {
  const passed: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !HOP_BY_HOP.has(name)) passed[name] = value;
  }
  return { ...passed, ...extra };
}

const REQUEST_HEADERS_PASSED = [
  'accept',
  'content-type',
  'idempotency-key',
  'last-event-id',
  CLIENT_PORT_HEADER,
] as const;

/** What of a request's headers goes on to another node; credentials, Host and Origin were for this one. */
export function passedOnRequestHeaders(req: IncomingMessage): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of REQUEST_HEADERS_PASSED) {
    const value = req.headers[name];
    if (typeof value === 'string') passed[name] = value;
  }
  return passed;
}

export type Answer = Extract<Exchange, { kind: 'answer' | 'error' }>;

/**
 * Passes the answer on, bit by bit. Where its source breaks off, what has been passed on ends the same way: cut short
 * (`onBreak: 'cut'`), or as if complete (`'end'`: an event stream, whose reader resumes).
 */
export function relay(
  answer: Answer,
  res: ServerResponse,
  extra: Readonly<Record<string, string>>,
  onBreak: 'cut' | 'end' = 'cut',
): void {
  if (answer.kind === 'error') {
    if (!res.destroyed) {
      res.writeHead(answer.status, passedOnHeaders(answer.headers, extra) as Record<string, string>);
      res.end(answer.body);
    }
    return;
  }
  const { response } = answer;
  if (res.destroyed) {
    response.destroy();
    return;
  }
  res.writeHead(
    response.statusCode ?? 502,
    passedOnHeaders(response.headers, extra) as Record<string, string>,
  );
  // Else a stream that has nothing to say yet would look like no answer at all.
  res.flushHeaders();
  if (onBreak === 'end') {
    response.pipe(res, { end: false });
    response.once('close', () => res.end());
    res.once('close', () => response.destroy());
    return;
  }
  pipeline(response, res, () => undefined);
}
