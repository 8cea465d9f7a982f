/**
 * etcd beside CLB: three nodes on loopback with default settings, puts of 300 bytes to the leader from 1, 64 and 256 clients,
 * and the time from `kill -9` of the leader to the next put. Prints one JSON line.
 *
 *     node --import tsx bench/peers/etcd.ts [--secs 4] [--reps 2] [--failovers 5] [--dir FOLDER]
 *
 * `--secs`: how long each load lasts. `--reps`: how often each is repeated; medians are printed. `--failovers`: how often the
 * leader is killed. `--dir`: where the nodes' folders are made (default: the system's for temporary files). Needs etcd
 * (Debian's package etcd-server).
 */
import type { ChildProcess } from 'node:child_process';
import { eventually, freePortBase } from '../../test/cluster/processes.ts';
import { EtcdClient } from './etcd-client.ts';
import { killNow, pause, PeerProcesses, readOptions } from './harness.ts';
import { closedLoop, repeated, times, timeToFirstSuccess } from './load.ts';
import type { LoadResult } from './load.ts';

const { secs, reps, failovers, dir } = readOptions({ secs: 4, reps: 2, failovers: 5 });
/** Streams share a connection; more than these do not make etcd faster. */
const CONNECTIONS_MAX = 8;
/** How often, and for how long each, a put is tried after the leader was killed. */
const RETRY_EVERY_MS = 20;
const RETRY_TIMEOUT_MS = 4_000;

interface EtcdNode {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  process: ChildProcess | null;
}

const processes = new PeerProcesses(dir);
const ports = await freePortBase(6);
const nodes = [0, 1, 2].map((n): EtcdNode => ({
  name: `n${n}`,
  clientPort: ports + 1 + n,
  peerPort: ports + 4 + n,
  process: null,
}));

function start(node: EtcdNode, clusterState: 'new' | 'existing'): void {
  const clientUrl = `http://127.0.0.1:${node.clientPort}`;
  const peerUrl = `http://127.0.0.1:${node.peerPort}`;
  const cluster = nodes.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`).join(',');
  node.process = processes.start(node.name, 'etcd', [
    ...['--name', node.name, '--data-dir', `${processes.folder}/${node.name}`],
    ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    ...['--initial-cluster', cluster, '--initial-cluster-state', clusterState],
    ...['--log-level', 'error', '--logger', 'zap'],
  ]);
}

interface StatusAnswer {
  readonly leader?: string;
  readonly header: { readonly member_id: string };
}

function leader(): Promise<EtcdNode> {
  return eventually('etcd has a leader', async () => {
    for (const node of nodes) {
      const status = await statusOf(node).catch(() => null);
      if (status?.leader !== undefined && status.leader === status.header.member_id) return node;
    }
    return null;
  });
}

async function statusOf(node: EtcdNode): Promise<StatusAnswer> {
  const answer = await fetch(`http://127.0.0.1:${node.clientPort}/v3/maintenance/status`, {
    method: 'POST',
    body: '{}',
    signal: AbortSignal.timeout(500),
  });
  return (await answer.json()) as StatusAnswer;
}

async function puts(clients: number, loadSecs: number): Promise<LoadResult> {
  const { clientPort } = await leader();
  const connections = await connected(Array<number>(Math.min(clients, CONNECTIONS_MAX)).fill(clientPort));
  const result = await closedLoop(clients, loadSecs, (client) =>
    connections[client % connections.length]!.put(),
  );
  for (const connection of connections) connection.close();
  return result;
}

/** Connections that have carried a put already. */
async function connected(to: readonly number[]): Promise<readonly EtcdClient[]> {
  const clients = to.map((port) => new EtcdClient(port));
  await Promise.all(clients.map((client) => client.put()));
  return clients;
}

/** Milliseconds from the leader's end to the first put that one of the others acknowledges. */
async function failover(): Promise<number> {
  const killed = await leader();
  await pause(1_500); // as in quiet operation: nothing is left over from the start of the node killed before
  const survivors = await connected(
    nodes.filter((node) => node !== killed).map(({ clientPort }) => clientPort),
  );
  await killNow(killed.process!);
  const ms = await timeToFirstSuccess(RETRY_EVERY_MS, () =>
    survivors.map((client) => client.put(RETRY_TIMEOUT_MS)),
  );
  for (const client of survivors) client.close();
  start(killed, 'existing');
  await eventually(
    'the killed node follows again',
    async () => (await statusOf(killed)).leader !== undefined,
  );
  return ms;
}

for (const node of nodes) start(node, 'new');
await puts(64, 1); // warm
const results = await repeated(reps, {
  c1: () => puts(1, secs),
  c64: () => puts(64, secs),
  c256: () => puts(256, secs),
});
const failoverMs: number[] = [];
for (let round = 0; round < failovers; round += 1) failoverMs.push(await failover());
console.log(
  JSON.stringify({
    peer: 'etcd, three nodes',
    client: 'gRPC by hand over HTTP/2, to the leader',
    puts: results,
    failover_ms: times(failoverMs),
  }),
);
process.exit(0);
