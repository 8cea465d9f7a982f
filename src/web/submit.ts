/** POST /v1/tasks and /v1/tasks/batch: the routes that are answered ahead of express (they carry the load). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ApiError, isErrorCode } from '../api/errors.ts';
import type { Cluster, SubmitItem } from '../api/cluster.ts';
import { LIMITS } from '../api/limits.ts';
import { batchRequestSchema, idempotencyKeySchema, taskRequestSchema } from '../api/tasks.ts';
import type { BatchResultItem, TaskRequest } from '../api/tasks.ts';
import type { Answers } from './answers.ts';
import { drained } from './drained.ts';
import { check, checked, invalid, queryOf, shortened } from './input.ts';
import type { FieldProblem } from './input.ts';
import type { MasterGate } from './master-gate.ts';
import { parseJson, sizeText } from './request-body.ts';
import type { BodyReader } from './request-body.ts';
import { CLIENT_PORT_HEADER } from './upstream.ts';

export const SUBMIT_PATH = '/v1/tasks';
export const BATCH_PATH = '/v1/tasks/batch';

/** Tasks of a batch handled in one turn of the event loop: a voter must not be late for its peers. */
const TASKS_PER_TURN = 200;

const TASK_FIELDS: readonly string[] = Object.keys(taskRequestSchema.shape);

export interface SubmitDeps {
  readonly gate: MasterGate;
  readonly bodies: BodyReader;
  readonly answers: Answers;
}

/** Answers POST /v1/tasks. @throws ApiError, RequestAbortedError */
export async function submitOne(deps: SubmitDeps, req: IncomingMessage, res: ServerResponse): Promise<void> {
  queryOf(req, []);
  const idempotencyKey = keyHeader(req);
  const clientPort = clientPortHeader(req);
  const body = await deps.bodies.read(req, res, LIMITS.taskBytesMax);
  // Checked once, by whoever answers: here if this is the master, there if it is not.
  let item: SubmitItem | null = null;
  await deps.gate.call(req, res, {
    body,
    repeatable: () => idempotencyKey !== null,
    run: async (cluster) => {
      item ??= { request: taskOf(parseJson(body)), idempotencyKey, retryOf: null, clientPort };
      const [result] = await cluster.submit([item], { atomic: true });
      answerOne(deps.answers, res, result);
    },
  });
}

/** Answers POST /v1/tasks/batch. @throws ApiError, RequestAbortedError */
export async function submitBatch(
  deps: SubmitDeps,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  queryOf(req, []);
  if (req.headers['idempotency-key'] !== undefined) {
    throw invalid([
      {
        field: 'Idempotency-Key',
        message: 'goes with a single task; in a batch each task has its own idempotencyKey',
      },
    ]);
  }
  const clientPort = clientPortHeader(req);
  const body = await deps.bodies.read(req, res, LIMITS.batchBodyBytesMax);
  let batch: Batch | null = null;
  await deps.gate.call(req, res, {
    body,
    repeatable: () => everyTaskHasKey(body),
    run: async (cluster) => {
      batch ??= await batchOf(parseJson(body), body.byteLength, clientPort);
      await answerBatch(deps.answers, res, batch, await submitGood(cluster, batch));
    },
  });
}

/** A task as submitted. @throws ApiError INVALID naming every field that is wrong. */
export function taskOf(value: unknown): TaskRequest {
  const task = checked(taskRequestSchema, value, TASK_FIELDS);
  const problems = protoProblems(value, '');
  if (problems.length > 0) throw invalid(problems);
  return task;
}

function answerOne(answers: Answers, res: ServerResponse, result: BatchResultItem | undefined): void {
  if (result?.task === undefined) throw itemError(result);
  const headers = result.status === 201 ? { location: `/v1/tasks/${result.task.id}` } : {};
  answers.json(res, result.status, result.task, headers);
}

function itemError(result: BatchResultItem | undefined): ApiError {
  const { code, message } = result?.error ?? missingResult().error;
  return new ApiError(isErrorCode(code) ? code : 'INTERNAL', message);
}

/** A batch whose tasks were checked: one result is known already for each task that was refused. */
interface Batch {
  readonly atomic: boolean;
  readonly items: readonly SubmitItem[];
  /** In the order of the request; null where the cluster is to say. */
  readonly refused: readonly (BatchResultItem | null)[];
}

/** @throws ApiError INVALID or TOO_LARGE: for the whole, or (atomic) for any of its tasks. */
async function batchOf(value: unknown, bodyBytes: number, clientPort: number | null): Promise<Batch> {
  const { tasks, atomic = true } = checked(batchRequestSchema, value, ['tasks', 'atomic']);
  const items: SubmitItem[] = [];
  const refused: (BatchResultItem | null)[] = [];
  const problems: FieldProblem[] = [];
  // No task of a body this small can be over the limit.
  const measure = bodyBytes > LIMITS.taskBytesMax;
  for (const [i, task] of tasks.entries()) {
    if (i % TASKS_PER_TURN === TASKS_PER_TURN - 1) await nextTurn();
    const at = `tasks[${i}]`;
    if (measure && Buffer.byteLength(JSON.stringify(task)) > LIMITS.taskBytesMax) {
      const error = taskTooLarge(at);
      if (atomic) throw error;
      refused.push({ status: error.status, error: { code: error.code, message: error.message } });
      continue;
    }
    const item = itemOf(task, at, clientPort);
    if (item.ok) {
      items.push(item.value);
      refused.push(null);
    } else {
      problems.push(...item.problems);
      const { code, message, status } = invalid(item.problems);
      refused.push({ status, error: { code, message } });
    }
  }
  if (atomic && problems.length > 0) throw invalid(problems);
  return { atomic, items, refused };
}

