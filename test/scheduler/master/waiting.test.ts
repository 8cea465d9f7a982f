/** What waits: in which order it gets its turn, what is said about it, and when no more is let in. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { taskResult } from '../machine-driver.ts';
import { TestCluster, item } from '../test-cluster.ts';

function reason(test: TestCluster, id: string): string | null {
  return test.cluster.getTask(id).pendingReason;
}

describe('a task that waits', () => {
  it('says for what, and where it stands in the whole queue, whatever the others ask for', async () => {
    const test = await TestCluster.leading();
    await test.worker('worker1', { slots: 1, cpus: 4 });
    await test.submit();
    const gpu = await test.submit({ constraints: { gpu: 'a100' } });
    const plain = await test.submit();
    const urgent = await test.submit({ priority: 99, cpu: 64 });
    assert.equal(
      reason(test, urgent),
      'waits for a node with 64 cores: the largest that is ready has 4; position 1 in the queue',
    );
    assert.equal(
      reason(test, gpu),
      'waits for a node with label gpu=a100: none that is ready has it; position 2 in the queue',
    );
    assert.equal(
      reason(test, plain),
      'waits for a free slot: the only slot is taken; position 3 in the queue',
    );
    const page = test.cluster.listTasks({ limit: 10, status: 'queued' });
    await test.clock.settle();
    assert.deepEqual(
      (await page).tasks.map(({ pendingReason }) => pendingReason),
      [urgent, plain, gpu].map((id) => reason(test, id)),
    );
  });

  it('names the task or the time it is scheduled for', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1', { slots: 4 });
    const first = await test.submit();
    const second = await test.submit();
    const both = await test.submit({ after: [first, second] });
    assert.equal(
      reason(test, both),
      `waiting for 2 tasks to succeed; the first of them is ${first} (assigned)`,
    );
    worker.finished({ task: first, token: worker.runs[0]?.token ?? 0 });
    await test.clock.settle();
    assert.equal(
      reason(test, both),
      `waiting for 1 task to succeed; the first of them is ${second} (assigned)`,
    );
    const later = await test.submit({ delayMs: 60_000 });
    const { submittedAt } = test.cluster.getTask(later);
    const due = new Date(Date.parse(submittedAt) + 60_000).toISOString();
    assert.equal(reason(test, later), `waiting for its time; not before ${due}`);
  });

  it('is not starved by smaller ones that keep coming', async () => {
    const test = await TestCluster.leading();
    const workers = [
      await test.worker('worker1', { slots: 4, cpus: 4 }),
      await test.worker('worker2', { slots: 4, cpus: 4 }),
    ];
    const open = new Map<string, number>();
    const note = (): void => {
      for (const [at, worker] of workers.entries()) {
        for (const { task } of worker.runs) if (test.task(task).status === 'assigned') open.set(task, at);
      }
    };
    for (let at = 0; at < 8; at += 1) await test.submit({ cpu: 1 });
    const large = await test.submit({ cpu: 4 });
    note();
    let rounds = 0;
    while (test.task(large).status === 'queued') {
      rounds += 1;
      assert.ok(rounds < 20, `after ${rounds} small tasks: ${reason(test, large) ?? ''}`);
      // One small task ends, and another comes.
      const [ended = ''] = open.keys();
      const worker = workers[open.get(ended) ?? 0];
      const run = worker?.runs.find(({ task }) => task === ended);
      open.delete(ended);
      worker?.finished({ task: ended, token: run?.token ?? 0 });
      await test.clock.settle();
      await test.submit({ cpu: 1 });
      note();
      if (rounds === 2)
        assert.match(reason(test, large) ?? '', /^waits for 4 cores on worker\d: \d of 4 are reserved/);
    }
    assert.ok(rounds >= 4, 'it had to wait for a whole node');
  });
});

describe('a node that was fast so far', () => {
  it('is preferred while slots are free, also by a master that has only followed until then', async () => {
    const test = await TestCluster.create();
    // Everything is decided while another server leads.
    const node = (id: string) => ({
      ...{ id, role: 'worker' as const, address: `${id}:1`, slots: 4, cpus: 4, memoryMb: 4_096, labels: {} },
      instance: `${id}-1`,
    });
    let index = 0;
    let at = Date.UTC(2026, 0, 1);
    const apply = (...ops: readonly object[]): void => {
      const payload = new TextEncoder().encode(JSON.stringify({ at, ops }));
      test.machine.apply({ index: (index += 1) as never, term: 1 as never, payload });
    };
    apply({ op: 'nodeUp', node: node('slow') }, { op: 'nodeUp', node: node('fast') });
    for (let run = 0; run < 30; run += 1) {
      const name = run % 2 === 0 ? 'slow' : 'fast';
      const task = `run${run}`;
      apply({ op: 'submit', atomic: true, tasks: [{ id: task, spec: { command: ['x'] } }] });
      apply({ op: 'assign', task, node: name, placement: { reason: '', rows: '' } });
      const token = index;
      apply({ op: 'start', task, token });
      at += name === 'slow' ? 20_000 : 10_000;
      apply({
        op: 'finish',
        task,
        token,
        outcome: 'succeeded',
        reason: null,
        runMs: 1,
        result: taskResult({}),
      });
    }
    test.consensus.elect();
    await test.clock.settle();
    const slow = await test.worker('slow', node('slow'));
    const fast = await test.worker('fast', node('fast'));
    const first = await test.submit();
    assert.equal(fast.lastRun().task, first);
    assert.equal(slow.runs.length, 0);
    const [attempt] = test.cluster.getTask(first).attempts;
    const speeds = Object.fromEntries(
      attempt?.placement?.candidates.map((row) => [row.node, row.speed]) ?? [],
    );
    assert.ok(Math.abs((speeds['fast'] ?? 0) / (speeds['slow'] ?? 1) - 2) < 0.2, JSON.stringify(speeds));
  });
});

describe('admission', () => {
  it('refuses with 429 and Retry-After what goes over the limit, and takes it when there is room', async () => {
    const test = await TestCluster.leading({ queuedTasksMax: 3 });
    const worker = await test.worker('worker1', { slots: 1 });
    for (let at = 0; at < 3; at += 1) await test.submit();
    for (const [items, atomic] of [
      [[item()], true],
      [[item()], false],
    ] as const) {
      const refused = test.cluster.submit(items, { atomic });
      const said = assert.rejects(refused, {
        code: 'QUEUE_FULL',
        message: '3 tasks are not done yet, the limit is 3',
        retryAfterSeconds: 1,
      });
      await test.clock.settle();
      await said;
    }
    worker.finished(worker.lastRun());
    await test.clock.settle();
    const id = await test.submit();
    assert.match(reason(test, id) ?? '', /position 2/);
    assert.equal(test.machine.state.tasks.liveCount, 3);
  });
});
