import { ApiError, ERROR_STATUS } from '../api/errors.ts';
import type { SubmitItem } from '../api/cluster.ts';
import type { BatchResultItem, TaskView } from '../api/tasks.ts';
import { contentDigest, keyDigest } from './digests.ts';
import type { IdMaker } from './ids.ts';
import type { Master } from './master/master.ts';
import type { NewTask, Op, OpResult, SubmitItemResult } from './state/ops.ts';
import type { TaskRecord } from './state/records.ts';

/** Text of the tasks in one op; with the rest of the op an entry stays below its limit. */
const PART_CHARS_MAX = 512 * 1024;

/** Tasks of a batch made ready, or answered, in one turn of the event loop: a voter must not be late for its peers. */
const TASKS_PER_TURN = 500;

/** Tasks with their JSON, which is made once. */
interface Prepared {
  readonly task: NewTask;
  readonly text: string;
}

/** What became of one item, with the task as it was then: later it may be another, or gone. null: it was not taken in. */
type Taken =
  | { readonly kind: 'created' | 'existing'; readonly id: string; readonly task: TaskRecord | null }
  | Extract<SubmitItemResult, { kind: 'refused' }>;

export interface SubmitterOptions {
  readonly master: Master;
  readonly ids: IdMaker;
  readonly find: (id: string) => TaskRecord | null;
  readonly view: (task: TaskRecord) => TaskView;
  /** Gives others their turn. */
  readonly pause: () => Promise<void>;
}

/** Turns submitted items into ops: one for a small call, parts for a batch that does not fit into one entry. */
export class Submitter {
  readonly #options: SubmitterOptions;

  constructor(options: SubmitterOptions) {
    this.#options = options;
  }

  /**
   * @throws ApiError as {@link Master.submit}; for an atomic call also INVALID or CONFLICT, naming the first task refused;
   * NOT_FOUND where retention keeps so little that a task is dropped in the moment it is taken in
   */
  async submit(items: readonly SubmitItem[], atomic: boolean): Promise<readonly BatchResultItem[]> {
    const parts = inParts(await this.#inTurns(items, (item) => this.#prepare(item)));
    if (atomic) {
      const results =
        parts.length <= 1 ? await this.#submitOne(parts[0] ?? [], true) : await this.#stage(parts);
      const at = results.findIndex((result) => result.kind === 'refused');
      const refused = results[at];
      if (refused?.kind === 'refused') throw refusal(refused, items.length === 1 ? '' : `tasks[${at}].`);
      return this.#inTurns(results, (result) => this.#answer(result));
    }
    const answers = await Promise.all(parts.map((part) => this.#submitApart(part)));
    const [first] = answers;
    // Nothing of it is in the log: it goes to the next master as a whole.
    if (first instanceof ApiError && (parts.length === 1 || answers.every(isNoLeader))) throw first;
    const results: BatchResultItem[] = [];
    for (const [at, answer] of answers.entries()) {
      const ofPart =
        answer instanceof ApiError
          ? (parts[at] ?? []).map((): BatchResultItem => failure(answer))
          : await this.#inTurns(answer, (result) => this.#answer(result));
      for (const result of ofPart) results.push(result);
    }
    return results;
  }

  #prepare(item: SubmitItem): Prepared {
    const { request, idempotencyKey, retryOf, clientPort } = item;
    const task: NewTask = {
      id: this.#options.ids.next(),
      spec: request,
      ...(retryOf === null ? {} : { retryOf }),
      ...(clientPort === null ? {} : { clientPort }),
      ...(idempotencyKey === null
        ? {}
        : { key: keyDigest(idempotencyKey), content: contentDigest({ request, retryOf }) }),
    };
    return { task, text: JSON.stringify(task) };
  }

  async #submitOne(part: readonly Prepared[], atomic: boolean): Promise<readonly Taken[]> {
    const tasks = part.map(({ task }) => task);
    const text = `{"op":"submit","atomic":${atomic},"tasks":[${joined(part)}]}`;
    return this.#taken(itemsOf(await this.#options.master.submit({ op: 'submit', atomic, tasks }, text)));
  }

  async #submitApart(part: readonly Prepared[]): Promise<readonly Taken[] | ApiError> {
    try {
      return await this.#submitOne(part, false);
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
  }

  /** All parts are proposed at once, in order; the last one decides, and only if all before it are in the log. */
  async #stage(parts: readonly (readonly Prepared[])[]): Promise<readonly Taken[]> {
    const { master, ids } = this.#options;
    const batch = ids.next();
    const outcomes = await Promise.allSettled(
      parts.map((part, at) => {
        const last = at === parts.length - 1;
        const tasks = part.map(({ task }) => task);
        const op: Extract<Op, { op: 'stage' }> = { op: 'stage', batch, part: at, last, tasks };
        const text = `{"op":"stage","batch":"${batch}","part":${at},"last":${last},"tasks":[${joined(part)}]}`;
        return master.submit(op, text);
      }),
    );
    const final = outcomes.at(-1);
    if (final?.status === 'fulfilled' && final.value.kind === 'submitted')
      return this.#taken(final.value.items);
    // Nothing became visible unless the outcome of the last part is unknown; what is staged must go.
    master.propose({ op: 'unstage', batch }).catch(() => undefined);
    if (final?.status === 'rejected') throw final.reason;
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const told = outcomes.find(
      (outcome) => outcome.status === 'fulfilled' && outcome.value.kind === 'refused',
    );
    const why =
      told?.status === 'fulfilled' && told.value.kind === 'refused'
        ? told.value.message
        : 'it was interrupted';
    throw new ApiError('QUEUE_FULL', `the batch could not be taken in: ${why}`, { retryAfterSeconds: 1 });
  }

