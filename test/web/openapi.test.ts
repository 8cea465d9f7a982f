/**
 * The API against its own description: every route is in it and nothing else; requests made up from it, right ones and
 * wrong ones, get answers that are in it. `CLB_API_REQUESTS=5000 CLB_API_SEED=7` makes more of them, from another seed.
 */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import { createServerApp } from '../../src/web/server-app.ts';
import { openApiDocument } from '../../src/web/openapi/document.ts';
import { FakeCluster } from './fake-cluster.ts';
import { Checker, Dice, Maker } from './json-schema.ts';
import type { JsonSchema } from './json-schema.ts';
import { ask, closeAll, FakeLines, FakeLog, FakeStop, guardWith, onClose, startServer } from './nodes.ts';
import type { TestServer } from './nodes.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';

after(closeAll);

const REQUESTS = Number(process.env['CLB_API_REQUESTS'] ?? 400);
const SEED = Number(process.env['CLB_API_SEED'] ?? 1);

interface Described {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: 'query' | 'header' | 'path';
    readonly schema: JsonSchema;
    readonly example?: unknown;
  }[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: {
      readonly 'application/json': { readonly schema: JsonSchema; readonly example: unknown };
    };
  };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly headers: Readonly<Record<string, unknown>>;
        readonly content: Readonly<
          Record<
            string,
            { readonly schema: JsonSchema; readonly example?: unknown; readonly examples?: object }
          >
        >;
      }
    >
  >;
}

const document = openApiDocument('0.0.0');
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    path,
    method: method.toUpperCase(),
    operation: operation as unknown as Described,
  })),
);
type Operation = (typeof operations)[number];
const requests = new Checker(document.components.schemas, false);
const answers = new Checker(document.components.schemas, true);

