import type { FaultKind } from '../../../../api/faults.ts';
import type { TaskFile } from '../../../../api/task-files.ts';
import type { TaskStatus, TaskView } from '../../../../api/tasks.ts';
import type { Clock } from '../model/clock.ts';
import { afterSend, draftFieldOf, draftOf, toRequest } from '../model/draft.ts';
import type { Draft, DraftField } from '../model/draft.ts';
import { shortId } from '../model/format.ts';
import { withIntent } from '../model/node-board.ts';
import { generatePayload } from '../model/payload.ts';
import { isFinal, STATUS_BADGES } from '../model/status.ts';
import { emptyList, PAGE_ROWS, sameFilter, withOlderPage, withTask } from '../model/task-list.ts';
import type { TaskFilter } from '../model/task-list.ts';
import { resultPreview } from '../model/task-row.ts';
import type { Api } from '../net/api.ts';
import { ApiFailure, asFailure } from '../net/client.ts';
import { advice, fieldOf, newKey, send } from '../net/submission.ts';
import type { AppState, Detail } from './app-state.ts';
import type { Live } from './live.ts';
import type { Store } from './store.ts';

/** Tasks sent from this page whose end is told to screen readers. */
const WATCHED_MAX = 50;

/** A body that may or may not have been accepted, and the key under which it was sent. */
export interface PendingSend {
  readonly body: string;
  readonly key: string;
}

/** Where the page keeps what must outlive a reload. */
export interface Keeper {
  save(draft: Draft, pending: PendingSend | null): void;
}

export interface ActionsOptions {
  readonly store: Store<AppState>;
  readonly api: Api;
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly keeper: Keeper;
  readonly pending: PendingSend | null;
}

/** What a person can do on this page. None of these throws; what went wrong is put into the state. */
export class Actions {
  readonly #options: ActionsOptions;
  #live: Live | null = null;
  #pending: PendingSend | null;
  #sending: AbortController | null = null;
  readonly #watched = new Map<string, TaskStatus>();

  constructor(options: ActionsOptions) {
    this.#options = options;
    this.#pending = options.pending;
  }

  /** Live tells these actions of tasks, and they tell Live what to fetch: the second of the two is bound here. */
  bind(live: Live): void {
    this.#live = live;
  }

  edit(field: DraftField | 'mode', value: string): void {
    const { store } = this.#options;
    const draft: Draft = { ...store.get().draft, [field]: value };
    const { send: state } = store.get();
    store.set({ draft, ...(state.kind === 'sending' ? {} : { send: { kind: 'idle' } }) });
    this.#keep();
  }

  setFiles(files: readonly TaskFile[]): void {
    this.#options.store.update((state) => ({ ...state, draft: { ...state.draft, files } }));
  }

  /** Fills the form in with what was submitted before. */
  editAgain(task: TaskView): void {
    this.#options.store.set({ draft: draftOf(task), send: { kind: 'idle' } });
    this.#keep();
  }

  generate(): void {
    this.#options.store.update((state) => ({ ...state, draft: { ...state.draft, mode: 'script' } }));
    this.edit('script', generatePayload());
  }

