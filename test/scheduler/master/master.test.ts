/** The master with links, consensus and time in the hands of the test. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LINES } from '../../../src/api/log.ts';
import { TRANSFERRING } from '../../../src/raft/consensus.ts';
import { BATCHER_LIMITS } from '../../../src/scheduler/master/op-batcher.ts';
import { FakeWorker } from '../fake-worker.ts';
import { TestCluster, item } from '../test-cluster.ts';

describe('a task cycle', () => {
  it('takes one entry for submit and assign, one for start and finish, and writes the lines of the original', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    await test.clock.advance(100);
    test.lines.length = 0;
    const before = test.consensus.proposals;
    const id = await test.submit({ command: ['echo', 'hi'] }, { clientPort: 4001 });
    assert.equal(test.consensus.proposals, before + 1);
    assert.equal(test.task(id).status, 'assigned');
    assert.deepEqual(
      worker.runs.map(({ task, number, spec }) => [task, number, spec.command]),
      [[id, 1, ['echo', 'hi']]],
    );
    const ref = worker.lastRun();
    assert.equal(ref.token, test.machine.state.appliedIndex);
    worker.started(ref);
    worker.finished(ref);
    await test.clock.settle();
    assert.equal(test.consensus.proposals, before + 2);
    assert.equal(test.task(id).status, 'succeeded');
    assert.deepEqual(worker.of('recorded'), [{ kind: 'recorded', ...ref, accepted: true }]);
    assert.deepEqual(test.lines, [
      LINES.receivedPayload(id),
      LINES.sentForExecution(id, 3006),
      LINES.receivedResult(id),
      LINES.sentToClient(id, 4001),
    ]);
  });

  it('gives the freed slot to the next in the queue within the entry of the finish', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1', { slots: 1 });
    await test.submit();
    const second = await test.submit({ priority: 10 });
    const third = await test.submit({ priority: 90 });
    assert.equal(worker.runs.length, 1);
    assert.match(test.cluster.getTask(second).pendingReason ?? '', /the only slot is taken; position 2/);
    const before = test.consensus.proposals;
    worker.finished(worker.lastRun());
    await test.clock.settle();
    assert.equal(test.consensus.proposals, before + 1);
    assert.equal(worker.lastRun().task, third);
    worker.finished(worker.lastRun());
    await test.clock.settle();
    assert.equal(worker.lastRun().task, second);
  });

  it('does not let a new task pass those that wait', async () => {
    const test = await TestCluster.leading();
    const first = await test.submit();
    test.consensus.held = true;
    const second = test.cluster.submit([item()], { atomic: true });
    await test.clock.settle();
    const worker = new FakeWorker('worker1', test.clock, { slots: 2 });
    test.consensus.held = false;
    test.consensus.commit();
    await worker.join(test.master);
    const third = await test.submit();
    const [secondResult] = await second;
    assert.deepEqual(
      worker.runs.map(({ task }) => task),
      [first, secondResult?.task?.id],
    );
    assert.equal(test.task(third).status, 'queued');
  });

  it('places nothing while the queue is paused', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    void test.cluster.pauseQueue(true);
    await test.clock.settle();
    const id = await test.submit();
    assert.equal(worker.runs.length, 0);
    assert.match(
      test.cluster.getTask(id).pendingReason ?? '',
      /^waits until the queue is resumed; position 1 in the queue$/,
    );
    void test.cluster.pauseQueue(false);
    await test.clock.advance(60);
    assert.equal(worker.runs.length, 1);
  });

  it('moves scheduled tasks when they are due and retries when the pause is over', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit({ delayMs: 2_000, maxAttempts: 2, backoffMs: 1_000 });
    await test.clock.advance(1_900);
    assert.equal(worker.runs.length, 0);
    await test.clock.advance(200);
    assert.equal(worker.runs.length, 1);
    worker.finished(worker.lastRun(), 'failed', { exitCode: 1 });
    await test.clock.advance(900);
    assert.equal(test.task(id).status, 'scheduled');
    await test.clock.advance(700); // the pause, and up to half of it
    assert.deepEqual(
      worker.runs.map(({ number }) => number),
      [1, 2],
    );
  });
});

describe('a lost node', () => {
  it('loses its tasks 3.3 s after its last acknowledged heartbeat came in, and not before', async () => {
    const test = await TestCluster.leading();
    const first = await test.worker('worker1', { slots: 1 });
    const id = await test.submit();
    const ref = first.lastRun();
    first.started(ref);
    first.silence();
    first.beat();
    await test.clock.settle();
    const second = await test.worker('worker2');
    await test.clock.advance(3_200);
    assert.equal(test.task(id).status, 'running');
    assert.equal(second.runs.length, 0);
    await test.clock.advance(200);
    assert.equal(second.lastRun().task, id);
    assert.ok(second.lastRun().token > ref.token);
    assert.ok(test.lines.includes(LINES.workerCrashed));
    assert.equal(first.closedWith, 'closed by the master');
    assert.equal(test.cluster.nodes().find((node) => node.id === 'worker1')?.status, 'down');

    // It comes back with the task still in its hands, and with another one's result.
    await first.join(test.master, { held: [{ ...ref, state: 'running' }] });
    assert.deepEqual(first.of('welcome').at(-1)?.verdicts, [{ ...ref, verdict: 'kill' }]);
    first.finished(ref);
    await test.clock.settle();
    assert.deepEqual(first.of('recorded').at(-1), { kind: 'recorded', ...ref, accepted: false });
    assert.equal(test.task(id).attempts[0]?.outcome, 'superseded');
    second.finished(second.lastRun());
    await test.clock.settle();
    assert.equal(test.task(id).status, 'succeeded');
  });

  it('is only disconnected as long as its lease lasts: when it is back in time it keeps what it has', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const other = await test.worker('worker2', { slots: 1 });
    const id = await test.submit({ constraints: {} });
    const holder = worker.runs.length > 0 ? worker : other;
    const ref = holder.lastRun();
    holder.started(ref);
    await test.clock.settle();
    holder.hangUp();
    await test.clock.advance(2_000);
    assert.equal(test.cluster.nodes().find((node) => node.id === holder.id)?.status, 'disconnected');
    await holder.join(test.master, { held: [{ ...ref, state: 'running' }] });
    assert.deepEqual(holder.of('welcome').at(-1)?.verdicts, [{ ...ref, verdict: 'keep' }]);
    await test.clock.advance(10_000);
    assert.equal(test.task(id).status, 'running');
    assert.equal(test.task(id).attempts.length, 1);
    assert.equal(holder.runs.length, 1);
  });

  it('gets no acknowledgement without a quorum round that began after the heartbeat came in', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    await test.clock.settle();
    test.consensus.barriersHeld = true;
    const acked = worker.of('heartbeatAck').length;
    worker.silence();
    worker.beat();
    await test.clock.settle();
    assert.equal(worker.of('heartbeatAck').length, acked);
    worker.beat();
    await test.clock.settle();
    test.consensus.releaseBarriers();
    await test.clock.settle();
    assert.equal(worker.of('heartbeatAck').length, acked + 2);
    await test.clock.advance(500);
    worker.beat();
    await test.clock.settle();
    test.consensus.releaseBarriers({ kind: 'unknown', reason: 'test' });
    await test.clock.settle();
    assert.equal(worker.of('heartbeatAck').length, acked + 2);
  });

  it('is acknowledged with the next round when its own was refused, for which nobody has to beat again', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const other = await test.worker('worker2');
    for (const each of [worker, other]) each.silence();
    await test.clock.settle();
    test.consensus.barriersHeld = true;
    const acked = worker.of('heartbeatAck').length;
    worker.beat();
    await test.clock.settle();
    test.consensus.releaseBarriers({ kind: 'unknown', reason: 'too many reads wait' });
    await test.clock.settle();
    assert.equal(worker.of('heartbeatAck').length, acked);
    other.beat();
    await test.clock.settle();
    test.consensus.releaseBarriers();
    await test.clock.settle();
    assert.equal(worker.of('heartbeatAck').length, acked + 1);
  });

  it('is not declared lost because this server itself stood still', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit();
    worker.started(worker.lastRun());
    await test.clock.settle();
    test.clock.stall(5_000);
    await test.clock.advance(600);
    assert.equal(test.task(id).status, 'running');
    worker.silence();
    await test.clock.advance(5_000);
    assert.equal(test.task(id).status, 'queued');
  });

  it('that says goodbye loses what it had at once, and nobody cries', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit();
    const ref = worker.lastRun();
    worker.say({ kind: 'released', ...ref, reason: 'worker1 is being stopped' });
    await test.clock.settle();
    assert.equal(test.task(id).attemptsUsed, 0);
    assert.equal(test.task(id).attempts[0]?.outcome, 'lost');
    worker.say({ kind: 'goodbye' });
    await test.clock.settle();
    assert.equal(test.cluster.nodes()[0]?.status, 'down');
    assert.equal(test.lines.includes(LINES.workerCrashed), false);
    assert.equal(test.task(id).status, 'queued');
    assert.match(test.cluster.getTask(id).pendingReason ?? '', /worker1/);
  });
});

describe('a new master', () => {
  async function handedOver(): Promise<{ test: TestCluster; worker: FakeWorker; id: string }> {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit();
    worker.started(worker.lastRun());
    await test.clock.advance(BATCHER_LIMITS.lazyMs);
    worker.silence();
    test.consensus.depose('server2');
    await test.clock.settle();
    assert.equal(worker.closedWith, 'closed by the master');
    return { test, worker, id };
  }

  it('gives nothing of a silent node away before a whole lease has passed since its election', async () => {
    const { test, id } = await handedOver();
    await test.clock.advance(60_000);
    assert.equal(test.task(id).status, 'running');
    test.consensus.elect();
    const other = await test.worker('worker2');
    await test.clock.advance(3_200);
    assert.equal(test.task(id).status, 'running');
    await test.clock.advance(200);
    assert.equal(other.lastRun().task, id);
  });

  it('takes over what workers hold, runs again what never arrived, and gives up what a worker has not got any more', async () => {
    const { test, worker, id } = await handedOver();
    const held = worker.lastRun();
    test.consensus.elect();
    await test.clock.settle();
    await worker.join(test.master, { held: [{ ...held, state: 'running' }] });
    assert.deepEqual(worker.of('welcome').at(-1)?.verdicts, [{ ...held, verdict: 'keep' }]);
    const second = await test.submit();
    const secondRef = worker.lastRun();
    assert.equal(secondRef.task, second);

    worker.hangUp();
    await worker.join(test.master);
    await test.clock.settle();
    // `second` was assigned and not started: the same order again. The first one was running and is gone.
    assert.deepEqual(worker.lastRun().task, id);
    assert.deepEqual(worker.runs.slice(-2).map(({ task, token }) => ({ task, token }))[0], secondRef);
    assert.equal(test.task(id).attempts[0]?.outcome, 'lost');
    assert.match(test.task(id).attempts[0]?.reason ?? '', /does not have it any more/);
  });

  it('records results that were delivered to its predecessor and not recorded', async () => {
    const { test, worker, id } = await handedOver();
    const ref = worker.lastRun();
    test.consensus.elect();
    await worker.join(test.master, { held: [{ ...ref, state: 'ended' }] });
    worker.finished(ref);
    await test.clock.settle();
    assert.equal(test.task(id).status, 'succeeded');
    worker.finished(ref);
    await test.clock.settle();
    assert.deepEqual(
      worker.of('recorded').map(({ accepted }) => accepted),
      [true, true],
    );
  });

  it('begins only when the first entry of its term is applied, and keeps early hellos until then', async () => {
    const test = await TestCluster.create();
    test.consensus.elect({ quiet: true });
    const worker = new FakeWorker('worker1', test.clock);
    worker.dial(test.master);
    await test.clock.settle();
    assert.equal(test.cluster.isLeader(), false);
    assert.deepEqual(worker.received, []);
    assert.equal(test.lines.length, 0);
    test.consensus.applyTermStart();
    await test.clock.settle();
    assert.equal(worker.of('welcome').length, 1);
    assert.deepEqual(test.lines, [LINES.isMaster]);
  });

  it('goes on with cancels and waits of its predecessor', async () => {
    const { test, worker, id } = await handedOver();
    const held = worker.lastRun();
    test.consensus.elect();
    await test.clock.settle();
    const canceling = test.cluster.cancel(id);
    await test.clock.settle();
    assert.equal((await canceling).status, 'running');
    const delayed = await test.submit({ delayMs: 4_000 });
    test.consensus.depose(null);
    test.consensus.elect();
    await test.clock.settle();
    await worker.join(test.master, { held: [{ ...held, state: 'running' }] });
    assert.deepEqual(worker.of('kill').at(-1), { kind: 'kill', ...held, why: 'canceled' });
    worker.finished(held, 'canceled');
    await test.clock.advance(4_100);
    assert.equal(test.task(id).status, 'canceled');
    assert.equal(test.task(delayed).status, 'assigned');
  });
});

describe('a server that is not the master', () => {
  it('redirects workers and refuses everything else', async () => {
    const test = await TestCluster.create();
    test.consensus.become('follower', 'server2');
    const worker = new FakeWorker('worker1', test.clock);
    worker.dial(test.master);
    assert.deepEqual(worker.received, [
      { kind: 'redirect', self: 'server1', leader: 'server2', leaderAddress: 'host2:3004' },
    ]);
    assert.equal(worker.closedWith, 'closed by the master');
    await assert.rejects(test.cluster.submit([item()], { atomic: true }), { code: 'NO_LEADER' });
    test.consensus.reachable = false;
    await assert.rejects(test.cluster.submit([item()], { atomic: true }), { code: 'NO_QUORUM' });
    await assert.rejects(test.cluster.readBarrier(), { code: 'NO_QUORUM' });
    assert.throws(() => test.cluster.readOutput('x', NO_FOLLOW), { code: 'NO_LEADER' });
    assert.equal(test.clock.timers, 0);
  });

  it('says that the leader has crashed when it has to campaign itself, not after an orderly handover', async () => {
    const test = await TestCluster.create();
    test.consensus.become('follower', 'server2');
    test.consensus.become('follower', null);
    test.consensus.become('follower', 'server3');
    assert.deepEqual(test.lines, []);
    test.consensus.become('preCandidate', null);
    test.consensus.become('preCandidate', null);
    assert.deepEqual(test.lines, [LINES.leaderCrashed]);
    test.consensus.elect();
    test.consensus.depose('server2');
    assert.deepEqual(test.lines, [LINES.leaderCrashed, LINES.isMaster]);
    assert.equal(test.clock.timers, 0);
  });
});

const NO_FOLLOW = {
  stream: 'stdout',
  offset: 0,
  follow: false,
  signal: new AbortController().signal,
} as const;

describe('outcomes', () => {
  it('are told apart: unknown, certainly not, too much', async () => {
    const test = await TestCluster.leading();
    test.consensus.held = true;
    const inFlight = test.cluster.submit([item()], { atomic: true });
    await test.clock.settle();
    test.consensus.depose('server2', 'unknown');
    await assert.rejects(inFlight, { code: 'UNKNOWN_OUTCOME' });

    test.consensus.held = false;
    test.consensus.elect();
    const waiting = test.cluster.submit([item()], { atomic: true });
    test.consensus.depose('server2');
    await assert.rejects(waiting, { code: 'NO_LEADER' });

    test.consensus.elect();
    await test.clock.settle();
    test.consensus.overloaded = true;
    const refused = test.cluster.submit([item()], { atomic: true });
    const check = assert.rejects(refused, { code: 'QUEUE_FULL', retryAfterSeconds: 1 });
    await test.clock.settle();
    await check;
  });

  it('are for the next master to take while the lead is handed over', async () => {
    const test = await TestCluster.leading();
    test.consensus.overloaded = true;
    test.consensus.limit = TRANSFERRING;
    const refused = assert.rejects(test.cluster.submit([item()], { atomic: true }), { code: 'NO_LEADER' });
    await test.clock.settle();
    await refused;
  });

  it('of duties are tried again while the log takes no more', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit();
    test.consensus.overloaded = true;
    worker.finished(worker.lastRun());
    await test.clock.advance(100);
    assert.equal(test.task(id).status, 'assigned');
    test.consensus.overloaded = false;
    await test.clock.advance(100);
    assert.equal(test.task(id).status, 'succeeded');
    assert.equal(worker.of('recorded').length, 1);
  });
});

describe('who runs a task', () => {
  it('is the master itself only while no other node is able to, and not before workers had time to come', async () => {
    const test = await TestCluster.create();
    test.consensus.elect();
    const self = await test.worker('server1', { role: 'server', address: 'host1:3002', slots: 1 });
    const first = await test.submit();
    assert.equal(
      test.cluster.getTask(first).pendingReason,
      'waits for workers to register; position 1 in the queue',
    );
    await test.clock.advance(3_500);
    assert.equal(self.lastRun().task, first);
    assert.match(test.task(first).attempts[0]?.placement?.reason ?? '', /the master itself/);

    const worker = await test.worker('worker1', { slots: 1 });
    const second = await test.submit();
    assert.equal(worker.lastRun().task, second);
    self.finished(self.lastRun());
    await test.clock.settle();
    // The worker is busy, and still able.
    const third = await test.submit();
    assert.equal(test.task(third).status, 'queued');
    assert.equal(test.cluster.nodes().find((node) => node.id === 'server1')?.eligible, false);
    worker.silence();
    await test.clock.advance(2_600);
    assert.equal(self.lastRun().task, third);
  });

  it('spreads a burst over equal nodes before any sample shows it', async () => {
    const test = await TestCluster.leading();
    const workers = await Promise.all(
      ['w1', 'w2', 'w3'].map((id) => test.worker(id, { slots: 4, sample: { cpu: 5, memory: 20 } })),
    );
    const submitting = test.cluster.submit(
      Array.from({ length: 9 }, () => item()),
      { atomic: true },
    );
    await test.clock.settle();
    await submitting;
    assert.deepEqual(
      workers.map((worker) => worker.runs.length),
      [3, 3, 3],
    );
    for (const worker of workers) {
      assert.deepEqual(worker.of('considered'), [{ kind: 'considered', cpu: 5, memory: 20 }]);
    }
  });
});

describe('drain and cancel', () => {
  it('let running tasks end, or take them away at the deadline once they have ended', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1', { slots: 2 });
    const id = await test.submit();
    const ref = worker.lastRun();
    void test.cluster.drain('worker1', true, 1_000);
    await test.clock.settle();
    const second = await test.submit();
    assert.equal(worker.runs.length, 1);
    assert.equal(test.cluster.nodes()[0]?.status, 'draining');
    await test.clock.advance(900);
    assert.equal(worker.of('kill').length, 0);
    await test.clock.advance(500);
    assert.deepEqual(worker.of('kill'), [{ kind: 'kill', ...ref, why: 'canceled' }]);
    assert.equal(test.task(id).status, 'assigned');
    worker.finished(ref, 'canceled');
    await test.clock.settle();
    assert.equal(test.task(id).status, 'queued');
    assert.equal(test.task(id).pendingReason, 'node worker1 was drained');
    assert.deepEqual(worker.of('recorded'), [{ kind: 'recorded', ...ref, accepted: true }]);
    void test.cluster.drain('worker1', false, null);
    await test.clock.advance(100);
    assert.deepEqual(
      worker.runs.map(({ task }) => task),
      [id, id, second],
    );
    const unknown = assert.rejects(test.cluster.drain('nobody', true, null), { code: 'NOT_FOUND' });
    await test.clock.settle();
    await unknown;
  });

  it('tell the node to end a task, and refuse to end one that has ended', async () => {
    const test = await TestCluster.leading();
    const worker = await test.worker('worker1');
    const id = await test.submit();
    const ref = worker.lastRun();
    const canceling = test.cluster.cancel(id.slice(0, 8));
    await test.clock.settle();
    assert.equal((await canceling).status, 'assigned');
    assert.deepEqual(worker.of('kill'), [{ kind: 'kill', ...ref, why: 'canceled' }]);
    worker.finished(ref, 'canceled');
    await test.clock.settle();
    assert.equal(test.task(id).status, 'canceled');
    const again = assert.rejects(test.cluster.cancel(id), { code: 'CONFLICT' });
    await test.clock.settle();
    await again;
  });
});

describe('retention', () => {
  it('is proposed by the master when there is too much', async () => {
    const test = await TestCluster.leading({ retention: { ageMs: 3_600_000, tasksMax: 2 } });
    const worker = await test.worker('worker1');
    for (let at = 0; at < 5; at += 1) {
      await test.submit();
      worker.finished(worker.lastRun());
      await test.clock.settle();
    }
    await test.clock.advance(11_000);
    assert.equal(test.machine.state.tasks.countOf('succeeded'), 2);
    await test.clock.advance(3_700_000);
    assert.equal(test.machine.state.tasks.countOf('succeeded'), 0);
  });
});
