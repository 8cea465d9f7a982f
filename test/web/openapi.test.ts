/**
 * The API against its own description: every route is in it and nothing else; requests made up from it, right ones and
 * wrong ones, get answers that are in it. `CLB_API_REQUESTS=5000 CLB_API_SEED=7` makes more of them, from another seed.
 */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import { createServerApp } from '../../src/web/server-app.ts';
import { openApiDocument } from '../../src/web/openapi/document.ts';
import { ApiDescription } from './api-description.ts';
import type { Got, Operation } from './api-description.ts';
import { Requests, send } from './api-requests.ts';
import type { Made } from './api-requests.ts';
import { FakeCluster } from './fake-cluster.ts';
import { Dice } from './json-schema.ts';
import { ask, closeAll, FakeLines, FakeLog, FakeStop, guardWith, onClose, startServer } from './nodes.ts';
import type { TestServer } from './nodes.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';

after(closeAll);

const REQUESTS = Number(process.env['CLB_API_REQUESTS'] ?? 800);
const FILE = 'out/kept.txt';
const SEED = Number(process.env['CLB_API_SEED'] ?? 1);

const document = openApiDocument('0.0.0');
const api = new ApiDescription(document);
const { operations, requests, answers } = api;

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

function checkAnswer(operation: Operation, made: Made, got: Got, at: string): void {
  assert.notEqual(got.status, 500, at);
  api.check(operation, got, at);
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
    const made = new Requests(api, dice, {
      inPath: (operation, parameter, id) => {
        if (operation === 'removePeer') return dice.pick(['server3', id]);
        return parameter === 'path' ? dice.pick([FILE, id]) : id;
      },
    });
    const server = await startTroubled();
    const { address, cluster, stop } = server;
    for (const name of [FILE, ...made.ids]) cluster.files.set(name, Buffer.from(name));
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
