/** Waiting for tasks: a few by a request each, very many by one subscription that they share. */
import { isFinal } from '../api/tasks.ts';
import type { TaskView } from '../api/tasks.ts';
import type { Calls } from './calls.ts';
import type { CallOptions, WaitOptions } from './options.ts';
import { pause } from './pause.ts';
import { jsonOf, type Patience } from './server-pool.ts';
import { abortReason } from './transport.ts';
import type { SharedWaits, TaskOutcome } from './waits.ts';

/** Waits beyond it share one event subscription. */
const LONG_POLLS_MAX = 8;
const LONG_POLL_SECONDS = 10;
const LONG_POLL_GRACE_MS = 3_000;
/** Between polls of a server that answers at once though the task is not final. */
const POLL_PAUSE_MS = 200;

export class TaskWaits {
  readonly #calls: Calls;
  readonly #shared: SharedWaits;
  /** How long a wait outlasts an outage. */
  readonly #outage: Patience;
  #longPolls = 0;

  constructor(calls: Calls, shared: SharedWaits, outage: Patience) {
    this.#calls = calls;
    this.#shared = shared;
    this.#outage = outage;
  }

  /** Resolves when it is final, or as it is when the time is over. */
  async wait(task: string | TaskView, options: WaitOptions): Promise<TaskView> {
    if (typeof task !== 'string' && isFinal(task.status)) return task;
    const id = typeof task === 'string' ? task : task.id;
    if (this.#longPolls < LONG_POLLS_MAX) return this.#longPoll(id, options);
    const timeout = options.timeoutMs === undefined ? null : AbortSignal.timeout(options.timeoutMs);
    const signal = anyOf(options.signal, timeout ?? undefined);
    try {
      const outcome = await this.outcome(task, signal === undefined ? {} : { signal });
      return await this.#shared.finalTask(outcome.id, signal);
    } catch (error) {
      if (timeout?.aborted !== true || options.signal?.aborted === true) throw error;
      return this.#calls.read<TaskView>(`/v1/tasks/${encodeURIComponent(id)}`, {}, {});
    }
  }

  /** By the shared subscription. */
  async outcome(task: string | TaskView, { signal }: CallOptions): Promise<TaskOutcome> {
    if (typeof task !== 'string') {
      if (isFinal(task.status)) return outcomeOf(task, task.status);
      return this.#shared.outcome(task.id, task.index, signal);
    }
    const answer = await this.#shared.look(task, signal);
    const view = jsonOf(answer) as TaskView;
    if (isFinal(view.status)) return outcomeOf(view, view.status);
    // Not final as of the answer, which is later than the last change of the task.
    const index = Number(answer.headers['x-clb-index'] ?? 0);
    return this.#shared.outcome(view.id, Math.max(index, view.index), signal);
  }

  async #longPoll(id: string, options: WaitOptions): Promise<TaskView> {
    const deadlineMs = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
    this.#longPolls += 1;
    try {
      for (;;) {
        const leftMs = deadlineMs - performance.now();
        const seconds = Math.min(LONG_POLL_SECONDS, Math.floor(leftMs / 1000));
        const askedMs = performance.now();
        if (seconds < 1) await pause(Math.max(0, leftMs), options.signal);
        const task = await this.#pollOnce(id, Math.max(0, seconds), options);
        if (isFinal(task.status) || performance.now() >= deadlineMs) return task;
        if (performance.now() - askedMs < POLL_PAUSE_MS) await pause(POLL_PAUSE_MS, options.signal);
      }
    } finally {
      this.#longPolls -= 1;
    }
  }

  async #pollOnce(id: string, seconds: number, { signal }: CallOptions): Promise<TaskView> {
    const path = `/v1/tasks/${encodeURIComponent(id)}${seconds > 0 ? `?wait=${seconds}s` : ''}`;
    const answer = await this.#calls.get(path, {
      ...(signal === undefined ? {} : { signal }),
      timeoutMs: seconds * 1000 + LONG_POLL_GRACE_MS,
      patience: this.#outage,
    });
    return jsonOf(answer) as TaskView;
  }
}

function outcomeOf(task: TaskView, status: TaskOutcome['status']): TaskOutcome {
  return { id: task.id, status, exitCode: task.result?.exitCode ?? null };
}

function anyOf(a: AbortSignal | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  if (a?.aborted === true) throw abortReason(a);
  return a === undefined || b === undefined ? (a ?? b) : AbortSignal.any([a, b]);
}
