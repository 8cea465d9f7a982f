/** GET /v1/log-lines through the client node: its page dials no other address, so the database is asked from here. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';
import { pathOf } from './guard.ts';
import { passedOnRequestHeaders, relay } from './upstream.ts';
import type { Upstream } from './upstream.ts';

const ANSWER_MS_MAX = 10_000;

export interface ClientLogLinesOptions {
  /** http://host:port of the database node; null: none was given. */
  readonly databaseUrl: string | null;
  readonly token: string | null;
  readonly upstream: Upstream;
}

/** Passes the question on as it is. @throws ApiError NOT_FOUND without a database, UNAVAILABLE where it does not answer. */
export async function answerLogLines(
  options: ClientLogLinesOptions,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { databaseUrl, token, upstream } = options;
  if (databaseUrl === null) {
    throw new ApiError('NOT_FOUND', 'this client node was started without a database (--database)');
  }
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  res.once('close', stop);
  const exchange = await upstream.exchange({
    address: new URL(databaseUrl).host,
    method: req.method ?? 'GET',
    path: req.url ?? '/v1/log-lines',
    headers: {
      ...passedOnRequestHeaders(req),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    body: null,
    answerMsMax: ANSWER_MS_MAX,
    signal: abort.signal,
  });
  res.off('close', stop);
  switch (exchange.kind) {
    case 'not-sent':
    case 'broken':
      throw new ApiError('UNAVAILABLE', 'the database node, which keeps the log lines, does not answer', {
        retryAfterSeconds: 1,
      });
    case 'answer':
    case 'error':
      // A reader of the stream resumes by itself.
      relay(exchange, res, {}, pathOf(req).endsWith('/stream') ? 'end' : 'cut');
  }
}
