/**
 * Crashes, restarts, cut links and snapshots all the time, on whole nodes in real time: what was acknowledged is there in the end,
 * once and in the same order everywhere. The simulator does this for the core in a way that can be repeated; here it is about the
 * loop, its asynchronous parts and the store between lives.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeId } from '../../../src/raft/core/types.ts';
import { silentLogger } from '../../../src/raft/raft-logger.ts';
import { RaftNode } from '../../../src/raft/raft-node.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import type { MemoryDisk } from '../../../src/raft/storage/memory-kv.ts';
import { systemTimers } from '../../../src/raft/timers.ts';
import { MemoryNetwork } from '../../../src/raft/transport/memory-transport.ts';
import { until } from './test-cluster.ts';
import { WordMachine } from './word-machine.ts';

const CHURN_MS = Number(process.env['CLB_CHURN_MS'] ?? 6_000);
const CLIENTS = 8;
const IDS = ['a', 'b', 'c'] as NodeId[];

interface Server {
  readonly id: NodeId;
  readonly disk: MemoryDisk;
  machine: WordMachine;
  node: RaftNode<string> | null;
}

const random = (bound: number): number => Math.floor(Math.random() * bound);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('three servers under churn', () => {
  it('lose, double and reorder nothing', async () => {
    const network = new MemoryNetwork(systemTimers);
    const fatal: unknown[] = [];
    const servers = IDS.map((id): Server => ({
      id,
      disk: new Map(),
      machine: new WordMachine(),
      node: null,
    }));
    const open = async (server: Server): Promise<void> => {
      server.machine = new WordMachine();
      server.node = await RaftNode.open<string>({
        id: server.id,
        clusterId: 'churn',
        bootstrap: { voters: IDS, learners: [] },
        kv: new MemoryKv(server.disk),
        transport: network.transport(server.id),
        machine: server.machine,
        timers: systemTimers,
        random,
        log: silentLogger,
        onFatal: (error) => fatal.push(error),
        settings: {
          electionMs: 100,
          heartbeatMs: 20,
          snapshotEveryEntries: 100,
          trailingEntries: 10,
          chunkResendMs: 50,
          applySliceMs: 1,
        },
      });
      server.node.start();
    };
    const crash = async (server: Server): Promise<void> => {
      const { node } = server;
      server.node = null;
      await node?.crash();
    };
    for (const server of servers) await open(server);

    const acknowledged: string[] = [];
    let stop = false;
    const client = async (name: number): Promise<void> => {
      for (let n = 0; !stop; n++) {
        const word = `${name}:${n}`;
        const server = servers.find(({ node }) => node?.status().role === 'leader');
        const result = await server?.node?.propose(Buffer.from(n % 10 === 0 ? `keep:${word}` : word));
        if (result?.kind === 'applied') acknowledged.push(word);
        else await pause(10);
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, name) => client(name));

    const endMs = performance.now() + CHURN_MS;
    while (performance.now() < endMs) {
      const server = servers[random(servers.length)]!;
      switch (random(3)) {
        case 0:
          await crash(server);
          await pause(random(300));
          await open(server);
          break;
        case 1:
          for (const { id } of servers) {
            network.cut(server.id, id);
            if (random(2) === 0) network.cut(id, server.id);
          }
          await pause(random(400));
          network.heal();
          break;
        default:
          void server.node?.takeSnapshot();
          await pause(random(100));
      }
      await pause(random(150));
    }
    stop = true;
    await Promise.all(clients);
    await until('all to have the same', () => {
      const states = servers.map(({ node }) => node!.status());
      const leader = states.find(({ role }) => role === 'leader');
      return (
        leader !== undefined &&
        states.every(
          ({ appliedIndex, commitIndex }) =>
            appliedIndex === leader.lastIndex && commitIndex === appliedIndex,
        )
      );
    });
    // Written with the next flush; the end is not the moment to wait for one.
    await until('a last word', async () => {
      const leader = servers.find(({ node }) => node?.status().role === 'leader');
      return (await leader?.node?.propose(Buffer.from('last')))?.kind === 'applied';
    });
    await until('the last word everywhere', () =>
      servers.every(({ machine }) => machine.words.at(-1) === 'last'),
    );

    assert.deepEqual(fatal, []);
    const [first] = servers;
    for (const { machine } of servers) assert.deepEqual(machine.words, first!.machine.words);
    const present = new Set(first!.machine.words);
    assert.equal(present.size, first!.machine.words.length, 'nothing is there twice');
    for (const server of servers) {
      const stored = new Set((await server.machine.stored()).map((word) => word.slice('keep:'.length)));
      for (const word of acknowledged)
        assert.ok(present.has(word) || stored.has(word), `${word} is lost on ${server.id}`);
    }
    assert.ok(acknowledged.length > 100, `${acknowledged.length} words were acknowledged`);
    for (const server of servers) await crash(server);
  });
});
