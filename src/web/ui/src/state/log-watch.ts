import type { Clock } from '../model/clock.ts';
import { emptyTail, FIRST_LINES, PAGE_LINES, skippedAhead, withLines } from '../model/log-tail.ts';
import type { LogTail } from '../model/log-tail.ts';
import type { LogFilter } from '../model/router.ts';
import type { Api } from '../net/api.ts';
import { ApiFailure } from '../net/client.ts';
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
}

/** While the view of the log lines is open: asks the database for those that have come. */
export class LogWatch {
  readonly #options: LogWatchOptions;
  readonly #refresher: Refresher;

  constructor(options: LogWatchOptions) {
    this.#options = options;
    const { clock } = options;
    this.#refresher = new Refresher({ run: () => this.#read(), intervalMs: 250, clock });
  }

  /** Begins anew with this filter; returns the function that ends it. */
  start(filter: LogFilter): () => void {
    this.#options.store.set({ logs: emptyTail(filter) });
    this.#refresher.start();
    this.#refresher.repeat(INTERVAL_MS);
    return () => this.#refresher.stop();
  }

  async #read(): Promise<void> {
    const { store, api } = this.#options;
    if (store.get().session === 'out') return;
    try {
      for (let pages = 0; pages < CATCH_UP_PAGES_MAX; pages += 1) {
        const { filter, after } = store.get().logs;
        const page = await api.logLines(filter, after, after === null ? FIRST_LINES : PAGE_LINES);
        this.#change(filter, (tail) => withLines(tail, page));
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
