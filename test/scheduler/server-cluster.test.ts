/** A server as its own HTTP routes see it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../../src/api/limits.ts';
import type { EventMessage } from '../../src/api/views.ts';
import type { TaskPage } from '../../src/api/tasks.ts';
import { contentDigest } from '../../src/scheduler/digests.ts';
import { IdMaker } from '../../src/scheduler/ids.ts';
import { TestCluster, item } from './test-cluster.ts';

const NEVER = new AbortController().signal;

/** Runs the clock until the promise is settled. */
async function settled<T>(test: TestCluster, promise: Promise<T>): Promise<T> {
  await test.clock.settle();
  return promise;
}

async function list(
  test: TestCluster,
  query: Partial<Parameters<TestCluster['cluster']['listTasks']>[0]>,
): Promise<TaskPage> {
  return settled(test, test.cluster.listTasks({ limit: 100, ...query }));
}

describe('submitting', () => {
  it('answers 201 for a new task and 200 for a known key, 409 if the content differs', async () => {
    const test = await TestCluster.leading();
    const submit = (name: string) =>
      settled(test, test.cluster.submit([item({ name }, { idempotencyKey: 'k' })], { atomic: false }));
    const [first] = await submit('a');
    const [again] = await submit('a');
    const [other] = await submit('b');
    assert.deepEqual([first?.status, again?.status, other?.status], [201, 200, 409]);
    assert.equal(again?.task?.id, first?.task?.id);
    assert.equal(other?.error?.code, 'CONFLICT');
    assert.match(first?.task?.id ?? '', /^[0-9a-hjkmnp-tv-z]{16}$/);
  });

  it('answers for each of a large batch, in order, with the tasks as they were taken in', async () => {
    const test = await TestCluster.leading();
    const items = Array.from({ length: 1_201 }, (_, at) => item({ name: `task ${String(at)}` }));
    for (const atomic of [true, false]) {
      const results = await settled(test, test.cluster.submit(items, { atomic }));
      assert.deepEqual(
        results.map(({ status, task }) => [status, task?.name, task?.status]),
        items.map((_, at) => [201, `task ${String(at)}`, 'queued']),
      );
      assert.equal(new Set(results.map(({ task }) => task?.id)).size, items.length);
    }
  });

  it('answers for a large batch although its tasks are gone before the answer is made', async () => {
    const test = await TestCluster.leading();
    const { clock } = test;
    const { tasks } = test.machine.state;
    const items = Array.from({ length: 1_201 }, () => item());
    let isApplied = false;
    test.machine.observe({ applied: () => (isApplied = true) });
    const soon = clock.soon.bind(clock);
    clock.soon = (action) =>
      soon(() => {
        if (isApplied) tasks.get = () => undefined;
        action();
      });
    const results = await settled(test, test.cluster.submit(items, { atomic: true }));
    assert.deepEqual(new Set(results.map(({ status }) => status)), new Set([201]));
  });

  it('names the task that keeps an atomic batch from being taken', async () => {
    const test = await TestCluster.leading();
    const items = [item(), item({ after: ['nobody'] })];
    const refused = assert.rejects(test.cluster.submit(items, { atomic: true }), {
      code: 'INVALID',
      message: 'tasks[1].after[0]: there is no task "nobody"',
    });
    await test.clock.settle();
    await refused;
    const single = assert.rejects(test.cluster.submit(items.slice(1), { atomic: true }), {
      message: 'after[0]: there is no task "nobody"',
    });
    await test.clock.settle();
    await single;
    const results = await settled(test, test.cluster.submit(items, { atomic: false }));
    assert.deepEqual(
      results.map(({ status }) => status),
      [201, 400],
    );
  });

  it('takes a batch of megabytes in parts that stay below the limit of an entry, all or nothing', async () => {
    const test = await TestCluster.leading();
    const items = Array.from({ length: 40 }, () => item({ stdin: 'x'.repeat(100_000) }));
    const before = test.machine.state.appliedIndex;
    const results = await settled(test, test.cluster.submit(items, { atomic: true }));
    assert.equal(results.filter(({ status }) => status === 201).length, 40);
    const entries = test.consensus.entries(before as never, 1e9 as never);
    assert.ok(entries.length >= 4);
    for (const entry of entries) assert.ok(entry.kind !== 'command' || entry.payload.byteLength < 1.1e6);

    const bad = [...items, item({ after: ['nobody'] })];
    const refused = assert.rejects(test.cluster.submit(bad, { atomic: true }), { code: 'INVALID' });
    await test.clock.settle();
    await refused;
    assert.equal(test.machine.state.tasks.liveCount, 40);
    const apart = await settled(test, test.cluster.submit(bad, { atomic: false }));
    assert.equal(apart.filter(({ status }) => status === 201).length, 40);
    assert.equal(apart.at(-1)?.status, 400);
    assert.equal(test.machine.state.staged.size, 0);
  });

  it('repeats only what has ended', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit({ name: 'x' });
    await assert.rejects(test.cluster.retry(id), { code: 'CONFLICT' });
    worker.finished(worker.lastRun(), 'failed');
    await test.clock.settle();
    const repeated = await settled(test, test.cluster.retry(id));
    assert.equal(repeated.retryOf, id);
    assert.equal(repeated.name, 'x');
    assert.equal(test.cluster.taskEvents(repeated.id)[0]?.why, `repeats task ${id}`);
  });
});

