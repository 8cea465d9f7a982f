/** Waiting: few waits by long poll, many by one event subscription; no final event may slip through. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { FakeCluster } from './fake-cluster.ts';
import { clientOf, clusterAndClient, endAllAfterwards, until } from './harness.ts';

endAllAfterwards();

const ECHO = { command: ['echo', 'hello'] };

function finishAtOnce(cluster: FakeCluster): void {
  cluster.onSubmit = ({ id }) => {
    cluster.startTask(id);
    cluster.write(id, 'stdout', 'hello\n');
    cluster.finish(id);
  };
}

describe('one wait', () => {
  it('is a long poll that returns the final task', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const task = await clb.submit(ECHO);
    const waited = clb.wait(task.id.slice(0, 8));
    await until('it polls', () => cluster.requests('GET', /tasks/) > 0);
    cluster.startTask(task.id);
    cluster.finish(task.id, 'failed', { exitCode: 3 });
    const final = await waited;
    assert.deepEqual([final.status, final.result?.exitCode], ['failed', 3]);
    assert.equal(cluster.requests('GET', /events/), 0);
  });

  it('of a task that is final already asks nobody', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    finishAtOnce(cluster);
    const { id } = await clb.submit(ECHO);
    const final = await clb.get(id);
    const before = cluster.server(0).requests.length;
    assert.equal(await clb.wait(final), final);
    assert.equal(cluster.server(0).requests.length, before);
  });

  it('gives the task as it is after the time', async () => {
    const { clb } = await clusterAndClient(1);
    const { id } = await clb.submit(ECHO);
    assert.equal((await clb.wait(id, { timeoutMs: 50 })).status, 'queued');
  });

  it('goes on at another server when its own dies', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    const task = await clb.submit(ECHO);
    const waited = clb.wait(task);
    await until('it polls', () => cluster.server(0).count('GET', /tasks/) > 0);
    await cluster.server(0).kill();
    await until('it polls elsewhere', () => cluster.server(1).count('GET', /tasks/) > 0);
    cluster.finish(task.id);
    assert.equal((await waited).status, 'succeeded');
  });

  it('can be aborted, and of an unknown task fails', async () => {
    const { clb } = await clusterAndClient(1);
    const task = await clb.submit(ECHO);
    await assert.rejects(clb.wait(task, { signal: AbortSignal.timeout(30) }), { name: 'TimeoutError' });
    await assert.rejects(clb.wait('ffffffff'), { code: 'NOT_FOUND' });
  });
});

describe('many waits', () => {
  it('share one event subscription', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const tasks = await Promise.all(Array.from({ length: 200 }, () => clb.submit(ECHO)));
    const waited = tasks.map((task) => clb.wait(task));
    await until('it listens', () => cluster.server(0).streams === 1);
    for (const { id } of tasks) cluster.finish(id);
    const finals = await Promise.all(waited);
    assert.ok(finals.every(({ status }) => status === 'succeeded'));
    assert.deepEqual(
      finals.map(({ id }) => id),
      tasks.map(({ id }) => id),
    );
    assert.equal(cluster.requests('GET', /^\/v1\/events$/), 1);
  });

  it('of tasks that are final before anyone listens are found by a look', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    finishAtOnce(cluster);
    const finals = await Promise.all(Array.from({ length: 100 }, () => clb.run(ECHO)));
    assert.ok(finals.every((task) => task.result?.stdout === 'hello\n'));
  });

  it('outlast a broken stream: what was missed is sent again', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    const tasks = await Promise.all(Array.from({ length: 20 }, () => clb.submit(ECHO)));
    const waited = Promise.all(tasks.map((task) => clb.outcome(task)));
    await until('it listens', () => cluster.server(0).streams === 1);
    await until('each was looked up once', () => cluster.requests('GET', /tasks/) === 20);
    for (const { id } of tasks.slice(0, 10)) cluster.finish(id);
    await cluster.server(0).kill();
    for (const { id } of tasks.slice(10)) cluster.finish(id, 'failed', { exitCode: 9 });
    const outcomes = await waited;
    assert.deepEqual([outcomes[0]?.status, outcomes[19]?.exitCode], ['succeeded', 9]);
    const resumed = cluster.server(1).requests.find(({ path }) => path === '/v1/events');
    assert.ok(Number(resumed?.headers['last-event-id']) > 0);
  });

  it('outlast a reset: everything is looked up anew', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    const tasks = await Promise.all(Array.from({ length: 20 }, () => clb.submit(ECHO)));
    const waited = Promise.all(tasks.map((task) => clb.outcome(task)));
    await until('it listens', () => cluster.server(0).streams === 1);
    await until('each was looked up once', () => cluster.requests('GET', /tasks/) === 20);
    for (const server of cluster.servers) server.misbehave = () => ({ kind: 'error', code: 'NO_LEADER' });
    cluster.server(0).breakStreams();
    for (const { id } of tasks) cluster.finish(id);
    cluster.firstKept = cluster.index + 1;
    for (const server of cluster.servers) server.misbehave = () => null;
    assert.ok((await waited).every(({ status }) => status === 'succeeded'));
  });

  it('cost no request each where only the outcome is wanted', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    // The first wave opens the stream and is looked up; the second is told by events alone.
    const first = await clb.submit(ECHO);
    const held = clb.outcome(first);
    await until('it listens', () => cluster.server(0).streams === 1);
    await until('it was looked up', () => cluster.requests('GET', /tasks/) === 1);
    finishAtOnce(cluster);
    const before = cluster.server(0).requests.length;
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, async () => clb.outcome(await clb.submit(ECHO))),
    );
    assert.ok(outcomes.every(({ status, exitCode }) => status === 'succeeded' && exitCode === 0));
    const requests = cluster.server(0).requests.slice(before);
    assert.deepEqual([...new Set(requests.map(({ path }) => path))], ['/v1/tasks/batch']);
    cluster.finish(first.id);
    await held;
  });

  it('end one by one by their own signal or time, the others go on', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const tasks = await Promise.all(Array.from({ length: 12 }, () => clb.submit(ECHO)));
    const controller = new AbortController();
    const held = tasks.slice(0, 9).map((task) => clb.wait(task));
    const aborted = clb.wait(tasks[9]!, { signal: controller.signal });
    const timed = clb.wait(tasks[10]!, { timeoutMs: 50 });
    controller.abort();
    await assert.rejects(aborted, { name: 'AbortError' });
    assert.equal((await timed).status, 'queued');
    for (const { id } of tasks) cluster.finish(id);
    assert.equal((await Promise.all(held)).length, 9);
  });

  it('are all told when the outage lasts too long, or the client is closed', async () => {
    const { cluster } = await clusterAndClient(1);
    const impatient = clientOf(cluster.addresses, { outageMs: 300 });
    const task = await impatient.submit(ECHO);
    const waited = impatient.outcome(task);
    await until('it listens', () => cluster.server(0).streams === 1);
    await cluster.server(0).kill();
    await assert.rejects(waited, { name: 'NoServerError' });

    const { clb } = await clusterAndClient(1);
    const open = clb.outcome(await clb.submit(ECHO));
    clb.close();
    await assert.rejects(open, /closed/);
  });
});
