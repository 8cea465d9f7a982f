import type { TaskView } from '../../../../api/tasks.ts';
import type { ClusterEvent, EventMessage } from '../../../../api/views.ts';
import type { Clock } from '../model/clock.ts';
import { withSample } from '../model/history.ts';
import { withLeader, withNodes } from '../model/node-board.ts';
import { withElected, withSpellOf } from '../model/raft-board.ts';
import { isFinal } from '../model/status.ts';
import {
  isPaged,
  isSearch,
  withCounts,
  withEvent,
  withFirstPage,
  withoutPushedDown,
  withTask,
} from '../model/task-list.ts';
import type { TaskChange } from '../model/task-list.ts';
import { lacksBulk } from '../model/task-row.ts';
import { unreachable } from '../model/unreachable.ts';
import type { Api } from '../net/api.ts';
import { ApiFailure } from '../net/client.ts';
import type { AnswerMeta } from '../net/client.ts';
import { EventFeed } from '../net/event-feed.ts';
import type { EventSourceLike } from '../net/event-feed.ts';
import { Hydrator } from '../net/hydrator.ts';
import { Refresher } from '../net/refresher.ts';
import { StallWatch } from '../net/stall-watch.ts';
import type { AppState, Detail } from './app-state.ts';
import { emptyDetail } from './app-state.ts';
import type { Store } from './store.ts';

/** Fetches of tasks are at least this far apart, however many events come in. */
const FETCH_INTERVAL_MS = 500;
const NODES_INTERVAL_MS = 2_000;
/** Without the stream of events the list is asked for this often. */
const POLL_MS = 2_000;
const RETRY_MS = 1_000;
/** Events are shown together, so that a burst of them does not draw the page as many times. */
const EVENTS_SHOWN_MS = 100;
/** Up to this many changed tasks are fetched one by one; beyond it the first page is cheaper. */
const SINGLE_FETCHES_MAX = 3;
/** Changed tasks remembered between two fetches; beyond it everything counts as changed. */
const CHANGED_MAX = 1_000;
/** A Date header has whole seconds; a smaller difference of clocks is not one. */
const SKEW_MS_MIN = 2_500;

export interface LiveOptions {
  readonly store: Store<AppState>;
  readonly api: Api;
  readonly clock: Clock;
  /** A stream of what happens after this index; null: from now on. */
  readonly openEvents: (after: number | null) => EventSourceLike;
  /** Told of every task that was fetched, before it is shown. */
  readonly onTask: (task: TaskView) => void;
}

/**
 * Keeps the state true to the cluster: listens to the stream of events, fetches what they announce, and polls while the
 * stream is away.
 */
export class Live {
  readonly #options: LiveOptions;
  readonly #feed: EventFeed;
  readonly #tasks: Refresher;
  readonly #nodes: Refresher;
  readonly #shown: Refresher;
  readonly #stall = new StallWatch();
  /** Told by the rows themselves when they come into view. */
  readonly rows: Hydrator;
  readonly #listeners = new Set<(message: EventMessage) => void>();
  #running = false;
  /** Everything may have changed: fetch the first page and the open task. */
  #fetchAll = true;
  /** The page fetched next is the first one after the stream began. */
  #afterGap = false;
  #changedIds = new Set<string>();
  #events: { readonly change: TaskChange; readonly index: number }[] = [];