describe('a task', () => {
  it('is shown with defaults filled in, attempts, placement and timeline', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1', { sample: { cpu: 1, memory: 2 } });
    const id = await test.submit({ maxAttempts: 3 });
    worker.started(worker.lastRun());
    worker.finished(worker.lastRun(), 'succeeded', { stdout: 'hi' });
    await test.clock.settle();
    const task = test.cluster.getTask(id);
    assert.equal(task.priority, 50);
    assert.equal(task.onDisconnect, 'pause');
    assert.equal(task.interpreter, null);
    assert.equal(task.result?.stdout, 'hi');
    assert.equal(task.attempts[0]?.placement?.candidates[0]?.node, 'worker1');
    assert.match(task.submittedAt, /^2026-01-01T00:00:\d\d\.\d{3}Z$/);
    assert.deepEqual(
      test.cluster.taskEvents(id).map(({ what }) => what),
      ['submitted', 'assigned', 'started', 'finished'],
    );
  });

  it('is found by any unique prefix, live or finished', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1', { slots: 50 });
    const ids: string[] = [];
    for (let at = 0; at < 20; at += 1) ids.push(await test.submit());
    for (const { task, token } of worker.runs.slice(0, 15)) worker.finished({ task, token });
    await test.clock.settle();
    test.kv.write(test.machine.takeDirty());
    test.kv.write(test.machine.takeDirty());
    for (const id of ids) {
      assert.equal(test.cluster.getTask(id.slice(0, 8)).id, id);
      assert.equal(test.cluster.getTask(id.toUpperCase()).id, id);
    }
    const [id = ''] = ids;
    assert.throws(() => test.cluster.getTask(id.slice(0, 5)), { code: 'NOT_FOUND' });
    assert.throws(() => test.cluster.getTask('zzzzzzzz'), { code: 'NOT_FOUND' });
  });

  it('is ambiguous where a prefix stands for two', async () => {
    const test = await TestCluster.leading();
    const { tasks } = test.machine.state;
    const find = tasks.findPrefix.bind(tasks);
    tasks.findPrefix = (prefix, limit) =>
      prefix === 'abcdef' ? ['abcdef1', 'abcdef2'] : find(prefix, limit);
    assert.throws(() => test.cluster.getTask('abcdef'), { code: 'CONFLICT' });
  });

  it('can be waited for, on time, by event or in vain', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit();
    const waits = [test.cluster.waitTask(id, 30_000, NEVER), test.cluster.waitTask(id, 1_000, NEVER)];
    const abort = new AbortController();
    const aborted = test.cluster.waitTask(id, 30_000, abort.signal);
    abort.abort();
    assert.equal((await aborted).status, 'assigned');
    await test.clock.advance(1_100);
    assert.equal((await waits[1])?.status, 'assigned');
    worker.finished(worker.lastRun());
    await test.clock.settle();
    assert.equal((await waits[0])?.status, 'succeeded');
    assert.equal((await test.cluster.waitTask(id, 30_000, NEVER)).status, 'succeeded');
    await assert.rejects(test.cluster.waitTask('nobody-at-all', 1, NEVER), { code: 'NOT_FOUND' });
  });
});