  /** Sends what is in the form, once: however often it must be tried, it is one task. */
  async submit(): Promise<void> {
    const { store, api, clock } = this.#options;
    if (store.get().send.kind === 'sending') return;
    const { draft } = store.get();
    const built = toRequest(draft);
    if (built.kind === 'error') {
      const { field, message } = built;
      store.set({ send: { kind: 'refused', title: 'Not sent', message, field, advice: null } });
      return;
    }
    const body = JSON.stringify(built.request);
    const key = this.#pending?.body === body ? this.#pending.key : newKey(this.#options.randomBytes);
    this.#pending = { body, key };
    this.#keep();
    this.#sending = new AbortController();
    store.set({ send: { kind: 'sending', attempt: 1, reason: null } });
    const outcome = await send({
      submit: (request, idempotencyKey) => api.submit(request, idempotencyKey),
      request: built.request,
      key,
      clock,
      signal: this.#sending.signal,
      onRetry: (attempt, failure) =>
        store.set({ send: { kind: 'sending', attempt, reason: failure.message } }),
    });
    this.#sending = null;
    if (outcome.kind === 'failed') {
      const { failure, mayExist } = outcome;
      const named = fieldOf(failure);
      // Only where the answer may have got lost must the next try be the same request.
      if (!mayExist) this.#pending = null;
      store.set({
        send: {
          kind: 'refused',
          title: mayExist ? 'No certain answer' : 'Not accepted',
          message: `${failure.message} (${failure.code})`,
          field: named === null ? null : draftFieldOf(named),
          advice: advice(failure, mayExist),
        },
      });
      this.#keep();
      return;
    }
    this.#pending = null;
    this.#accept(outcome.task, draft);
  }

