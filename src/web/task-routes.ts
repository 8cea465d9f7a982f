/** /v1/tasks: reading, canceling, repeating. Submitting is in submit.ts. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Request, Response } from 'express';
import { ApiError } from '../api/errors.ts';
import type { Cluster } from '../api/cluster.ts';
import { LIMITS } from '../api/limits.ts';
import { TASK_STATUSES } from '../api/tasks.ts';
import type { TaskListQuery, TaskStatus, TaskSummary, TaskView } from '../api/tasks.ts';
import type { OutputStream } from '../api/views.ts';
import { drained } from './drained.ts';
import {
  duration,
  expectNothing,
  flag,
  invalid,
  listCursor,
  queryOf,
  shortened,
  staleQuery,
  time,
  wholeNumber,
} from './input.ts';
import type { MasterGate } from './master-gate.ts';
import type { WebShell } from './shell.ts';

const ID_CHARS_MAX = 64;
const QUERY_CHARS_MAX = 200;
/** With `follow`, the headers go out after this though there is no output yet: the caller sees that it is accepted. */
const FIRST_OUTPUT_MS = 200;

export interface TaskRouteDeps {
  readonly shell: WebShell;
  readonly gate: MasterGate;
  /** The cluster as this node has it. @throws ApiError UNAVAILABLE while it is being built. */
  readonly local: () => Cluster;
}

export function mountTaskRoutes(deps: TaskRouteDeps): void {
  const { shell, gate, local } = deps;
  const { answers } = shell;

  shell.route('get', '/v1/tasks', async (req, res) => {
    const query = queryOf(req, [...LIST_FIELDS, 'brief', 'stale']);
    const list = listQuery(query);
    const brief = flag('brief', query.brief);
    await read(gate, local, req, res, flag('stale', query.stale), async (cluster) => {
      const { tasks, nextCursor, counts } = await cluster.listTasks(list);
      answers.json(res, 200, { tasks: brief ? tasks.map(summary) : tasks, nextCursor, counts });
    });
  });

  shell.route('get', '/v1/tasks/:id', async (req, res) => {
    const id = taskId(req);
    const query = queryOf(req, ['wait', 'stale']);
    const waitMs = query.wait === undefined ? 0 : duration('wait', query.wait, LIMITS.waitMsMax);
    await answerTask(deps, req, res, { id, waitMs, stale: flag('stale', query.stale) });
  });

  shell.route('get', '/v1/tasks/:id/events', async (req, res) => {
    const id = taskId(req);
    const stale = staleQuery(req);
    await read(gate, local, req, res, stale, (cluster) => {
      answers.json(res, 200, { events: cluster.taskEvents(id) });
    });
  });

  shell.route('get', '/v1/tasks/:id/logs', async (req, res) => {
    const id = taskId(req);
    const query = queryOf(req, ['stream', 'follow', 'offset']);
    const options = {
      stream: outputStream(query.stream),
      follow: flag('follow', query.follow),
      offset: wholeNumber('offset', query.offset, { min: 0, max: Number.MAX_SAFE_INTEGER, otherwise: 0 }),
    };
    await read(gate, local, req, res, false, (cluster) => answerOutput(shell, cluster, res, id, options));
  });

  shell.route('get', '/v1/tasks/:id/files', async (req, res) => {
    const id = taskId(req);
    const stale = staleQuery(req);
    await read(gate, local, req, res, stale, (cluster) => {
      answers.json(res, 200, cluster.taskFiles(id));
    });
  });

  shell.route('get', '/v1/tasks/:id/files/*path', async (req, res) => {
    const id = taskId(req);
    const path = filePath(req);
    queryOf(req, []);
    await read(gate, local, req, res, false, (cluster) => answerFile(shell, cluster, res, id, path));
  });

  shell.route('post', '/v1/tasks/:id/cancel', (req, res) =>
    command(deps, req, res, async (cluster, id) => {
      answers.json(res, 200, await cluster.cancel(id));
    }),
  );

  shell.route('post', '/v1/tasks/:id/retry', (req, res) =>
    command(deps, req, res, async (cluster, id) => {
      const task = await cluster.retry(id);
      answers.json(res, 201, task, { location: `/v1/tasks/${task.id}` });
    }),
  );
}

