import { setImmediate as nextTurn } from 'node:timers/promises';
import { ApiError, ERROR_STATUS } from '../api/errors.ts';
import type { SubmitItem } from '../api/cluster.ts';
import type { BatchResultItem, TaskView } from '../api/tasks.ts';
import { contentDigest, keyDigest } from './digests.ts';
import type { IdMaker } from './ids.ts';
import type { Master } from './master/master.ts';
import type { NewTask, Op, OpResult, SubmitItemResult } from './state/ops.ts';

/** Text of the tasks in one op; with the rest of the op an entry stays below its limit. */
const PART_CHARS_MAX = 512 * 1024;

/** Tasks of a batch made ready, or answered, in one turn of the event loop: a voter must not be late for its peers. */
const TASKS_PER_TURN = 500;

/** Tasks with their JSON, which is made once. */
interface Prepared {
  readonly task: NewTask;
  readonly text: string;
}

/** Turns submitted items into ops: one for a small call, parts for a batch that does not fit into one entry. */
export class Submitter {
  readonly #master: Master;
  readonly #ids: IdMaker;
  readonly #view: (id: string) => TaskView;

  constructor(master: Master, ids: IdMaker, view: (id: string) => TaskView) {
    this.#master = master;
    this.#ids = ids;
    this.#view = view;
  }

  /** @throws ApiError as {@link Master.submit}; for an atomic call also INVALID or CONFLICT, naming the first task refused. */
  async submit(items: readonly SubmitItem[], atomic: boolean): Promise<readonly BatchResultItem[]> {
    const parts = inParts(await inTurns(items, (item) => this.#prepare(item)));
    if (atomic) {
      const results =
        parts.length <= 1 ? await this.#submitOne(parts[0] ?? [], true) : await this.#stage(parts);
      const at = results.findIndex((result) => result.kind === 'refused');
      const refused = results[at];
      if (refused?.kind === 'refused') throw refusal(refused, items.length === 1 ? '' : `tasks[${at}].`);
      return inTurns(results, (result) => this.#answer(result));
    }
    const answers = await Promise.all(parts.map((part) => this.#submitApart(part)));
    const failed = answers.find((answer) => answer instanceof ApiError);
    if (failed !== undefined && parts.length === 1) throw failed;
    const results: BatchResultItem[] = [];
    for (const [at, answer] of answers.entries()) {
      const ofPart =
        answer instanceof ApiError
          ? (parts[at] ?? []).map((): BatchResultItem => failure(answer))
          : await inTurns(answer, (result) => this.#answer(result));
      for (const result of ofPart) results.push(result);
    }
    return results;
  }

  #prepare(item: SubmitItem): Prepared {
    const { request, idempotencyKey, retryOf, clientPort } = item;
    const task: NewTask = {
      id: this.#ids.next(),
      spec: request,
      ...(retryOf === null ? {} : { retryOf }),
      ...(clientPort === null ? {} : { clientPort }),
      ...(idempotencyKey === null
        ? {}
        : { key: keyDigest(idempotencyKey), content: contentDigest({ request, retryOf }) }),
    };
    return { task, text: JSON.stringify(task) };
  }

  async #submitOne(part: readonly Prepared[], atomic: boolean): Promise<readonly SubmitItemResult[]> {
    const tasks = part.map(({ task }) => task);
    const text = `{"op":"submit","atomic":${atomic},"tasks":[${joined(part)}]}`;
    return itemsOf(await this.#master.submit({ op: 'submit', atomic, tasks }, text));
  }

  async #submitApart(part: readonly Prepared[]): Promise<readonly SubmitItemResult[] | ApiError> {
    try {
      return await this.#submitOne(part, false);
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
  }

  /** All parts are proposed at once, in order; the last one decides, and only if all before it are in the log. */
  async #stage(parts: readonly (readonly Prepared[])[]): Promise<readonly SubmitItemResult[]> {
    const batch = this.#ids.next();
    const outcomes = await Promise.allSettled(
      parts.map((part, at) => {
        const last = at === parts.length - 1;
        const tasks = part.map(({ task }) => task);
        const op: Extract<Op, { op: 'stage' }> = { op: 'stage', batch, part: at, last, tasks };
        const text = `{"op":"stage","batch":"${batch}","part":${at},"last":${last},"tasks":[${joined(part)}]}`;
        return this.#master.submit(op, text);
      }),
    );
    const final = outcomes.at(-1);
    if (final?.status === 'fulfilled' && final.value.kind === 'submitted') return final.value.items;
    // Nothing became visible unless the outcome of the last part is unknown; what is staged must go.
    this.#master.propose({ op: 'unstage', batch }).catch(() => undefined);
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

  #answer(result: SubmitItemResult): BatchResultItem {
    switch (result.kind) {
      case 'created':
        return { status: 201, task: this.#view(result.id) };
      case 'existing':
        return { status: 200, task: this.#view(result.id) };
      case 'refused':
        return failure(refusal(result, ''));
    }
  }
}

/** As `map`, but many items take several turns of the event loop. */
async function inTurns<T, R>(items: readonly T[], of: (item: T) => R): Promise<readonly R[]> {
  if (items.length <= TASKS_PER_TURN) return items.map(of);
  const made: R[] = [];
  for (let from = 0; from < items.length; from += TASKS_PER_TURN) {
    if (from > 0) await nextTurn();
    for (const item of items.slice(from, from + TASKS_PER_TURN)) made.push(of(item));
  }
  return made;
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
