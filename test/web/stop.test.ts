/** /stop, and what a stopped node still answers (contract §6). */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import { STOPPED_TEXT } from '../../src/api/log.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';
import { stopNodeByHttp } from '../../src/web/stop-node.ts';
import { createWorkerApp } from '../../src/web/worker-app.ts';
import {
  ask,
  closeAll,
  FakeLines,
  FakeLog,
  FakeStop,
  guardWith,
  listen,
  onClose,
  readStream,
  startServer,
  until,
} from './nodes.ts';

after(closeAll);

const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

describe('/stop', () => {
  it('flips with GET and shows True or False, as text and as a page, never from a cache', async () => {
    const { address, stop } = await startServer();
    const first = await ask(address, '/stop');
    assert.deepEqual([first.status, first.text], [200, 'True']);
    assert.equal(first.headers['cache-control'], 'no-store');
    assert.match(String(first.headers['content-type']), /^text\/plain/);
    const second = await ask(address, '/stop', {
      headers: { ...BROWSER, 'sec-fetch-site': 'none', 'sec-fetch-dest': 'document' },
    });
    assert.match(String(second.headers['content-type']), /^text\/html/);
    assert.match(second.text, /<main><h1>False<\/h1><\/main>/);
    assert.equal(second.headers['cache-control'], 'no-store');
    assert.deepEqual(stop.calls, [true, false]);
  });

  it('sets with POST and answers JSON', async () => {
    const { address, stop } = await startServer();
    for (const stopped of [true, true, false]) {
      const answer = await ask(address, '/stop', { body: { stopped } });
      assert.deepEqual([answer.status, answer.text], [200, JSON.stringify({ stopped })]);
    }
    assert.deepEqual(stop.calls, [true, true, false]);
    const bad = await ask(address, '/stop', { body: { stopped: 'yes' } });
    assert.match(bad.json.error.message, /^stopped: "yes" is not a boolean/);
  });

  it('does not act on prefetches, other sites, images or HEAD', async () => {
    const { address, stop } = await startServer();
    const refused = [
      { 'sec-purpose': 'prefetch' },
      { 'sec-purpose': 'prefetch;prerender' },
      { purpose: 'prefetch' },
      { 'x-moz': 'prefetch' },
      { 'x-purpose': 'preview' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-dest': 'image' },
      { 'sec-fetch-dest': 'iframe' },
      { origin: 'http://evil.example' },
    ];
    for (const headers of refused) {
      const answer = await ask(address, '/stop', { headers });
      assert.equal(answer.status, 403, JSON.stringify(headers));
      assert.equal(answer.headers['cache-control'], 'no-store');
    }
    assert.equal((await ask(address, '/stop', { method: 'HEAD' })).status, 404);
    assert.equal((await ask(address, '/stop', { method: 'PUT', body: { stopped: true } })).status, 404);
    assert.deepEqual(stop.calls, []);
  });

  it('flips once per call, however many come at once', async () => {
    const { address, stop } = await startServer();
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => ask(address, '/stop')));
    assert.deepEqual(answers.map(({ text }) => text).sort(), ['False', 'False', 'True', 'True', 'True']);
    assert.equal(stop.stopped, true);
  });

  it('is refused where fault injection is off', async () => {
    const { address } = await startServer({ stop: null });
    for (const answer of [
      await ask(address, '/stop'),
      await ask(address, '/stop', { body: { stopped: true } }),
      await ask(address, '/v1/nodes/server1/stop', { body: { stopped: true } }),
    ]) {
      assert.equal(answer.status, 403);
      assert.match(answer.json.error.message, /--fault-injection/);
    }
  });

  it('tells when the node could not come back, and can be tried again', async () => {
    class Broken extends FakeStop {
      override set(stopped: boolean): Promise<void> {
        return this.calls.length === 0
          ? super.set(stopped)
          : Promise.reject(new ApiError('UNAVAILABLE', 'the data folder is locked'));
      }
    }
    const { address } = await startServer({ stop: new Broken() });
    assert.equal((await ask(address, '/stop')).text, 'True');
    assert.equal((await ask(address, '/stop')).status, 503);
    assert.equal((await ask(address, '/stop')).status, 503);
  });
});

