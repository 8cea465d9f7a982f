/** GET /v1/log-lines/stream of the database: the lines that pass a filter, as they come. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DatabaseStore, LineQuery } from './database-store.ts';
import { invalid, shortened } from './input.ts';
import { lastEventId, sseFrame } from './sse.ts';
import type { SseHub, SseStream } from './sse.ts';

const LINES_PER_READ = 1_000;
/** Lines come in bursts: one read for those of a moment. */
const GATHER_MS = 50;

/**
 * An event per line, its number as id, after `Last-Event-ID` (or `after`); without either it begins with what comes.
 * `event: reset` tells that the numbers began anew. @throws ApiError INVALID
 */
export async function streamLogLines(
  deps: { readonly hub: SseHub; readonly store: DatabaseStore },
  filter: Pick<LineQuery, 'node' | 'q'> & { readonly after: string | undefined },
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const cursor = lastEventId(req, filter.after);
  if (cursor !== null && !/^\d{1,15}$/.test(cursor)) {
    throw invalid([{ field: 'Last-Event-ID', message: `${shortened(cursor)} is not the number of a line` }]);
  }
  const { store, hub } = deps;
  const newest = (await store.query({ node: null, q: null, limit: 1 }, null)).next;
  const stream = hub.open(res);
  const known = cursor === null ? newest : Number(cursor);
  if (known > newest) stream.send(sseFrame('reset', '0', '{}'));
  const after = known > newest ? 0 : known;
  await new LineFeed(store, stream, { node: filter.node, q: filter.q, limit: LINES_PER_READ }, after).run();
}

/** Reads for one reader at its own pace: what it has not taken is read again from the store, not queued. */
class LineFeed {
  readonly #store: DatabaseStore;
  readonly #stream: SseStream;
  readonly #query: LineQuery;
  #after: number;
  #reading = false;
  #again = false;

  constructor(store: DatabaseStore, stream: SseStream, query: LineQuery, after: number) {
    this.#store = store;
    this.#stream = stream;
    this.#query = query;
    this.#after = after;
  }

  async run(): Promise<void> {
    const unsubscribe = this.#store.logSource().subscribe(() => this.#wake());
    this.#stream.onClose(unsubscribe);
    this.#stream.onRoom(() => this.#wake());
    await this.#read();
  }

  #wake(): void {
    this.#again = true;
    if (this.#reading) return;
    this.#reading = true;
    setTimeout(() => {
      this.#read().catch(() => this.#stream.close());
    }, GATHER_MS);
  }

  async #read(): Promise<void> {
    this.#reading = true;
    do {
      this.#again = false;
      const page = await this.#store.query(this.#query, this.#after);
      if (this.#stream.closed) break;
      for (const line of page.lines) {
        this.#stream.send(sseFrame(null, String(line.seq), JSON.stringify(line)));
      }
      this.#after = page.next;
      if (page.more) this.#again = true;
    } while (this.#again && !this.#stream.behind);
    this.#reading = false;
  }
}
