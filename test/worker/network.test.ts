// The worker as it is in production: over HTTP Upgrade to a server, with a real launcher and real processes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { LINK_PROTOCOL } from '../../src/link/protocol.ts';
import type { MasterToWorker, RunSpec, WorkerToMaster } from '../../src/link/protocol.ts';
import { masterLink } from '../../src/link/socket-connection.ts';
import type { SocketLink } from '../../src/link/socket-connection.ts';
import { UpgradeRouter } from '../../src/net/upgrade.ts';
import { Worker } from '../../src/worker/worker.ts';
import { leftovers, poll, QUIET, temporaryFolder } from './launcher/harness.ts';
import { SPEC } from './fake-master.ts';

type Link = SocketLink<MasterToWorker, WorkerToMaster>;

describe('a worker on the network', () => {
  const dataDir = temporaryFolder();
  let server: Server;
  let address = '';
  let link: Link | null = null;
  const received: WorkerToMaster[] = [];
  let records = true;
  const fatal: Error[] = [];

  function onMessage(from: Link, message: WorkerToMaster): void {
    received.push(message);
    if (message.kind === 'hello') {
      link = from;
      const verdicts = message.held.map(({ task, token }) => ({ task, token, verdict: 'keep' as const }));
      from.send({ kind: 'welcome', leader: 'server1', term: 1, verdicts });
    }
    if (message.kind === 'heartbeat') from.send({ kind: 'heartbeatAck', seq: message.seq });
    if (records && (message.kind === 'finished' || message.kind === 'released')) {
      from.send({ kind: 'recorded', task: message.task, token: message.token, accepted: true });
    }
  }

  before(async () => {
    const router = new UpgradeRouter((request) =>
      request.headers.authorization === 'Bearer secret' && request.headers['x-clb-cluster'] === 'c1'
        ? { ok: true }
        : { ok: false, status: 401, message: 'who are you?' },
    );
    router.handle(LINK_PROTOCOL, (socket) => {
      const from = masterLink(socket);
      from.onMessage = (message) => onMessage(from, message);
    });
    server = createServer();
    router.attach(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    link?.close();
    server.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  const worker = (token: string | null = 'secret'): Worker =>
    new Worker({
      id: 'worker1',
      role: 'worker',
      address: '127.0.0.1:3006',
      servers: [address],
      slots: 2,
      labels: {},
      dataDir,
      token,
      clusterHeaders: { 'x-clb-cluster': 'c1' },
      writeLine: () => undefined,
      log: QUIET,
      onFatal: (error) => fatal.push(error),
    });
  const run = (task: string, token: number, spec: Partial<RunSpec>): void => {
    link?.send({ kind: 'run', task, token, number: 1, spec: { ...SPEC, ...spec } });
  };
  async function message<K extends WorkerToMaster['kind']>(
    kind: K,
    task?: string,
  ): Promise<Extract<WorkerToMaster, { kind: K }>> {
    const find = (): WorkerToMaster | undefined =>
      received.find(
        (item) => item.kind === kind && (task === undefined || ('task' in item && item.task === task)),
      );
    await poll(() => find() !== undefined, `${kind} ${task ?? ''}`);
    return find() as Extract<WorkerToMaster, { kind: K }>;
  }

  it('is let in with the token only', async () => {
    const stranger = worker('wrong');
    await stranger.start();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(received, []);
    await stranger.stop();
  });

  it('runs tasks, survives a crash with its results, and gives back what it was running', async () => {
    const id = `n-${process.pid}`;
    const first = worker();
    await first.start();
    await message('hello');
    run(`${id}-a`, 1, { command: ['echo', 'hello'] });
    const { result } = await message('finished', `${id}-a`);
    assert.equal(result.stdout, 'hello\n');
    await message('started', `${id}-a`);

    records = false;
    run(`${id}-b`, 2, { command: ['echo', 'not recorded'] });
    run(`${id}-c`, 3, { command: ['sh', '-c', 'setsid sleep 1000 & sleep 1000'] });
    await message('finished', `${id}-b`);
    await message('started', `${id}-c`);
    await poll(() => leftovers(`${id}-c`).length >= 2, 'the processes');
    await first.crash();
    assert.deepEqual(leftovers(`${id}-c`), []);

    records = true;
    received.length = 0;
    const second = worker();
    await second.start();
    const hello = await message('hello');
    assert.deepEqual(hello.held.map(({ task, state }) => [task, state]).sort(), [
      [`${id}-b`, 'ended'],
      [`${id}-c`, 'ended'],
    ]);
    assert.equal((await message('finished', `${id}-b`)).result.stdout, 'not recorded\n');
    assert.match((await message('released', `${id}-c`)).reason, /died and the task with it/);

    received.length = 0;
    run(`${id}-d`, 4, { command: ['sh', '-c', 'sleep 1000'] });
    await message('started', `${id}-d`);
    await second.stop();
    assert.match((await message('released', `${id}-d`)).reason, /worker1 is being stopped/);
    await message('goodbye');
    assert.deepEqual(leftovers(`${id}-d`), []);
    assert.deepEqual(fatal, []);
  });
});