  /** Right after they were applied. */
  #taken(results: readonly SubmitItemResult[]): readonly Taken[] {
    const { find } = this.#options;
    return results.map((result) =>
      result.kind === 'refused' ? result : { ...result, task: find(result.id) },
    );
  }

  #answer(taken: Taken): BatchResultItem {
    if (taken.kind === 'refused') return failure(refusal(taken, ''));
    const { kind, id, task } = taken;
    if (task === null)
      throw new ApiError('NOT_FOUND', `task ${id} is there no more: retention has dropped it`);
    return { status: kind === 'created' ? 201 : 200, task: this.#options.view(task) };
  }

  /** As `map`, but many items take several turns of the event loop. */
  async #inTurns<T, R>(items: readonly T[], of: (item: T) => R): Promise<readonly R[]> {
    if (items.length <= TASKS_PER_TURN) return items.map(of);
    const made: R[] = [];
    for (let from = 0; from < items.length; from += TASKS_PER_TURN) {
      if (from > 0) await this.#options.pause();
      for (const item of items.slice(from, from + TASKS_PER_TURN)) made.push(of(item));
    }
    return made;
  }
}

function isNoLeader(answer: unknown): boolean {
  return answer instanceof ApiError && answer.code === 'NO_LEADER';
}

function joined(part: readonly Prepared[]): string {
  return part.map(({ text }) => text).join(',');
}

function inParts(prepared: readonly Prepared[]): readonly (readonly Prepared[])[] {
  const parts: Prepared[][] = [];
  let part: Prepared[] = [];
  let chars = 0;
  for (const item of prepared) {
    if (part.length > 0 && chars + item.text.length > PART_CHARS_MAX) {
      parts.push(part);
      part = [];
      chars = 0;
    }
    part.push(item);
    chars += item.text.length;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

function itemsOf(result: OpResult): readonly SubmitItemResult[] {
  if (result.kind !== 'submitted') throw new Error(`a submission was answered with ${result.kind}`);
  return result.items;
}

function refusal(refused: Extract<SubmitItemResult, { kind: 'refused' }>, prefix: string): ApiError {
  const field = `${prefix}${refused.field}`;
  return new ApiError(refused.code, `${field}: ${refused.message}`, { details: { field } });
}

function failure(error: ApiError): BatchResultItem {
  return { status: ERROR_STATUS[error.code], error: { code: error.code, message: error.message } };
}
