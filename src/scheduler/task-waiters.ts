import type { TaskRecord } from './state/records.ts';

/** Who waits for a task to change. Event-driven: nothing is polled. */
export class TaskWaiters {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Resolves when an entry changes the task, after the time, or when the signal says so. Never rejects. */
  changed(
    id: string,
    waitMs: number,
    signal: AbortSignal,
    after: (delayMs: number, action: () => void) => () => void,
  ): Promise<void> {
    if (signal.aborted || waitMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancelTimer();
        signal.removeEventListener('abort', done);
        const waiting = this.#waiting.get(id);
        waiting?.delete(done);
        if (waiting?.size === 0) this.#waiting.delete(id);
        resolve();
      };
      const cancelTimer = after(waitMs, done);
      signal.addEventListener('abort', done);
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) this.#waiting.set(id, new Set([done]));
      else waiting.add(done);
    });
  }

  notify(tasks: readonly TaskRecord[]): void {
    if (this.#waiting.size === 0) return;
    for (const task of tasks) for (const done of this.#waiting.get(task.id) ?? []) done();
  }

  /** Anything may have changed. */
  notifyAll(): void {
    for (const waiting of [...this.#waiting.values()]) for (const done of waiting) done();
  }
}