/**
 * Answers a read. It sees every write acknowledged before it began: the master asks a majority first whether it still is
 * the master. With `stale`, this node tells what it has.
 */
export async function read(
  gate: MasterGate,
  local: () => Cluster,
  req: IncomingMessage,
  res: ServerResponse,
  stale: boolean,
  answer: (cluster: Cluster) => Promise<void> | void,
  path?: () => string,
): Promise<void> {
  if (stale) {
    await answer(local());
    return;
  }
  await gate.call(req, res, {
    body: null,
    repeatable: () => true,
    run: async (cluster) => {
      await cluster.readBarrier();
      await answer(cluster);
    },
    ...(path === undefined ? {} : { path }),
  });
}

async function answerTask(
  deps: TaskRouteDeps,
  req: IncomingMessage,
  res: ServerResponse,
  asked: { readonly id: string; readonly waitMs: number; readonly stale: boolean },
): Promise<void> {
  const endMs = performance.now() + asked.waitMs;
  const leftMs = (): number => Math.max(0, Math.round(endMs - performance.now()));
  const abort = new AbortController();
  res.once('close', () => abort.abort());
  const answer = async (cluster: Cluster): Promise<void> => {
    const task =
      asked.waitMs === 0
        ? cluster.getTask(asked.id)
        : await cluster.waitTask(cluster.getTask(asked.id).id, leftMs(), abort.signal);
    deps.shell.answers.json(res, 200, task);
  };
  // A master that is asked after another one has failed must not wait the whole time again.
  const path = (): string => `/v1/tasks/${encodeURIComponent(asked.id)}?wait=${leftMs()}ms`;
  await read(deps.gate, deps.local, req, res, asked.stale, answer, asked.waitMs === 0 ? undefined : path);
}

/** A change of one task: takes no body, and its outcome may become unknown. */
async function command(
  deps: TaskRouteDeps,
  req: Request,
  res: Response,
  run: (cluster: Cluster, id: string) => Promise<void>,
): Promise<void> {
  const id = taskId(req);
  queryOf(req, []);
  const body = await deps.shell.bodies.read(req, res, LIMITS.bodyBytesMax);
  expectNothing(body);
  await deps.gate.call(req, res, {
    body: null,
    repeatable: () => false,
    run: (cluster) => run(cluster, id),
  });
}

/** The bytes, for saving: what a payload wrote is never shown as a page of ours. */
async function answerFile(
  shell: WebShell,
  cluster: Cluster,
  res: ServerResponse,
  id: string,
  path: string,
): Promise<void> {
  const abort = new AbortController();
  res.once('close', () => abort.abort());
  const { bytes, chunks } = await cluster.openFile(id, path, abort.signal);
  const name = encodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
  shell.answers.begin(res, 200, {
    'content-type': 'application/octet-stream',
    'content-length': bytes,
    'content-disposition': `attachment; filename*=UTF-8''${name}`,
  });
  for await (const chunk of chunks) {
    if (!res.write(chunk)) await drained(res);
    if (res.destroyed) return;
  }
  res.end();
}

interface OutputOptions {
  readonly stream: OutputStream;
  readonly follow: boolean;
  readonly offset: number;
}

/** Passes the output on as it comes, at the reader's pace. */
/** Names the attempt whose output it is, counted from 1; 0: it has none yet. */
const ATTEMPT_HEADER = 'x-clb-attempt';

