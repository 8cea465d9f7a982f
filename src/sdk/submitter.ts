/**
 * Joins submits into batches. What is submitted in one turn of the event loop leaves together; while batches are on
 * their way, further submits gather for the next. So many concurrent submits need few HTTP requests, and a lone one
 * leaves at once, by the plain route.
 *
 * Every task has an idempotency key, so a batch whose answer was lost is simply sent again, to another server too.
 */
import { LIMITS } from '../api/limits.ts';
import type { BatchResultItem, TaskRequest, TaskView } from '../api/tasks.ts';
import { isErrorCode } from '../api/errors.ts';
import { ClbError, isPassing } from './errors.ts';
import { byteLength, randomKey, soon } from './runtime.ts';
import { jsonOf, type ServerPool } from './server-pool.ts';
import { abortReason } from './transport.ts';

export interface SubmitOptions {
  /** The same key gives the same task. Made up where absent. */
  readonly idempotencyKey?: string;
  /** Ends the waiting for the answer; a submit that has left already may be carried out all the same. */
  readonly signal?: AbortSignal;
}

export interface BatchOptions {
  /** `true` (default): all or none. `false`: each by itself. */
  readonly atomic?: boolean;
  /** One for each request; made up where absent. */
  readonly idempotencyKeys?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Enough to keep server and client busy at the same time; more would only make the batches smaller. */
const BATCHES_IN_FLIGHT_MAX = 4;
/** Below it a batch is not split up for the sake of having more of them in flight. */
const BATCH_SHARE_MIN = 32;
const BATCH_TASKS_MAX = 512;
const BATCH_BYTES_MAX = 1024 * 1024;
const PENDING_TASKS_MAX = 200_000;
/** Between tries of a task that a batch gave back with a passing error. */
const ITEM_RETRY_MS = 100;
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;

interface Pending {
  readonly requestJson: string;
  readonly bytes: number;
  readonly key: string;
  readonly giveUpAtMs: number;
  resolve(task: TaskView): void;
  reject(error: Error): void;
  /** Answered or aborted: nobody waits any more. */
  settled: boolean;
}

export class Submitter {
  readonly #pool: ServerPool;
  readonly #retryMs: number;
  #queue: Pending[] = [];
  #head = 0;
  #inFlight = 0;
  #pumpScheduled = false;

  /** `retryMs`: how long a task is offered again that a batch gave back (no leader for the moment, queue full). */
  constructor(pool: ServerPool, retryMs: number) {
    this.#pool = pool;
    this.#retryMs = retryMs;
  }