  constructor(options: LiveOptions) {
    this.#options = options;
    const { clock } = options;
    this.#feed = new EventFeed({
      open: options.openEvents,
      clock,
      listener: {
        onState: (state) => this.#onFeedState(state),
        onMessage: (message) => this.#onMessage(message),
        onGap: () => this.#onGap(),
      },
    });
    this.#tasks = new Refresher({ run: () => this.#fetchTasks(), intervalMs: FETCH_INTERVAL_MS, clock });
    this.#nodes = new Refresher({ run: () => this.#fetchNodes(), intervalMs: RETRY_MS, clock });
    this.rows = new Hydrator({
      fetch: (id) => this.#hydrate(id),
      lacking: (id) => options.store.get().list.rows.some((row) => row.id === id && lacksBulk(row)),
      clock,
    });
    this.#shown = new Refresher({
      run: () => {
        this.#showEvents();
        return Promise.resolve();
      },
      intervalMs: EVENTS_SHOWN_MS,
      clock,
    });
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#fetchAll = true;
    const startedMs = this.#options.clock.now();
    this.#options.store.set({ startedMs, lastContactMs: null, behind: false });
    this.#tasks.start();
    this.#nodes.start();
    this.#shown.start();
    this.rows.start();
    this.#feed.start();
    this.#nodes.repeat(NODES_INTERVAL_MS);
  }

  /** Calls back for every message of the stream; returns the unsubscriber. */
  listen(listener: (message: EventMessage) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Silence: no calls, no stream. The state stays as it is. */
  stop(): void {
    this.#running = false;
    this.#feed.stop();
    this.#tasks.stop();
    this.#nodes.stop();
    this.#shown.stop();
    this.rows.stop();
    this.#options.store.set({ feed: 'connecting' });
  }

  /** Fetches the first page and the open task soon. */
  refreshAll(): void {
    this.#fetchAll = true;
    this.#tasks.request();
  }

  refreshTask(id: string): void {
    this.#changedIds.add(id);
    this.#tasks.request();
  }

  refreshNodes(): void {
    this.#nodes.request();
  }

  openDetail(id: string): void {
    if (this.#options.store.get().detail?.id === id) return;
    this.#options.store.set({ detail: emptyDetail(id) });
    this.refreshTask(id);
  }

  closeDetail(): void {
    this.#options.store.set({ detail: null });
  }

  /** To be called for every answer of the API. */
  noteAnswer(meta: AnswerMeta): void {
    const { store, clock } = this.#options;
    if (meta.status === 401 && meta.path !== '/login') {
      store.set({ session: 'out' });
      this.stop();
      return;
    }
    if (!meta.ok) return;
    // Only plain reads speak for the master; /v1/raft and stale reads for whichever server answered.
    const linearizable = /^\/v1\/(tasks|nodes)\b/.test(meta.path) && !meta.path.includes('stale=true');
    if (linearizable && meta.index !== null) {
      this.#stall.applied(meta.index);
      this.#feed.noteIndex(meta.index);
    }
    const skew = meta.dateMs === null ? 0 : meta.dateMs - clock.now();
    const before = store.get().skewMs;
    const skewMs = Math.abs(skew) < SKEW_MS_MIN ? 0 : Math.abs(skew - before) < SKEW_MS_MIN ? before : skew;
    store.set({ lastContactMs: clock.now(), skewMs });
  }

  #onFeedState(feed: AppState['feed']): void {
    if (!this.#running) return;
    const { store, clock } = this.#options;
    if (feed === 'open') store.set({ feed, lastContactMs: clock.now() });
    else store.set({ feed, behind: false });
    if (feed !== 'open') this.#fetchAll = true;
    this.#tasks.repeat(feed === 'open' ? null : POLL_MS);
  }

  #onGap(): void {
    this.#stall.reset();
    this.#afterGap = true;
    this.refreshAll();
  }

  #onMessage(message: EventMessage): void {
    const { store, clock } = this.#options;
    this.#stall.heard(message.index);
    store.update((state) => ({
      ...state,
      lastContactMs: clock.now(),
      term: Math.max(state.term ?? 0, message.term),
    }));
    for (const event of message.events) this.#onEvent(event, message.index);
    for (const listener of this.#listeners) listener(message);
  }

  #onEvent(event: ClusterEvent, index: number): void {
    const { clock } = this.#options;
    switch (event.kind) {
      case 'task':
        if (this.#changedIds.size < CHANGED_MAX) {
          this.#events.push({ change: event, index });
          this.#changedIds.add(event.id);
        } else {
          this.#afterGap = true;
          this.#fetchAll = true;
        }
        this.#shown.request();
        this.#tasks.request();
        return;
      case 'node':
        this.#nodes.request();
        return;
      case 'leader':
        this.#options.store.update((state) => ({
          ...state,
          leader: event.id,
          term: Math.max(state.term ?? 0, event.term),
          board: withLeader(state.board, event.id),
          raft: withElected(
            state.raft,
            event.id,
            event.term,
            new Date(clock.now() + state.skewMs).toISOString(),
          ),
        }));
        this.#nodes.request();
        return;
      default:
        unreachable(event);
    }
  }

  #showEvents(): void {
    const events = this.#events;
    this.#events = [];
    this.#options.store.update((state) => {
      const list = events.reduce((now, { change, index }) => withEvent(now, change, index), state.list);
      return list === state.list ? state : { ...state, list };
    });
  }

  async #fetchTasks(): Promise<void> {
    const { store } = this.#options;
    const changed = this.#changedIds;
    // Without the stream nothing tells what has changed; and whether it matches a search, only the server knows.
    const whole = this.#fetchAll || store.get().feed !== 'open';
    const searching = isSearch(store.get().list.filter);
    const all = whole || searching || isPaged(store.get().list) || changed.size > SINGLE_FETCHES_MAX;
    const detailId = store.get().detail?.id ?? null;
    const wholeDetail = whole || (detailId !== null && changed.has(detailId));
    this.#changedIds = new Set();
    this.#fetchAll = false;
    try {
      if (all) await this.#fetchFirstPage(changed);
      else
        await Promise.all([...[...changed].map((id) => this.#fetchRow(id, detailId)), this.#fetchCounts()]);
      if (detailId !== null && wholeDetail) await this.#fetchDetail(detailId);
      store.set({ listFailure: null });
      // No event will tell that a majority is back.
      const { list, detail } = store.get();
      if (list.stale || detail?.stale === true) this.#fetchAllIn(POLL_MS);
    } catch (thrown) {
      if (!(thrown instanceof ApiFailure)) throw thrown;
      store.set({ listFailure: thrown });
      this.#fetchAllIn(RETRY_MS);
    }
  }

  #fetchAllIn(ms: number): void {
    this.#fetchAll = true;
    this.#tasks.request(ms);
  }

  async #fetchFirstPage(changed: ReadonlySet<string>): Promise<void> {
    const { store, api } = this.#options;
    const { filter, pageRows } = store.get().list;
    const page = await api.listTasks(filter, pageRows, filter.cursor);
    for (const task of page.value.tasks) this.#stall.proven(task.index);
    // The filter was changed while the answer was under way: another answer will come.
    if (store.get().list.filter !== filter) return;
    const afterGap = this.#afterGap;
    this.#afterGap = false;
    if (afterGap) this.#stall.settle();
    const isSeen = (id: string): boolean => this.rows.isInView(id);
    store.update((state) => {
      const list = withFirstPage(state.list, page.value, page.stale);
      return { ...state, list: withoutPushedDown(list, page.value, isSeen) };
    });
    this.rows.check();
    const inPage = new Set(page.value.tasks.map((task) => task.id));
    // Rows further down: those that are known to have changed and, where events were missed, those that still can.
    const shownBelow = store
      .get()
      .list.rows.filter((row) => !inPage.has(row.id))
      .filter((row) => changed.has(row.id) || (afterGap && !isFinal(row.status)));
    for (const row of shownBelow.slice(SINGLE_FETCHES_MAX)) this.refreshTask(row.id);
    await Promise.all(shownBelow.slice(0, SINGLE_FETCHES_MAX).map((row) => this.#fetchRow(row.id, null)));
  }

  /** `except`: the open task, which is fetched with its timeline. */
  async #fetchRow(id: string, except: string | null): Promise<void> {
    if (id === except) return;
    const { api } = this.#options;
    try {
      this.#take((await api.task(id)).value);
    } catch (thrown) {
      if (!(thrown instanceof ApiFailure) || thrown.code !== 'NOT_FOUND') throw thrown;
    }
  }

  /** Brings what the list leaves out; false where that failed. */
  async #hydrate(id: string): Promise<boolean> {
    try {
      this.#take((await this.#options.api.task(id)).value);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof ApiFailure)) throw thrown;
      return false;
    }
  }

  async #fetchCounts(): Promise<void> {
    const { store, api } = this.#options;
    const page = await api.listTasks(store.get().list.filter, 1, null);
    store.update((state) => ({ ...state, list: withCounts(state.list, page.value.counts) }));
  }

  async #fetchDetail(id: string): Promise<void> {
    const { store, api } = this.#options;
    const change = (part: Partial<Detail>): void =>
      store.update((state) =>
        state.detail?.id === id ? { ...state, detail: { ...state.detail, ...part } } : state,
      );
    try {
      const { value: task, stale } = await api.task(id);
      this.#take(task);
      const known = store.get().detail;
      const newer = known?.task == null || task.index >= known.task.index;
      change({ ...(newer ? { task } : {}), stale, failure: null });
      if (known?.id === id && known.eventsIndex >= task.index) return;
      const events = await api.taskEvents(task.id);
      change({ events, eventsIndex: task.index });
    } catch (thrown) {
      if (!(thrown instanceof ApiFailure)) throw thrown;
      change({ failure: thrown });
      if (thrown.code === 'NOT_FOUND' || thrown.code === 'CONFLICT') return;
      this.#changedIds.add(id);
      this.#tasks.request(RETRY_MS);
    }
  }

  /** Takes in a task fetched by itself. */
  #take(task: TaskView): void {
    const { store, onTask } = this.#options;
    onTask(task);
    this.#stall.proven(task.index);
    store.update((state) => {
      const list = withTask(state.list, task);
      return list === state.list ? state : { ...state, list };
    });
  }

  async #fetchNodes(): Promise<void> {
    const { store, api, clock } = this.#options;
    this.#checkStall();
    const [nodes, raft] = await Promise.allSettled([api.nodes(), api.raft()]);
    if (raft.status === 'fulfilled') {
      const { leader, term } = raft.value;
      store.update((state) => ({
        ...state,
        leader,
        term: Math.max(state.term ?? 0, term),
        raft: withSpellOf(state.raft, raft.value),
      }));
    }
    if (nodes.status === 'rejected') {
      const reason: unknown = nodes.reason;
      if (!(reason instanceof ApiFailure)) throw reason;
      store.set({ boardFailure: reason });
      return;
    }
    const { value, stale } = nodes.value;
    store.update((state) => ({
      ...state,
      board: withNodes(state.board, value, { stale, nowMs: clock.now() }),
      boardFailure: null,
      history: withSample(state.history, {
        atMs: clock.now(),
        nodes: value,
        counts: state.list.counts,
      }),
      leader: stale ? state.leader : (value.find((node) => node.leader)?.id ?? state.leader),
    }));
  }

  #checkStall(): void {
    const { store, clock } = this.#options;
    if (store.get().feed !== 'open' || this.#afterGap) return;
    const verdict = this.#stall.check(clock.now());
    store.set({ behind: verdict === 'behind' });
    if (verdict === 'dead') this.#feed.restart();
    if (verdict === 'look') this.refreshAll();
  }
}
