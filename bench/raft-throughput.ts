/**
 * What the Raft node alone can do: three voters, each a process of its own with its own LevelDB, on loopback. A closed loop of
 * N clients inside the leader's process proposes commands; each waits for its result. Prints one JSON line.
 *
 *     node --import tsx bench/raft-throughput.ts [--secs 3] [--clients 1,64,256,1024] [--bytes 300] [--dir FOLDER]
 *
 * "cycles" are pairs of commits, because a task costs two.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { UpgradeRouter } from '../src/net/upgrade.ts';
import type { NodeId } from '../src/raft/core/types.ts';
import { HttpTransport, LevelKv, RaftNode, silentLogger, systemTimers } from '../src/raft/index.ts';
import type { RaftMetrics, StateMachine } from '../src/raft/index.ts';

type ToVoter =
  | {
      readonly kind: 'start';
      readonly id: string;
      readonly ports: Readonly<Record<string, number>>;
      readonly folder: string;
    }
  | { readonly kind: 'load'; readonly clients: number; readonly secs: number; readonly bytes: number }
  | { readonly kind: 'cpu' };

interface LoadResult {
  readonly commitsPerSec: number;
  readonly cyclesPerSec: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly flushesPerSec: number;
  readonly entriesPerFlush: number;
  readonly fsyncP50Ms: number;
}

/** Microseconds of processor time. Says more than the rates where others use the machine, too. */
interface CpuPerCommit {
  readonly leader: number;
  readonly followers: readonly number[];
}

/** Counts; keeps nothing, so that only Raft is measured. */
class CountingMachine implements StateMachine<number> {
  #count = 0;
  apply(): number {
    return ++this.#count;
  }
  applyTermStart(): void {
    /* nothing depends on terms here */
  }
  takeDirty(): readonly [] {
    return [];
  }
  async *snapshot(): AsyncIterable<Uint8Array> {
    yield await Promise.resolve(Buffer.from(String(this.#count)));
  }
  storedAt(): boolean {
    return true;
  }
  dropBefore(): readonly [] {
    return [];
  }
  restore(): Promise<void> {
    return Promise.resolve();
  }
}

/** Sorted natively: the leader's process must not stall over its own statistics, or it loses the lead. */
function quantile(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort();
  return Number((sorted[Math.floor((sorted.length - 1) * q)] ?? 0).toFixed(2));
}

class FlushCounter implements RaftMetrics {
  flushes = 0;
  entries = 0;
  fsyncMs: number[] = [];
  flushed(seconds: number, entries: number): void {
    this.flushes += 1;
    this.entries += entries;
    this.fsyncMs.push(seconds * 1000);
  }
  committed(): void {
    /* measured by the clients */
  }
  electionStarted(): void {
    /* not measured */
  }
  snapshotTaken(): void {
    /* not measured */
  }
}

async function load(
  node: RaftNode<number>,
  metrics: FlushCounter,
  spec: Extract<ToVoter, { kind: 'load' }>,
): Promise<LoadResult> {
  const payload = Buffer.from(
    JSON.stringify({ at: 1_700_000_000_000, ops: [{ kind: 'submit', pad: '' }] }).padEnd(spec.bytes, ' '),
  );
  const latencies: number[] = [];
  metrics.flushes = 0;
  metrics.entries = 0;
  metrics.fsyncMs = [];
  const startMs = performance.now();
  const endMs = startMs + spec.secs * 1000;
  const client = async (): Promise<void> => {
    for (let fromMs = performance.now(); fromMs < endMs;) {
      const result = await node.propose(payload);
      if (result.kind !== 'applied')
        throw new Error(
          `the lead was lost (a proposal ended as ${result.kind}): is the machine busy? run it again`,
        );
      const nowMs = performance.now();
      latencies.push(nowMs - fromMs);
      fromMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: spec.clients }, client));
  const secs = (performance.now() - startMs) / 1000;
  return {
    commitsPerSec: Math.round(latencies.length / secs),
    cyclesPerSec: Math.round(latencies.length / secs / 2),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    flushesPerSec: Math.round(metrics.flushes / secs),
    entriesPerFlush: Math.round(metrics.entries / Math.max(1, metrics.flushes)),
    fsyncP50Ms: quantile(metrics.fsyncMs, 0.5),
  };
}

/** A voter's process. */
function voter(): void {
  const router = new UpgradeRouter(() => ({ ok: true }));
  const server = createServer();
  router.attach(server);
  server.listen(0, '127.0.0.1', () =>
    process.send?.({ kind: 'port', port: (server.address() as AddressInfo).port }),
  );
  const metrics = new FlushCounter();
  let node: RaftNode<number> | null = null;
  const start = async ({ id, ports, folder }: Extract<ToVoter, { kind: 'start' }>): Promise<void> => {
    const peers = new Map(
      Object.entries(ports).map(([name, port]) => [name as NodeId, { host: '127.0.0.1', port }]),
    );
    node = await RaftNode.open<number>({
      id: id as NodeId,
      clusterId: 'bench',
      bootstrap: { voters: [...peers.keys()], learners: [] },
      kv: await LevelKv.open(folder),
      transport: new HttpTransport({
        clusterId: 'bench',
        self: id as NodeId,
        peers,
        router,
        token: null,
        timers: systemTimers,
        log: silentLogger,
      }),
      machine: new CountingMachine(),
      timers: systemTimers,
      random: (bound) => Math.floor(Math.random() * bound),
      log: silentLogger,
      metrics,
      onFatal: (error) => {
        console.error(error);
        process.exit(1);
      },
    });
    node.onRoleChanged(({ role, term }) => process.send?.({ kind: 'role', role, term }));
    node.start();
  };
  process.on('message', (message: ToVoter) => {
    if (message.kind === 'start') void start(message);
    else if (message.kind === 'cpu') process.send?.({ kind: 'cpu', cpu: process.cpuUsage() });
    else if (node !== null)
      void load(node, metrics, message).then((result) => process.send?.({ kind: 'result', result }));
  });
  process.on('disconnect', () => process.exit(0));
}

function answer<T>(child: ChildProcess, kind: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: { readonly kind: string }): void => {
      if (message.kind !== kind) return;
      child.off('message', onMessage);
      child.off('exit', onExit);
      resolve(message as T);
    };
    const onExit = (): void => reject(new Error('a voter ended'));
    child.on('message', onMessage);
    child.on('exit', onExit);
  });
}