describe('a stopped node', () => {
  it('answers 418 everywhere but on /stop, /logging and /healthz; with JSON on /v1', async () => {
    const { address, stop, lines } = await startServer();
    lines.write('CRASH :(');
    stop.stopped = true;
    for (const path of ['/', '/readyz', '/metrics', '/login', '/nothing']) {
      const answer = await ask(address, path);
      assert.deepEqual([answer.status, answer.text], [418, STOPPED_TEXT], path);
    }
    for (const [path, body] of [
      ['/v1/tasks', { command: ['true'] }],
      ['/v1/tasks/batch', { tasks: [] }],
      ['/v1/tasks', undefined],
      ['/v1/raft', undefined],
      ['/v1/nothing', undefined],
    ] as const) {
      const answer = await ask(address, path, body === undefined ? {} : { body });
      assert.equal(answer.status, 418, path);
      assert.deepEqual(answer.json.error, { code: 'STOPPED', message: STOPPED_TEXT } as never);
      assert.equal(answer.headers['x-clb-node'], 'server1');
    }
    assert.equal((await ask(address, '/logging')).text, 'CRASH :(\n');
    const health = await ask(address, '/healthz');
    assert.deepEqual([health.status, health.json.stopped], [200, true]);
    const live = await readStream(address, '/logging/stream', (text) => text.includes('retry'));
    assert.equal(live.ended, false);
    assert.equal((await ask(address, '/v1/raft', { headers: { host: 'evil.example' } })).status, 403);
    assert.equal((await ask(address, '/stop')).text, 'False');
    assert.equal((await ask(address, '/v1/raft')).status, 200);
  });

  it('cuts off what was under way, as a crash would: streams, waits, submits', async () => {
    const { address, cluster } = await startServer();
    const task = cluster.add({});
    cluster.onSubmit = () => new Promise(() => undefined);
    const events = readStream(address, '/v1/events', () => false);
    const wait = ask(address, `/v1/tasks/${task.id}?wait=30s`);
    const submit = ask(address, '/v1/tasks', { body: { command: ['true'] } });
    wait.catch(() => undefined);
    submit.catch(() => undefined);
    await until(() => cluster.listeners === 1 && cluster.barriers === 1, 'stream and wait are under way');
    assert.equal(
      (await ask(address, '/v1/nodes/server1/stop', { body: { stopped: true } })).text,
      '{"stopped":true}',
    );
    assert.equal((await events).ended, true);
    await assert.rejects(wait, /socket hang up|ECONNRESET/);
    await assert.rejects(submit, /socket hang up|ECONNRESET/);
    await until(() => cluster.listeners === 0, 'the stream is unsubscribed');
  });
});

describe('POST /v1/nodes/:id/stop', () => {
  it("reaches the other node by its configured address; one that is not known is the master's to find", async () => {
    const worker = await startWorker();
    const via = stopNodeByHttp((id) => (id === 'worker1' ? worker.address : null), null);
    onClose(via.close);
    const master = await startServer({ stopNode: via.stopNode });
    const nobody = stopNodeByHttp(() => null, null);
    const follower = await startServer({ nodeId: 'server2', stopNode: nobody.stopNode });
    follower.cluster.leading = { id: 'server1', address: master.address };
    for (const asked of [master, follower]) {
      for (const stopped of [true, false]) {
        const answer = await ask(asked.address, '/v1/nodes/worker1/stop', { body: { stopped } });
        assert.deepEqual([answer.status, answer.json.stopped], [200, stopped]);
        assert.equal(worker.stop.stopped, stopped);
      }
      const unknown = await ask(asked.address, '/v1/nodes/nobody/stop', { body: { stopped: true } });
      assert.equal(unknown.json.error.code, 'NOT_FOUND');
    }
  });

  it('tells when that node refuses or does not answer', async () => {
    const refusing = await startWorker(null);
    const addresses: Record<string, string> = { worker1: refusing.address, worker2: '127.0.0.1:1' };
    const via = stopNodeByHttp((id) => addresses[id] ?? null, null);
    onClose(via.close);
    const { address } = await startServer({ stopNode: via.stopNode });
    const off = await ask(address, '/v1/nodes/worker1/stop', { body: { stopped: true } });
    assert.equal(off.status, 403);
    assert.match(off.json.error.message, /^node worker1: fault injection is off/);
    const gone = await ask(address, '/v1/nodes/worker2/stop', { body: { stopped: true } });
    assert.deepEqual([gone.status, gone.json.error.code], [503, 'UNAVAILABLE']);
  });
});

describe('a worker', () => {
  it('has the pages of every node and no API of its own', async () => {
    const { address, lines } = await startWorker();
    lines.write('Received payload: x');
    assert.match((await ask(address, '/')).text, /worker worker1/);
    assert.match((await ask(address, '/', { headers: BROWSER })).text, /<a href="\/logging">/);
    assert.equal((await ask(address, '/logging')).text, 'Received payload: x\n');
    assert.equal((await ask(address, '/healthz')).json.role, 'worker');
    const ready = await ask(address, '/readyz');
    assert.deepEqual([ready.status, ready.json.reason], [503, 'no master found yet']);
    assert.match((await ask(address, '/metrics')).text, /^clb_process_resident_memory_bytes \d/m);
    const api = await ask(address, '/v1/tasks', { body: { command: ['true'] } });
    assert.deepEqual([api.status, api.json.error.code], [404, 'NOT_FOUND']);
    assert.equal((await ask(address, '/stop')).text, 'True');
    assert.equal((await ask(address, '/')).status, 418);
  });
});

async function startWorker(stop: FakeStop | null = new FakeStop()) {
  const lines = new FakeLines();
  const app = createWorkerApp({
    nodeId: 'worker1',
    version: '0.0.0',
    guard: guardWith(),
    lines,
    stop,
    metrics: new NodeMetrics({ id: 'worker1', version: '0.0.0' }),
    log: new FakeLog(),
    readiness: () => ({ ready: false, reason: 'no master found yet' }),
    leader: () => null,
  });
  return { ...(await listen(app.handle)), lines, stop: stop ?? new FakeStop() };
}
