/**
 * One HTTP request to one address by `fetch`: for the browser, where the page's own origin (a client node) is what may be
 * asked; servers refuse other origins. Cookies go along, so a page that signed in needs no token.
 */
import type { Address } from './address.ts';
import type { HttpAnswer, HttpRequest } from './http-messages.ts';
import {
  abortReason,
  TransportError,
  type ByteStream,
  type HttpStream,
  type Transport,
} from './transport.ts';

export class FetchHttp implements Transport {
  readonly #headers: Readonly<Record<string, string>>;
  readonly #ownAddress: string;
  readonly #open = new Set<AbortController>();

  /** `ownAddress`: host:port of the page, asked by the protocol that it came by (TLS perhaps). */
  constructor(headers: Readonly<Record<string, string>>, ownAddress: string) {
    this.#headers = headers;
    this.#ownAddress = ownAddress;
  }

  async send(address: Address, request: HttpRequest): Promise<HttpAnswer> {
    const call = this.#begin(request);
    try {
      const response = await call.fetch(this.#baseUrl(address), this.#headers);
      const text = await response.text();
      return { status: response.status, headers: plainHeaders(response), text };
    } catch (error) {
      throw call.told(error);
    } finally {
      call.end();
    }
  }

  async open(address: Address, request: HttpRequest): Promise<HttpStream> {
    const call = this.#begin(request);
    try {
      const response = await call.fetch(this.#baseUrl(address), this.#headers);
      call.stopTimer();
      const stream = new ResponseStream(response, call);
      return { status: response.status, headers: plainHeaders(response), stream };
    } catch (error) {
      call.end();
      throw call.told(error);
    }
  }

  close(): void {
    for (const controller of this.#open) controller.abort();
    this.#open.clear();
  }

  #baseUrl(address: Address): string {
    return address.text === this.#ownAddress ? '' : address.baseUrl;
  }

  #begin(request: HttpRequest): Call {
    const call = new Call(request, () => this.#open.delete(call.controller));
    this.#open.add(call.controller);
    return call;
  }
}

/** One fetch, its time limit and the caller's signal. */
class Call {
  readonly controller = new AbortController();
  readonly #request: HttpRequest;
  readonly #onEnd: () => void;
  readonly #onAbort = (): void => this.controller.abort();
  readonly #timer: ReturnType<typeof setTimeout>;
  #timedOut = false;

  constructor(request: HttpRequest, onEnd: () => void) {
    this.#request = request;
    this.#onEnd = onEnd;
    this.#timer = setTimeout(() => {
      this.#timedOut = true;
      this.controller.abort();
    }, request.timeoutMs);
    request.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (request.signal?.aborted === true) this.controller.abort();
  }

  fetch(baseUrl: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    const { method, path, body } = this.#request;
    return fetch(baseUrl + path, {
      method,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...this.#request.headers,
      },
      ...(body === undefined ? {} : { body }),
      signal: this.controller.signal,
      redirect: 'error',
    });
  }

  stopTimer(): void {
    clearTimeout(this.#timer);
  }

  end(): void {
    this.stopTimer();
    this.#request.signal?.removeEventListener('abort', this.#onAbort);
    this.#onEnd();
  }

  /** A browser doesn't say why a request failed: it may have arrived. */
  told(error: unknown): Error {
    if (this.#request.signal?.aborted === true) return abortReason(this.#request.signal);
    const words = this.#timedOut ? `no answer within ${this.#request.timeoutMs} ms` : 'the request failed';
    return new TransportError(words, {
      sent: this.#timedOut || this.#request.method !== 'GET',
      cause: error,
    });
  }
}

class ResponseStream implements ByteStream {
  readonly #response: Response;
  readonly #call: Call;
  #reason: Error | null = null;

  constructor(response: Response, call: Call) {
    this.#response = response;
    this.#call = call;
  }

  destroy(reason?: Error): void {
    this.#reason ??= reason ?? null;
    this.#call.controller.abort();
    this.#call.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const reader = this.#response.body?.getReader();
    try {
      for (;;) {
        const part = await reader?.read();
        if (part === undefined || part.done) return;
        yield part.value;
      }
    } catch (error) {
      throw this.#reason ?? this.#call.told(error);
    } finally {
      this.destroy();
    }
  }
}

function plainHeaders(response: Response): Record<string, string | undefined> {
  return Object.fromEntries(response.headers.entries());
}
