/** Submits through the client node: its lines are written, and its own repeats are safe. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';
import { LIMITS } from '../api/limits.ts';
import { LINES } from '../api/log.ts';
import type { WriteLine } from '../api/log.ts';
import type { ClientCalls, ClientAnswer } from './client-calls.ts';
import type { ClientServers } from './client-servers.ts';
import type { SentTasks } from './client-store.ts';
import type { ClientWatch } from './client-watch.ts';
import type { BodyReader } from './request-body.ts';
import { BATCH_PATH } from './submit.ts';
import { CLIENT_PORT_HEADER, passedOnHeaders, passedOnRequestHeaders, relay, wholeBody } from './upstream.ts';

/** The tasks come back with what was submitted, and with results where a key was known. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;

export interface ClientSubmitsOptions {
  /** The client node's own port, for the lines of the master. */
  readonly port: number;
  readonly calls: ClientCalls;
  readonly servers: ClientServers;
  readonly sent: SentTasks;
  readonly watch: ClientWatch;
  readonly bodies: BodyReader;
  readonly writeLine: WriteLine;
}

export class ClientSubmits {
  readonly #options: ClientSubmitsOptions;

  constructor(options: ClientSubmitsOptions) {
    this.#options = options;
  }

  /** Answers POST /v1/tasks and /v1/tasks/batch. @throws ApiError, RequestAbortedError */
  async submit(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const isBatch = path === BATCH_PATH;
    const limitBytes = isBatch ? LIMITS.batchBodyBytesMax : LIMITS.taskBytesMax;
    const body = await this.#options.bodies.read(req, res, limitBytes);
    const headers = this.#headers(req);
    const keyed = isBatch ? withKeys(body) : null;
    if (!isBatch) headers['idempotency-key'] ??= randomUUID();
    const answered = await this.#send(req, res, {
      headers,
      body: keyed ?? body,
      repeatable: !isBatch || keyed !== null,
    });
    await this.#pass(answered, res);
  }

  /** Answers POST /v1/tasks/:id/retry, which makes a task too. @throws ApiError, RequestAbortedError */
  async retry(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await this.#options.bodies.read(req, res, LIMITS.bodyBytesMax);
    const answered = await this.#send(req, res, { headers: this.#headers(req), body, repeatable: false });
    await this.#pass(answered, res);
  }

  #headers(req: IncomingMessage): Record<string, string> {
    return { ...passedOnRequestHeaders(req), [CLIENT_PORT_HEADER]: String(this.#options.port) };
  }

  #send(
    req: IncomingMessage,
    res: ServerResponse,
    call: {
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Buffer;
      readonly repeatable: boolean;
    },
  ): Promise<ClientAnswer> {
    const { headers, body } = call;
    const abort = new AbortController();
    res.once('close', () => {
      // A keyed submit is carried to its end though nobody waits any more: the lines belong to it.
      if (!call.repeatable) abort.abort();
    });
    const hasBody = body.byteLength > 0;
    return this.#options.calls.send({
      method: 'POST',
      path: () => req.url ?? '/',
      headers: { ...headers, ...(hasBody ? { 'content-type': 'application/json' } : {}) },
      body: hasBody ? body : null,
      repeatable: call.repeatable,
      server: null,
      signal: abort.signal,
    });
  }

  /** Reads the answer for the ids in it, remembers them, writes the lines, and passes it on. */
  async #pass({ answer, server }: ClientAnswer, res: ServerResponse): Promise<void> {
    if (answer.kind === 'error' || (answer.response.statusCode ?? 500) >= 300) {
      relay(answer, res, {});
      return;
    }
    const { response } = answer;
    const body = await wholeBody(response, ANSWER_BYTES_MAX);
    const { sent, watch, writeLine } = this.#options;
    const ids = idsOf(body).filter((id) => !sent.has(id));
    // In one turn: else its result could be written before it was sent.
    const stored = sent.add(ids);
    const port = this.#masterPort(response.headers['x-clb-leader'], server);
    for (const id of ids) {
      writeLine(LINES.createdPayload(id));
      writeLine(LINES.sentForExecution(id, port));
    }
    watch.settle(ids);
    await stored;
    if (res.destroyed) return;
    res.writeHead(
      response.statusCode ?? 200,
      passedOnHeaders(response.headers, {
        'content-length': String(body.byteLength),
      }) as Record<string, string>,
    );
    res.end(body);
  }

  /** Port of the master that took it; of the server asked where the master's is not known here. */
  #masterPort(leader: string | string[] | undefined, server: string): number {
    const address = typeof leader === 'string' ? this.#options.servers.addressOf(leader) : null;
    return Number((address ?? server).split(':').at(-1));
  }
}

/** The batch with a key for each task that has none; null where it is not a batch (the server will say why not). */
function withKeys(body: Buffer): Buffer | null {
  let batch: unknown;
  try {
    batch = JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof batch !== 'object' || batch === null || !('tasks' in batch) || !Array.isArray(batch.tasks))
    return null;
  const tasks = batch.tasks.map((task: unknown) =>
    typeof task === 'object' && task !== null && !Array.isArray(task) && !('idempotencyKey' in task)
      ? { ...task, idempotencyKey: randomUUID() }
      : task,
  );
  const keyed = Buffer.from(JSON.stringify({ ...batch, tasks }));
  return keyed.byteLength <= LIMITS.batchBodyBytesMax ? keyed : null;
}

/** Ids in the answer to a submit, a retry or a batch. @throws ApiError where it is none of these. */
function idsOf(body: Buffer): readonly string[] {
  try {
    const answer = JSON.parse(body.toString('utf8')) as {
      readonly id?: string;
      readonly results?: readonly { readonly task?: { readonly id: string } }[];
    };
    const ids = answer.results?.map((result) => result.task?.id) ?? [answer.id];
    return [...new Set(ids.filter((id): id is string => typeof id === 'string'))];
  } catch (cause) {
    throw new ApiError('UNAVAILABLE', 'a server gave an answer that is not understood', { cause });
  }
}
