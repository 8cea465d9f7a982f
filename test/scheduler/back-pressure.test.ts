/**
 * Goal: where nothing can be committed, a master takes in what its memory has room for and refuses the rest with 429 and
 * Retry-After; what it took in is answered when the log goes on. Real HTTP and master; consensus in the hands of the test.
 */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { BATCHER_LIMITS } from '../../src/scheduler/master/op-batcher.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';
import { createServerApp } from '../../src/web/server-app.ts';
import { ask, closeAll, FakeLines, FakeLog, guardWith, listen, onClose } from '../web/nodes.ts';
import type { TestAnswer } from '../web/nodes.ts';
import { TestCluster } from './test-cluster.ts';

const TASK_BYTES = 1_000_000;
/** Those that wait, and four entries of one each that consensus has. */
const ROOM = Math.ceil(BATCHER_LIMITS.queuedBytesMax / TASK_BYTES) + BATCHER_LIMITS.entriesInFlightMax;
const TASKS = ROOM + 30;

describe('a master whose log does not go on', { timeout: 120_000 }, () => {
  after(closeAll);

  it('answers 429 with Retry-After once its memory is used up, and 201 to all it took in when it does', async () => {
    const test = await TestCluster.leading();
    const app = createServerApp({
      ...{ nodeId: 'server1', version: '0.0.0', guard: guardWith(), token: null, lines: new FakeLines() },
      ...{ stop: null, stopNode: null, log: new FakeLog(), cluster: () => test.cluster },
      metrics: new NodeMetrics({ id: 'server1', version: '0.0.0' }),
    });
    onClose(() => app.close());
    const { address } = await listen(app.handle);
    const answers = new Map<number, TestAnswer>();
    const submit = async (n: number): Promise<void> => {
      const body = { command: ['true'], env: { N: `${n} `.padEnd(TASK_BYTES, 'x') } };
      const headers = { 'idempotency-key': `task-${n}` };
      answers.set(n, await ask(address, '/v1/tasks', { method: 'POST', headers, body }));
    };
    const settled = async (isDone: () => boolean): Promise<void> => {
      while (!isDone()) {
        await test.clock.settle();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };

    test.consensus.held = true;
    const submits = Array.from({ length: TASKS }, (_, n) => submit(n));
    await settled(() => answers.size >= TASKS - ROOM);
    assert.ok(
      [...answers.values()].every(({ status }) => status === 429),
      'nothing is said to be accepted',
    );
    test.consensus.held = false;
    test.consensus.commit();
    await settled(() => answers.size === TASKS);
    await Promise.all(submits);
    const accepted = [...answers].filter(([, { status }]) => status === 201).length;
    assert.ok(
      accepted <= ROOM && accepted >= ROOM - BATCHER_LIMITS.entriesInFlightMax,
      `${accepted} accepted`,
    );
    assert.equal(test.machine.state.tasks.liveCount, accepted);
    const refused = [...answers].filter(([, { status }]) => status !== 201).map(([n]) => n);
    for (const n of refused) {
      const { status, headers, json } = answers.get(n)!;
      assert.deepEqual([status, json.error.code, headers['retry-after']], [429, 'QUEUE_FULL', '1']);
      assert.match(json.error.message, /too much is waiting to be written to the log/);
    }

    const again = refused.map(submit);
    await settled(() => refused.every((n) => answers.get(n)?.status === 201));
    await Promise.all(again);
    assert.equal(test.machine.state.tasks.liveCount, TASKS, 'each once');
  });
});
