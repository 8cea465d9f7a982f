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

const OPEN = 1;
const CLOSED = 2;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 5_000;

/**
 * The stream of events, kept open. Within one EventSource the browser itself reconnects and sends `Last-Event-ID`, so
 * nothing is missed; where it gave up (an answer other than 200), or had no id to send, a new one is made, which begins behind
 * what is known.
 */
export class EventFeed {
  readonly #open: (after: number | null) => EventSourceLike;
  readonly #listener: FeedListener;
  readonly #clock: Clock;
  #source: EventSourceLike | null = null;
  #cancelRetry: (() => void) | null = null;
  #retryMs = RETRY_MS_MIN;
  /** Index of the newest message of this EventSource; null before its first. */
  #lastIndex: number | null = null;
  /** Index behind which the next stream is to begin; null: from now. */
  #knownIndex: number | null = null;

  constructor(options: {
    /** `after`: the index behind which the stream is to begin; null: now. */
    readonly open: (after: number | null) => EventSourceLike;
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

  /** What happens until the next start is not asked for then: it may be a whole night. */
  stop(): void {
    this.#leave();
    this.#knownIndex = null;
  }

  /** Leaves a stream that seems dead though nobody closed it, and opens another. */
  restart(): void {
    this.#leave();
    this.#listener.onState('down');
    this.start();
  }

  /**
   * Another answer told how it stands as of this index. Only the first one while the stream is open counts: what has happened by the
   * time of later ones should have come through the stream, and is to be told by the next one if it did not.
   */
  noteIndex(index: number): void {
    if (this.#source?.readyState === OPEN) this.#knownIndex ??= index;
  }

  #leave(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#source?.close();
    this.#source = null;
    this.#retryMs = RETRY_MS_MIN;
  }

  #connect(): void {
    this.#cancelRetry = null;
    this.#lastIndex = null;
    this.#listener.onState('connecting');
    const source = this.#open(this.#knownIndex);
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
    // The browser tries again by itself; without an id it would begin from now, and pass over what happens until then.
    const resumes = this.#lastIndex !== null || this.#knownIndex === null;
    if (source.readyState !== CLOSED && resumes) return;
    source.close();
    this.#source = null;
    this.#cancelRetry = this.#clock.after(this.#retryMs, () => this.#connect());
    this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2);
  }

  #onReset(): void {
    this.#lastIndex = null;
    this.#knownIndex = null;
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
    this.#knownIndex = message.index;
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
