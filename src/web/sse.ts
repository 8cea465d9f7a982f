/** Server-Sent Events (WHATWG HTML §9.2): the frame of every event stream here. What goes in is the caller's. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';
import { LIMITS } from '../api/limits.ts';
import type { Answers } from './answers.ts';

/** A comment this often tells the reader, and what lies between, that the stream is alive. */
export const SSE_HEARTBEAT_MS = 5_000;
/** Beyond this a reader is behind: nothing more is given to it until it has taken what there is. */
const BUFFER_BYTES_MAX = 256 * 1024;
/** A reader that takes nothing for so long is dropped; it resumes where it was. */
const STALLED_MS_MAX = 20_000;
/** How long a browser waits before it comes back. */
const RETRY_MS = 1_000;

/** The streams of one node, with one timer for all. */
export class SseHub {
  readonly #answers: Answers;
  readonly #clientsMax: number;
  readonly #heartbeatMs: number;
  readonly #streams = new Set<SseStream>();
  #timer: NodeJS.Timeout | null = null;

  constructor(
    answers: Answers,
    limits: { readonly clientsMax?: number; readonly heartbeatMs?: number } = {},
  ) {
    this.#answers = answers;
    this.#clientsMax = limits.clientsMax ?? LIMITS.sseClientsMax;
    this.#heartbeatMs = limits.heartbeatMs ?? SSE_HEARTBEAT_MS;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Begins the answer. @throws ApiError UNAVAILABLE where there are too many already. */
  open(res: ServerResponse): SseStream {
    if (res.req.method !== 'GET') throw new ApiError('NOT_FOUND', 'an event stream answers GET only');
    if (this.#streams.size >= this.#clientsMax) {
      throw new ApiError('UNAVAILABLE', `the limit of ${this.#clientsMax} event streams is reached`, {
        retryAfterSeconds: 5,
      });
    }
    this.#answers.begin(res, 200, {
      'content-type': 'text/event-stream; charset=utf-8',
      // Proxies that collect an answer before they pass it on (nginx) are told not to.
      'x-accel-buffering': 'no',
    });
    res.write(`retry: ${RETRY_MS}\n\n`);
    const stream = new SseStream(res);
    this.#streams.add(stream);
    res.once('close', () => {
      this.#streams.delete(stream);
      if (this.#streams.size === 0) this.#rest();
    });
    this.#timer ??= setInterval(() => this.#beat(), this.#heartbeatMs);
    return stream;
  }

  #beat(): void {
    for (const stream of this.#streams) stream.beat();
  }

  #rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

export class SseStream {
  readonly #res: ServerResponse;
  #behindSinceMs: number | null = null;

  constructor(res: ServerResponse) {
    this.#res = res;
    res.on('drain', () => (this.#behindSinceMs = null));
  }

  get closed(): boolean {
    return this.#res.destroyed || this.#res.writableEnded;
  }

  /** Give it no more before {@link onRoom}. */
  get behind(): boolean {
    return this.#behindSinceMs !== null;
  }

  /** `frame` is made by {@link sseFrame}. */
  send(frame: string): void {
    if (this.closed) return;
    this.#res.write(frame);
    if (this.#res.writableLength > BUFFER_BYTES_MAX) this.#behindSinceMs ??= performance.now();
  }

  /** Calls back each time a reader that was behind has taken all there was. */
  onRoom(callback: () => void): void {
    this.#res.on('drain', callback);
  }

  onClose(callback: () => void): void {
    this.#res.once('close', callback);
  }

  close(): void {
    this.#res.destroy();
  }

  beat(): void {
    if (this.#behindSinceMs === null) this.#res.write(': alive\n\n');
    else if (performance.now() - this.#behindSinceMs > STALLED_MS_MAX) this.#res.destroy();
  }
}

/** One event. `data` must not hold line breaks (JSON doesn't). */
export function sseFrame(event: string | null, id: string, data: string): string {
  return `${event === null ? '' : `event: ${event}\n`}id: ${id}\ndata: ${data}\n\n`;
}

/** Where a reader wants to resume: the header a browser sends by itself, or `?after=` of the first connection. */
export function lastEventId(req: IncomingMessage, after: string | undefined): string | null {
  const header = req.headers['last-event-id'];
  if (typeof header === 'string' && header !== '') return header;
  return after === undefined || after === '' ? null : after;
}