describe('the list', () => {
  async function filled(): Promise<{ test: TestCluster; ids: string[] }> {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1', { slots: 30 });
    const ids: string[] = [];
    for (let at = 0; at < 40; at += 1) {
      ids.push(await test.submit({ name: `job ${at}`, labels: { even: String(at % 2 === 0) } }));
    }
    worker.runs.slice(0, 20).forEach(({ task, token }, at) => {
      worker.finished({ task, token }, at % 4 === 0 ? 'failed' : 'succeeded');
    });
    worker.started(worker.lastRun());
    await test.clock.settle();
    test.kv.write(test.machine.takeDirty());
    test.kv.write(test.machine.takeDirty());
    return { test, ids };
  }

  it('goes from the newest to the oldest through live and archived tasks, page by page', async () => {
    const { test, ids } = await filled();
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: TaskPage = await list(test, { limit: 7, ...(cursor === null ? {} : { cursor }) });
      assert.ok(page.tasks.length <= 7);
      seen.push(...page.tasks.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    assert.deepEqual(seen, [...ids].reverse());
  });

  it('filters by status, label and text, and counts all', async () => {
    const { test, ids } = await filled();
    const { counts } = await list(test, { limit: 1 });
    assert.deepEqual(counts, {
      ...{ scheduled: 0, queued: 0, assigned: 29, running: 1, succeeded: 15, failed: 5 },
      ...{ timed_out: 0, canceled: 0 },
      ...{ assigned: counts.assigned, queued: counts.queued },
    });
    assert.equal(counts.assigned + counts.queued, 19);
    for (const status of ['queued', 'assigned', 'running', 'succeeded', 'failed', 'canceled'] as const) {
      const page = await list(test, { status });
      assert.equal(page.tasks.length, counts[status], status);
      assert.ok(page.tasks.every((task) => task.status === status));
      assert.equal(page.nextCursor, null);
    }
    const even = await list(test, { label: 'even=true' });
    assert.equal(even.tasks.length, 20);
    assert.equal((await list(test, { label: 'even' })).tasks.length, 40);
    assert.equal((await list(test, { label: 'odd' })).tasks.length, 0);
    assert.equal((await list(test, { label: 'toString' })).tasks.length, 0);
    assert.deepEqual(
      (await list(test, { q: 'JOB 17' })).tasks.map(({ id }) => id),
      [ids[17]],
    );
    assert.deepEqual(
      (await list(test, { q: ids[3] ?? '' })).tasks.map(({ id }) => id),
      [ids[3]],
    );
    await assert.rejects(test.cluster.listTasks({ limit: 1, cursor: 'x' }), { code: 'INVALID' });
  });
});

describe('events', () => {
  it('come per entry, are kept for those who come back, and tell when too old ones are asked for', async () => {
    const test = await TestCluster.leading();
    const messages: EventMessage[] = [];
    const live = test.cluster.subscribe(null, (message) => messages.push(message));
    assert.ok(live.kind === 'ok');
    const worker = await test.worker('worker1');
    const id = await test.submit();
    worker.started(worker.lastRun());
    worker.finished(worker.lastRun());
    await test.clock.settle();
    assert.deepEqual(
      messages.map(({ events }) =>
        events.map((event) => (event.kind === 'task' ? `${event.what} ${event.status}` : event.kind)),
      ),
      [['node'], ['submitted queued', 'assigned assigned'], ['started running', 'finished succeeded']],
    );
    live.unsubscribe();
    await test.submit();
    assert.equal(messages.length, 3);

    const replay: number[] = [];
    const after = messages[0]?.index ?? 0;
    assert.equal(test.cluster.subscribe(after, ({ index }) => replay.push(index)).kind, 'ok');
    assert.deepEqual(replay, [after + 1, after + 2, after + 3]);
    const leader: EventMessage[] = [];
    test.cluster.subscribe(0, (message) => leader.push(message));
    assert.deepEqual(leader[0]?.events, [{ kind: 'leader', id: 'server1', term: 1 }]);
    assert.equal(id.length, 16);

    for (let at = 0; at <= LIMITS.eventEntriesMax; at += 1) {
      test.machine.apply({
        index: (1_000 + at) as never,
        term: 1 as never,
        payload: new TextEncoder().encode('{"at":1,"ops":[]}'),
      });
    }
    assert.deepEqual(
      test.cluster.subscribe(after, () => undefined),
      {
        kind: 'reset',
        index: 1_000 + LIMITS.eventEntriesMax,
      },
    );
  });
});

describe('output', () => {
  async function read(
    test: TestCluster,
    id: string,
    follow: boolean,
    offset = 0,
  ): Promise<{ text: string; done: boolean }> {
    const state = { text: '', done: false };
    const options = { stream: 'stdout', offset, follow, signal: NEVER } as const;
    void (async () => {
      for await (const bytes of test.cluster.readOutput(id, options))
        state.text += Buffer.from(bytes).toString();
      state.done = true;
    })();
    await test.clock.settle();
    return state;
  }

  it('is read from the node, live until the task is final', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit();
    const reading = await read(test, id, true);
    const answer = async (text: string, end: boolean): Promise<void> => {
      const question = worker.of('readOutput').at(-1);
      assert.ok(question);
      const data = Buffer.from(text).toString('base64');
      worker.say({
        kind: 'output',
        request: question.request,
        data,
        nextOffset: question.offset + text.length,
        end,
      });
      await test.clock.settle();
    };
    await answer('one ', false);
    await answer('two', false);
    assert.equal(reading.text, 'one two');
    assert.equal(worker.of('readOutput').at(-1)?.offset, 7);
    assert.ok((worker.of('readOutput').at(-1)?.waitMs ?? 0) > 0);
    await answer('', true);
    assert.equal(reading.done, false);
    worker.finished(worker.lastRun());
    await test.clock.settle();
    await answer('', true);
    assert.equal(reading.done, true);
  });

  it('is what the result has kept where the node is gone or cannot tell', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit();
    worker.finished(worker.lastRun(), 'succeeded', { stdout: 'kept text' });
    await test.clock.settle();
    const refused = await read(test, id, false, 5);
    const question = worker.of('readOutput').at(-1);
    worker.say({ kind: 'outputError', request: question?.request ?? 0, message: 'no such attempt' });
    await test.clock.settle();
    assert.deepEqual(refused, { text: 'text', done: true });
    worker.hangUp();
    assert.deepEqual(await read(test, id, true), { text: 'kept text', done: true });
  });

  it('ends with the attempt when another one begins, and waits for one that has not begun', async () => {
    const test = await TestCluster.leading();
    const id = await test.submit({ maxAttempts: 2, backoffMs: 0 });
    const reading = await read(test, id, true);
    assert.equal(reading.done, false);
    const worker = await test.worker('worker1');
    await test.clock.advance(600);
    worker.finished(worker.lastRun(), 'failed');
    // Asked once while it ran, and again when the task changed: the attempt has nothing more to say.
    for (let asked = 0; asked < 2; asked += 1) {
      const question = worker.of('readOutput').at(-1);
      assert.ok(question);
      worker.say({ kind: 'output', request: question.request, data: '', nextOffset: 0, end: true });
      await test.clock.advance(600);
    }
    assert.equal(worker.runs.length, 2);
    assert.equal(reading.done, true);
  });

  it('reading ends with an error when the lead is lost', async () => {
    const test = await TestCluster.leading();
    await test.worker('worker1');
    const id = await test.submit();
    const chunks = test.cluster.readOutput(id, { stream: 'stderr', offset: 0, follow: true, signal: NEVER });
    const next = assert.rejects(chunks[Symbol.asyncIterator]().next(), { code: 'NO_LEADER' });
    await test.clock.settle();
    test.consensus.depose('server2');
    await test.clock.advance(1_000);
    await next;
  });
});

