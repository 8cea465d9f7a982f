/**
 * Calls that only the master can answer: here if this node is it, else there. Any server may be asked at any moment,
 * during an election too.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiError } from '../api/errors.ts';
import type { Cluster } from '../api/cluster.ts';
import { LIMITS } from '../api/limits.ts';
import { LeaderWatch, noLeader } from './leader-watch.ts';
import { FORWARDED_HEADER, passedOnRequestHeaders, relay, Upstream } from './upstream.ts';
import type { Exchange } from './upstream.ts';

/** How long a request waits for a master while there is none (an election takes some hundred milliseconds). */
export const LEADER_WAIT_MS = 2_000;
/** Pause before the same master is tried again: it may be gone, and this node not know it yet. */
const RETRY_MS = 50;
const BREAKS_MAX = 3;
/** Longer than the longest wait a caller may ask for. */
const ANSWER_MS_MAX = LIMITS.waitMsMax + 10_000;

export interface MasterCall {
  /** Answers from here; runs only on the master. NO_LEADER thrown from it means that nothing was done. */
  readonly run: (cluster: Cluster) => Promise<void>;
  readonly body: Buffer | null;
  /** Doing it twice is the same as once, so it may be repeated after its outcome became unknown. */
  readonly repeatable: () => boolean;
  /** Path and query for the master, made anew for each try (a wait has less time left). */
  readonly path?: () => string;
}

export interface MasterGateOptions {
  /** null while the node behind these routes is being built, and once it has ended. */
  readonly cluster: () => Cluster | null;
  readonly nodeId: string;
  readonly token: string | null;
}

type Tried = 'answered' | 'not-done' | 'unknown' | 'leader-appeared';

interface Sent {
  /** Times its outcome became unknown. */
  breaks: number;
}

export class MasterGate {
  readonly #options: MasterGateOptions;
  readonly #watch: LeaderWatch;
  readonly #upstream = new Upstream();

  constructor(options: MasterGateOptions) {
    this.#options = options;
    this.#watch = new LeaderWatch(options.cluster);
  }

  close(): void {
    this.#upstream.close();
  }

  /**
   * Answers the request, from here or from the master.
   * @throws ApiError NO_LEADER, NO_QUORUM, UNKNOWN_OUTCOME, and whatever `run` throws.
   */
  async call(req: IncomingMessage, res: ServerResponse, call: MasterCall): Promise<void> {
    const sent: Sent = { breaks: 0 };
    try {
      await this.#carry(req, res, call, sent);
    } catch (error) {
      const refused = error instanceof ApiError && (error.code === 'NO_LEADER' || error.code === 'NO_QUORUM');
      // Refused now, but perhaps done before: "refused" would be taken for "not done".
      if (refused && sent.breaks > 0 && !isRead(req)) throw unknownOutcome();
      throw error;
    }
  }

  async #carry(req: IncomingMessage, res: ServerResponse, call: MasterCall, sent: Sent): Promise<void> {
    const forwarded = req.headers[FORWARDED_HEADER] !== undefined;
    let deadlineMs = performance.now() + LEADER_WAIT_MS;
    while (!res.destroyed) {
      const tried = await this.#try(req, res, call, forwarded, deadlineMs);
      if (tried === 'answered') return;
      if (tried === 'leader-appeared') continue;
      if (tried === 'unknown') {
        sent.breaks += 1;
        if (!call.repeatable()) throw unknownOutcome();
        if (sent.breaks >= BREAKS_MAX) throw noLeader('one master after the other went away');
        deadlineMs = performance.now() + LEADER_WAIT_MS;
      }
      // The server that forwarded it knows best whom to ask next.
      if (forwarded) throw noLeader(`${this.#options.nodeId} is not the master`);
      if (performance.now() >= deadlineMs) {
        throw noLeader('the master does not answer and there is no other yet');
      }
      await delay(RETRY_MS);
    }
  }

  async #try(
    req: IncomingMessage,
    res: ServerResponse,
    call: MasterCall,
    forwarded: boolean,
    deadlineMs: number,
  ): Promise<Tried> {
    const cluster = this.#options.cluster();
    if (cluster === null)
      throw forwarded ? noLeader(`${this.#options.nodeId} is starting or ending`) : starting();
    if (cluster.isLeader()) return this.#here(cluster, res, call);
    if (forwarded) return 'not-done';
    const leader = cluster.leader();
    if (leader === null || leader.id === cluster.nodeId) {
      await this.#watch.wait(deadlineMs);
      return 'leader-appeared';
    }
    return this.#there(leader, req, res, call);
  }

  async #here(cluster: Cluster, res: ServerResponse, call: MasterCall): Promise<Tried> {
    try {
      await call.run(cluster);
      return 'answered';
    } catch (error) {
      if (res.headersSent || !(error instanceof ApiError)) throw error;
      if (error.code === 'NO_LEADER') return 'not-done';
      if (error.code === 'UNKNOWN_OUTCOME' && call.repeatable()) return 'unknown';
      throw error;
    }
  }

  async #there(
    leader: { readonly id: string; readonly address: string },
    req: IncomingMessage,
    res: ServerResponse,
    call: MasterCall,
  ): Promise<Tried> {
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    res.once('close', stop);
    const unwatch = this.#watch.onDeposed(leader.id, stop);
    const { nodeId, token } = this.#options;
    const exchange = await this.#upstream.exchange({
      address: leader.address,
      method: req.method ?? 'GET',
      path: call.path?.() ?? req.url ?? '/',
      headers: {
        ...passedOnRequestHeaders(req),
        [FORWARDED_HEADER]: nodeId,
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: call.body,
      answerMsMax: ANSWER_MS_MAX,
      signal: abort.signal,
    });
    unwatch();
    // From here on the relay looks after it.
    res.off('close', stop);
    if (exchange.kind === 'answer' || exchange.kind === 'error') {
      const tried = triedOf(exchange, call);
      // X-Clb-Node names who was asked; the index is the master's, whose state the answer shows.
      if (tried === 'answered') relay(exchange, res, { 'x-clb-node': nodeId });
      return tried;
    }
    return exchange.kind === 'not-sent' ? 'not-done' : 'unknown';
  }
}

/** A node that is stopped, starting or not the master (any more) says so, and has done nothing. */
function triedOf(exchange: Extract<Exchange, { kind: 'answer' | 'error' }>, call: MasterCall): Tried {
  if (exchange.kind === 'answer') return 'answered';
  switch (exchange.code) {
    case 'STOPPED':
    case 'NO_LEADER':
      return 'not-done';
    case 'UNKNOWN_OUTCOME':
      return call.repeatable() ? 'unknown' : 'answered';
    default:
      return 'answered';
  }
}

function isRead(req: IncomingMessage): boolean {
  return req.method === 'GET' || req.method === 'HEAD';
}

/** The process serves already or still; the node within does not. */
export function starting(): ApiError {
  return new ApiError('UNAVAILABLE', 'this node is starting or ending', { retryAfterSeconds: 1 });
}

function unknownOutcome(): ApiError {
  return new ApiError(
    'UNKNOWN_OUTCOME',
    'the connection to the master broke before it answered: this may or may not have been done; ' +
      'repeat it with the same Idempotency-Key',
  );
}
