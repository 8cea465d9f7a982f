import type { EventMessage } from '../../../../api/views.ts';
import type { Clock } from '../model/clock.ts';

/** The part of the browser's EventSource that is used. */
export interface EventSourceLike {
  /** 0 connecting, 1 open, 2 closed for good. */
  readonly readyState: number;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message' | 'reset', listener: (event: { readonly data: unknown }) => void): void;
  close(): void;
}

export interface FeedListener {
  onState(state: 'connecting' | 'open' | 'down'): void;
  onMessage(message: EventMessage): void;
  /** Something may have been missed: everything shown must be fetched again. */
  onGap(): void;
}

const CLOSED = 2;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 5_000;

/**
 * The stream of events, kept open. Within one EventSource the browser itself reconnects and sends `Last-Event-ID`, so
 * nothing is missed; where it gave up (an answer other than 200) a new one is made, which begins from now.
 */
export class EventFeed {
  readonly #open: () => EventSourceLike;
  readonly #listener: FeedListener;
  readonly #clock: Clock;
  #source: EventSourceLike | null = null;
  #cancelRetry: (() => void) | null = null;
  #retryMs = RETRY_MS_MIN;
  /** Index of the newest message of this EventSource; null before its first. */
  #lastIndex: number | null = null;

  constructor(options: {
    readonly open: () => EventSourceLike;
    readonly listener: FeedListener;
    readonly clock: Clock;
  }) {
    this.#open = options.open;
    this.#listener = options.listener;
    this.#clock = options.clock;
  }

  start(): void {
    if (this.#source !== null || this.#cancelRetry !== null) return;
    this.#connect();
  }

  stop(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#source?.close();
    this.#source = null;
    this.#retryMs = RETRY_MS_MIN;
  }

  /** Leaves a stream that seems dead though nobody closed it, and opens another. */
  restart(): void {
    this.stop();
    this.#listener.onState('down');
    this.start();
  }

  #connect(): void {
    this.#cancelRetry = null;
    this.#lastIndex = null;
    this.#listener.onState('connecting');
    const source = this.#open();
    this.#source = source;
    const ifCurrent = (action: () => void) => () => {
      if (this.#source === source) action();
    };
    source.addEventListener(
      'open',
      ifCurrent(() => this.#onOpen()),
    );
    source.addEventListener(
      'error',
      ifCurrent(() => this.#onError(source)),
    );
    source.addEventListener(
      'reset',
      ifCurrent(() => this.#onReset()),
    );
    source.addEventListener('message', (event) => {
      if (this.#source === source) this.#onMessage(event.data);
    });
  }

  #onOpen(): void {
    this.#retryMs = RETRY_MS_MIN;
    this.#listener.onState('open');
    // The browser had no id to resume from: what happened before this moment did not come through here.
    if (this.#lastIndex === null) this.#listener.onGap();
  }

  #onError(source: EventSourceLike): void {
    this.#listener.onState('down');
    if (source.readyState !== CLOSED) return;
    source.close();
    this.#source = null;
    this.#cancelRetry = this.#clock.after(this.#retryMs, () => this.#connect());
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
  }

  #onReset(): void {
    this.#lastIndex = null;
    this.#listener.onGap();
  }

  #onMessage(data: unknown): void {
    const message = parseMessage(data);
    if (message === null) {
      this.#listener.onGap();
      return;
    }
    // A server may send again what came just before the connection broke.
    if (this.#lastIndex !== null && message.index <= this.#lastIndex) return;
    this.#lastIndex = message.index;
    this.#listener.onMessage(message);
  }
}

function parseMessage(data: unknown): EventMessage | null {
  if (typeof data !== 'string') return null;
  try {
    const parsed = JSON.parse(data) as EventMessage | null;
    return parsed !== null && Number.isSafeInteger(parsed.index) && Array.isArray(parsed.events)
      ? parsed
      : null;
  } catch {
    return null;
  }
}
