/** Calls that reach a server which is not the master: two apps, or an app and a master that misbehaves. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import { LEADER_WAIT_MS } from '../../src/web/master-gate.ts';
import { ask, closeAll, guardWith, onClose, readStream, startServer, until } from './nodes.ts';
import type { TestServer } from './nodes.ts';

after(closeAll);

const TASK = { command: ['true'] };

/** server1 leads, server2 knows it. */
async function startPair(token: string | null = null): Promise<{ master: TestServer; follower: TestServer }> {
  const guard = guardWith({ token });
  const master = await startServer({ guard, token });
  const follower = await startServer({ nodeId: 'server2', guard, token });
  follower.cluster.leading = { id: 'server1', address: master.address };
  return { master, follower };
}

/** A master that does whatever the test wants. */
async function fakeMaster(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a follower', () => {
  it('forwards changes and reads to the master, and says who was asked', async () => {
    const { master, follower } = await startPair();
    const created = await ask(follower.address, '/v1/tasks', {
      body: { ...TASK, name: 'x' },
      headers: { 'idempotency-key': 'k', 'x-clb-client-port': '3001' },
    });
    assert.equal(created.status, 201);
    assert.equal(created.headers.location, `/v1/tasks/${created.json.id}`);
    assert.equal(created.headers['x-clb-node'], 'server2');
    assert.equal(created.headers['x-clb-leader'], 'server1');
    assert.equal(created.headers['x-clb-index'], String(created.json.index));
    const [item] = master.cluster.submitted;
    assert.deepEqual([item?.idempotencyKey, item?.clientPort], ['k', 3001]);
    assert.equal(follower.cluster.submitted.length, 0);

    const id = created.json.id;
    assert.equal((await ask(follower.address, `/v1/tasks/${id}`)).json.name, 'x');
    assert.equal((await ask(follower.address, '/v1/tasks?limit=1')).json.tasks.length, 1);
    assert.equal((await ask(follower.address, `/v1/tasks/${id}/events`)).json.events.length, 1);
    assert.equal((await ask(follower.address, '/v1/nodes')).json.nodes.length, 2);
    const batch = await ask(follower.address, '/v1/tasks/batch', { body: { tasks: [TASK, TASK] } });
    assert.equal(batch.json.results.length, 2);
    const drain = await ask(follower.address, '/v1/nodes/worker1/drain', { body: { drain: true } });
    assert.equal(drain.status, 200);
    assert.equal((await ask(follower.address, `/v1/tasks/${id}/cancel`, { method: 'POST' })).status, 200);
    assert.equal((await ask(follower.address, `/v1/tasks/${id}/retry`, { method: 'POST' })).status, 201);
    assert.equal(follower.cluster.barriers, 0);
  });

  it('passes errors on as they are', async () => {
    const { master, follower } = await startPair();
    const invalid = await ask(follower.address, '/v1/tasks', { body: { command: [] } });
    assert.deepEqual([invalid.status, invalid.json.error.code], [400, 'INVALID']);
    assert.equal((await ask(follower.address, '/v1/tasks/nothing')).status, 404);
    master.cluster.onSubmit = () => {
      throw new ApiError('QUEUE_FULL', 'full', { retryAfterSeconds: 9 });
    };
    const full = await ask(follower.address, '/v1/tasks', { body: TASK });
    assert.deepEqual([full.status, full.headers['retry-after']], [429, '9']);
    master.cluster.barrier = new ApiError('NO_QUORUM', 'no majority');
    const quorum = await ask(follower.address, '/v1/tasks');
    assert.deepEqual([quorum.status, quorum.json.error.code], [503, 'NO_QUORUM']);
    const large = await ask(follower.address, '/v1/tasks', { body: 'x'.repeat(2_000_000) });
    assert.equal(large.status, 413);
  });

  it("streams output through, both ways at the reader's pace", async () => {
    const { master, follower } = await startPair();
    const task = master.cluster.add({});
    let end = (): void => undefined;
    master.cluster.outputEnds = new Promise((resolve) => (end = resolve));
    master.cluster.output = [Buffer.from('first '), ...Array<Buffer>(200).fill(Buffer.alloc(100_000, 'x'))];
    const path = `/v1/tasks/${task.id}/logs?follow=true`;
    const first = await readStream(follower.address, path, (text) => text.startsWith('first'));
    assert.equal(first.ended, false);
    assert.equal(first.headers['x-clb-attempt'], '1', 'which attempt it is comes through');
    const whole = readStream(follower.address, path, () => false);
    end();
    assert.equal((await whole).text.length, 6 + 200 * 100_000);
  });

  it("sends its token to the master, and passes nobody's Host, Origin or cookie on", async () => {
    const { follower } = await startPair('sesame');
    const authorization = 'Bearer sesame';
    const good = await ask(follower.address, '/v1/tasks', {
      body: TASK,
      headers: { authorization, origin: `http://${follower.address}`, 'sec-fetch-site': 'same-origin' },
    });
    assert.equal(good.status, 201);
    assert.equal((await ask(follower.address, '/v1/tasks', { body: TASK })).status, 401);
  });

  it('answers stale reads and what speaks for itself from here', async () => {
    const { master, follower } = await startPair();
    follower.cluster.add({ name: 'only here' });
    await ask(master.address, '/stop', { body: { stopped: true } });
    assert.equal((await ask(follower.address, '/v1/tasks?stale=true')).json.tasks[0]?.name, 'only here');
    assert.equal((await ask(follower.address, '/v1/nodes?stale=true')).status, 200);
    assert.equal((await ask(follower.address, '/v1/raft')).json.role, 'follower');
    for (const path of ['/v1/raft/log', '/healthz', '/readyz', '/metrics', '/logging'])
      assert.equal((await ask(follower.address, path)).status, 200, path);
    const events = await readStream(follower.address, '/v1/events', (text) => text.startsWith('retry'));
    assert.equal(events.headers['x-clb-node'], 'server2');
  });

  it('does not forward what was forwarded: two that take each other for the master give up at once', async () => {
    const { master, follower } = await startPair();
    master.cluster.leading = { id: 'server2', address: follower.address };
    const startedMs = performance.now();
    const answer = await ask(follower.address, '/v1/tasks', { body: TASK });
    assert.deepEqual([answer.status, answer.json.error.code], [503, 'NO_LEADER']);
    assert.ok(performance.now() - startedMs < LEADER_WAIT_MS + 5_000);
    const hop = await ask(follower.address, '/v1/tasks', {
      body: TASK,
      headers: { 'x-clb-forwarded-by': 'server3' },
    });
    assert.deepEqual([hop.status, hop.json.error.code], [503, 'NO_LEADER']);
  });
});

