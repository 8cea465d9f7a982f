/**
 * The scheduler on real Raft nodes (network and disks in memory) while servers crash and come back all the time, with
 * snapshots and retention at work: every acknowledged task ends, once; the same key gives the same task; no attempt runs on
 * two nodes at once by the workers' own books; all servers come to the same state.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import { isFinal } from '../../src/api/tasks.ts';
import { MemoryLink } from '../../src/link/memory-link.ts';
import type { MasterToWorker, WorkerToMaster } from '../../src/link/protocol.ts';
import type { NodeId } from '../../src/raft/core/types.ts';
import { silentLogger } from '../../src/raft/raft-logger.ts';
import { RaftNode } from '../../src/raft/raft-node.ts';
import { MemoryKv } from '../../src/raft/storage/memory-kv.ts';
import type { MemoryDisk } from '../../src/raft/storage/memory-kv.ts';
import { systemTimers } from '../../src/raft/timers.ts';
import { MemoryNetwork } from '../../src/raft/transport/memory-transport.ts';
import { systemClock } from '../../src/scheduler/master/clock.ts';
import { Master } from '../../src/scheduler/master/master.ts';
import { ServerCluster } from '../../src/scheduler/server-cluster.ts';
import type { ApplyResult } from '../../src/scheduler/state/ops.ts';
import { TaskMachine } from '../../src/scheduler/task-machine.ts';
import { exactTask } from '../../src/scheduler/task-search.ts';
import { taskResult } from './machine-driver.ts';

const CHURN_MS = Number(process.env['CLB_CHURN_MS'] ?? 5_000);
const QUIET_MS = 60_000;
const CLIENTS = 6;
const IDS = ['a', 'b', 'c'] as NodeId[];
/** Short, so that much happens in a few seconds; long enough for a machine with other things to do. */
const LEASE = { pauseAfterMs: 1_000, lostAfterMs: 1_500 };

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const random = (bound: number): number => Math.floor(Math.random() * bound);

class Server {
  readonly id: NodeId;
  readonly disk: MemoryDisk = new Map();
  machine = new TaskMachine();
  raft: RaftNode<ApplyResult> | null = null;
  master: Master | null = null;
  cluster: ServerCluster | null = null;

  constructor(id: NodeId) {
    this.id = id;
  }

  async open(network: MemoryNetwork, onFatal: (error: unknown) => void): Promise<void> {
    const machine = new TaskMachine({ segmentTasks: 1 + random(20) });
    const raft = await RaftNode.open<ApplyResult>({
      ...{ id: this.id, clusterId: 'test', bootstrap: { voters: IDS, learners: [] } },
      ...{ kv: new MemoryKv(this.disk), transport: network.transport(this.id), machine },
      ...{ timers: systemTimers, random, log: silentLogger, onFatal },
      settings: {
        ...{ electionMs: 150, heartbeatMs: 30, snapshotEveryEntries: 60, trailingEntries: 10 },
        ...{ chunkResendMs: 50, applySliceMs: 1 },
      },
    });
    const serverAddress = (id: string): string => `${id}:3002`;
    const shared = { consensus: raft, machine, nodeId: this.id, clock: systemClock, serverAddress };
    this.master = new Master({
      ...shared,
      ...{ clientPortDefault: 3001, leaderExecutes: 'never', lease: LEASE },
      writeLine: () => undefined,
      log: { info: () => undefined, warn: () => undefined },
    });
    this.cluster = new ServerCluster({ ...shared, master: this.master, randomBytes });
    this.machine = machine;
    this.raft = raft;
    this.cluster.start();
    this.master.start();
    raft.start();
  }

  async crash(): Promise<void> {
    const { raft } = this;
    this.master?.stop();
    this.cluster?.stop();
    this.raft = null;
    this.master = null;
    this.cluster = null;
    await raft?.crash();
  }
}

