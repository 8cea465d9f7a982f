/**
 * Carries one request to whichever of the given addresses can do it. Any server will do (they forward), but the master
 * saves a hop, so the pool learns from the headers of every answer which address is whose and who leads. It never
 * dials an address it was not given.
 *
 *     round:  master's address, last good one, the others; those that failed a moment ago last
 *             -> answer: done      -> passing failure: next address
 *     after a round: stop if the time is over, else pause (growing, jittered) and go round again
 */
import { ClbError, NoServerError, errorOfAnswer, isPassing, type ServerSaid } from './errors.ts';
import type { HttpAnswer, HttpRequest } from './http-messages.ts';
import type { Address } from './address.ts';
import { pause } from './pause.ts';
import { TransportError, type ByteStream, type HttpStream, type Transport } from './transport.ts';

/** An address that failed is asked last for this long. */
const SUSPECT_MS = 3_000;
const PAUSE_FIRST_MS = 20;
const PAUSE_GROWTH = 1.5;
/** An election takes a fraction of a second: look often at first, to be back at once. */
const PAUSE_EARLY_MAX_MS = 100;
const PAUSE_LATE_MAX_MS = 1_000;
const EARLY_MS = 2_000;
/** Between looks for the master's address, once it is known by name only. */
const PROBE_INTERVAL_MS = 5_000;
const PROBE_TIMEOUT_MS = 1_000;

/** How long a call goes on trying. */
export interface Patience {
  /** While something may change soon: an election, a broken connection, a full queue. */
  readonly retryMs: number;
  /** While every address refuses connections, is stopped or says that there is no majority. */
  readonly hopelessMs: number;
}

export interface PoolRequest {
  readonly method: HttpRequest['method'];
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Of one attempt; the pool's default where absent. */
  readonly timeoutMs?: number;
  readonly patience?: Patience;
  /**
   * `always`: doing it twice is the same as once. `unless-sent`: after a lost answer it is not repeated but fails with
   * UNKNOWN_OUTCOME.
   */
  readonly repeat: 'always' | 'unless-sent';
  /** Without axios in between. */
  readonly direct?: boolean;
  /** Named in the error when the outcome stays unknown. */
  readonly idempotencyKey?: string;
}

export interface PoolAnswer extends HttpAnswer {
  readonly server: string;
}

export interface PoolStream extends HttpStream {
  readonly server: string;
}

/** @throws ClbError where the answer is not JSON: something else than CLB listens there. */
export function jsonOf(answer: PoolAnswer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch (error) {
    const what = answer.text.trim().slice(0, NOT_JSON_CHARS_MAX);
    throw new ClbError('INTERNAL', `${answer.server} answered with what is no JSON: ${what}`, {
      server: answer.server,
      cause: error,
    });
  }
}

const NOT_JSON_CHARS_MAX = 100;

interface Member {
  readonly address: Address;
  nodeId: string | null;
  suspectUntilMs: number;
}

export class ServerPool {
  readonly #http: Transport;
  readonly #members: readonly Member[];
  readonly #timeoutMs: number;
  readonly #patience: Patience;
  #leaderId: string | null = null;
  #lastGood: Member | null = null;
  #probedAtMs = Number.NEGATIVE_INFINITY;
  #indexSeen: number | null = null;

  constructor(
    http: Transport,
    addresses: readonly Address[],
    options: { readonly timeoutMs: number; readonly patience: Patience },
  ) {
    this.#http = http;
    this.#members = addresses.map((address) => ({ address, nodeId: null, suspectUntilMs: 0 }));
    this.#timeoutMs = options.timeoutMs;
    this.#patience = options.patience;
  }

  /** The addresses as given. */
  get servers(): readonly string[] {
    return this.#members.map((member) => member.address.text);
  }

  /** The highest log index any answer named (X-Clb-Index); null before the first answer. */
  get indexSeen(): number | null {
    return this.#indexSeen;
  }

  /** Of which node an address is, as far as it has said so. */
  nodeIdOf(server: string): string | null {
    return this.#members.find(({ address }) => address.text === server)?.nodeId ?? null;
  }