describe('while there is no master', () => {
  it('a call waits for the election to end', async () => {
    const { master, follower } = await startPair();
    follower.cluster.leading = null;
    const submit = ask(follower.address, '/v1/tasks', { body: TASK });
    const read = ask(follower.address, '/v1/tasks');
    await until(() => follower.cluster.barriers >= 2, 'both wait');
    follower.cluster.leading = { id: 'server1', address: master.address };
    assert.equal((await submit).status, 201);
    assert.equal((await read).status, 200);

    follower.cluster.leading = null;
    const later = ask(follower.address, '/v1/tasks', { body: TASK });
    const before = follower.cluster.barriers;
    await until(() => follower.cluster.barriers > before, 'it waits');
    follower.cluster.leading = { id: 'server2', address: '' };
    assert.equal((await later).status, 201);
    assert.equal(follower.cluster.submitted.length, 1, 'this node was elected itself');
  });

  it('and answers NO_LEADER with Retry-After when it takes too long', async () => {
    const { address } = await startServer({ nodeId: 'server2' }).then((server) => {
      server.cluster.leading = null;
      return server;
    });
    const startedMs = performance.now();
    const answer = await ask(address, '/v1/tasks', { body: TASK });
    assert.deepEqual([answer.status, answer.json.error.code], [503, 'NO_LEADER']);
    assert.equal(answer.headers['retry-after'], '1');
    assert.equal(answer.headers['x-clb-leader'], '');
    assert.ok(performance.now() - startedMs >= LEADER_WAIT_MS - 50);
  });

  it('answers NO_QUORUM as soon as the cluster says so', async () => {
    const server = await startServer({ nodeId: 'server2' });
    server.cluster.leading = null;
    server.cluster.barrier = new ApiError('NO_QUORUM', 'no majority of the servers can be reached');
    const startedMs = performance.now();
    const atOnce = await ask(server.address, '/v1/tasks', { body: TASK });
    assert.deepEqual([atOnce.status, atOnce.json.error.code], [503, 'NO_QUORUM']);
    assert.ok(performance.now() - startedMs < LEADER_WAIT_MS);

    server.cluster.barrier = null;
    const waiting = ask(server.address, '/v1/tasks');
    const before = server.cluster.barriers;
    await until(() => server.cluster.barriers > before, 'it waits');
    server.cluster.barrier = new ApiError('NO_QUORUM', 'no majority of the servers can be reached');
    assert.equal((await waiting).json.error.code, 'NO_QUORUM');
  });
});

