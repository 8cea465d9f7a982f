import type { Clock } from '../model/clock.ts';
import { emptyTail, FIRST_LINES, PAGE_LINES, skippedAhead, withLines } from '../model/log-tail.ts';
import type { LogLine, LogTail } from '../model/log-tail.ts';
import type { LogFilter } from '../model/router.ts';
import type { Api } from '../net/api.ts';
import { ApiFailure } from '../net/client.ts';
import type { EventSourceLike } from '../net/event-feed.ts';
import { Refresher } from '../net/refresher.ts';
import type { AppState } from './app-state.ts';
import type { Store } from './store.ts';

const INTERVAL_MS = 1_000;
/** Full pages read at once before the page goes on from the newest lines instead. */
const CATCH_UP_PAGES_MAX = 4;

export interface LogWatchOptions {
  readonly store: Store<AppState>;
  readonly api: Api;
  readonly clock: Clock;
  /** A stream of the lines after this number. */
  readonly openLines: (filter: LogFilter, after: number) => EventSourceLike;
}

/** Lines of a moment are shown together. */
const GATHER_MS = 100;
/** A stream that the browser has given up is tried again after this time; until then the lines are asked for. */
const REOPEN_MS = 10_000;
const CLOSED = 2;

/**
 * While the view of the log lines is open: the newest lines are asked for, then a stream gives those that come. Where it is
 * away they are asked for every second; the browser resumes it with `Last-Event-ID`.
 */
export class LogWatch {
  readonly #options: LogWatchOptions;
  readonly #refresher: Refresher;
  /** What is watched; null while the view is not open. */
  #watched: LogFilter | null = null;
  #source: EventSourceLike | null = null;
  #streaming = false;
  #reopenAtMs = 0;
  #arrived: LogLine[] = [];
  #cancelShow: (() => void) | null = null;

  constructor(options: LogWatchOptions) {
    this.#options = options;
    const { clock } = options;
    this.#refresher = new Refresher({ run: () => this.#read(), intervalMs: 250, clock });
  }

  /** Begins anew with this filter; returns the function that ends it. */
  start(filter: LogFilter): () => void {
    this.#options.store.set({ logs: emptyTail(filter) });
    this.#watched = filter;
    this.#reopenAtMs = 0;
    this.#refresher.start();
    this.#refresher.repeat(INTERVAL_MS);
    return () => {
      this.#watched = null;
      this.#refresher.stop();
      this.#close();
    };
  }

  #close(): void {
    this.#source?.close();
    this.#source = null;
    this.#streaming = false;
    this.#cancelShow?.();
    this.#cancelShow = null;
    this.#arrived = [];
  }

  #open(filter: LogFilter, after: number): void {
    const { clock } = this.#options;
    if (this.#source !== null || clock.now() < this.#reopenAtMs) return;
    const source = this.#options.openLines(filter, after);
    this.#source = source;
    source.addEventListener('open', () => {
      this.#streaming = true;
      this.#change(filter, (tail) => ({ ...tail, problem: null }));
    });
    source.addEventListener('error', () => {
      this.#streaming = false;
      if (this.#source !== source || source.readyState !== CLOSED) return;
      this.#close();
      this.#reopenAtMs = clock.now() + REOPEN_MS;
    });
    // Another database, or one that was emptied: begin anew.
    source.addEventListener('reset', () => this.#change(filter, skippedAhead));
    source.addEventListener('message', ({ data }) => {
      this.#arrived.push(JSON.parse(String(data)) as LogLine);
      this.#cancelShow ??= clock.after(GATHER_MS, () => this.#show(filter));
    });
  }

  #show(filter: LogFilter): void {
    this.#cancelShow = null;
    const arrived = this.#arrived;
    this.#arrived = [];
    this.#change(filter, (tail) => {
      // What was asked for meanwhile comes by the stream once more.
      const lines = arrived.filter(({ seq }) => seq > (tail.after ?? 0));
      const last = lines.at(-1);
      return last === undefined ? tail : withLines(tail, { lines, next: last.seq, more: false });
    });
  }

  async #read(): Promise<void> {
    const { store, api } = this.#options;
    if (store.get().session === 'out' || this.#streaming) return;
    try {
      for (let pages = 0; pages < CATCH_UP_PAGES_MAX; pages += 1) {
        const { filter, after } = store.get().logs;
        const page = await api.logLines(filter, after, after === null ? FIRST_LINES : PAGE_LINES);
        // Closed or filtered anew meanwhile: a stream of what was asked for then would stand in the way of the one wanted now.
        if (this.#watched !== filter) return;
        this.#change(filter, (tail) => withLines(tail, page));
        if (!page.more) this.#open(filter, page.next);
        if (!page.more || after === null) return;
      }
      this.#change(store.get().logs.filter, skippedAhead);
    } catch (thrown) {
      if (!(thrown instanceof ApiFailure)) throw thrown;
      this.#change(store.get().logs.filter, (tail) => ({ ...tail, problem: thrown.message }));
    }
  }

  /** An answer to a question of before the filter changed says nothing about this one. */
  #change(filter: LogFilter, change: (tail: LogTail) => LogTail): void {
    this.#options.store.update((state) =>
      state.logs.filter === filter ? { ...state, logs: change(state.logs) } : state,
    );
  }
}
