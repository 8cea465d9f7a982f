/**
 * NATS JetStream beside CLB: three nodes on loopback, a file stream with three replicas as a work queue, otherwise defaults
 * (which sync to disk every two minutes, not per message). A cycle is a publish and its acknowledgement, the message consumed,
 * and its acknowledgement acknowledged in turn, from 1, 64 and 256 clients; then the time from `kill -9` of the stream's leader
 * to the next publish. Prints one JSON line.
 *
 *     BENCH_MODULES=FOLDER node --import tsx bench/peers/nats.ts [--secs 4] [--reps 2] [--failovers 3] [--dir FOLDER]
 *
 * `--secs`: how long each load lasts. `--reps`: how often each is repeated; medians are printed. `--failovers`: how often the
 * leader is killed. `--dir`: where the nodes' folders are made (default: the system's for temporary files). Needs nats-server
 * (Debian's package of that name), and the library nats in the folder that BENCH_MODULES names
 * (`npm install --prefix FOLDER nats`).
 */
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { eventually, freePortBase } from '../../test/cluster/processes.ts';
import { killNow, pause, PeerProcesses, peerLibrary, readOptions } from './harness.ts';
import { closedLoop, repeated, times, timeToFirstSuccess } from './load.ts';
import type { LoadResult } from './load.ts';
import type { ConsumerMessages, JetStreamManager, NatsLibrary } from './nats-library.ts';

const { secs, reps, failovers, dir } = readOptions({ secs: 4, reps: 2, failovers: 3 });
const { connect, nanos, AckPolicy, RetentionPolicy, StorageType } = peerLibrary('nats') as NatsLibrary;

const STREAM = 'tasks';
const SUBJECT = 'tasks.one';
/** As long as what CLB stores of a task; the first four are a number, by which the client knows its message again. */
const MESSAGE_BYTES = 300;
/** After this a cycle counts as failed. */
const CYCLE_TIMEOUT_MS = 10_000;
/** How often, and for how long each, a publish is tried after the leader was killed. */
const RETRY_EVERY_MS = 50;
const RETRY_TIMEOUT_MS = 1_000;

interface NatsNode {
  readonly name: string;
  readonly clientPort: number;
  readonly routePort: number;
  process: ChildProcess | null;
}

const processes = new PeerProcesses(dir);
const ports = await freePortBase(6);
const nodes = [0, 1, 2].map((n): NatsNode => ({
  name: `n${n}`,
  clientPort: ports + 1 + n,
  routePort: ports + 4 + n,
  process: null,
}));

function start(node: NatsNode): void {
  const { name, clientPort, routePort } = node;
  const config = `${processes.folder}/${name}.conf`;
  const routes = nodes.map((other) => `"nats://127.0.0.1:${other.routePort}"`).join(', ');
  writeFileSync(
    config,
    `server_name: ${name}
    listen: 127.0.0.1:${clientPort}
    jetstream { store_dir: "${processes.folder}/${name}" }
    cluster { name: bench, listen: 127.0.0.1:${routePort}, routes: [${routes}] }
    `,
  );
  node.process = processes.start(name, 'nats-server', ['-c', config]);
}

function address(node: NatsNode): string {
  return `127.0.0.1:${node.clientPort}`;
}

async function createStream(): Promise<JetStreamManager> {
  const connection = await eventually('a connection to NATS', () =>
    connect({ servers: nodes.map(address), maxReconnectAttempts: -1 }),
  );
  return eventually('the stream is created', async () => {
    const manager = await connection.jetstreamManager({ timeout: 2_000 });
    await manager.streams.add({
      name: STREAM,
      subjects: ['tasks.*'],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      num_replicas: 3,
    });
    return manager;
  });
}

function leader(): Promise<NatsNode> {
  return eventually('the stream has a leader', async () => {
    const { cluster } = await manager.streams.info(STREAM);
    return nodes.find(({ name }) => name === cluster?.leader);
  });
}

let loads = 0;

async function cycles(clients: number, loadSecs: number): Promise<LoadResult> {
  const node = await leader();
  loads += 1;
  const durable = `load${loads}`;
  await manager.consumers.add(STREAM, {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: 20_000,
    ack_wait: nanos(30_000),
  });
  const [publisher, subscriber] = await Promise.all([
    connect({ servers: [address(node)] }),
    connect({ servers: [address(node)] }),
  ]);
  const consumer = await subscriber.jetstream().consumers.get(STREAM, durable);
  const messages = await consumer.consume({ max_messages: 1_000 });
  const awaited = new Map<number, () => void>();
  const consuming = consume(messages, (number) => awaited.get(number)?.());

  const stream = publisher.jetstream({ timeout: 5_000 });
  let published = 0;
  const result = await closedLoop(clients, loadSecs, async () => {
    const message = Buffer.alloc(MESSAGE_BYTES);
    const number = published;
    published += 1;
    message.writeUInt32BE(number);
    let giveUp: NodeJS.Timeout | undefined;
    const acknowledged = new Promise<void>((done, failed) => {
      awaited.set(number, done);
      giveUp = setTimeout(() => failed(new Error('a message was lost')), CYCLE_TIMEOUT_MS);
    });
    try {
      await Promise.all([stream.publish(SUBJECT, message), acknowledged]);
    } finally {
      clearTimeout(giveUp);
      awaited.delete(number);
    }
  });

  await messages.close();
  await consuming;
  await manager.consumers.delete(STREAM, durable);
  await Promise.all([publisher.close(), subscriber.close()]);
  await manager.streams.purge(STREAM);
  return result;
}

/** Acknowledges what comes, and calls back with the number of each message once that is acknowledged in turn. */
async function consume(messages: ConsumerMessages, acknowledged: (number: number) => void): Promise<void> {
  for await (const message of messages) {
    const { buffer, byteOffset, byteLength } = message.data;
    const number = new DataView(buffer, byteOffset, byteLength).getUint32(0);
    message.ackAck().then(
      () => acknowledged(number),
      () => undefined, // its cycle fails in time
    );
  }
}

/** Milliseconds from the end of the stream's leader to the first publish that is acknowledged through one of the others. */
async function failover(): Promise<number> {
  const killed = await leader();
  await pause(1_500); // as in quiet operation: nothing is left over from the start of the node killed before
  const survivors = await Promise.all(
    nodes.filter((node) => node !== killed).map((node) => connect({ servers: [address(node)] })),
  );
  const streams = survivors.map((connection) => connection.jetstream({ timeout: RETRY_TIMEOUT_MS }));
  await killNow(killed.process!);
  const ms = await timeToFirstSuccess(RETRY_EVERY_MS, () =>
    streams.map((stream) => stream.publish(SUBJECT, Buffer.alloc(MESSAGE_BYTES))),
  );
  await Promise.all(survivors.map((connection) => connection.close()));
  start(killed);
  await pause(4_000); // until it has caught up, which the stream's description tells only with a delay
  return ms;
}

for (const node of nodes) start(node);
const manager = await createStream();
await cycles(64, 1); // warm
const results = await repeated(reps, {
  e2e_ackAck_c1: () => cycles(1, secs),
  e2e_ackAck_c64: () => cycles(64, secs),
  e2e_ackAck_c256: () => cycles(256, secs),
});
const failoverMs: number[] = [];
for (let round = 0; round < failovers; round += 1) failoverMs.push(await failover());
console.log(
  JSON.stringify({
    peer: 'NATS JetStream, three nodes, file stream with three replicas',
    ...results,
    failover_ms: times(failoverMs),
  }),
);
process.exit(0);