  /** @throws ClbError (INVALID, TOO_LARGE, CONFLICT, …), NoServerError, the signal's reason. */
  submit(request: TaskRequest, options: SubmitOptions): Promise<TaskView> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted === true) throw abortReason(signal);
      if (this.#queue.length - this.#head >= PENDING_TASKS_MAX) {
        throw new ClbError('QUEUE_FULL', `more than ${PENDING_TASKS_MAX} submits wait in this process`);
      }
      const key = checkedKey(options.idempotencyKey ?? randomKey());
      const { json, bytes } = encodeTask(request);
      const onAbort = (): void => pending.reject(abortReason(signal));
      const settle = (): void => {
        pending.settled = true;
        signal?.removeEventListener('abort', onAbort);
      };
      const pending: Pending = {
        requestJson: json,
        bytes: bytes + key.length,
        key,
        giveUpAtMs: performance.now() + this.#retryMs,
        settled: false,
        resolve: (task) => {
          settle();
          resolve(task);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(pending);
      this.#schedulePump();
    });
  }

  /**
   * One batch as it is, results in the order of the requests. Not atomic ones may be of any size and are split up.
   * @throws ClbError where an atomic batch is refused (`tasks[i].field` in the message).
   */
  async submitBatch(
    requests: readonly TaskRequest[],
    options: BatchOptions,
  ): Promise<readonly BatchResultItem[]> {
    const atomic = options.atomic ?? true;
    const keys = options.idempotencyKeys ?? requests.map(() => randomKey());
    if (keys.length !== requests.length) {
      throw new ClbError('INVALID', `${keys.length} idempotency keys for ${requests.length} tasks`);
    }
    const items = requests.map((request, i) => {
      const { json, bytes } = encodeTask(request);
      return { json: withKey(json, checkedKey(keys[i] ?? '')), bytes };
    });
    const parts = atomic ? [items] : cut(items);
    if (atomic) checkAtomicSize(items);
    const results: BatchResultItem[] = [];
    for (const part of parts) {
      const jsons = part.map(({ json }) => json);
      results.push(...(await this.#postBatch(jsons, atomic, options.signal)));
    }
    return results;
  }

  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    // Not a microtask: what resumes after the answers of one batch may take several of them to submit again.
    soon(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#inFlight < BATCHES_IN_FLIGHT_MAX) {
      const batch = this.#takeBatch();
      if (batch.length === 0) return;
      this.#inFlight += 1;
      this.#send(batch)
        .catch((error: unknown) => {
          for (const pending of batch)
            pending.reject(error instanceof Error ? error : new Error(String(error)));
        })
        .finally(() => {
          this.#inFlight -= 1;
          this.#schedulePump();
        });
    }
  }

  #takeBatch(): Pending[] {
    const waiting = this.#queue.length - this.#head;
    const share = Math.ceil(waiting / (BATCHES_IN_FLIGHT_MAX - this.#inFlight));
    const tasksMax = Math.min(BATCH_TASKS_MAX, Math.max(BATCH_SHARE_MIN, share));
    const batch: Pending[] = [];
    let bytes = 0;
    while (batch.length < tasksMax) {
      const pending = this.#queue[this.#head];
      if (pending === undefined) break;
      if (batch.length > 0 && bytes + pending.bytes > BATCH_BYTES_MAX) break;
      this.#head += 1;
      if (pending.settled) continue;
      bytes += pending.bytes;
      batch.push(pending);
    }
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    }
    return batch;
  }

  async #send(batch: readonly Pending[]): Promise<void> {
    const [only] = batch;
    if (batch.length === 1 && only !== undefined && PRINTABLE_ASCII.test(only.key)) {
      only.resolve(await this.#postOne(only));
      return;
    }
    const results = await this.#postBatch(
      batch.map(({ requestJson, key }) => withKey(requestJson, key)),
      false,
      undefined,
    );
    batch.forEach((pending, i) => this.#settle(pending, results[i]));
  }

  #settle(pending: Pending, result: BatchResultItem | undefined): void {
    if (pending.settled) return;
    if (result?.task !== undefined) {
      pending.resolve(result.task);
      return;
    }
    const code = result?.error?.code;
    const error = new ClbError(
      isErrorCode(code) ? code : 'INTERNAL',
      result?.error?.message ?? 'the batch came back without an answer for this task',
      result === undefined ? {} : { status: result.status },
    );
    if (!isPassing(error.code) || performance.now() > pending.giveUpAtMs) {
      pending.reject(error);
      return;
    }
    setTimeout(
      () => {
        if (pending.settled) return;
        this.#queue.push(pending);
        this.#schedulePump();
      },
      ITEM_RETRY_MS * (0.5 + Math.random()),
    );
  }

  async #postOne(pending: Pending): Promise<TaskView> {
    const answer = await this.#pool.request({
      method: 'POST',
      path: '/v1/tasks',
      body: pending.requestJson,
      headers: { 'idempotency-key': pending.key },
      repeat: 'always',
      direct: true,
      idempotencyKey: pending.key,
    });
    return jsonOf(answer) as TaskView;
  }

  async #postBatch(
    jsons: readonly string[],
    atomic: boolean,
    signal: AbortSignal | undefined,
  ): Promise<readonly BatchResultItem[]> {
    const answer = await this.#pool.request({
      method: 'POST',
      path: '/v1/tasks/batch',
      body: `{"atomic":${atomic},"tasks":[${jsons.join(',')}]}`,
      repeat: 'always',
      direct: true,
      signal,
    });
    return (jsonOf(answer) as { results: readonly BatchResultItem[] }).results;
  }
}

function checkedKey(key: string): string {
  if (key.length >= 1 && key.length <= LIMITS.idempotencyKeyCharsMax) return key;
  throw new ClbError('INVALID', `idempotencyKey must have 1 to ${LIMITS.idempotencyKeyCharsMax} characters`);
}

function encodeTask(request: TaskRequest): { readonly json: string; readonly bytes: number } {
  const json = JSON.stringify(request);
  const bytes = byteLength(json);
  if (bytes <= LIMITS.taskBytesMax) return { json, bytes };
  throw new ClbError('TOO_LARGE', `the task has ${bytes} bytes as JSON, the limit is ${LIMITS.taskBytesMax}`);
}

/** The task's JSON with its key put in, without encoding the task a second time. */
function withKey(requestJson: string, key: string): string {
  const keyJson = `"idempotencyKey":${JSON.stringify(key)}}`;
  return requestJson === '{}' ? `{${keyJson}` : `${requestJson.slice(0, -1)},${keyJson}`;
}

interface EncodedItem {
  readonly json: string;
  readonly bytes: number;
}

function cut(items: readonly EncodedItem[]): readonly (readonly EncodedItem[])[] {
  const parts: EncodedItem[][] = [];
  let bytes = 0;
  for (const item of items) {
    const part = parts.at(-1);
    if (part === undefined || part.length >= BATCH_TASKS_MAX || bytes + item.bytes > BATCH_BYTES_MAX) {
      parts.push([item]);
      bytes = item.bytes;
    } else {
      part.push(item);
      bytes += item.bytes;
    }
  }
  return parts;
}

function checkAtomicSize(items: readonly EncodedItem[]): void {
  if (items.length === 0 || items.length > LIMITS.batchTasksMax) {
    throw new ClbError(
      'INVALID',
      `an atomic batch has 1 to ${LIMITS.batchTasksMax} tasks, not ${items.length}`,
    );
  }
  const bytes = items.reduce((sum, { json }) => sum + byteLength(json) + 1, 0);
  if (bytes > LIMITS.batchBodyBytesMax) {
    throw new ClbError('TOO_LARGE', `the batch has ${bytes} bytes, the limit is ${LIMITS.batchBodyBytesMax}`);
  }
}
