import { isFinal } from '../api/tasks.ts';
import type { TaskFilesView } from '../api/task-files.ts';
import type {
  BatchResultItem,
  TaskEvent,
  TaskListQuery,
  TaskPage,
  TaskRequest,
  TaskView,
} from '../api/tasks.ts';
import type { EventMessage } from '../api/views.ts';
import { DEFAULT_SERVERS, parseAddresses } from './address.ts';
import { Calls } from './calls.ts';
import { ClusterClient } from './cluster-client.ts';
import { NoServerError } from './errors.ts';
import { subscribe, type SubscribeOptions } from './event-stream.ts';
import { listFiles, readFile } from './files.ts';
import type { CallOptions, ClbOptions, ReadOptions, WaitOptions } from './options.ts';
import { readOutput, type OutputOptions } from './output.ts';
import { ServerPool, type Patience } from './server-pool.ts';
import { Submitter, type BatchOptions, type SubmitOptions } from './submitter.ts';
import { TaskWaits } from './task-waits.ts';
import type { Transport } from './transport.ts';
import { SharedWaits, type TaskOutcome } from './waits.ts';

const TIMEOUT_MS = 10_000;
const RETRY_MS = 10_000;
const HOPELESS_MS = 2_000;
const OUTAGE_MS = 300_000;
const CANCEL_TRIES_MAX = 3;

/**
 * Every call of the library, over whatever carries requests: `Clb` in Node (clb.ts) and in the browser (browser.ts). Every
 * call may throw {@link ClbError}; where no address could do it, {@link NoServerError}; where its signal was aborted, the
 * signal's reason.
 */
export class ClbClient extends ClusterClient {
  readonly #transport: Transport;
  readonly #pool: ServerPool;
  readonly #calls: Calls;
  readonly #submitter: Submitter;
  readonly #shared: SharedWaits;
  readonly #waits: TaskWaits;
  readonly #outage: Patience;

  /** @throws AddressError where a server is not host:port. */
  constructor(options: ClbOptions, transport: Transport) {
    const retryMs = options.retryMs ?? RETRY_MS;
    const outageMs = options.outageMs ?? OUTAGE_MS;
    const pool = new ServerPool(transport, parseAddresses(options.servers ?? DEFAULT_SERVERS), {
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      patience: { retryMs, hopelessMs: Math.min(options.hopelessMs ?? HOPELESS_MS, retryMs) },
    });
    super(pool);
    this.#transport = transport;
    this.#pool = pool;
    this.#calls = new Calls(pool);
    this.#outage = { retryMs: outageMs, hopelessMs: outageMs };
    this.#submitter = new Submitter(pool, retryMs);
    this.#shared = new SharedWaits(pool, this.#outage);
    this.#waits = new TaskWaits(this.#calls, this.#shared, this.#outage);
  }

  /** Resolves once the task is on the disks of a majority. Safe to repeat with the same key. */
  submit(request: TaskRequest, options: SubmitOptions = {}): Promise<TaskView> {
    return this.#submitter.submit(request, options);
  }

  /** Many at once, all or none unless `atomic: false`; results in the order of the requests. */
  submitBatch(
    requests: readonly TaskRequest[],
    options: BatchOptions = {},
  ): Promise<readonly BatchResultItem[]> {
    return this.#submitter.submitBatch(requests, options);
  }

  /** Submits and waits until it is final. */
  async run(request: TaskRequest, options: SubmitOptions = {}): Promise<TaskView> {
    const task = await this.submit(request, options);
    return this.wait(task, options.signal === undefined ? {} : { signal: options.signal });
  }

  get(id: string, options: ReadOptions = {}): Promise<TaskView> {
    return this.#calls.read<TaskView>(taskPath(id), {}, options);
  }

  /** Resolves when it is final. `task`: an id, a unique prefix of one, or the task as `submit` returned it. */
  wait(task: string | TaskView, options: WaitOptions = {}): Promise<TaskView> {
    return this.#waits.wait(task, options);
  }

  /**
   * Like {@link wait}, but tells only how it ended, not what it printed: by the shared event subscription, so
   * that waiting for very many tasks costs no request each.
   */
  outcome(task: string | TaskView, options: CallOptions = {}): Promise<TaskOutcome> {
    return this.#waits.outcome(task, options);
  }

  list(query: Partial<TaskListQuery> = {}, options: ReadOptions = {}): Promise<TaskPage> {
    return this.#calls.read<TaskPage>('/v1/tasks', { ...query }, options);
  }

  /** The task's timeline: every log entry that touched it. */
  async events(id: string, options: ReadOptions = {}): Promise<readonly TaskEvent[]> {
    const path = `${taskPath(id)}/events`;
    return (await this.#calls.read<{ events: readonly TaskEvent[] }>(path, {}, options)).events;
  }

  /** Its output as raw bytes; with `follow` live until it is final, across a change of master or of attempt. */
  logs(id: string, options: OutputOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    return readOutput(this.#pool, id, options, this.#outage);
  }

  /** The files kept of it by `collect`; empty while it has no result. */
  files(id: string, options: CallOptions = {}): Promise<TaskFilesView> {
    return listFiles(this.#pool, id, options.signal);
  }

  /** One of these files. @throws ClbError NOT_FOUND; UNAVAILABLE while the only node that has it is away. */
  file(id: string, path: string, options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    return readFile(this.#pool, id, path, options.signal);
  }

  /** @throws ClbError CONFLICT where it is final already. */
  async cancel(id: string, options: CallOptions = {}): Promise<TaskView> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#calls.post<TaskView>(`${taskPath(id)}/cancel`, {}, 'unless-sent', options);
      } catch (error) {
        const unknown = error instanceof NoServerError && error.code === 'UNKNOWN_OUTCOME';
        if (!unknown || tries >= CANCEL_TRIES_MAX) throw error;
      }
      // The answer was lost: whether it was done shows in the task.
      const task = await this.get(id, options);
      if (isFinal(task.status)) return task;
    }
  }

  /** A new task of the same content; only of a final one. Not repeated by itself: it would make two. */
  retry(id: string, options: CallOptions = {}): Promise<TaskView> {
    return this.#calls.post<TaskView>(`${taskPath(id)}/retry`, {}, 'unless-sent', options);
  }

  /** What is committed, entry by entry, without end; resumes by itself on another server. */
  subscribe(options: SubscribeOptions = {}): AsyncGenerator<EventMessage, void, undefined> {
    return subscribe(this.#pool, options, this.#outage);
  }

  /** Drops connections; waits still open are rejected. */
  close(): void {
    this.#shared.close();
    this.#transport.close();
  }
}

/** The class without a say in what carries its requests. */
export type Clb = ClbClient;

function taskPath(id: string): string {
  return `/v1/tasks/${encodeURIComponent(id)}`;
}
