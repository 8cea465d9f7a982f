/** Waiting for something that others do in this process: they tell of every change, and nobody polls. */
import assert from 'node:assert/strict';
import { monotonicMs } from '../../src/worker/monotonic.ts';

/** The machine may be busy: nothing waits longer, and nothing is asserted to be fast. */
export const DEADLINE_MS = 30_000;

export class Changes {
  #waiting: (() => void)[] = [];

  /** Something may have become so. */
  notify(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when it is so; `what` is named when time runs out. */
  async until(isSo: () => boolean, what: string): Promise<void> {
    const deadlineMs = monotonicMs() + DEADLINE_MS;
    while (!isSo()) {
      const leftMs = deadlineMs - monotonicMs();
      assert.ok(leftMs > 0, `${what} did not come`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}
