import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ERROR_STATUS } from '../api/errors.ts';
import { holdContinue } from './request-body.ts';

export type Handle = (req: IncomingMessage, res: ServerResponse) => void;

/** The whole request must have come by then (8 MiB over a slow line). */
const REQUEST_MS_MAX = 120_000;
const HEADERS_MS_MAX = 20_000;
/** Longer than the idle time of any client of ours, so that it is never the server that closes first. */
const KEEP_ALIVE_MS = 65_000;
const HEADER_BYTES_MAX = 16 * 1024;
const CONNECTIONS_MAX = 10_000;

/**
 * An HTTP server with limits. The caller listens and closes. With `Expect: 100-continue` the body is asked for only when
 * a route wants to read it, so what is refused (guard, too large) is never sent.
 */
export function createHttpServer(handle: Handle): Server {
  const server = createServer(
    {
      requestTimeout: REQUEST_MS_MAX,
      headersTimeout: HEADERS_MS_MAX,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 5_000,
      maxHeaderSize: HEADER_BYTES_MAX,
      noDelay: true,
    },
    handle,
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    holdContinue(req);
    handle(req, res);
  });
  server.on('clientError', answerBrokenRequest);
  return server;
}

/** What could not be read as HTTP gets an answer of the usual shape where that is possible. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const tooLong = error.code === 'HPE_HEADER_OVERFLOW';
  const timedOut = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const code = tooLong ? 'TOO_LARGE' : 'INVALID';
  const message = tooLong
    ? `the request's headers are longer than the limit of ${HEADER_BYTES_MAX} bytes`
    : timedOut
      ? `the request did not come in time (headers ${HEADERS_MS_MAX / 1000} s, all ${REQUEST_MS_MAX / 1000} s)`
      : 'this is not valid HTTP';
  const body = JSON.stringify({ error: { code, message } });
  const status = ERROR_STATUS[code];
  socket.end(
    `HTTP/1.1 ${status} ${tooLong ? 'Content Too Large' : 'Bad Request'}\r\nConnection: close\r\n` +
      `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