describe('the description of the API', () => {
  it('has every route under /v1 that a server has, and no other', () => {
    const app = createServerApp({
      nodeId: 'server1',
      version: '0.0.0',
      guard: guardWith(),
      token: null,
      lines: new FakeLines(),
      stop: new FakeStop(),
      stopNode: null,
      metrics: new NodeMetrics({ id: 'server1', version: '0.0.0' }),
      log: new FakeLog(),
      cluster: () => new FakeCluster('server1'),
    });
    onClose(() => app.close());
    const mounted = app.routes
      .filter(({ path }) => path.startsWith('/v1'))
      .map(({ method, path }) => `${method.toUpperCase()} ${path.replace(/[:*](\w+)/g, '{$1}')}`);
    const described = operations.map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(described.toSorted(), mounted.toSorted());
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.equal(new Set(ids).size, ids.length);
  });

  it('has examples that are as it says', () => {
    for (const { operation } of operations) {
      const body = operation.requestBody?.content['application/json'];
      if (body !== undefined) assert.equal(requests.wrong(body.schema, body.example), null);
      for (const { schema, example, name } of operation.parameters ?? []) {
        if (example !== undefined) assert.equal(requests.wrong(schema, example), null, name);
      }
      for (const [status, { content }] of Object.entries(operation.responses)) {
        const at = `${operation.operationId} ${status}`;
        for (const { schema, example, examples } of Object.values(content)) {
          if (example !== undefined) assert.equal(answers.wrong(schema, example), null, at);
          for (const { value } of Object.values((examples ?? {}) as Record<string, { value: unknown }>)) {
            assert.equal(answers.wrong(schema, value), null, at);
          }
        }
      }
    }
  });

  it('is served as JSON, and as a page that loads nothing', async () => {
    const { address } = await startServer();
    const served = await ask(address, '/v1/openapi.json');
    assert.match(String(served.headers['content-type']), /^application\/json/);
    assert.deepEqual(JSON.parse(served.text), JSON.parse(JSON.stringify(document)));
    const page = await ask(address, '/v1/docs');
    assert.match(String(page.headers['content-type']), /^text\/html/);
    assert.match(String(page.headers['content-security-policy']), /^default-src 'none'/);
    for (const { operation } of operations) assert.ok(page.text.includes(`id="${operation.operationId}"`));
    assert.doesNotMatch(page.text, /<script|src=|@import|url\(|href="(?!#|openapi\.json"|data:,")/);
    assert.equal((await ask(address, '/v1/docs?x=1')).status, 400);
  });
});

const TEXTS: ReadonlyMap<string, string> = new Map([
  ['wait', '5ms'],
  ['since', '2026-01-02T03:04:05.678Z'],
  ['until', '1767323045000'],
]);

interface Made {
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: string | Buffer | null;
  /** What the description says of it; `null`: not only the description decides. */
  readonly valid: boolean | null;
}

/** Makes requests up, and keeps the ids it learns of. */
class Requests {
  readonly #dice: Dice;
  readonly #maker: Maker;
  /** One that is there. */
  schedule: string | undefined;
  readonly ids: string[] = ['server1', 'worker1', 'nothing', 'task00', 'x'.repeat(70), 'ünï/c?de', '..'];

  constructor(dice: Dice) {
    this.#dice = dice;
    this.#maker = new Maker(requests, dice);
  }

  make({ path, operation }: Operation): Made {
    const dice = this.#dice;
    const query = new URLSearchParams();
    const headers: OutgoingHttpHeaders = {};
    let target = path;
    let valid: boolean | null = true;
    for (const { name, in: where, schema } of operation.parameters ?? []) {
      if (where === 'path') {
        const there = path.startsWith('/v1/nodes/')
          ? 'worker1'
          : path.startsWith('/v1/schedules/')
            ? this.schedule
            : this.ids.at(-1);
        const id = dice.oneIn(2) && there !== undefined ? there : dice.pick(this.ids);
        target = target.replace(`{${name}}`, encodeURIComponent(id));
        // What a server may be called is told in words.
        if (path.startsWith('/v1/raft/peers/')) valid = null;
        continue;
      }
      if (!dice.oneIn(3)) continue;
      const wrong = dice.oneIn(5);
      // A wait that is right may still be long, times are texts of a pattern, and a number is a text on its way.
      const value = wrong ? this.#maker.changed(schema) : (TEXTS.get(name) ?? this.#maker.valid(schema));
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      // Headers that are too long (16 KiB) are refused before they are a request.
      if (where === 'query') query.append(name, text.slice(0, 1_000));
      else headers[name] = text.replace(/[^\x21-\x7e]/g, '_').slice(0, 2_000);
      if (wrong) valid = null;
    }
    if (dice.oneIn(25)) {
      query.append(dice.pick(['limit', 'wait', 'nonsense']), 'x');
      valid = null;
    }
    // Whether a range is too long is not for a schema to say, nor is what a key was used for.
    if (operation.operationId === 'getRaftLog') valid = null;
    const body = this.#body(operation.requestBody, headers);
    if (body.valid !== true) valid = valid === null ? null : body.valid;
    const text = query.toString();
    return { path: text === '' ? target : `${target}?${text}`, headers, body: body.body, valid };
  }

  #body(described: Described['requestBody'], headers: OutgoingHttpHeaders): Pick<Made, 'body' | 'valid'> {
    if (described === undefined) return { body: null, valid: true };
    const dice = this.#dice;
    const { schema, example } = described.content['application/json'];
    headers['content-type'] = 'application/json';
    if (dice.oneIn(12)) {
      if (dice.oneIn(4)) headers['content-type'] = 'text/plain';
      if (dice.oneIn(4)) headers['content-encoding'] = 'gzip';
      const bad = ['{', '[1,]', '"', 'null', Buffer.from([0xff, 0xfe]), ' '.repeat(70_000), '[[[[{}]]]]'];
      return { body: dice.pick(bad), valid: null };
    }
    if (!described.required && dice.oneIn(2)) return { body: null, valid: true };
    const value = dice.oneIn(4)
      ? example
      : dice.oneIn(3)
        ? this.#maker.changed(schema)
        : this.#maker.valid(schema);
    const valid = requests.wrong(schema, value) === null;
    // In a batch that is not atomic a wrong task is a result of its own.
    const each = typeof value === 'object' && value !== null && 'atomic' in value && value.atomic === false;
    // Nor is it for a schema to say that a file is there twice.
    const plain = !JSON.stringify(value).includes('__proto__') && !namesFileTwice(value);
    return { body: JSON.stringify(value), valid: plain && !each ? valid : null };
  }
}

/** Anywhere in what is asked for: a task, a batch of them, a schedule. */
function namesFileTwice(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { files } = value as { readonly files?: unknown };
  const paths = Array.isArray(files)
    ? files.map((file: unknown) => JSON.stringify(file).match(/"path":"[^"]*"/)?.[0])
    : [];
  return new Set(paths).size !== paths.length || Object.values(value).some(namesFileTwice);
}

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Of an event stream only the beginning. */
function send(address: string, method: string, made: Made): Promise<Got> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`http://${address}`, {
      path: made.path,
      method,
      agent: false,
      headers: made.headers,
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const got = { status: response.statusCode ?? 0, headers: response.headers };
      const chunks: Buffer[] = [];
      response.on('error', reject);
      if (String(response.headers['content-type']).startsWith('text/event-stream')) {
        resolve({ ...got, text: '' });
        outgoing.destroy();
        return;
      }
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ ...got, text: Buffer.concat(chunks).toString('utf8') }));
    });
    outgoing.end(made.body ?? undefined);
  });
}

