import type { Clock } from '../model/clock.ts';
import { itemOfLine, itemsOfMessage, withItems } from '../model/fault-line.ts';
import type { FaultItem } from '../model/fault-line.ts';
import { FIRST_LINES, PAGE_LINES } from '../model/log-tail.ts';
import { NO_LOG_FILTER } from '../model/router.ts';
import type { Api } from '../net/api.ts';
import { ApiFailure } from '../net/client.ts';
import { Refresher } from '../net/refresher.ts';
import type { AppState } from './app-state.ts';
import type { Live } from './live.ts';
import type { Store } from './store.ts';

const INTERVAL_MS = 1_000;

export interface FaultWatchOptions {
  readonly store: Store<AppState>;
  readonly api: Api;
  readonly live: Live;
  readonly clock: Clock;
}

/** While the view of the faults is open: gathers what the events and all nodes' lines say of them. */
export class FaultWatch {
  readonly #options: FaultWatchOptions;
  readonly #refresher: Refresher;
  #after: number | null = null;

  constructor(options: FaultWatchOptions) {
    this.#options = options;
    const { clock } = options;
    this.#refresher = new Refresher({ run: () => this.#read(), intervalMs: 250, clock });
  }

  /** Returns the function that ends it. */
  start(): () => void {
    const unsubscribe = this.#options.live.listen((message) => this.#add(itemsOfMessage(message)));
    this.#after = null;
    this.#refresher.start();
    this.#refresher.repeat(INTERVAL_MS);
    return () => {
      unsubscribe();
      this.#refresher.stop();
    };
  }

  async #read(): Promise<void> {
    const { store, api } = this.#options;
    if (store.get().session === 'out') return;
    try {
      const page = await api.logLines(
        NO_LOG_FILTER,
        this.#after,
        this.#after === null ? FIRST_LINES : PAGE_LINES,
      );
      this.#after = page.next;
      this.#add(page.lines.map(itemOfLine).filter((item) => item !== null));
      if (page.more) this.#refresher.request();
    } catch (thrown) {
      // Without the database the events alone tell; the view of the lines says what is wrong.
      if (!(thrown instanceof ApiFailure)) throw thrown;
    }
  }

  #add(items: readonly FaultItem[]): void {
    if (items.length === 0) return;
    this.#options.store.update((state) => {
      const faultItems = withItems(state.faultItems, items);
      return faultItems === state.faultItems ? state : { ...state, faultItems };
    });
  }
}
