/** What a worker's first message leads to. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeWorker } from '../fake-worker.ts';
import { BATCHER_LIMITS } from '../../../src/scheduler/master/op-batcher.ts';
import { TestCluster } from '../test-cluster.ts';

describe('hello', () => {
  it('of another process with the same id is refused while the first one’s lease lasts', async () => {
    const test = await TestCluster.leading();
    const first = await test.worker('worker1');
    const twin = new FakeWorker('worker1', test.clock, { instance: 'other' });
    twin.dial(test.master);
    await test.clock.settle();
    assert.equal(twin.of('refuse').length, 1);
    assert.equal(first.closedWith, null);
    first.silence();
    await test.clock.advance(3_500);
    twin.dial(test.master);
    await test.clock.settle();
    assert.equal(twin.of('welcome').length, 1);
  });

  it('of another version of the link is refused', async () => {
    const test = await TestCluster.leading();
    const worker = new FakeWorker('worker1', test.clock, { version: 99 });
    worker.dial(test.master);
    assert.match(worker.of('refuse')[0]?.reason ?? '', /version 99/);
  });

  it('writes to the log only what has changed', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    await test.clock.settle();
    const before = test.machine.state.appliedIndex;
    worker.hangUp();
    await worker.join(test.master);
    assert.equal(test.machine.state.appliedIndex, before);
    worker.hangUp();
    await worker.join(test.master, { slots: 5 });
    assert.equal(test.machine.state.appliedIndex, before + 1);
    assert.equal(test.cluster.nodes()[0]?.slots, 5);
  });

  it('is judged only after a read barrier, with nothing about the node on its way into the log', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1', { slots: 1 });
    const id = await test.submit();
    const ref = worker.lastRun();
    worker.started(ref);
    await test.clock.advance(BATCHER_LIMITS.lazyMs);
    // The loss of the node is proposed and not yet decided when it says hello again.
    worker.silence();
    test.consensus.held = true;
    await test.clock.advance(3_500);
    worker.dial(test.master, { held: [{ ...ref, state: 'running' }] });
    await test.clock.settle();
    const welcomes = worker.of('welcome').length;
    assert.equal(test.task(id).status, 'running');
    test.consensus.held = false;
    test.consensus.commit();
    await test.clock.settle();
    assert.equal(worker.of('welcome').length, welcomes + 1);
    assert.deepEqual(worker.of('welcome').at(-1)?.verdicts, [{ ...ref, verdict: 'kill' }]);
  });

  it('that comes twice on one connection, or nothing before it, is not taken', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    worker.say({ kind: 'hello' } as never);
    assert.equal(worker.closedWith, 'closed by the master');
  });
});