function checkAnswer({ operation }: Operation, made: Made, got: Got, at: string): void {
  assert.notEqual(got.status, 500, at);
  const described = operation.responses[String(got.status)];
  assert.ok(described !== undefined, `${at}: ${got.status} is not described: ${got.text.slice(0, 300)}`);
  for (const name of Object.keys(described.headers)) {
    assert.notEqual(got.headers[name.toLowerCase()], undefined, `${at}: ${got.status} without ${name}`);
  }
  const type = String(got.headers['content-type']).replace(/;.*/, '');
  const content = described.content[type];
  assert.ok(content !== undefined, `${at}: ${got.status} with ${type}`);
  if (type === 'application/json') {
    const body = JSON.parse(got.text) as { readonly error?: { readonly code: string } };
    assert.equal(answers.wrong(content.schema, body), null, `${at}: ${got.text.slice(0, 300)}`);
    if (content.examples !== undefined) {
      const codes = Object.keys(content.examples);
      assert.ok(
        codes.includes(body.error?.code ?? ''),
        `${at}: ${String(body.error?.code)} of ${codes.join()}`,
      );
    }
  }
  if (made.valid === true) assert.notEqual(got.status, 400, `${at}: ${got.text.slice(0, 300)}`);
  if (made.valid === false) assert.ok(got.status >= 400, `${at}: ${got.status} though it is wrong`);
}

/** A cluster that now and then can't. */
function trouble(cluster: FakeCluster, dice: Dice): void {
  cluster.barrier = dice.oneIn(20) ? new ApiError('NO_QUORUM', 'no majority') : null;
  const failure = dice.pick(['QUEUE_FULL', 'NO_QUORUM', 'UNKNOWN_OUTCOME'] as const);
  const fails = dice.oneIn(10);
  cluster.onSubmit = () => {
    if (fails) throw new ApiError(failure, 'made to fail');
  };
  cluster.onPeerChange = () => {
    if (fails) throw new ApiError('CONFLICT', 'made to fail', { details: { reason: 'not_now' } });
  };
  cluster.onTransfer = () => {
    if (fails) throw new ApiError('CONFLICT', 'made to fail', { details: { reason: 'timed_out' } });
  };
}

function startTroubled(): Promise<TestServer> {
  return startServer({
    stopNode: (id, stopped) =>
      id === 'worker1'
        ? Promise.resolve(stopped)
        : Promise.reject(new ApiError('NOT_FOUND', `no node ${id}`)),
    injectFault: (id, { fault, forMs }) =>
      id === 'worker1'
        ? Promise.resolve({
            node: id,
            faults: forMs === 0 ? [] : [{ fault, until: new Date(0).toISOString() }],
          })
        : Promise.reject(new ApiError('NOT_FOUND', `no node ${id}`)),
  });
}

describe('requests made up from the description', () => {
  it(`get answers that are in it, ${REQUESTS} of seed ${SEED}`, async () => {
    const dice = new Dice(SEED);
    const made = new Requests(dice);
    const server = await startTroubled();
    const { address, cluster, stop } = server;
    for (const name of made.ids) cluster.files.set(name, Buffer.from(name));
    const seen = new Map<string, Set<number>>();
    for (let n = 0; n < REQUESTS; n += 1) {
      const operation = dice.pick(operations);
      trouble(cluster, dice);
      made.schedule = cluster.scheduled.at(-1)?.id;
      const one = made.make(operation);
      const at = `request ${n}: ${operation.method} ${one.path.slice(0, 200)} ${String(one.body).slice(0, 300)}`;
      const got = await send(address, operation.method, one);
      checkAnswer(operation, one, got, at);
      const { operationId } = operation.operation;
      seen.set(operationId, (seen.get(operationId) ?? new Set()).add(got.status));
      // Tasks to ask for; some of them final.
      const [task] = [...cluster.tasks.values()].slice(-1);
      if (task !== undefined && dice.oneIn(5)) made.ids.push(task.id);
      if (task !== undefined && dice.oneIn(10)) cluster.change(task.id, { status: 'failed' });
      if (stop.stopped && dice.oneIn(2)) await ask(address, '/stop', { body: { stopped: false } });
    }
    if (stop.stopped) await ask(address, '/stop', { body: { stopped: false } });
    cluster.barrier = null;
    assert.equal((await ask(address, '/v1/tasks?limit=1')).status, 200, 'it still answers');
    assert.equal((await ask(address, '/healthz')).status, 200);
    for (const { operation } of operations) {
      const statuses = [...(seen.get(operation.operationId) ?? [])];
      assert.ok(
        statuses.some((status) => status < 300),
        `${operation.operationId} was never done: ${statuses.join()}`,
      );
    }
    assert.deepEqual(server.log.messages, [], 'no route failed');
  });
});
