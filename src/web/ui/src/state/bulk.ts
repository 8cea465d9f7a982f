import type { TaskStatus } from '../../../../api/tasks.ts';
import { isFinal } from '../model/status.ts';
import type { BulkKind, BulkProgress } from '../model/bulk-progress.ts';
import type { TaskFilter } from '../model/task-list.ts';
import type { Api } from '../net/api.ts';
import { ApiFailure } from '../net/client.ts';
import type { AppState } from './app-state.ts';
import type { Store } from './store.ts';

/** Payloads that one bulk action takes at most. */
export const BULK_MAX = 10_000;
const AT_ONCE = 6;
const PAGE_LIMIT = 500;
/** Failures that are told one by one. */
const FAILURES_TOLD_MAX = 20;

/** What is acted on: these, or everything that passes a filter. */
export type BulkTarget =
  | { readonly kind: 'ids'; readonly ids: readonly string[] }
  | { readonly kind: 'filter'; readonly filter: TaskFilter };

/** A status that the action can be done to. */
export function suits(what: BulkKind, status: TaskStatus): boolean {
  return what === 'retry' ? isFinal(status) : !isFinal(status);
}

/** Cancels or repeats many payloads, some at a time, and tells how far it is. One that fails does not keep the others. */
export class Bulk {
  readonly #store: Store<AppState>;
  readonly #api: Api;
  #stop: AbortController | null = null;

  constructor(store: Store<AppState>, api: Api) {
    this.#store = store;
    this.#api = api;
  }

  /** Resolves when nothing is left to do. Does nothing while another is under way. */
  async run(what: BulkKind, target: BulkTarget): Promise<void> {
    if (this.#stop !== null) return;
    const stop = new AbortController();
    this.#stop = stop;
    this.#store.set({
      bulk: { what, total: null, done: 0, failed: 0, failures: [], state: 'running' },
    });
    try {
      const ids = target.kind === 'ids' ? target.ids : await this.#find(what, target.filter);
      this.#change((bulk) => ({ ...bulk, total: ids.length }));
      const left = ids.values();
      const worker = async (): Promise<void> => {
        for (const id of left) {
          if (stop.signal.aborted) return;
          await this.#one(what, id);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
    } catch (thrown) {
      if (!(thrown instanceof ApiFailure)) throw thrown;
      this.#fail('', thrown.message);
    } finally {
      this.#stop = null;
      this.#change((bulk) => ({ ...bulk, state: stop.signal.aborted ? 'stopped' : 'over' }));
    }
  }

  /** Ends it after the calls that are under way. */
  stop(): void {
    this.#stop?.abort();
  }

  dismiss(): void {
    if (this.#stop === null) this.#store.set({ bulk: null });
  }

  async #find(what: BulkKind, filter: TaskFilter): Promise<readonly string[]> {
    const ids: string[] = [];
    let { cursor } = filter;
    do {
      const page = await this.#api.listTasks(filter, PAGE_LIMIT, cursor);
      ids.push(...page.value.tasks.filter(({ status }) => suits(what, status)).map(({ id }) => id));
      cursor = page.value.nextCursor;
    } while (cursor !== null && ids.length < BULK_MAX);
    return ids.slice(0, BULK_MAX);
  }

  async #one(what: BulkKind, id: string): Promise<void> {
    try {
      await (what === 'cancel' ? this.#api.cancel(id) : this.#api.retry(id));
      this.#change((bulk) => ({ ...bulk, done: bulk.done + 1 }));
    } catch (thrown) {
      if (!(thrown instanceof ApiFailure)) throw thrown;
      this.#fail(id, thrown.message);
    }
  }

  #fail(id: string, message: string): void {
    this.#change((bulk) => ({
      ...bulk,
      failed: bulk.failed + 1,
      failures: [...bulk.failures, { id, message }].slice(0, FAILURES_TOLD_MAX),
    }));
  }

  #change(change: (bulk: BulkProgress) => BulkProgress): void {
    this.#store.update((state) => (state.bulk === null ? state : { ...state, bulk: change(state.bulk) }));
  }
}
