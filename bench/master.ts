/**
 * How many task cycles a master gets through on one core: `node --import tsx bench/master.ts [tasks] [clients]`.
 * Submit, assign, run, start, finish, recorded, with workers that return at once; consensus and links are in memory,
 * so this is the cost of the scheduler alone.
 */
import { randomBytes } from 'node:crypto';
import { Master } from '../src/scheduler/master/master.ts';
import { systemClock } from '../src/scheduler/master/clock.ts';
import { ServerCluster } from '../src/scheduler/server-cluster.ts';
import type { ApplyResult } from '../src/scheduler/state/ops.ts';
import { TaskMachine } from '../src/scheduler/task-machine.ts';
import { FakeConsensus } from '../test/scheduler/fake-consensus.ts';
import { restoreMachine, taskResult } from '../test/scheduler/machine-driver.ts';
import { MemoryKv } from '../test/scheduler/memory-kv.ts';
import type { LinkConnection, MasterToWorker, WorkerToMaster } from '../src/link/protocol.ts';

const TASKS = Number(process.argv[2] ?? 100_000);
const CLIENTS = Number(process.argv[3] ?? 256);
const WORKERS = 3;
const SLOTS = 100;
/** A new master waits for workers so long; only then would it run tasks itself. */
const SETTLE_MS = 200;

const machine = new TaskMachine();
const kv = new MemoryKv();
await restoreMachine(machine, 0, 0, [], kv);
const consensus = new FakeConsensus<ApplyResult>('server1', machine, systemClock);
const serverAddress = (): string => '127.0.0.1:3002';
let lines = 0;
const master = new Master({
  ...{ consensus, machine, nodeId: 'server1', clock: systemClock, serverAddress },
  ...{ clientPortDefault: 3001, leaderExecutes: 'never' },
  writeLine: () => (lines += 1),
  log: { info: () => undefined, warn: () => undefined },
});
const cluster = new ServerCluster({
  ...{ consensus, machine, master, nodeId: 'server1', clock: systemClock, serverAddress, randomBytes },
});
cluster.start();
master.start();
consensus.elect();

/** Runs everything at once. Messages pass as text, in a later turn. */
function instantWorker(node: string): void {
  let inbox: string[] = [];
  const connection: LinkConnection<MasterToWorker, WorkerToMaster> = {
    onMessage: null,
    onClose: null,
    close: () => undefined,
    send: (message) => {
      inbox.push(JSON.stringify(message));
      if (inbox.length === 1) setImmediate(answer);
    },
  };
  const say = (message: WorkerToMaster): void =>
    connection.onMessage?.(JSON.parse(JSON.stringify(message)) as WorkerToMaster);
  const answer = (): void => {
    const messages = inbox;
    inbox = [];
    for (const text of messages) {
      const message = JSON.parse(text) as MasterToWorker;
      if (message.kind !== 'run') continue;
      const { task, token } = message;
      say({ kind: 'started', task, token });
      const result = taskResult({ stdout: 'sum 42\n', stdoutBytes: 7 });
      say({ kind: 'finished', task, token, outcome: 'succeeded', reason: null, runMs: 1, result });
    }
  };
  master.acceptLink(connection);
  say({
    ...{ kind: 'hello', version: 1, node, role: 'worker', instance: node, address: `${node}:3006` },
    ...{ slots: SLOTS, cpus: 4, memoryMb: 8_192, labels: {}, held: [], leaving: false },
    sample: { cpu: 10, memory: 20 },
  });
  let seq = 0;
  setInterval(() => say({ kind: 'heartbeat', seq: (seq += 1), sample: null }), 500).unref();
}

for (let at = 1; at <= WORKERS; at += 1) instantWorker(`worker${at}`);
await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

let submitted = 0;
let attempts = 0;
async function client(): Promise<void> {
  const never = new AbortController().signal;
  while (submitted < TASKS) {
    submitted += 1;
    const request = { command: ['/bin/true'] };
    const idempotencyKey = `key-${submitted}`;
    const [result] = await cluster.submit([{ request, idempotencyKey, retryOf: null, clientPort: null }], {
      atomic: true,
    });
    const task = await cluster.waitTask(result?.task?.id ?? '', 60_000, never);
    attempts += task.attempts.length;
    if (submitted % 64 === 0) kv.write(machine.takeDirty());
  }
}

const startedAt = performance.now();
const cpuBefore = process.cpuUsage();
await Promise.all(Array.from({ length: CLIENTS }, client));
const seconds = (performance.now() - startedAt) / 1_000;
const cpu = process.cpuUsage(cpuBefore);
const cpuSeconds = (cpu.user + cpu.system) / 1e6;
console.log(
  `${CLIENTS} clients: ${Math.round(TASKS / seconds)} cycles/s, ${Math.round(TASKS / cpuSeconds)} per second of CPU, ` +
    `${attempts} attempts, ${machine.state.appliedIndex} entries, ${lines} lines`,
);
master.stop();