/** Processor time used so far, user and system. */
async function cpuUs(child: ChildProcess): Promise<number> {
  const answered = answer<{ readonly cpu: NodeJS.CpuUsage }>(child, 'cpu');
  child.send({ kind: 'cpu' });
  const { cpu } = await answered;
  return cpu.user + cpu.system;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      secs: { type: 'string', default: '3' },
      clients: { type: 'string', default: '1,64,256,1024' },
      bytes: { type: 'string', default: '300' },
      dir: { type: 'string', default: tmpdir() },
    },
  });
  const base = mkdtempSync(join(values.dir, 'clb-bench-'));
  const children = new Map<string, ChildProcess>();
  try {
    const ports: Record<string, number> = {};
    for (const id of ['server1', 'server2', 'server3']) {
      const child = fork(fileURLToPath(import.meta.url), ['--voter'], { stdio: 'inherit' });
      children.set(id, child);
      ports[id] = (await answer<{ readonly port: number }>(child, 'port')).port;
    }
    let elections = 0;
    const leads = [...children].map(([id, child]) => {
      return new Promise<ChildProcess>((resolve) => {
        child.on('message', (message: { readonly kind: string; readonly role?: string }) => {
          if (message.kind === 'role' && message.role === 'candidate') elections += 1;
          if (message.kind === 'role' && message.role === 'leader') resolve(child);
        });
        child.send({ kind: 'start', id, ports, folder: join(base, id) });
      });
    });
    const leader = await Promise.race(leads);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const results: Record<string, LoadResult & { readonly cpuUsPerCommit: CpuPerCommit }> = {};
    const followers = [...children.values()].filter((child) => child !== leader);
    for (const clients of values.clients.split(',').map(Number)) {
      const before = await Promise.all([leader, ...followers].map(cpuUs));
      leader.send({ kind: 'load', clients, secs: Number(values.secs), bytes: Number(values.bytes) });
      const { result } = await answer<{ readonly result: LoadResult }>(leader, 'result');
      const after = await Promise.all([leader, ...followers].map(cpuUs));
      const used = after.map(
        (us, n) => (us - (before[n] ?? 0)) / (result.commitsPerSec * Number(values.secs)),
      );
      const [leaderUs = 0, ...followerUs] = used.map((us) => Number(us.toFixed(1)));
      results[`c${clients}`] = { ...result, cpuUsPerCommit: { leader: leaderUs, followers: followerUs } };
    }
    console.log(
      JSON.stringify({ what: 'raft-throughput', bytes: Number(values.bytes), elections, ...results }),
    );
  } finally {
    for (const child of children.values()) child.kill('SIGKILL');
    rmSync(base, { recursive: true, force: true });
  }
}

if (process.argv.includes('--voter')) voter();
else await main();
