import type {
  Executor,
  ExecutorEvents,
  ExecutorHoldings,
  LaunchOrder,
  OutputChunk,
} from '../src/worker/executor.ts';

/** Runs nothing and returns at once: what is left to measure is the coordination. */
export class InstantExecutor implements Executor {
  readonly beginBeforeLaunch = false;
  #events: ExecutorEvents | null = null;

  start(events: ExecutorEvents): Promise<ExecutorHoldings> {
    this.#events = events;
    return Promise.resolve({ running: [], ended: [] });
  }

  launch(order: LaunchOrder): void {
    const ref = { task: order.task, token: order.token };
    this.#events?.onStarted(ref);
    this.#events?.onEnded(ref, {
      kind: 'finished',
      outcome: 'succeeded',
      reason: null,
      runMs: 0,
      result: {
        exitCode: 0,
        signal: null,
        stdout: 'ok\n',
        stderr: '',
        stdoutBytes: 3,
        stderrBytes: 0,
        truncated: false,
      },
    });
  }

  kill(): void {
    // Whatever was launched is over already.
  }

  extendLease(): void {
    // Nothing runs long enough to need it.
  }

  acknowledge(): void {
    // Nothing is kept.
  }

  readOutput(): Promise<OutputChunk> {
    return Promise.resolve({ data: new Uint8Array(), nextOffset: 0, end: true });
  }

  readFile(): Promise<OutputChunk> {
    return Promise.resolve({ data: new Uint8Array(), nextOffset: 0, end: true });
  }

  keptTasks(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  forget(): void {
    // Nothing is kept.
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  crash(): Promise<void> {
    return Promise.resolve();
  }
}