async function answerOutput(
  shell: WebShell,
  cluster: Cluster,
  res: ServerResponse,
  id: string,
  options: OutputOptions,
): Promise<void> {
  const abort = new AbortController();
  res.once('close', () => abort.abort());
  // Read in the same turn as the first chunk is asked for, so that both mean the same attempt.
  const attempts = cluster.getTask(id).attempts.length;
  const attempt = options.follow ? Math.max(1, attempts) : attempts;
  const chunks = cluster.readOutput(id, { ...options, signal: abort.signal })[Symbol.asyncIterator]();
  const begin = (): void => {
    if (!res.headersSent && !res.destroyed) {
      shell.answers.begin(res, 200, {
        'content-type': 'text/plain; charset=utf-8',
        [ATTEMPT_HEADER]: String(attempt),
      });
      res.flushHeaders();
    }
  };
  const timer = options.follow ? setTimeout(begin, FIRST_OUTPUT_MS) : null;
  try {
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      begin();
      if (!res.write(next.value)) await drained(res);
      if (res.destroyed) break;
    }
    begin();
    res.end();
  } finally {
    if (timer !== null) clearTimeout(timer);
    if (res.destroyed) await chunks.return?.();
  }
}

/** `*path`, each part decoded. */
function filePath(req: Request): string {
  const parts: unknown = req.params['path'];
  return Array.isArray(parts) ? parts.join('/') : String(parts);
}

/** With `brief`, for lists on a screen: scripts and output can make a page of it megabytes long. */
export function summary(task: TaskView): TaskSummary {
  const { result } = task;
  const row = without(task, ['script', 'stdin', 'files', 'result']);
  return { ...row, result: result === null ? null : without(result, ['stdout', 'stderr', 'collected']) };
}

function without<T extends object, K extends keyof T>(whole: T, keys: readonly K[]): Omit<T, K> {
  const rest: Partial<T> = { ...whole };
  for (const key of keys) Reflect.deleteProperty(rest, key);
  return rest as Omit<T, K>;
}

const LIST_FIELDS = ['status', 'label', 'name', 'since', 'until', 'q', 'limit', 'cursor'] as const;

function listQuery(query: Readonly<Record<string, string | undefined>>): TaskListQuery {
  const { status, label, name, since, until, q, limit, cursor } = query as Readonly<
    Partial<Record<(typeof LIST_FIELDS)[number], string>>
  >;
  if (status !== undefined && !isStatus(status)) {
    throw invalid([
      { field: 'status', message: `${shortened(status)} is not one of ${TASK_STATUSES.join(', ')}` },
    ]);
  }
  return {
    limit: wholeNumber('limit', limit, {
      min: 1,
      max: LIMITS.listLimitMax,
      otherwise: LIMITS.listLimitDefault,
    }),
    ...(status === undefined ? {} : { status }),
    ...(label === undefined ? {} : { label: short('label', label, 2 * LIMITS.labelCharsMax + 1) }),
    ...(name === undefined ? {} : { name: short('name', name, LIMITS.nameCharsMax) }),
    ...(since === undefined ? {} : { since: time('since', since) }),
    ...(until === undefined ? {} : { until: time('until', until) }),
    ...(q === undefined || q === '' ? {} : { q: short('q', q, QUERY_CHARS_MAX) }),
    ...listCursor(cursor),
  };
}

function isStatus(text: string): text is TaskStatus {
  return (TASK_STATUSES as readonly string[]).includes(text);
}

function short(field: string, text: string, charsMax: number): string {
  if (text === '') throw invalid([{ field, message: 'must not be empty' }]);
  if (text.length > charsMax) {
    throw invalid([{ field, message: `${shortened(text)} is above the limit of ${charsMax} characters` }]);
  }
  return text;
}

function outputStream(text: string | undefined): OutputStream {
  if (text === undefined || text === 'stdout') return 'stdout';
  if (text === 'stderr') return 'stderr';
  throw invalid([{ field: 'stream', message: `${shortened(text)} is neither stdout nor stderr` }]);
}

function taskId(req: Request): string {
  const id = String(req.params['id']);
  if (id.length > ID_CHARS_MAX) throw new ApiError('NOT_FOUND', `no task ${shortened(id)}`);
  return id;
}