  /** @throws ClbError for a refusal, NoServerError when time is over, the signal's reason when aborted. */
  async request(request: PoolRequest): Promise<PoolAnswer> {
    return this.#overServers(request, async (address, http) => {
      const answer = await this.#http.send(address, http);
      if (answer.status >= 400) return { kind: 'refused', ...answer };
      return { kind: 'done', headers: answer.headers, value: { ...answer, server: address.text } };
    });
  }

  /** The same for an answer that is read as it comes; what breaks later is the caller's to mend. */
  async open(request: PoolRequest): Promise<PoolStream> {
    return this.#overServers(request, async (address, http) => {
      const answer = await this.#http.open(address, http);
      if (answer.status >= 400) return { kind: 'refused', text: await readText(answer.stream), ...answer };
      return { kind: 'done', headers: answer.headers, value: { ...answer, server: address.text } };
    });
  }

  /** Asks one of the given addresses and no other; no retry. Errors are {@link ClbError}. */
  async ask(server: string, request: PoolRequest): Promise<PoolAnswer> {
    const member = this.#memberAt(server);
    const answer = await asClbError(server, this.#http.send(member.address, this.#httpRequest(request)));
    this.#learn(member, answer.headers);
    if (answer.status < 400) return { ...answer, server };
    throw errorOfAnswer(server, answer.status, answer.text, answer.headers['retry-after']);
  }

  /** The same for an answer that is read as it comes. */
  async openFrom(server: string, request: PoolRequest): Promise<PoolStream> {
    const member = this.#memberAt(server);
    const answer = await asClbError(server, this.#http.open(member.address, this.#httpRequest(request)));
    this.#learn(member, answer.headers);
    if (answer.status < 400) return { ...answer, server };
    throw errorOfAnswer(server, answer.status, await readText(answer.stream), answer.headers['retry-after']);
  }

  #memberAt(server: string): Member {
    const member = this.#members.find(({ address }) => address.text === server);
    if (member !== undefined) return member;
    throw new ClbError('INVALID', `${server} is not one of the given servers (${this.servers.join(', ')})`);
  }

  /** A stream from this address broke: ask the others first for a while. */
  suspect(server: string): void {
    for (const member of this.#members) {
      if (member.address.text === server) member.suspectUntilMs = performance.now() + SUSPECT_MS;
    }
  }

  async #overServers<T>(
    request: PoolRequest,
    attempt: (address: Address, http: HttpRequest) => Promise<Attempt<T>>,
  ): Promise<T> {
    const http = this.#httpRequest(request);
    const trial = new Trial(request, request.patience ?? this.#patience);
    for (;;) {
      const member = this.#next(trial.asked);
      if (member === null) {
        await trial.endRound();
        continue;
      }
      trial.asked.add(member);
      const failure = await this.#once(member, http, attempt);
      if (failure.kind === 'done') return failure.value;
      trial.note(member.address.text, failure.error, failure.sent);
      // The master says so through whomever is asked.
      if (failure.error.code === 'QUEUE_FULL') await trial.endRound();
    }
  }

  async #once<T>(
    member: Member,
    http: HttpRequest,
    attempt: (address: Address, http: HttpRequest) => Promise<Attempt<T>>,
  ): Promise<{ kind: 'done'; value: T } | { kind: 'failed'; error: ClbError; sent: boolean }> {
    const server = member.address.text;
    try {
      const outcome = await attemptTwiceIfKept(attempt, member.address, http);
      this.#learn(member, outcome.headers);
      if (outcome.kind === 'done') {
        this.#lastGood = member;
        member.suspectUntilMs = 0;
        return { kind: 'done', value: outcome.value };
      }
      const error = errorOfAnswer(server, outcome.status, outcome.text, outcome.headers['retry-after']);
      if (!isPassing(error.code)) throw error;
      if (error.code === 'STOPPED') member.suspectUntilMs = performance.now() + SUSPECT_MS;
      if (error.code !== 'QUEUE_FULL') this.#forget(member);
      return { kind: 'failed', error, sent: error.code === 'UNKNOWN_OUTCOME' };
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      member.suspectUntilMs = performance.now() + SUSPECT_MS;
      this.#forget(member);
      const said = new ClbError('UNAVAILABLE', error.message, { server, cause: error });
      return { kind: 'failed', error: said, sent: error.sent };
    }
  }

  /** No longer the one to ask first. */
  #forget(member: Member): void {
    if (member.nodeId === this.#leaderId) this.#leaderId = null;
    if (this.#lastGood === member) this.#lastGood = null;
  }

  #next(asked: ReadonlySet<object>): Member | null {
    const now = performance.now();
    const left = this.#members.filter((member) => !asked.has(member));
    const rank = (member: Member): number => {
      if (member.suspectUntilMs > now) return 3;
      if (member.nodeId !== null && member.nodeId === this.#leaderId) return 0;
      return member === this.#lastGood ? 1 : 2;
    };
    return left.reduce<Member | null>(
      (best, member) => (best === null || rank(member) < rank(best) ? member : best),
      null,
    );
  }

  #learn(member: Member, headers: Readonly<Record<string, string | undefined>>): void {
    const index = Number(headers['x-clb-index']);
    if (Number.isSafeInteger(index) && index >= 0) this.#indexSeen = Math.max(this.#indexSeen ?? 0, index);
    // Of a forwarded answer this is the server asked, not the master whose answer it is.
    member.nodeId = headers['x-clb-node'] ?? member.nodeId;
    const leader = headers['x-clb-leader'];
    if (leader === undefined || leader === '') return;
    this.#leaderId = leader;
    if (this.#members.every(({ nodeId }) => nodeId !== leader)) this.#probe();
  }

  /** The master is known by name, not by address: ask those addresses nobody has heard of yet who they are. */
  #probe(): void {
    const now = performance.now();
    if (now - this.#probedAtMs < PROBE_INTERVAL_MS) return;
    this.#probedAtMs = now;
    for (const member of this.#members) {
      if (member.nodeId !== null) continue;
      const request = { method: 'GET', path: '/healthz', timeoutMs: PROBE_TIMEOUT_MS } as const;
      this.#http.send(member.address, request).then(
        (answer) => {
          member.nodeId = answer.headers['x-clb-node'] ?? null;
        },
        () => undefined, // who does not answer is not preferred, that is all
      );
    }
  }

  #httpRequest(request: PoolRequest): HttpRequest {
    return {
      method: request.method,
      path: request.path,
      timeoutMs: request.timeoutMs ?? this.#timeoutMs,
      fresh: request.repeat === 'unless-sent',
      signal: request.signal,
      direct: request.direct ?? false,
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(request.headers === undefined ? {} : { headers: request.headers }),
    };
  }
}