  #accept(task: TaskView, sentDraft: Draft): void {
    const { store } = this.#options;
    this.#watch(task);
    store.update((state) => ({
      ...state,
      // What was typed while the answer was under way is not thrown away.
      draft: state.draft === sentDraft ? afterSend(sentDraft) : state.draft,
      list: withTask(state.list, task),
      send: { kind: 'sent', id: task.id },
    }));
    this.#keep();
    this.#live?.refreshTask(task.id);
  }

  /** Ends the tries for a payload that cannot be placed just now. */
  giveUp(): void {
    this.#sending?.abort();
  }

  /** Shows another part of the list: what its address says. */
  setFilter(filter: TaskFilter, pageRows: number = PAGE_ROWS): void {
    const { store } = this.#options;
    const { list } = store.get();
    if (sameFilter(list.filter, filter) && list.pageRows === pageRows) return;
    store.set({ list: emptyList(filter, list.counts, pageRows), listFailure: null });
    this.#live?.refreshAll();
  }

  async loadOlder(): Promise<void> {
    const { store, api } = this.#options;
    const { list, loadingOlder } = store.get();
    if (loadingOlder || list.nextCursor === null) return;
    store.set({ loadingOlder: true });
    try {
      const page = await api.listTasks(list.filter, list.pageRows, list.nextCursor);
      store.update((state) =>
        // Filtered anew, or begun anew after a gap, while the answer was under way: it no longer fits below.
        state.list.nextCursor === list.nextCursor
          ? { ...state, list: withOlderPage(state.list, page.value, page.stale), listFailure: null }
          : state,
      );
    } catch (thrown) {
      store.set({ listFailure: asFailure(thrown) });
    } finally {
      store.set({ loadingOlder: false });
    }
  }

  /** Simulates a crash of a node, or ends it. */
  async setStopped(node: string, stopped: boolean): Promise<void> {
    const { store, api, clock } = this.#options;
    this.#setNodeProblem(node, null);
    try {
      await api.setStopped(node, stopped);
      store.update((state) => ({
        ...state,
        board: withIntent(state.board, node, { want: stopped ? 'stopped' : 'running', atMs: clock.now() }),
      }));
      this.#live?.refreshNodes();
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (failure.code === 'FORBIDDEN') store.set({ stopRefused: failure.message });
      else this.#setNodeProblem(node, failure.message);
    }
  }

  #setNodeProblem(node: string, problem: string | null): void {
    this.#options.store.update((state) => {
      const others = Object.entries(state.nodeProblems).filter(([id]) => id !== node);
      const mine: readonly (readonly [string, string])[] = problem === null ? [] : [[node, problem]];
      return { ...state, nodeProblems: Object.fromEntries([...others, ...mine]) };
    });
  }

  async cancel(id: string): Promise<void> {
    const task = await this.#act(id, 'cancel', () => this.#options.api.cancel(id));
    if (task !== null) this.#live?.refreshTask(id);
  }

  /** Sends the same content as a new task; resolves with its id, or null where that failed. */
  async retry(id: string): Promise<string | null> {
    const task = await this.#act(id, 'retry', () => this.#options.api.retry(id));
    if (task === null) return null;
    this.#watch(task);
    this.#options.store.update((state) => ({ ...state, list: withTask(state.list, task) }));
    this.#live?.refreshTask(task.id);
    return task.id;
  }

  /** Sends what a task was made of once more, whatever became of it; resolves with the new id, or null. */
  async duplicate(task: TaskView): Promise<string | null> {
    const built = toRequest(draftOf(task));
    if (built.kind === 'error') {
      this.#setAction(task.id, { kind: 'failed', failure: new ApiFailure('INVALID', built.message) });
      return null;
    }
    const key = newKey(this.#options.randomBytes);
    const copy = await this.#act(task.id, 'duplicate', () => this.#options.api.submit(built.request, key));
    if (copy === null) return null;
    this.#watch(copy);
    this.#live?.refreshTask(copy.id);
    return copy.id;
  }

  /** The node gets no further tasks, or does again. */
  async setDraining(node: string, drain: boolean): Promise<void> {
    this.#setNodeProblem(node, null);
    try {
      await this.#options.api.drain(node, drain);
      this.#live?.refreshNodes();
    } catch (thrown) {
      this.#setNodeProblem(node, asFailure(thrown).message);
    }
  }

  /** Puts a fault into a node; resolves with what went wrong, null where nothing did. */
  async injectFault(node: string, fault: FaultKind, forMs: number): Promise<string | null> {
    try {
      await this.#options.api.injectFault(node, fault, forMs);
      this.#live?.refreshNodes();
      return null;
    } catch (thrown) {
      return asFailure(thrown).message;
    }
  }

  async #act(
    id: string,
    what: 'cancel' | 'retry' | 'duplicate',
    call: () => Promise<TaskView>,
  ): Promise<TaskView | null> {
    this.#setAction(id, { kind: 'busy', what });
    try {
      const task = await call();
      this.#setAction(id, { kind: 'idle' });
      return task;
    } catch (thrown) {
      this.#setAction(id, { kind: 'failed', failure: asFailure(thrown) });
      this.#live?.refreshTask(id);
      return null;
    }
  }

  #setAction(id: string, action: Detail['action']): void {
    this.#options.store.update((state) =>
      state.detail?.id === id ? { ...state, detail: { ...state.detail, action } } : state,
    );
  }

  async signIn(token: string): Promise<void> {
    const { store, api } = this.#options;
    store.set({ signIn: { busy: true, problem: null } });
    try {
      await api.signIn(token);
      store.set({ session: 'in', signIn: { busy: false, problem: null } });
      this.#live?.start();
    } catch (thrown) {
      const failure = asFailure(thrown);
      const problem = failure.status === 401 ? 'This is not the token of this cluster.' : failure.message;
      store.set({ signIn: { busy: false, problem } });
    }
  }

  /** To be called with every task that was fetched. */
  noteTask(task: TaskView): void {
    const before = this.#watched.get(task.id);
    if (before === undefined || before === task.status) return;
    this.#watched.set(task.id, task.status);
    if (!isFinal(task.status)) return;
    this.#watched.delete(task.id);
    const { result } = task;
    const told = result === null ? '' : `: ${resultPreview(result, task.attempts.at(-1)?.reason ?? null)}`;
    const announcement = `Payload ${shortId(task.id)} ${STATUS_BADGES[task.status].label.toLowerCase()}${told}`;
    this.#options.store.set({ announcement });
  }

  #watch(task: TaskView): void {
    this.#watched.set(task.id, task.status);
    const oldest = this.#watched.keys().next();
    if (this.#watched.size > WATCHED_MAX && oldest.done !== true) this.#watched.delete(oldest.value);
  }

  #keep(): void {
    this.#options.keeper.save(this.#options.store.get().draft, this.#pending);
  }
}
