import { ApiError, errorOfBody, isErrorCode } from '../api/errors.ts';
import type { FaultsView } from '../api/faults.ts';
import type { InjectFault, StopNode } from './cluster-routes.ts';
import { FAULTS_PATH } from './fault-routes.ts';
import { Upstream, wholeBody } from './upstream.ts';

/** A node that comes back reads its whole state from disk first. */
const STOP_MS_MAX = 60_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/** How other nodes are reached for what is done to them on purpose. */
export interface NodeReach {
  readonly stopNode: StopNode;
  readonly injectFault: InjectFault;
  /** Lets go of the connections. */
  readonly close: () => void;
}

/**
 * Reaches nodes by HTTP. `addressOf` gives the configured host:port of a node, null where there is none.
 */
export function stopNodeByHttp(addressOf: (id: string) => string | null, token: string | null): NodeReach {
  const upstream = new Upstream();
  const post = async (id: string, path: string, body: unknown): Promise<unknown> => {
    const address = addressOf(id);
    if (address === null) throw new ApiError('NOT_FOUND', `no node ${JSON.stringify(id)} is known here`);
    const exchange = await upstream.exchange({
      address,
      method: 'POST',
      path,
      headers: {
        'content-type': 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: Buffer.from(JSON.stringify(body)),
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
        const answer = await wholeBody(exchange.response, ANSWER_BYTES_MAX);
        if (exchange.response.statusCode !== 200) throw answeredError(id, answer);
        return JSON.parse(answer.toString('utf8'));
      }
    }
  };
  return {
    stopNode: async (id, stopped) =>
      ((await post(id, '/stop', { stopped })) as { readonly stopped: boolean }).stopped,
    injectFault: async (id, request) => (await post(id, FAULTS_PATH, request)) as FaultsView,
    close: () => upstream.close(),
  };
}

function answeredError(id: string, body: Buffer): ApiError {
  const error = errorOfBody(body.toString('utf8'));
  if (error === null) return new ApiError('UNAVAILABLE', `node ${id} gave an answer that is not understood`);
  return new ApiError(isErrorCode(error.code) ? error.code : 'UNAVAILABLE', `node ${id}: ${error.message}`);
}
