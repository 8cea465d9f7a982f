import { ApiError, ERROR_STATUS } from '../api/errors.ts';
import type { ErrorCode } from '../api/errors.ts';
import type { StopNode } from './cluster-routes.ts';
import { Upstream, wholeBody } from './upstream.ts';

/** A node that comes back reads its whole state from disk first. */
const STOP_MS_MAX = 60_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * Makes a {@link StopNode} that reaches nodes by HTTP. `addressOf` gives the configured host:port of a node, null where
 * there is none. `close` lets go of the connections.
 */
export function stopNodeByHttp(
  addressOf: (id: string) => string | null,
  token: string | null,
): { readonly stopNode: StopNode; readonly close: () => void } {
  const upstream = new Upstream();
  const stopNode: StopNode = async (id, stopped) => {
    const address = addressOf(id);
    if (address === null) throw new ApiError('NOT_FOUND', `no node ${JSON.stringify(id)} is known here`);
    const exchange = await upstream.exchange({
      address,
      method: 'POST',
      path: '/stop',
      headers: {
        'content-type': 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: Buffer.from(JSON.stringify({ stopped })),
      answerMsMax: STOP_MS_MAX,
      signal: AbortSignal.timeout(STOP_MS_MAX),
    });
    switch (exchange.kind) {
      case 'not-sent':
      case 'broken':
        throw new ApiError('UNAVAILABLE', `node ${id} (${address}) does not answer: ${exchange.reason}`);
      case 'error':
        throw answeredError(id, exchange.body);
      case 'answer': {
        const body = await wholeBody(exchange.response, ANSWER_BYTES_MAX);
        if (exchange.response.statusCode !== 200) throw answeredError(id, body);
        const answer = JSON.parse(body.toString('utf8')) as { readonly stopped: boolean };
        return answer.stopped;
      }
    }
  };
  return { stopNode, close: () => upstream.close() };
}

function answeredError(id: string, body: Buffer): ApiError {
  try {
    const { error } = JSON.parse(body.toString('utf8')) as {
      readonly error: { readonly code: string; readonly message: string };
    };
    const code = Object.hasOwn(ERROR_STATUS, error.code) ? (error.code as ErrorCode) : 'UNAVAILABLE';
    return new ApiError(code, `node ${id}: ${error.message}`);
  } catch {
    return new ApiError('UNAVAILABLE', `node ${id} gave an answer that is not understood`);
  }
}
