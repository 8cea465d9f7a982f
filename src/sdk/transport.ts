/**
 * What carries one request to one address: node's HTTP (http.ts) or the browser's fetch (fetch-http.ts). All else of the
 * library is above it and the same in both.
 */
import type { Address } from './address.ts';
import type { HttpAnswer, HttpRequest } from './http-messages.ts';

/** Bytes as they come. A stream of node is one. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  /** Ends it early; whoever reads it gets the reason. */
  destroy(reason?: Error): unknown;
}

export interface HttpStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly stream: ByteStream;
}

export interface Transport {
  /** @throws TransportError, or the signal's reason. */
  send(address: Address, request: HttpRequest): Promise<HttpAnswer>;
  /** An answer that is read as it comes. The caller must end (or destroy) `stream`. Throws as {@link send}. */
  open(address: Address, request: HttpRequest): Promise<HttpStream>;
  /** Drops every connection, those in use too. */
  close(): void;
}

/** No complete answer. */
export class TransportError extends Error {
  /** Whether the server may have acted on the request. */
  readonly sent: boolean;
  /** It was a kept connection that broke: most likely the other side had closed it as idle, and is well. */
  readonly kept: boolean;
  constructor(message: string, options: { sent: boolean; kept?: boolean; cause: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'TransportError';
    this.sent = options.sent;
    this.kept = options.kept ?? false;
  }
}

/** What an aborted call rejects with: the reason given to `abort()`, an AbortError where there was none. */
export function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new DOMException('This operation was aborted', 'AbortError');
}
