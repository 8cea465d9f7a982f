/** Submits: exactly one task each, whatever happens on the way, in few requests. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { ClbError, NoServerError } from '../../src/sdk/errors.ts';
import { clusterAndClient, clientOf, endAllAfterwards } from './harness.ts';

endAllAfterwards();

const ECHO = { command: ['echo', 'hello'] };

describe('a submit', () => {
  it('goes by the plain route with a key of its own and gives the task', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const task = await clb.submit({ ...ECHO, priority: 70 });
    assert.equal(task.status, 'queued');
    assert.equal(task.priority, 70);
    const [request] = cluster.server(0).requests;
    assert.equal(request?.path, '/v1/tasks');
    assert.match(String(request.headers['idempotency-key']), /^[0-9a-f-]{36}$/);
    assert.equal(request.headers['content-type'], 'application/json');
  });

  it('is sent again with the same key, to another server, when the answer is lost', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    cluster.server(0).misbehave = ({ method }) => (method === 'POST' ? { kind: 'lose-answer' } : null);
    const task = await clb.submit(ECHO);
    assert.deepEqual(
      cluster.tasks().map(({ id }) => id),
      [task.id],
      'one task, not two',
    );
    const keys = cluster.servers.flatMap(({ requests }) =>
      requests.filter(({ method }) => method === 'POST').map(({ headers }) => headers['idempotency-key']),
    );
    assert.equal(keys.length, 2);
    assert.equal(new Set(keys).size, 1);
  });

  it('is sent again after 504 UNKNOWN_OUTCOME', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    let failures = 2;
    cluster.server(0).misbehave = () => (failures-- > 0 ? { kind: 'error', code: 'UNKNOWN_OUTCOME' } : null);
    await clb.submit(ECHO);
    assert.equal(cluster.tasks().length, 1);
  });

  it('outlasts an election: NO_LEADER from all, then success', async () => {
    const { cluster, clb } = await clusterAndClient(3);
    const startMs = performance.now();
    for (const server of cluster.servers) {
      server.misbehave = () =>
        performance.now() - startMs < 400 ? { kind: 'error', code: 'NO_LEADER' } : null;
    }
    assert.equal((await clb.submit(ECHO)).status, 'queued');
  });

  it('says that the outcome is unknown, with the key, when every answer is lost', async () => {
    const { cluster, clb } = await clusterAndClient(2, { retryMs: 300 });
    for (const server of cluster.servers) server.misbehave = () => ({ kind: 'reset' });
    await assert.rejects(clb.submit(ECHO, { idempotencyKey: 'mine' }), (error) => {
      assert.ok(error instanceof NoServerError);
      assert.equal(error.code, 'UNKNOWN_OUTCOME');
      assert.equal(error.idempotencyKey, 'mine');
      assert.deepEqual(error.servers.map(({ server }) => server).sort(), [...cluster.addresses].sort());
      return true;
    });
  });

  it('is refused soon with NO_QUORUM where there is no majority', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    cluster.server(0).misbehave = () => ({ kind: 'error', code: 'NO_QUORUM' });
    const refused = clientOf([...cluster.addresses, '127.0.0.1:1'], { retryMs: 60_000, hopelessMs: 200 });
    await assert.rejects(refused.submit(ECHO), { name: 'NoServerError', code: 'NO_QUORUM' });
    clb.close();
  });

  it('passes on what the cluster refuses, without a second try', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    await clb.submit(ECHO, { idempotencyKey: 'k' });
    const before = cluster.requests('POST', /tasks/);
    await assert.rejects(clb.submit({ command: ['false'] }, { idempotencyKey: 'k' }), (error) => {
      assert.ok(error instanceof ClbError);
      assert.deepEqual([error.code, error.status], ['CONFLICT', 409]);
      assert.ok(cluster.addresses.includes(error.server ?? ''));
      return true;
    });
    assert.equal(cluster.requests('POST', /tasks/), before + 1);
  });

  it('waits as long as Retry-After says when the queue is full', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    let refused = false;
    for (const server of cluster.servers) {
      server.misbehave = () => {
        if (refused) return null;
        refused = true;
        return { kind: 'error', code: 'QUEUE_FULL', headers: { 'retry-after': '1' } };
      };
    }
    const startMs = performance.now();
    await clb.submit(ECHO);
    assert.ok(performance.now() - startMs >= 950);
    assert.equal(cluster.requests('POST', /tasks/), 2, 'the other server was not bothered with it');
  });

  it('too large for the cluster never leaves', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    await assert.rejects(clb.submit({ script: 'x'.repeat(1024 * 1024) }), {
      code: 'TOO_LARGE',
      message: /the limit is 1048576/,
    });
    await assert.rejects(clb.submit(ECHO, { idempotencyKey: 'x'.repeat(257) }), { code: 'INVALID' });
    assert.equal(cluster.server(0).requests.length, 0);
  });

  it('can be aborted while no server answers', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    cluster.server(0).misbehave = () => ({ kind: 'hang' });
    const controller = new AbortController();
    const submitted = clb.submit(ECHO, { signal: controller.signal });
    setImmediate(() => controller.abort(new Error('no longer wanted')));
    await assert.rejects(submitted, /no longer wanted/);
    await assert.rejects(clb.submit(ECHO, { signal: controller.signal }), /no longer wanted/);
  });

  it('carries a key that fits into no header in the body', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const first = await clb.submit(ECHO, { idempotencyKey: 'schlüssel 1' });
    const second = await clb.submit(ECHO, { idempotencyKey: 'schlüssel 1' });
    assert.equal(second.id, first.id);
    assert.equal(cluster.requests('POST', /batch/), 2);
  });
});

describe('concurrent submits', () => {
  it('of one turn travel in a few batches, each task with its own key, answers in place', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const names = Array.from({ length: 1_000 }, (_, n) => `n${n}`);
    const tasks = await Promise.all(names.map((name) => clb.submit({ ...ECHO, name })));
    assert.deepEqual(
      tasks.map((task) => task.name),
      names,
    );
    const { requests } = cluster.server(0);
    assert.ok(requests.length <= 6, `${requests.length} requests`);
    const bodies = requests.map(
      ({ body }) => JSON.parse(body) as { atomic: boolean; tasks: { idempotencyKey: string }[] },
    );
    assert.ok(bodies.every(({ atomic }) => !atomic));
    assert.equal(new Set(bodies.flatMap(({ tasks: list }) => list.map((t) => t.idempotencyKey))).size, 1_000);
  });

  it('gather while batches are on their way', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const loops = Array.from({ length: 256 }, async () => {
      for (let n = 0; n < 10; n += 1) await clb.submit(ECHO);
    });
    await Promise.all(loops);
    assert.equal(cluster.tasks().length, 2_560);
    assert.ok(cluster.server(0).requests.length < 200, `${cluster.server(0).requests.length} requests`);
  });

  it('are refused one by one: the others of the batch are accepted', async () => {
    const { clb } = await clusterAndClient(1);
    const results = await Promise.allSettled([clb.submit(ECHO), clb.submit({}), clb.submit(ECHO)]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    const refused = results[1];
    assert.ok(refused.status === 'rejected' && refused.reason instanceof ClbError);
    assert.equal(refused.reason.code, 'INVALID');
  });

  it('survive a lost answer of their batch, and the server with it', async () => {
    const { cluster, clb } = await clusterAndClient(3);
    cluster.server(0).misbehave = () => ({ kind: 'lose-answer' });
    const tasks = await Promise.all(Array.from({ length: 100 }, () => clb.submit(ECHO)));
    assert.equal(new Set(tasks.map(({ id }) => id)).size, 100);
    assert.equal(cluster.tasks().length, 100);
  });

  it('leave out the ones aborted before their batch left', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const controller = new AbortController();
    const kept = clb.submit(ECHO);
    const dropped = clb.submit(ECHO, { signal: controller.signal });
    controller.abort();
    await assert.rejects(dropped, { name: 'AbortError' });
    await kept;
    assert.equal(cluster.tasks().length, 1);
  });
});

describe('submitBatch', () => {
  it('is all or nothing by default and names the task that is refused', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    await assert.rejects(clb.submitBatch([ECHO, {}]), { code: 'INVALID', message: /^tasks\[1\]\./ });
    assert.equal(cluster.requests('POST', /batch/), 1);
  });

  it('with atomic: false reports each by itself, in order', async () => {
    const { clb } = await clusterAndClient(1);
    const results = await clb.submitBatch([ECHO, {}, ECHO], { atomic: false });
    assert.deepEqual(
      results.map(({ status }) => status),
      [201, 400, 201],
    );
  });

  it('gives the same tasks for the same keys', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const options = { idempotencyKeys: ['a', 'b'] };
    const first = await clb.submitBatch([ECHO, ECHO], options);
    const second = await clb.submitBatch([ECHO, ECHO], options);
    assert.deepEqual(
      second.map(({ status, task }) => [status, task?.id]),
      first.map(({ task }) => [200, task?.id]),
    );
    assert.equal(cluster.tasks().length, 2);
    await assert.rejects(clb.submitBatch([ECHO], options), { code: 'INVALID' });
  });

  it('splits what is not atomic and refuses what is and does not fit', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const many = Array.from({ length: 1_200 }, () => ECHO);
    const results = await clb.submitBatch(many, { atomic: false });
    assert.equal(results.length, 1_200);
    assert.ok(cluster.requests('POST', /batch/) >= 3);
    await assert.rejects(clb.submitBatch(Array.from({ length: 10_001 }, () => ECHO)), { code: 'INVALID' });
    const large = Array.from({ length: 9 }, () => ({ script: 'x'.repeat(1_000_000) }));
    await assert.rejects(clb.submitBatch(large), { code: 'TOO_LARGE' });
  });
});
