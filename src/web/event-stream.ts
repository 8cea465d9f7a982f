import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cluster } from '../api/cluster.ts';
import type { EventMessage } from '../api/views.ts';
import { flag, invalid, queryOf, shortened } from './input.ts';
import { lastEventId, sseFrame } from './sse.ts';
import type { SseHub, SseStream } from './sse.ts';

/** A server may lag behind the one the reader comes from by so much; a cursor it has not reached then is of another cluster. */
const LAG_MS_MAX = 3_000;

/** Entries are written once for all readers. */
const frames = new WeakMap<EventMessage, string>();

/**
 * Answers GET /v1/events: an event per log entry with its index as id, resumed after `Last-Event-ID` (or `?after=`).
 * `event: reset` tells a reader that entries are missing: read the state anew, what follows builds on it.
 * @throws ApiError INVALID, UNAVAILABLE
 */
export function streamEvents(hub: SseHub, cluster: Cluster, req: IncomingMessage, res: ServerResponse): void {
  const query = queryOf(req, ['after', 'stale']);
  flag('stale', query.stale);
  const cursor = lastEventId(req, query.after);
  if (cursor !== null && !/^\d{1,15}$/.test(cursor)) {
    throw invalid([{ field: 'Last-Event-ID', message: `${shortened(cursor)} is not an index of the log` }]);
  }
  const feed = new EventFeed(cluster, hub.open(res));
  feed.start(cursor === null ? null : Number(cursor));
}

/**
 * Feeds one reader at its own pace: while it is behind, nothing is queued for it; when it has caught up it is subscribed
 * anew from where it was (and told so, should that be gone by then). So a slow reader costs no memory.
 */
class EventFeed {
  readonly #cluster: Cluster;
  readonly #stream: SseStream;
  /** Index of the last entry given to the reader; null: it began with "from now on" and has been given none. */
  #lastIndex: number | null = null;
  #unsubscribe: (() => void) | null = null;
  /** Only the newest subscription counts; calls of older ones are late. */
  #subscription = 0;

  constructor(cluster: Cluster, stream: SseStream) {
    this.#cluster = cluster;
    this.#stream = stream;
  }

  start(after: number | null): void {
    this.#lastIndex = after;
    const lag = after === null ? null : this.#watchLag(after);
    this.#stream.onClose(() => {
      if (lag !== null) clearTimeout(lag);
      this.#end();
    });
    this.#stream.onRoom(() => {
      if (this.#unsubscribe === null) this.#subscribe();
    });
    this.#subscribe();
  }

  #subscribe(): void {
    this.#subscription += 1;
    const subscription = this.#subscription;
    const onMessage = (message: EventMessage): void => {
      if (subscription === this.#subscription) this.#give(message);
    };
    let subscribed = this.#cluster.subscribe(this.#lastIndex, onMessage);
    if (subscribed.kind === 'reset') {
      this.#reset(subscribed.index);
      subscribed = this.#cluster.subscribe(this.#lastIndex, onMessage);
    }
    // A second reset would mean that nothing at all is kept: it goes on with what comes.
    if (subscribed.kind === 'reset') subscribed = this.#cluster.subscribe(null, onMessage);
    if (subscribed.kind === 'reset') return;
    // The reader may have fallen behind during the call, which replays what is kept.
    if (subscription === this.#subscription && !this.#stream.closed)
      this.#unsubscribe = subscribed.unsubscribe;
    else subscribed.unsubscribe();
  }

  #give(message: EventMessage): void {
    if (this.#lastIndex !== null && message.index <= this.#lastIndex) return;
    let frame = frames.get(message);
    if (frame === undefined) {
      frame = sseFrame(null, String(message.index), JSON.stringify(message));
      frames.set(message, frame);
    }
    this.#lastIndex = message.index;
    this.#stream.send(frame);
    if (this.#stream.behind || this.#stream.closed) this.#end();
  }

  #reset(index: number): void {
    this.#lastIndex = index;
    this.#stream.send(sseFrame('reset', String(index), JSON.stringify({ index })));
  }

  #watchLag(after: number): NodeJS.Timeout | null {
    if (this.#cluster.appliedIndex() >= after) return null;
    return setTimeout(() => {
      const appliedIndex = this.#cluster.appliedIndex();
      // Had it been reached meanwhile, the entries behind it would have been given.
      if (appliedIndex >= after || this.#stream.closed) return;
      this.#end();
      this.#reset(appliedIndex);
      this.#subscribe();
    }, LAG_MS_MAX);
  }

  #end(): void {
    this.#subscription += 1;
    this.#unsubscribe?.();
    this.#unsubscribe = null;
  }
}
