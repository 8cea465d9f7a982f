/**
 * One HTTP request to one address: axios over a keep-alive agent (submits without axios, direct-post.ts). Knows nothing of
 * other addresses.
 */
import { Agent, ClientRequest } from 'node:http';
import type { ClientRequestArgs } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { createRequire } from 'node:module';
import type { AxiosInstance, AxiosRequestConfig, AxiosResponse, AxiosStatic } from 'axios';
import type { Address } from './address.ts';
import { postDirectly } from './direct-post.ts';
import type { HttpAnswer, HttpRequest } from './http-messages.ts';
import { abortReason, TransportError, type HttpStream, type Transport } from './transport.ts';

/** The build that is one file: the modules of the other take 0.13 s longer to load, which every `clb` command would pay. */
const axios = createRequire(import.meta.url)('axios') as AxiosStatic;

/** A node on the same network answers in under a millisecond; a black hole must not hold a request up for long. */
const CONNECT_TIMEOUT_MS = 2_000;
const SOCKETS_PER_SERVER_MAX = 64;
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
const REQUEST_BYTES_MAX = 16 * 1024 * 1024;

/** Gives up on a connection that is not there after {@link CONNECT_TIMEOUT_MS}; Node itself waits for minutes. */
class ConnectTimeoutAgent extends Agent {
  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const socket = super.createConnection(options, callback);
    if (!(socket instanceof Socket)) return socket;
    const timer = setTimeout(() => {
      socket.destroy(Object.assign(new Error('connect timed out'), { code: 'CONNECT_TIMEOUT' }));
    }, CONNECT_TIMEOUT_MS);
    const clear = (): void => clearTimeout(timer);
    socket.once('connect', clear).once('close', clear);
    return socket;
  }
}

export class Http implements Transport {
  readonly #agent: Agent;
  readonly #freshAgent = new ConnectTimeoutAgent({ keepAlive: false });
  readonly #axios: AxiosInstance;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(headers: Readonly<Record<string, string>>) {
    this.#headers = headers;
    // lifo: the most recently used connection is the least likely to be closed by the other side meanwhile.
    this.#agent = new ConnectTimeoutAgent({
      keepAlive: true,
      maxSockets: SOCKETS_PER_SERVER_MAX,
      scheduling: 'lifo',
    });
    this.#axios = axios.create({
      adapter: 'http',
      httpAgent: this.#agent,
      headers: { ...headers },
      proxy: false,
      maxRedirects: 0,
      decompress: false,
      maxBodyLength: REQUEST_BYTES_MAX,
      validateStatus: () => true,
      transformRequest: [(data: unknown) => data],
      transformResponse: [(data: unknown) => data],
    });
  }

  async send(address: Address, request: HttpRequest): Promise<HttpAnswer> {
    if (request.direct === true) {
      const agent = request.fresh === true ? this.#freshAgent : this.#agent;
      try {
        return await postDirectly(agent, address, this.#headers, request);
      } catch (error) {
        throw told(error, request);
      }
    }
    const response = await this.#dispatch<string>(address, request, 'text');
    return { status: response.status, headers: plainHeaders(response), text: response.data };
  }

  async open(address: Address, request: HttpRequest): Promise<HttpStream> {
    const response = await this.#dispatch<Readable>(address, request, 'stream');
    return { status: response.status, headers: plainHeaders(response), stream: response.data };
  }

  close(): void {
    this.#agent.destroy();
    this.#freshAgent.destroy();
  }

  async #dispatch<T>(
    address: Address,
    request: HttpRequest,
    responseType: 'text' | 'stream',
  ): Promise<AxiosResponse<T>> {
    // A stream holds its connection for as long as it lasts: it must not use up those of the pool.
    const fresh = request.fresh === true || responseType === 'stream';
    const config: AxiosRequestConfig = {
      method: request.method,
      url: address.baseUrl + request.path,
      responseType,
      timeout: request.timeoutMs,
      // A stream is read as it comes and may go on for ever.
      maxContentLength: responseType === 'stream' ? -1 : ANSWER_BYTES_MAX,
      headers: {
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { data: Buffer.from(request.body) }),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
      ...(fresh ? { httpAgent: this.#freshAgent } : {}),
    };
    try {
      return await this.#axios.request<T>(config);
    } catch (error) {
      throw told(error, request);
    }
  }
}

/** What a failed request rejects with. */
function told(error: unknown, request: HttpRequest): Error {
  if (axios.isCancel(error) || request.signal?.aborted === true) return abortReason(request.signal);
  return transportError(error, request.timeoutMs);
}

/** Failures that come before a byte of the request can have reached anybody. */
const NOT_SENT: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nobody listens (connection refused)'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'the host name could not be looked up'],
  ['EHOSTUNREACH', 'no route to host'],
  ['ENETUNREACH', 'network unreachable'],
  ['EADDRNOTAVAIL', 'no free local port'],
  ['CONNECT_TIMEOUT', `no connection within ${CONNECT_TIMEOUT_MS} ms`],
]);

function transportError(error: unknown, timeoutMs: number): TransportError {
  // Of node or of axios, which keeps node's code.
  const { code, request } = fieldsOf(error);
  const notSent = NOT_SENT.get(code);
  if (notSent !== undefined) return new TransportError(notSent, { sent: false, cause: error });
  if (code === 'ECONNABORTED' || code === 'ETIMEDOUT') {
    return new TransportError(`no answer within ${timeoutMs} ms`, { sent: true, cause: error });
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    const kept = request instanceof ClientRequest && request.reusedSocket;
    return new TransportError('the connection broke', { sent: true, kept, cause: error });
  }
  const words = error instanceof Error ? error.message : String(error);
  return new TransportError(words === '' ? 'the connection failed' : words, { sent: true, cause: error });
}

function fieldsOf(error: unknown): { readonly code: string; readonly request: unknown } {
  if (typeof error !== 'object' || error === null) return { code: '', request: null };
  return {
    code: 'code' in error && typeof error.code === 'string' ? error.code : '',
    request: 'request' in error ? error.request : null,
  };
}

function plainHeaders(response: AxiosResponse): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (typeof value === 'string') headers[name.toLowerCase()] = value;
  }
  return headers;
}
