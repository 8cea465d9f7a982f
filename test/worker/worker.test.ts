// The worker against servers in memory and an executor that runs nothing: leases, verdicts, the outbox, the order of things.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { LEASE } from '../../src/link/protocol.ts';
import { monotonicMs } from '../../src/worker/monotonic.ts';
import { Worker } from '../../src/worker/worker.ts';
import { FakeExecutor, success } from './fake-executor.ts';
import { FakeServers } from './fake-master.ts';
import type { MasterEnd, Of } from './fake-master.ts';

const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined };
const SERVER1 = '127.0.0.1:3002';
const SERVER2 = '127.0.0.1:3004';

describe('the worker', () => {
  let dataDir = '';
  let servers: FakeServers;
  let executor: FakeExecutor;
  let lines: string[];
  let fatal: Error[];
  const workers: Worker[] = [];

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'clb-worker-test-'));
    servers = new FakeServers();
    servers.behavior.set(SERVER1, (link) => link.welcome());
    executor = new FakeExecutor();
    lines = [];
    fatal = [];
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.crash();
    assert.deepEqual(fatal, []);
    rmSync(dataDir, { recursive: true });
  });

  async function start(): Promise<Worker> {
    const worker = new Worker({
      id: 'worker1',
      role: 'worker',
      address: '127.0.0.1:3006',
      servers: [SERVER1, SERVER2],
      slots: 3,
      labels: { zone: 'a' },
      dataDir,
      token: null,
      clusterHeaders: {},
      executor,
      dial: servers.dial,
      writeLine: (line) => lines.push(line),
      log: QUIET,
      onFatal: (error) => fatal.push(error),
    });
    workers.push(worker);
    await worker.start();
    return worker;
  }

  async function connected(count = 1): Promise<MasterEnd> {
    while (servers.links.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    const link = servers.latest;
    await link.until('heartbeat');
    return link;
  }

  async function launched(count = 1): Promise<void> {
    while (executor.launched.length < count) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  it('says who it is', async () => {
    const worker = await start();
    const { hello } = await connected();
    assert.equal(hello?.node, 'worker1');
    assert.equal(hello.address, '127.0.0.1:3006');
    assert.equal(hello.slots, 3);
    assert.deepEqual(hello.labels, { zone: 'a' });
    assert.deepEqual(hello.held, []);
    assert.equal(hello.leaving, false);
    assert.match(hello.instance, /^[0-9a-f]{24}$/);
    assert.equal(worker.master, 'server1');
  });

  it('runs an order, reports start and end, writes the lines, and forgets it when it is recorded', async () => {
    await start();
    const master = await connected();
    master.records = false;
    master.run('task-1', 7);
    await launched();
    assert.equal(executor.launched[0]?.task, 'task-1');
    assert.equal(executor.launched[0].number, 1);
    executor.begun({ task: 'task-1', token: 7 });
    assert.deepEqual(await master.until('started'), { kind: 'started', task: 'task-1', token: 7 });
    executor.end({ task: 'task-1', token: 7 }, success('hi'));
    const finished = await master.until('finished');
    assert.equal(finished.outcome, 'succeeded');
    assert.equal(finished.result.stdout, 'hi');
    while (executor.acknowledged.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(executor.acknowledged, ['task-1.7']);
    assert.deepEqual(lines, ['Received payload: task-1', 'Sent result: task-1 for leader to port: 3002']);

    master.break();
    const again = await connected(2);
    assert.deepEqual(again.hello?.held, [{ task: 'task-1', token: 7, state: 'ended' }]);
    assert.deepEqual(await again.until('finished'), finished, 'sent again until it is recorded');
    again.break();
    const third = await connected(3);
    await third.until('heartbeat', 2);
    assert.deepEqual(third.hello?.held, []);
    assert.deepEqual(third.all('finished'), []);
  });

  it('starts an attempt once, however often it is ordered', async () => {
    await start();
    const master = await connected();
    master.run('task-1', 7);
    master.run('task-1', 7);
    await launched();
    master.run('task-1', 7);
    executor.end({ task: 'task-1', token: 7 }, success());
    await master.until('finished');
    master.run('task-1', 7);
    master.run('task-2', 8);
    await launched(2);
    assert.deepEqual(
      executor.launched.map(({ task }) => task),
      ['task-1', 'task-2'],
    );
  });

  it('counts the lease from the moment the acknowledged heartbeat was sent', async () => {
    servers.behavior.set(SERVER1, (link) => {
      link.acknowledges = false;
      link.welcome();
    });
    const beforeMs = monotonicMs();
    await start();
    const master = await connected();
    const { seq } = await master.until('heartbeat');
    const sentByMs = monotonicMs();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(executor.leases, []);
    master.send({ kind: 'heartbeatAck', seq });
    while (executor.leases.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    const [untilMs = 0] = executor.leases;
    assert.ok(untilMs >= beforeMs + LEASE.pauseAfterMs);
    assert.ok(untilMs <= sentByMs + LEASE.pauseAfterMs, 'not from the moment the acknowledgement came');
  });

  it('gives a master up that does not acknowledge, and says hello anew before any lease', async () => {
    servers.behavior.set(SERVER1, (link) => {
      link.acknowledges = false;
      link.welcome();
    });
    await start();
    const master = await connected();
    assert.equal(await master.untilClosed(), 'closed by the other side');
    await connected(2);
    assert.deepEqual(executor.leases, []);
  });

  it('kills what is not its own any more before it lets the rest go on, once the master has proved itself', async () => {
    await start();
    const master = await connected();
    master.run('mine', 1);
    master.run('other', 2);
    master.run('unmentioned', 3);
    await launched(3);
    servers.behavior.set(SERVER1, (link) => {
      link.acknowledges = false;
      const verdicts = [
        { task: 'mine', token: 1, verdict: 'keep' as const },
        { task: 'other', token: 2, verdict: 'kill' as const },
      ];
      link.send({ kind: 'welcome', leader: 'server1', term: 2, verdicts });
    });
    executor.calls.length = 0;
    master.break();
    const next = await connected(2);
    const { seq } = await next.until('heartbeat');
    assert.deepEqual(executor.calls, [], 'a deposed master could say the same');
    next.send({ kind: 'heartbeatAck', seq });
    while (executor.calls.length < 3) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.deepEqual(executor.calls, ['kill other.2', 'kill unmentioned.3', 'lease']);
    assert.deepEqual(executor.kills, ['other.2 superseded', 'unmentioned.3 superseded']);
    next.break();
    servers.behavior.set(SERVER1, (link) => link.welcome(2));
    assert.deepEqual((await connected(3)).hello?.held, [{ task: 'mine', token: 1, state: 'running' }]);
  });

  it('does not stay with a master of an older term than it has seen', async () => {
    servers.behavior.set(SERVER1, (link) => link.welcome(5));
    await start();
    const master = await connected();
    await master.until('heartbeat');
    servers.behavior.set(SERVER1, (link) => link.welcome(4));
    master.break();
    while (servers.links.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await servers.links[1]!.untilClosed();
    servers.behavior.set(SERVER1, (link) => link.welcome(6));
    const link = await connected(servers.links.length + 1);
    assert.equal(link.closed, null);
  });

  it('reports a cancellation as the executor ends it, and one that came before the start', async () => {
    await start();
    const master = await connected();
    master.run('task-1', 1);
    master.send({ kind: 'kill', task: 'task-1', token: 1, why: 'canceled' });
    const early = await master.until('finished');
    assert.equal(early.outcome, 'canceled');
    assert.equal(early.reason, 'canceled before it was started');
    assert.deepEqual(executor.launched, []);
    master.run('task-2', 2);
    await launched();
    master.send({ kind: 'kill', task: 'task-2', token: 2, why: 'canceled' });
    while (executor.kills.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.deepEqual(executor.kills, ['task-2.2 canceled']);
  });

  it('has every result on its own disk or still in the executor’s hands: a crash loses none', async () => {
    executor = new FakeExecutor({ instant: true, beginBeforeLaunch: false });
    servers.behavior.set(SERVER1, (link) => {
      link.records = false;
      link.welcome();
    });
    const first = await start();
    const master = await connected();
    for (let token = 1; token <= 100; token += 1) master.run(`task-${token}`, token);
    await master.until('finished', 100);
    const acknowledged = new Set(executor.acknowledged);
    await first.crash();
    executor = new FakeExecutor();
    // It keeps what it was not told to forget, as the launcher does.
    const ended = Array.from({ length: 100 }, (_, at) => ({ task: `task-${at + 1}`, token: at + 1 }))
      .filter(({ task, token }) => !acknowledged.has(`${task}.${token}`))
      .map((ref) => ({ ...ref, ending: success() }));
    executor.holdings = { running: [], ended };
    servers.behavior.set(SERVER1, (link) => link.welcome());
    await start();
    const next = await connected(2);
    assert.equal(next.hello?.held.length, 100);
    await next.until('finished', 100);
    assert.equal(new Set(next.all('finished').map(({ task }) => task)).size, 100);
    assert.equal(next.hello.instance, master.hello?.instance, 'it is still the same node');
  });

  it('gives back after a crash what it had begun and what nobody runs any more; keeps what runs and what ended', async () => {
    const first = await start();
    const master = await connected();
    for (const [task, token] of [
      ['gone', 1],
      ['runs', 2],
      ['over', 3],
    ] as const)
      master.run(task, token);
    await launched(3);
    await first.crash();
    assert.equal(executor.life, 'crashed');

    executor = new FakeExecutor();
    executor.holdings = {
      running: [{ task: 'runs', token: 2, started: true }],
      ended: [{ task: 'over', token: 3, ending: success('late') }],
    };
    await start();
    const next = await connected(2);
    const released = await next.until('released');
    assert.deepEqual(released, {
      kind: 'released',
      task: 'gone',
      token: 1,
      reason: 'worker1 crashed while it ran the task',
      fault: true,
    });
    assert.equal((await next.until('finished')).result.stdout, 'late');
    assert.deepEqual((await next.until('started')).task, 'runs');
    next.run('gone', 1);
    executor.end({ task: 'runs', token: 2 }, success());
    await next.until('finished', 2);
    assert.deepEqual(executor.launched, [], 'an attempt is never started twice');
  });

  it('stops in order: says it leaves, ends what runs, waits until that is recorded, says goodbye', async () => {
    const worker = await start();
    const master = await connected();
    master.run('task-1', 1);
    await launched();
    const stopped = worker.stop();
    const last = await connected(2);
    assert.equal(last.hello?.leaving, true);
    last.run('task-2', 2);
    await stopped;
    assert.deepEqual(executor.kills, ['task-1.1 released']);
    const given = last.all('released').map(({ task }) => task);
    assert.ok(given.includes('task-1'));
    await last.until('goodbye');
    assert.equal(executor.life, 'stopped');
    await last.untilClosed();
  });

  it('says goodbye at once when it holds nothing', async () => {
    const worker = await start();
    const master = await connected();
    await worker.stop();
    await master.until('goodbye');
    assert.equal(servers.links.length, 1);
  });

  it('keeps for the next start what could not be given back', async () => {
    const worker = await start();
    const master = await connected();
    master.run('task-1', 1);
    await launched();
    servers.behavior.delete(SERVER1);
    await worker.stop();
    executor = new FakeExecutor();
    servers.behavior.set(SERVER1, (link) => link.welcome());
    await start();
    assert.equal((await (await connected(2)).until('released')).task, 'task-1');
  });

  it('answers reads of output, and says so where there is none', async () => {
    await start();
    const master = await connected();
    const ask = (request: number, task: string, offset: number): void =>
      master.send({
        kind: 'readOutput',
        task,
        token: 1,
        request,
        stream: 'stdout',
        offset,
        maxBytes: 4,
        waitMs: 0,
      });
    ask(1, 'task-1', 5);
    const answer = await master.until('output');
    assert.deepEqual(
      [answer.request, Buffer.from(answer.data, 'base64').toString(), answer.nextOffset, answer.end],
      [1, 'outp', 9, true],
    );
    ask(2, 'unknown', 0);
    assert.deepEqual(await master.until('outputError'), {
      kind: 'outputError',
      request: 2,
      message: 'not kept',
    });
  });

  it('tells of which tasks it keeps output, and forgets those that the cluster keeps no more', async () => {
    executor.kept = ['task-1', 'task-2'];
    await start();
    const master = await connected();
    const told = (): Of<'heartbeat'>[] => master.all('heartbeat').filter(({ kept }) => kept !== undefined);
    await master.untilSo(() => told().length > 0, 'what is kept');
    const [beat] = told();
    assert.deepEqual(beat?.kept, ['task-1', 'task-2']);
    master.send({ kind: 'heartbeatAck', seq: beat.seq, forget: ['task-1'] });
    while (executor.forgotten.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.deepEqual(executor.forgotten, ['task-1']);
    await master.until('heartbeat', master.all('heartbeat').length + 1);
    assert.equal(told().length, 1, 'told once');
  });

  it('answers reads of files that are kept', async () => {
    await start();
    const master = await connected();
    const ask = (request: number, path: string): void =>
      master.send({ kind: 'readFile', task: 'task-1', token: 1, request, path, offset: 2, maxBytes: 9 });
    ask(1, 'out.bin');
    const answer = await master.until('output');
    assert.deepEqual([Buffer.from(answer.data, 'base64').toString(), answer.nextOffset], ['file', 6]);
    ask(2, 'other');
    assert.equal((await master.until('outputError')).message, 'not kept');
  });

  it('writes the lines of the original when its sample was weighed', async () => {
    await start();
    const master = await connected();
    master.send({ kind: 'considered', cpu: 0.2, memory: 9.84 });
    while (lines.length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.deepEqual(lines, ['The CPU usage is: 0.2', 'RAM memory /%/ used: 9.8']);
  });

  it('sends samples with its heartbeats', async () => {
    await start();
    const master = await connected();
    await master.untilSo(() => master.all('heartbeat').some(({ sample }) => sample !== null), 'a sample');
    const { sample } = master.all('heartbeat').find((heartbeat) => heartbeat.sample !== null)!;
    assert.ok(sample!.cpu >= 0 && sample!.cpu <= 100);
    assert.ok(sample!.memory > 0 && sample!.memory <= 100);
  });

  it('refuses to start on a data folder that another one has open', async () => {
    await start();
    const second = new Worker({
      id: 'worker1',
      role: 'worker',
      address: '127.0.0.1:3006',
      servers: [SERVER1],
      slots: null,
      labels: {},
      dataDir,
      token: null,
      clusterHeaders: {},
      executor: new FakeExecutor(),
      dial: servers.dial,
      writeLine: () => undefined,
      log: QUIET,
      onFatal: (error) => fatal.push(error),
    });
    await assert.rejects(second.start(), { code: 'LEVEL_DATABASE_NOT_OPEN' });
    await second.stop();
  });
});