describe('raft', () => {
  it('is shown with lags, contacts and since when somebody leads', async () => {
    const test = await TestCluster.leading();
    const view = test.cluster.raft();
    assert.equal(view.role, 'leader');
    assert.match(view.leaderSince ?? '', /^2026/);
    assert.deepEqual(view.peers['server2'], { matchIndex: 1, lag: 0, lastContactMs: 12 });
    assert.deepEqual(test.cluster.leader(), { id: 'server1', address: 'host1:3002' });
    assert.equal(test.cluster.ready().ready, true);
    test.consensus.become('preCandidate', null);
    assert.equal(test.cluster.raft().role, 'candidate');
    assert.equal(test.cluster.raft().leaderSince, null);
    assert.equal(test.cluster.leader(), null);
    assert.deepEqual(test.cluster.ready(), { ready: false, reason: 'no leader is known' });
  });

  it('shows its log decoded, a bounded number of entries at a time', async () => {
    const test = await TestCluster.leading();
    const id = await test.submit();
    const entries = test.cluster.raftLog(1, 1e9);
    assert.equal(entries[0]?.kind, 'noop');
    assert.equal(entries[0].time, null);
    assert.match(JSON.stringify(entries[1]?.data), new RegExp(id));
    assert.match(entries[1]?.time ?? '', /^2026/);
  });
});

describe('ids and digests', () => {
  it('ids hold 80 random bits', () => {
    const ids = new IdMaker((count) => new Uint8Array(count).fill(0xff));
    assert.equal(ids.next(), 'zzzzzzzzzzzzzzzz');
    let value = 0;
    const counted = new IdMaker((count) => Uint8Array.from({ length: count }, () => (value += 1)));
    const made = new Set(Array.from({ length: 200 }, () => counted.next()));
    assert.ok(made.size > 20);
    for (const id of made) assert.match(id, /^[0-9a-hjkmnp-tv-z]{16}$/);
    assert.equal(
      new IdMaker(() => Uint8Array.from([0, 0, 0, 0, 1, 0, 0, 0, 0, 2])).next(),
      '0000000100000002',
    );
  });

  it('digests of contents do not depend on the order of fields', () => {
    const a = contentDigest({ request: { command: ['x'], env: { a: '1', b: '2' } }, retryOf: null });
    const b = contentDigest({ request: { env: { b: '2', a: '1' }, command: ['x'] }, retryOf: null });
    const c = contentDigest({ request: { command: ['x'], env: { a: '1', b: '3' } }, retryOf: null });
    assert.equal(a, b);
    assert.notEqual(a, c);
  });
});