type Attempt<T> =
  | {
      readonly kind: 'done';
      readonly headers: Readonly<Record<string, string | undefined>>;
      readonly value: T;
    }
  | {
      readonly kind: 'refused';
      readonly headers: Readonly<Record<string, string | undefined>>;
      readonly status: number;
      readonly text: string;
    };

/** A kept connection that broke says nothing of the server: the same once more on a fresh one. */
async function attemptTwiceIfKept<T>(
  attempt: (address: Address, http: HttpRequest) => Promise<Attempt<T>>,
  address: Address,
  http: HttpRequest,
): Promise<Attempt<T>> {
  try {
    return await attempt(address, http);
  } catch (error) {
    if (!(error instanceof TransportError) || !error.kept || http.fresh === true) throw error;
  }
  try {
    return await attempt(address, { ...http, fresh: true });
  } catch (error) {
    // The first one may have been carried out all the same.
    throw error instanceof TransportError
      ? new TransportError(error.message, { sent: true, cause: error.cause })
      : error;
  }
}

/** What one call has met so far: whom it asked this round, what they said, and whether it is worth going on. */
class Trial {
  readonly asked = new Set<object>();
  readonly #request: PoolRequest;
  readonly #patience: Patience;
  readonly #startedMs = performance.now();
  readonly #said = new Map<string, ServerSaid>();
  #outcomeUnknown = false;
  #roundHopeful = false;
  #retryAfterMs = 0;
  #pauseMs = PAUSE_FIRST_MS;

  constructor(request: PoolRequest, patience: Patience) {
    this.#request = request;
    this.#patience = patience;
  }

  /** @throws NoServerError at once where the request may have been carried out and must not be repeated. */
  note(server: string, error: ClbError, sent: boolean): void {
    this.#said.set(server, { server, code: error.code, said: error.message });
    if (sent && this.#request.method !== 'GET') this.#outcomeUnknown = true;
    if (sent || error.code === 'NO_LEADER' || error.code === 'QUEUE_FULL') this.#roundHopeful = true;
    if (error.code === 'UNAVAILABLE' && error.status === 503 && error.cause === undefined)
      this.#roundHopeful = true;
    if (error.code === 'QUEUE_FULL') this.#retryAfterMs = error.retryAfterMs ?? 0;
    if (this.#outcomeUnknown && this.#request.repeat === 'unless-sent') throw this.#giveUp();
  }

  /** @throws NoServerError when the time is over; else pauses and opens the next round. */
  async endRound(): Promise<void> {
    const elapsedMs = performance.now() - this.#startedMs;
    const limitMs = this.#roundHopeful ? this.#patience.retryMs : this.#patience.hopelessMs;
    if (elapsedMs >= limitMs) throw this.#giveUp();
    const pauseMaxMs = elapsedMs < EARLY_MS ? PAUSE_EARLY_MAX_MS : PAUSE_LATE_MAX_MS;
    const pauseMs = Math.max(
      Math.min(this.#pauseMs, pauseMaxMs) * (0.5 + Math.random() / 2),
      this.#retryAfterMs,
    );
    await pause(Math.min(pauseMs, limitMs - elapsedMs), this.#request.signal);
    this.#pauseMs *= PAUSE_GROWTH;
    this.#retryAfterMs = 0;
    this.#roundHopeful = false;
    this.asked.clear();
  }

  #giveUp(): NoServerError {
    return new NoServerError([...this.#said.values()], {
      outcomeUnknown: this.#outcomeUnknown,
      idempotencyKey: this.#request.idempotencyKey ?? null,
    });
  }
}

const REFUSAL_CHARS_MAX = 64 * 1024;

async function readText(stream: ByteStream): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  try {
    for await (const chunk of stream) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > REFUSAL_CHARS_MAX) break;
    }
  } catch {
    // The status alone says enough.
  }
  return text;
}

async function asClbError<T>(server: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    throw new ClbError('UNAVAILABLE', error.message, { server, cause: error });
  }
}