describe('a master that goes away', () => {
  it('before it was reached, is stopped, or is it no more: the call goes to the next one', async () => {
    const { master, follower } = await startPair();
    const stopped = await startServer({ nodeId: 'server3' });
    stopped.stop.stopped = true;
    const deposed = await startServer({ nodeId: 'server3' });
    deposed.cluster.leading = null;
    for (const address of ['127.0.0.1:1', stopped.address, deposed.address]) {
      follower.cluster.leading = { id: 'server3', address };
      const submit = ask(follower.address, '/v1/tasks', { body: TASK });
      setTimeout(() => (follower.cluster.leading = { id: 'server1', address: master.address }), 100);
      assert.equal((await submit).status, 201, address);
    }
    assert.equal(master.cluster.submitted.length, 3);
  });

  it('for good: NO_LEADER', async () => {
    const { follower } = await startPair();
    follower.cluster.leading = { id: 'server3', address: '127.0.0.1:1' };
    const answer = await ask(follower.address, '/v1/tasks', { body: TASK });
    assert.deepEqual([answer.status, answer.json.error.code], [503, 'NO_LEADER']);
  });

  it('after it was sent a submit: UNKNOWN_OUTCOME without a key, asked again with one', async () => {
    const { master, follower } = await startPair();
    let received = 0;
    const address = await fakeMaster((req) => {
      req.resume();
      req.on('end', () => {
        received += 1;
        follower.cluster.leading = { id: 'server1', address: master.address };
        req.socket.destroy();
      });
    });
    const lead = (): void => void (follower.cluster.leading = { id: 'server3', address });
    lead();
    const plain = await ask(follower.address, '/v1/tasks', { body: TASK });
    assert.deepEqual([plain.status, plain.json.error.code], [504, 'UNKNOWN_OUTCOME']);
    lead();
    const cancel = await ask(follower.address, '/v1/tasks/x/cancel', { method: 'POST' });
    assert.equal(cancel.status, 504);
    lead();
    const half = { tasks: [{ ...TASK, idempotencyKey: 'a' }, TASK] };
    assert.equal((await ask(follower.address, '/v1/tasks/batch', { body: half })).status, 504);
    assert.equal(master.cluster.submitted.length, 0);

    lead();
    const headers = { 'idempotency-key': 'k' };
    assert.equal((await ask(follower.address, '/v1/tasks', { body: TASK, headers })).status, 201);
    lead();
    const keyed = {
      tasks: [
        { ...TASK, idempotencyKey: 'a' },
        { ...TASK, idempotencyKey: 'b' },
      ],
    };
    const batch = await ask(follower.address, '/v1/tasks/batch', { body: keyed });
    assert.deepEqual(
      batch.json.results.map(({ status }) => status),
      [201, 201],
    );
    lead();
    assert.equal((await ask(follower.address, '/v1/tasks')).status, 200, 'a read is asked again');
    assert.equal(received, 6);
  });

  it('and hangs: given up once another one leads', async () => {
    const { master, follower } = await startPair();
    let hanging = 0;
    const address = await fakeMaster((req) => {
      req.resume();
      hanging += 1;
    });
    follower.cluster.leading = { id: 'server3', address };
    const read = ask(follower.address, '/v1/tasks');
    const submit = ask(follower.address, '/v1/tasks', { body: TASK });
    await until(() => hanging === 2, 'both hang');
    follower.cluster.leading = { id: 'server1', address: master.address };
    assert.equal((await read).status, 200);
    assert.equal((await submit).json.error.code, 'UNKNOWN_OUTCOME');
  });

  it('in the middle of an answer: it is cut off, not ended as if complete', async () => {
    const { follower } = await startPair();
    const address = await fakeMaster((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/plain' });
      res.write('half', () => res.socket?.destroy());
    });
    follower.cluster.leading = { id: 'server3', address };
    await assert.rejects(ask(follower.address, '/v1/tasks/x/logs'), /aborted|hang up|ECONNRESET/);
    assert.equal((await ask(follower.address, '/healthz')).status, 200);
  });

  it('while a wait is under way: the next one is asked for the rest of the time', async () => {
    const { master, follower } = await startPair();
    const task = master.cluster.add({});
    const paths: string[] = [];
    const address = await fakeMaster((req) => {
      paths.push(req.url ?? '');
      setTimeout(() => {
        follower.cluster.leading = { id: 'server1', address: master.address };
        req.socket.destroy();
      }, 300);
    });
    follower.cluster.leading = { id: 'server3', address };
    const startedMs = performance.now();
    const answer = await ask(follower.address, `/v1/tasks/${task.id}?wait=1s`);
    assert.deepEqual([answer.status, answer.json.status], [200, 'queued']);
    assert.ok(performance.now() - startedMs < 1_300 + 3_000);
    assert.match(paths[0] ?? '', /\?wait=(1000|9\d\d)ms$/);
  });

  it('lets go of the master when the caller goes away', async () => {
    const { master, follower } = await startPair();
    const task = master.cluster.add({});
    const abort = new AbortController();
    const wait = ask(follower.address, `/v1/tasks/${task.id}?wait=60s`, { signal: abort.signal });
    wait.catch(() => undefined);
    await until(() => master.cluster.barriers === 1, 'the wait has reached the master');
    const open = async (): Promise<number> =>
      new Promise((resolve) => master.server.getConnections((_error, count) => resolve(count)));
    assert.equal(await open(), 1);
    abort.abort();
    await assert.rejects(wait);
    await until(async () => (await open()) === 0, 'the connection to the master is closed');
  });
});

describe('a master deposed while it handles a call', () => {
  it('passes it on where nothing was done, and tells where that is not known', async () => {
    const { master, follower } = await startPair();
    follower.cluster.leading = { id: 'server2', address: '' };
    follower.cluster.onSubmit = () => {
      follower.cluster.leading = { id: 'server1', address: master.address };
      throw new ApiError('NO_LEADER', 'not any more');
    };
    assert.equal((await ask(follower.address, '/v1/tasks', { body: TASK })).status, 201);
    assert.equal(master.cluster.submitted.length, 1);

    follower.cluster.onSubmit = () => {
      follower.cluster.leading = { id: 'server1', address: master.address };
      throw new ApiError('UNKNOWN_OUTCOME', 'proposed, then deposed');
    };
    follower.cluster.leading = { id: 'server2', address: '' };
    assert.equal((await ask(follower.address, '/v1/tasks', { body: TASK })).status, 504);
    follower.cluster.leading = { id: 'server2', address: '' };
    const headers = { 'idempotency-key': 'k' };
    assert.equal((await ask(follower.address, '/v1/tasks', { body: TASK, headers })).status, 201);
  });
});