type ItemChecked =
  | { readonly ok: true; readonly value: SubmitItem }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

/** One task of a batch: the task and, beside its fields, its idempotencyKey. */
function itemOf(value: unknown, at: string, clientPort: number | null): ItemChecked {
  let task = value;
  let idempotencyKey: string | null = null;
  if (typeof value === 'object' && value !== null && 'idempotencyKey' in value) {
    const { idempotencyKey: key, ...rest } = value;
    const checkedKey = check(idempotencyKeySchema, key, `${at}.idempotencyKey`);
    if (!checkedKey.ok) return checkedKey;
    idempotencyKey = checkedKey.value;
    task = rest;
  }
  const checkedTask = check(taskRequestSchema, task, at, [...TASK_FIELDS, 'idempotencyKey']);
  if (!checkedTask.ok) return checkedTask;
  const problems = protoProblems(value, at);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, value: { request: checkedTask.value, idempotencyKey, retryOf: null, clientPort } };
}

/** Keys of this name vanish in the schema's copy of a map; refused, rather than dropped in silence. */
function protoProblems(value: unknown, at: string): readonly FieldProblem[] {
  const task = value as Readonly<Record<string, unknown>>;
  return ['env', 'labels', 'constraints']
    .filter((name) => typeof task[name] === 'object' && Object.hasOwn(task[name] as object, '__proto__'))
    .map((name) => ({
      field: `${at === '' ? '' : `${at}.`}${name}`,
      message: 'the name __proto__ is not possible here',
    }));
}

async function submitGood(cluster: Cluster, batch: Batch): Promise<readonly BatchResultItem[]> {
  return batch.items.length === 0 ? [] : cluster.submit(batch.items, { atomic: batch.atomic });
}

/** Written in slices: the answer to 10,000 tasks is some megabytes long. */
async function answerBatch(
  answers: Answers,
  res: ServerResponse,
  batch: Batch,
  results: readonly BatchResultItem[],
): Promise<void> {
  let next = 0;
  const ordered = batch.refused.map((refused) => refused ?? results[next++] ?? missingResult());
  if (ordered.length <= TASKS_PER_TURN) {
    answers.json(res, 200, { results: ordered });
    return;
  }
  answers.begin(res, 200, { 'content-type': 'application/json; charset=utf-8' });
  res.write('{"results":[');
  for (let from = 0; from < ordered.length; from += TASKS_PER_TURN) {
    const slice = ordered.slice(from, from + TASKS_PER_TURN).map((result) => JSON.stringify(result));
    const roomLeft = res.write((from === 0 ? '' : ',') + slice.join(','));
    if (!roomLeft) await drained(res);
    if (res.destroyed) return;
    await nextTurn();
  }
  res.end(']}');
}

function missingResult() {
  return {
    status: 500,
    error: { code: 'INTERNAL', message: 'the cluster gave no answer for the task' },
  } as const;
}

function taskTooLarge(at: string): ApiError {
  const limit = `${LIMITS.taskBytesMax} bytes (${sizeText(LIMITS.taskBytesMax)})`;
  return new ApiError('TOO_LARGE', `${at}: the task is larger than the limit of ${limit}`, {
    details: { field: at, limitBytes: LIMITS.taskBytesMax },
  });
}

/** Asked only after a connection broke, hence the second look at the body. */
function everyTaskHasKey(body: Buffer): boolean {
  const batch = parseJson(body) as { readonly tasks?: unknown } | null;
  const tasks: unknown = batch?.tasks;
  return (
    Array.isArray(tasks) &&
    tasks.every(
      (task: unknown) =>
        typeof task === 'object' &&
        task !== null &&
        'idempotencyKey' in task &&
        typeof task.idempotencyKey === 'string',
    )
  );
}

function keyHeader(req: IncomingMessage): string | null {
  const key = req.headers['idempotency-key'];
  if (key === undefined) return null;
  const result = check(idempotencyKeySchema, key, 'Idempotency-Key');
  if (!result.ok) throw invalid(result.problems);
  return result.value;
}

function clientPortHeader(req: IncomingMessage): number | null {
  const text = req.headers[CLIENT_PORT_HEADER];
  if (text === undefined) return null;
  const port = typeof text === 'string' && /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535)
    throw invalid([
      { field: 'X-Clb-Client-Port', message: `${shortened(text)} is not a port from 1 to 65535` },
    ]);
  return port;
}
