/**
 * What a thousand workers cost the master while they only say that they are there (goal P8 of docs/benchmarks.md: at most 30 % of one core):
 * one process holds that many real connections to three real servers, each with a heartbeat and a sample a second.
 * `node --import tsx bench/workers.ts [--workers 1000] [--secs 30]`. Linux only. Prints one JSON line.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { NodeView } from '../src/api/views.ts';
import { LINK_VERSION } from '../src/link/protocol.ts';
import { networkDial } from '../src/worker/master-finder.ts';
import { eventually, ProcessCluster } from '../test/cluster/processes.ts';

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}
const WORKERS = option('--workers', 1_000);
const SECS = option('--secs', 30);
const HEARTBEAT_MS = 1_000;
/** Dials at a time. */
const DIALS = 20;
/** USER_HZ, 100 on every Linux this runs on. */
const TICKS_PER_SECOND = 100;

function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

const cluster = await ProcessCluster.prepare({
  only: ['server1', 'server2', 'server3'],
  extraArgs: { server: ['--slots', '0'] },
  env: { CLB_LOG_LEVEL: 'warn' },
});
let closed = 0;
let welcomed = 0;
let refusals = 0;
let lastRefusal: string | null = null;

/** Until it is welcomed: a dial may fail while the master is busy with the others. */
async function join(node: string, address: string): Promise<void> {
  for (;;) {
    try {
      await worker(node, address);
      return;
    } catch (error) {
      refusals += 1;
      lastRefusal = error instanceof Error ? error.message : String(error);
      await wait(HEARTBEAT_MS);
    }
  }
}

async function worker(node: string, address: string): Promise<void> {
  const link = await networkDial({})(address, new AbortController().signal);
  let seq = 0;
  let timer: NodeJS.Timeout | null = null;
  const welcome = new Promise<void>((resolve, reject) => {
    link.onClose = (reason) => {
      if (timer === null) reject(new Error(`closed before the welcome: ${reason}`));
      else {
        closed += 1;
        clearInterval(timer);
      }
    };
    link.onMessage = (message) => {
      if (message.kind === 'welcome') resolve();
      else if (message.kind !== 'heartbeatAck') reject(new Error(JSON.stringify(message)));
    };
  });
  link.send({
    ...{ kind: 'hello', version: LINK_VERSION, node, role: 'worker', instance: node, address: `${node}:1` },
    ...{ slots: 2, cpus: 2, memoryMb: 4_096, labels: {}, held: [], leaving: false },
    sample: { cpu: 5, memory: 30 },
  });
  await welcome;
  welcomed += 1;
  timer = setInterval(() => {
    seq += 1;
    link.send({ kind: 'heartbeat', seq, sample: { cpu: 5 + (seq % 7), memory: 30 } });
  }, HEARTBEAT_MS);
}

try {
  for (const { id } of cluster.nodes) cluster.startNode(id);
  const master = await cluster.master();
  const address = `127.0.0.1:${cluster.node(master).port}`;
  let next = 0;
  await Promise.all(
    Array.from({ length: DIALS }, async () => {
      while (next < WORKERS) await join(`sim${(next += 1)}`, address);
    }),
  );
  await eventually('all are ready', async () => {
    const { nodes } = await cluster.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes');
    const ready = nodes.filter(({ status }) => status === 'ready').length;
    if (ready >= WORKERS) return true;
    throw new Error(`${ready} are ready, ${welcomed} were welcomed, ${closed} lost, ${refusals} refused`);
  });
  await wait(5_000);
  const pids = cluster.nodes.map(({ id }) => [id, cluster.pid(id)] as const);
  const before = pids.map(([, pid]) => cpuTicks(pid));
  const from = performance.now();
  await wait(SECS * 1_000);
  const seconds = (performance.now() - from) / 1_000;
  const percent = pids.map(([id, pid], at) => [
    id === master ? `${id} (master)` : id,
    Math.round((1_000 * (cpuTicks(pid) - (before[at] ?? 0))) / TICKS_PER_SECOND / seconds) / 10,
  ]);
  console.log(
    JSON.stringify({
      workers: {
        connected: welcomed - closed,
        lost: closed,
        ...{ refusals, last_refusal: lastRefusal },
        cpu_percent: Object.fromEntries(percent) as Record<string, number>,
        same_master: (await cluster.master()) === master,
      },
    }),
  );
} finally {
  await cluster.destroy();
}
process.exit();
