/**
 * Waiting for tasks to become final. A few waits are long polls, which need nothing else; beyond that they share one
 * event subscription, so that ten thousand waits cost one connection.
 *
 * No final event may slip through. The subscription covers all entries after `#coveredAfter`. A wait that knows the index
 * of an entry after that (the one that accepted its task) needs no further look: the final event is among those seen
 * lately, or is still to come. Any other wait is looked up once, after the subscription is open.
 */
import type { FinalStatus, TaskView } from '../api/tasks.ts';
import { isFinal } from '../api/tasks.ts';
import type { ClusterEvent, EventMessage } from '../api/views.ts';
import { subscribe } from './event-stream.ts';
import { Limiter } from './limiter.ts';
import { jsonOf, type Patience, type PoolAnswer, type ServerPool } from './server-pool.ts';
import { abortReason } from './transport.ts';

export interface TaskOutcome {
  readonly id: string;
  readonly status: FinalStatus;
  /** Null where it ended by a signal or never ran. */
  readonly exitCode: number | null;
}

/** Final events remembered for waits that come after them. */
const RECENT_MAX = 50_000;
const LOOKUPS_AT_ONCE_MAX = 32;
/** The subscription stays open (and so does the process) for so long after its last wait. */
const LINGER_MS = 1_000;
/** A look-up after the final event that still shows the task running met a server a moment behind. */
const RELOOK_MS = 50;
const RELOOKS_MAX = 100;

interface Waiter {
  resolve(outcome: TaskOutcome): void;
  reject(error: Error): void;
}

export class SharedWaits {
  readonly #pool: ServerPool;
  readonly #patience: Patience;
  readonly #lookups = new Limiter(LOOKUPS_AT_ONCE_MAX);
  readonly #waiters = new Map<string, Set<Waiter>>();
  /** Final events by task, oldest first. */
  readonly #recent = new Map<string, TaskOutcome & { readonly index: number }>();
  #coveredAfter: number | null = null;
  #stop: AbortController | null = null;
  #linger: ReturnType<typeof setTimeout> | null = null;

  constructor(pool: ServerPool, patience: Patience) {
    this.#pool = pool;
    this.#patience = patience;
  }

  /**
   * @param id a full id.
   * @param index of an entry up to which the task was not final; null if none is known.
   */
  outcome(id: string, index: number | null, signal: AbortSignal | undefined): Promise<TaskOutcome> {
    return new Promise((resolve, reject) => {
      const seen = this.#recent.get(id);
      if (seen !== undefined) {
        resolve(seen);
        return;
      }
      const waiter: Waiter = {
        resolve: (outcome) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(outcome);
        },
        reject: (error) => {
          signal?.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      const onAbort = (): void => {
        this.#remove(id, waiter);
        waiter.reject(abortReason(signal));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#add(id, waiter);
      this.#start();
      if (this.#coveredAfter === null) return; // looked up when the subscription is open
      if (index === null || index <= this.#coveredAfter) void this.#lookUp(id);
    });
  }

  /** The task as it is now that it is final. */
  async finalTask(id: string, signal: AbortSignal | undefined): Promise<TaskView> {
    return this.#lookups.run(() => this.#readFinal(id, signal));
  }

  close(): void {
    this.#end(new Error('the client was closed'));
  }

  async #readFinal(id: string, signal: AbortSignal | undefined): Promise<TaskView> {
    for (let looks = 0; ; looks += 1) {
      const task = jsonOf(await this.#ask(id, signal)) as TaskView;
      if (isFinal(task.status) || looks >= RELOOKS_MAX) return task;
      await new Promise((resolve) => setTimeout(resolve, RELOOK_MS));
    }
  }

  /** The task as it is, with the headers of the answer. */
  look(id: string, signal: AbortSignal | undefined): Promise<PoolAnswer> {
    return this.#lookups.run(() => this.#ask(id, signal));
  }

  #ask(id: string, signal: AbortSignal | undefined): Promise<PoolAnswer> {
    return this.#pool.request({
      method: 'GET',
      path: `/v1/tasks/${encodeURIComponent(id)}`,
      repeat: 'always',
      patience: this.#patience,
      signal,
    });
  }

  #add(id: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(id);
    if (waiters === undefined) this.#waiters.set(id, new Set([waiter]));
    else waiters.add(waiter);
  }

