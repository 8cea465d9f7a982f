import type { AttemptRef } from '../../src/link/protocol.ts';
import { attemptKey } from '../../src/link/messages.ts';
import { OutputGoneError } from '../../src/worker/executor.ts';
import type {
  Ending,
  Executor,
  ExecutorEvents,
  ExecutorHoldings,
  FileRequest,
  KillWhy,
  LaunchOrder,
  OutputChunk,
  OutputRequest,
} from '../../src/worker/executor.ts';

export function success(stdout = ''): Ending {
  return {
    kind: 'finished',
    outcome: 'succeeded',
    reason: null,
    runMs: 1,
    result: {
      exitCode: 0,
      signal: null,
      stdout,
      stderr: '',
      stdoutBytes: stdout.length,
      stderrBytes: 0,
      truncated: false,
    },
  };
}

/** Runs nothing: the test says when attempts start and end. With `instant` they end in the moment they are launched. */
export class FakeExecutor implements Executor {
  readonly beginBeforeLaunch: boolean;
  readonly launched: LaunchOrder[] = [];
  readonly kills: string[] = [];
  readonly leases: number[] = [];
  readonly acknowledged: string[] = [];
  /** Kills and leases in the order they came. */
  readonly calls: string[] = [];
  holdings: ExecutorHoldings = { running: [], ended: [] };
  kept: readonly string[] = [];
  readonly forgotten: string[] = [];
  events: ExecutorEvents | null = null;
  life: 'new' | 'started' | 'stopped' | 'crashed' = 'new';
  readonly #instant: boolean;

  constructor(options: { readonly instant?: boolean; readonly beginBeforeLaunch?: boolean } = {}) {
    this.#instant = options.instant ?? false;
    this.beginBeforeLaunch = options.beginBeforeLaunch ?? true;
  }

  start(events: ExecutorEvents): Promise<ExecutorHoldings> {
    this.events = events;
    this.life = 'started';
    return Promise.resolve(this.holdings);
  }

  launch(order: LaunchOrder): void {
    this.launched.push(order);
    if (this.#instant) this.end(order, success());
  }

  kill(ref: AttemptRef, why: KillWhy): void {
    this.kills.push(`${attemptKey(ref)} ${why}`);
    this.calls.push(`kill ${attemptKey(ref)}`);
    if (why === 'superseded') this.end(ref, { kind: 'dropped' });
    if (why === 'released') this.end(ref, { kind: 'released', reason: 'given back' });
  }

  extendLease(untilMonotonicMs: number): void {
    this.leases.push(untilMonotonicMs);
    this.calls.push('lease');
  }

  acknowledge(ref: AttemptRef): void {
    this.acknowledged.push(attemptKey(ref));
  }

  readOutput(ref: AttemptRef, request: OutputRequest): Promise<OutputChunk> {
    if (ref.task === 'unknown') return Promise.reject(new OutputGoneError('not kept'));
    const data = Buffer.from('some output').subarray(request.offset, request.offset + request.maxBytes);
    return Promise.resolve({ data, nextOffset: request.offset + data.byteLength, end: true });
  }

  readFile(_ref: AttemptRef, request: FileRequest): Promise<OutputChunk> {
    if (request.path !== 'out.bin') return Promise.reject(new OutputGoneError('not kept'));
    const data = Buffer.from('a file').subarray(request.offset, request.offset + request.maxBytes);
    return Promise.resolve({ data, nextOffset: request.offset + data.byteLength, end: true });
  }

  keptTasks(): Promise<readonly string[]> {
    return Promise.resolve(this.kept);
  }

  forget(tasks: readonly string[]): void {
    this.forgotten.push(...tasks);
  }

  stop(): Promise<void> {
    this.life = 'stopped';
    return Promise.resolve();
  }

  crash(): Promise<void> {
    this.life = 'crashed';
    return Promise.resolve();
  }

  begun(ref: AttemptRef): void {
    this.events?.onStarted({ task: ref.task, token: ref.token });
  }

  end(ref: AttemptRef, ending: Ending): void {
    this.events?.onEnded({ task: ref.task, token: ref.token }, ending);
  }
}