/** Runs a task for a few milliseconds, keeps results until they are recorded, and pauses when it is cut off. */
class Worker {
  readonly id: string;
  readonly #servers: readonly Server[];
  readonly #running: Map<string, string>;
  readonly #held = new Map<string, { task: string; token: number; over: boolean }>();
  #link: MemoryLink<WorkerToMaster, MasterToWorker> | null = null;
  #stopped = false;
  /** Attempts that ran while another worker said it was running the same task. */
  overlaps = 0;

  /** `running`: who runs which task, shared by all workers. */
  constructor(id: string, servers: readonly Server[], running: Map<string, string>) {
    this.id = id;
    this.#servers = servers;
    this.#running = running;
  }

  async live(): Promise<void> {
    let seq = 0;
    while (!this.#stopped) {
      if (this.#link === null) this.#dial();
      else this.#link.send({ kind: 'heartbeat', seq: (seq += 1), sample: null });
      await pause(this.#link === null ? 20 : 100);
    }
    this.#link?.close();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The connection breaks, as it does when somebody pulls a cable. */
  cut(): void {
    this.#link?.break('cut');
  }

  #dial(): void {
    const server = this.#servers[random(this.#servers.length)];
    if (server?.master == null) return;
    const [mine, theirs] = MemoryLink.pair<WorkerToMaster, MasterToWorker>();
    this.#link = mine;
    mine.onClose = () => {
      if (this.#link === mine) this.#link = null;
    };
    mine.onMessage = (message) => this.#received(mine, message);
    server.master.acceptLink(theirs);
    mine.send({
      ...{
        kind: 'hello',
        version: 1,
        node: this.id,
        role: 'worker',
        instance: this.id,
        address: `${this.id}:1`,
      },
      ...{ slots: 3, cpus: 4, memoryMb: 1_024, labels: {}, sample: null, leaving: false },
      held: [...this.#held.values()].map(({ task, token, over }) => ({
        ...{ task, token, state: over ? ('ended' as const) : ('running' as const) },
      })),
    });
  }

  #received(link: MemoryLink<WorkerToMaster, MasterToWorker>, message: MasterToWorker): void {
    if (link !== this.#link) return;
    switch (message.kind) {
      case 'redirect':
      case 'refuse':
        link.close();
        this.#link = null;
        return;
      case 'welcome':
        for (const { task, token, verdict } of message.verdicts)
          if (verdict === 'kill') this.#forget(task, token);
        for (const { task, token, over } of this.#held.values()) if (over) this.#report(task, token);
        return;
      case 'run':
        void this.#run(message.task, message.token);
        return;
      case 'recorded':
        this.#held.delete(`${message.task} ${message.token}`);
        return;
      case 'kill':
        this.#forget(message.task, message.token);
        return;
      case 'heartbeatAck':
      case 'readOutput':
      case 'readFile':
      case 'considered':
        return;
    }
  }

  async #run(task: string, token: number): Promise<void> {
    const key = `${task} ${token}`;
    if (this.#held.has(key)) return;
    const held = { task, token, over: false };
    this.#held.set(key, held);
    if (this.#running.has(task)) this.overlaps += 1;
    this.#running.set(task, this.id);
    this.#link?.send({ kind: 'started', task, token });
    await pause(random(30));
    if (this.#running.get(task) === this.id) this.#running.delete(task);
    if (this.#held.get(key) !== held) return;
    held.over = true;
    this.#report(task, token);
  }

  #forget(task: string, token: number): void {
    this.#held.delete(`${task} ${token}`);
    if (this.#running.get(task) === this.id) this.#running.delete(task);
  }

  #report(task: string, token: number): void {
    const failed = token % 7 === 0;
    this.#link?.send({
      ...{ kind: 'finished', task, token, outcome: failed ? 'failed' : 'succeeded', reason: null, runMs: 1 },
      result: taskResult({ exitCode: failed ? 1 : 0, stdout: `${task} ${token}` }),
    });
  }
}

/** Submits under keys, and again under the same key whenever the answer is not certain. */
async function client(
  name: number,
  servers: readonly Server[],
  acknowledged: Map<string, string>,
  over: () => boolean,
) {
  for (let n = 0; !over(); n += 1) {
    const key = `${name}:${n}`;
    for (;;) {
      const cluster = servers.find((server) => server.master?.leading === true)?.cluster;
      const request = { command: ['x'], maxAttempts: 3, backoffMs: 20 };
      try {
        if (cluster == null) throw new ApiError('NO_LEADER', 'nobody leads');
        const items = [{ request, idempotencyKey: key, retryOf: null, clientPort: null }];
        const [result] = await cluster.submit(items, { atomic: n % 2 === 0 });
        const id = result?.task?.id;
        assert.ok(id, JSON.stringify(result));
        const before = acknowledged.get(key);
        assert.ok(before === undefined || before === id, `key ${key} stands for ${id} and ${before}`);
        acknowledged.set(key, id);
        // Now and then asked again although it is known.
        if (random(10) > 0) break;
      } catch (error) {
        assert.ok(error instanceof ApiError, String(error));
        if (over()) return;
        await pause(30);
      }
    }
    // About as many as the workers run meanwhile: a backlog would have to be waited for at the end.
    await pause(random(60));
  }
}

describe('three servers and two workers under churn', () => {
  it('finish every acknowledged task, once, and agree on it', async (t) => {
    const network = new MemoryNetwork(systemTimers);
    const fatal: unknown[] = [];
    const onFatal = (error: unknown): void => void fatal.push(error);
    const servers = IDS.map((id) => new Server(id));
    const running = new Map<string, string>();
    const workers = ['w1', 'w2'].map((id) => new Worker(id, servers, running));
    let isOver = false;
    // Also after a failed assertion: their timers would keep this process alive.
    t.after(async () => {
      isOver = true;
      for (const worker of workers) worker.stop();
      for (const server of servers) await server.crash();
    });
    for (const server of servers) await server.open(network, onFatal);
    const living = workers.map((worker) => worker.live());
    const acknowledged = new Map<string, string>();
    const clients = Array.from({ length: CLIENTS }, (_, name) =>
      client(name, servers, acknowledged, () => isOver),
    );

    const endsAt = Date.now() + CHURN_MS;
    while (Date.now() < endsAt) {
      await pause(200 + random(400));
      workers[random(2)]?.cut();
      const victim = servers[random(servers.length)];
      assert.ok(victim);
      await victim.crash();
      await pause(random(400));
      await victim.open(network, onFatal);
    }
    isOver = true;
    await Promise.all(clients);
    assert.deepEqual(fatal, []);
    assert.ok(acknowledged.size > 20, `only ${acknowledged.size} tasks were taken in`);

    const unfinished = (): string[] => {
      const leader = servers.find((server) => server.master?.leading === true);
      if (leader === undefined) return ['no leader'];
      return [...acknowledged.values()].filter((id) => {
        const task = exactTask(leader.machine.state.tasks, id);
        return task === null || !isFinal(task.status);
      });
    };
    const deadline = Date.now() + QUIET_MS;
    while (unfinished().length > 0 && Date.now() < deadline) await pause(50);
    assert.deepEqual(unfinished(), []);
    for (const worker of workers) worker.stop();
    await Promise.all(living);
    const applied = (): Set<number> => new Set(servers.map(({ machine }) => machine.state.appliedIndex));
    while (applied().size > 1 && Date.now() < deadline) await pause(50);
    assert.equal(applied().size, 1);
    assert.equal(new Set(servers.map(({ machine }) => machine.stateHash())).size, 1);
    for (const id of acknowledged.values()) {
      const [first, ...others] = servers.map(({ machine }) =>
        JSON.stringify(exactTask(machine.state.tasks, id)),
      );
      for (const other of others) assert.equal(other, first);
    }
    assert.deepEqual(
      workers.map(({ overlaps }) => overlaps),
      [0, 0],
    );
    for (const server of servers) await server.crash();
    assert.deepEqual(fatal, []);
  });
});