  #remove(id: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(id);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiters.delete(id);
    this.#lingerIfIdle();
  }

  #settle(outcome: TaskOutcome): void {
    const waiters = this.#waiters.get(outcome.id);
    if (waiters === undefined) return;
    this.#waiters.delete(outcome.id);
    for (const waiter of waiters) waiter.resolve(outcome);
    this.#lingerIfIdle();
  }

  async #lookUp(id: string): Promise<void> {
    try {
      const task = await this.#lookups.run(async () =>
        this.#waiters.has(id) ? (jsonOf(await this.#ask(id, undefined)) as TaskView) : null,
      );
      if (task === null || !isFinal(task.status)) return;
      this.#settle({ id, status: task.status, exitCode: task.result?.exitCode ?? null });
    } catch (error) {
      const waiters = this.#waiters.get(id);
      this.#waiters.delete(id);
      for (const waiter of waiters ?? []) waiter.reject(asError(error));
      this.#lingerIfIdle();
    }
  }

  #start(): void {
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#linger = null;
    if (this.#stop !== null) return;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    this.#follow(signal).catch((error: unknown) => {
      if (!signal.aborted) this.#end(asError(error));
    });
  }

  #end(error: Error): void {
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#linger = null;
    this.#stop?.abort();
    this.#stop = null;
    this.#coveredAfter = null;
    this.#recent.clear();
    const all = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const waiters of all) for (const waiter of waiters) waiter.reject(error);
  }

  #lingerIfIdle(): void {
    if (this.#waiters.size > 0 || this.#stop === null || this.#linger !== null) return;
    this.#linger = setTimeout(() => {
      this.#linger = null;
      this.#end(new Error('idle'));
    }, LINGER_MS);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    // Where it begins must be known for sure, so it is said: after what the last answer showed.
    const lastEventId = this.#pool.indexSeen ?? (await this.#askIndex(signal));
    const messages = subscribe(
      this.#pool,
      {
        signal,
        ...(lastEventId === null ? {} : { lastEventId }),
        onOpen: ({ index }) => this.#cover(index),
        onReset: (index) => {
          this.#coveredAfter = null;
          this.#cover(index);
        },
      },
      this.#patience,
    );
    for await (const message of messages) this.#see(message);
  }

  async #askIndex(signal: AbortSignal): Promise<number | null> {
    await this.#pool.request({ method: 'GET', path: '/v1/raft', repeat: 'always', signal });
    return this.#pool.indexSeen;
  }

  /** From `index` on nothing is missed; whoever waits already may have missed something before. */
  #cover(index: number | null): void {
    // Opened again where it broke off: nothing was missed.
    if (this.#coveredAfter !== null) return;
    this.#coveredAfter = index ?? Number.MAX_SAFE_INTEGER;
    for (const id of this.#waiters.keys()) void this.#lookUp(id);
  }

  #see(message: EventMessage): void {
    for (const event of message.events) {
      const outcome = outcomeOf(event);
      if (outcome === null) continue;
      this.#recent.set(outcome.id, { ...outcome, index: message.index });
      this.#settle(outcome);
    }
    for (const [id, { index }] of this.#recent) {
      if (this.#recent.size <= RECENT_MAX) break;
      this.#recent.delete(id);
      // What is forgotten is no longer covered.
      this.#coveredAfter = Math.max(this.#coveredAfter ?? 0, index);
    }
  }
}

function outcomeOf(event: ClusterEvent): TaskOutcome | null {
  if (event.kind !== 'task' || !isFinal(event.status)) return null;
  return { id: event.id, status: event.status, exitCode: event.exitCode };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
