/** Carries a call to whichever server can do it, over a change of the master if need be. */
import { setTimeout as delay } from 'node:timers/promises';
import { ApiError } from '../api/errors.ts';
import { LIMITS } from '../api/limits.ts';
import type { ClientServers } from './client-servers.ts';
import type { Answer, Upstream } from './upstream.ts';

/** How long a call goes on trying while an election, or a broken connection, may be the reason. */
const CALL_MS_MAX = 10_000;
/** … while no server answers at all. */
const SILENCE_MS_MAX = 2_000;
const ROUND_PAUSE_MS = 100;
const ANSWER_MS_MAX = LIMITS.waitMsMax + 10_000;

export interface ClientCall {
  readonly method: string;
  /** Path and query, made anew for each try. */
  readonly path: () => string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
  /** Doing it twice is the same as once. */
  readonly repeatable: boolean;
  /** Only this server, once, whatever it answers; null: any. */
  readonly server: string | null;
  readonly signal: AbortSignal;
}

export interface ClientAnswer {
  readonly answer: Answer;
  /** Address of the server that gave it. */
  readonly server: string;
}

/** What the servers of one round said, other than an answer. */
interface Round {
  /** Something is under way that will pass: an election, a start, a broken connection. */
  passing: boolean;
  noQuorum: Answer | null;
  /** A server is starting, full, or can't reach what was asked for. */
  unavailable: Answer | null;
  stopped: boolean;
}

/** A request other than a read was sent, and nobody knows what became of it. */
interface Sent {
  outcomeUnknown: boolean;
}

export class ClientCalls {
  readonly #servers: ClientServers;
  readonly #upstream: Upstream;

  constructor(servers: ClientServers, upstream: Upstream) {
    this.#servers = servers;
    this.#upstream = upstream;
  }

  /**
   * The answer of a server, good or bad. Its body is still to be read.
   * @throws ApiError NO_LEADER, NO_QUORUM, UNKNOWN_OUTCOME, UNAVAILABLE where no server could do it.
   */
  async send(call: ClientCall): Promise<ClientAnswer> {
    const startedMs = performance.now();
    const sent: Sent = { outcomeUnknown: false };
    for (;;) {
      const round: Round = { passing: false, noQuorum: null, unavailable: null, stopped: false };
      const servers = call.server === null ? this.#servers.order() : [call.server];
      for (const server of servers) {
        const answer = await this.#ask(server, call, round, sent);
        if (answer !== null) return { answer, server };
        if (call.signal.aborted) throw new ApiError('UNAVAILABLE', 'the caller went away');
      }
      const hopeless = !round.passing && (round.noQuorum !== null || round.stopped);
      const limitMs = round.passing ? CALL_MS_MAX : SILENCE_MS_MAX;
      if (hopeless || performance.now() - startedMs >= limitMs) {
        // Refused now, but perhaps done before: "refused" would be taken for "not done".
        if (sent.outcomeUnknown) throw unknownOutcome();
        const said = round.passing ? null : (round.noQuorum ?? round.unavailable);
        if (said !== null) return { answer: said, server: servers[0] ?? '' };
        throw gaveUp(round);
      }
      await delay(ROUND_PAUSE_MS);
    }
  }

  /** null: the next one is to be asked. */
  async #ask(server: string, call: ClientCall, round: Round, sent: Sent): Promise<Answer | null> {
    const gone = new AbortController();
    const unwatch = this.#servers.onDown(server, () => gone.abort());
    const exchange = await this.#upstream.exchange({
      address: server,
      method: call.method,
      path: call.path(),
      headers: { ...call.headers, ...this.#servers.headers() },
      body: call.body,
      answerMsMax: ANSWER_MS_MAX,
      signal: AbortSignal.any([call.signal, gone.signal]),
    });
    unwatch();
    if (!call.signal.aborted) this.#servers.learn(server, exchange);
    switch (exchange.kind) {
      case 'answer':
        // A server that hangs in the middle of a stream would hold it for ever.
        watchStream(this.#servers, server, exchange);
        return exchange;
      case 'error':
        if (call.server !== null || !isPassed(exchange, call, round)) return exchange;
        if (exchange.code === 'UNKNOWN_OUTCOME' && !isRead(call)) sent.outcomeUnknown = true;
        return null;
      case 'not-sent':
        return null;
      case 'broken':
        if (!call.repeatable) throw unknownOutcome();
        if (!isRead(call)) sent.outcomeUnknown = true;
        round.passing = true;
        return null;
    }
  }
}

function watchStream(
  servers: ClientServers,
  server: string,
  answer: Extract<Answer, { kind: 'answer' }>,
): void {
  const unwatch = servers.onDown(server, () => answer.response.destroy());
  answer.response.once('close', unwatch);
}

function isRead(call: ClientCall): boolean {
  return call.method === 'GET' || call.method === 'HEAD';
}

/** Whether another server may do what this one can't; notes what it said. */
function isPassed(answer: Extract<Answer, { kind: 'error' }>, call: ClientCall, round: Round): boolean {
  switch (answer.code) {
    case 'STOPPED':
      round.stopped = true;
      return true;
    case 'NO_LEADER':
      round.passing = true;
      return true;
    case 'UNAVAILABLE':
      round.unavailable = answer;
      return true;
    case 'NO_QUORUM':
      round.noQuorum = answer;
      return true;
    case 'UNKNOWN_OUTCOME':
      round.passing ||= call.repeatable;
      return call.repeatable;
    default:
      return false;
  }
}

function gaveUp(round: Round): ApiError {
  const options = { retryAfterSeconds: 1 };
  if (round.passing) return new ApiError('NO_LEADER', `no master within ${CALL_MS_MAX / 1000} s`, options);
  if (round.stopped) return new ApiError('NO_QUORUM', 'every server that answers is stopped', options);
  return new ApiError('UNAVAILABLE', 'no server answers', options);
}

function unknownOutcome(): ApiError {
  return new ApiError(
    'UNKNOWN_OUTCOME',
    'the connection to the server broke before it answered: this may or may not have been done',
  );
}
