import type { ProposeResult, ReadBarrierResult } from '../../src/raft/consensus.ts';
import type { NodeId } from '../../src/raft/core/types.ts';
import type { Host } from './host.ts';
import type { History } from './history.ts';
import { ListClient, type ClusterAccess } from './list-client.ts';
import { encodeCommand, type ListResult } from './list-machine.ts';
import { check } from './sim-failure.ts';
import type { SimNode } from './sim-node.ts';
import type { Traffic, TrafficSurroundings } from './traffic.ts';

/** A server that replicates a {@link ./list-machine.ts}. */
export interface ListHost extends Host {
  propose(payload: Uint8Array, done: (result: ProposeResult<ListResult>) => void): void;
  /** `ready`: the local state may be read now. */
  read(done: (result: ReadBarrierResult) => void): void;
  appliedIndex(): number;
  lastSeq(client: number): number;
}

/** Clients count from 1 on. */
const NOBODY = 0;

/** Clients that append to the list and read it. */
export class ListTraffic implements Traffic<ListHost> {
  readonly #clients: readonly ListClient[];
  readonly #access: ClusterAccess;
  readonly #history: History;
  #written = 0;

  constructor({ nodes, random, weather, ...shared }: TrafficSurroundings<ListHost>) {
    const access = accessTo(nodes);
    this.#access = access;
    this.#history = shared.history;
    this.#clients = Array.from(
      { length: weather().clients },
      (_, i) => new ListClient({ ...shared, number: i + 1, weather, random: random.fork(), access }),
    );
  }

  get answered(): number {
    return this.#clients.reduce((sum, client) => sum + client.answeredSeq, 0);
  }

  start(): void {
    for (const client of this.#clients) client.start();
  }
  stop(): void {
    for (const client of this.#clients) client.stop();
  }
  more(): void {
    for (const client of this.#clients) client.once();
  }

  read(id: NodeId): void {
    const floor = this.#history.answeredIndex;
    this.#access.read(id, ({ kind }) => {
      if (kind === 'ready') this.#history.read(id, floor, this.#access.appliedIndex(id));
    });
  }

  write(id: NodeId): void {
    this.#written++;
    const command = { client: NOBODY, seq: this.#written };
    this.#access.propose(id, encodeCommand(command, 0), () => undefined);
  }

  unfinished(): string | null {
    const waiting = this.#clients.find((client) => !client.isIdle);
    return waiting === undefined ? null : `${waiting.name} waits for an answer`;
  }

  checkAtRest(members: readonly SimNode<ListHost>[]): void {
    for (const { name, number, answeredSeq } of this.#clients) {
      for (const node of members) {
        const seq = node.host?.lastSeq(number) ?? 0;
        check(seq >= answeredSeq, 'T1', () => `${node.id} lacks ${name}'s command ${String(answeredSeq)}`);
      }
    }
  }
}

function accessTo(nodes: readonly SimNode<ListHost>[]): ClusterAccess {
  const byId = new Map<NodeId, SimNode<ListHost>>(nodes.map((node) => [node.id, node]));
  const find = (id: NodeId): SimNode<ListHost> => {
    const node = byId.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  };
  return {
    nodes: nodes.map((node) => node.id),
    propose: (id, payload, done) => {
      const node = find(id);
      node.touch((host) => host.propose(payload, node.whileAlive(done)));
      return node.isUp;
    },
    read: (id, done) => {
      const node = find(id);
      node.touch((host) => host.read(node.whileAlive(done)));
      return node.isUp;
    },
    appliedIndex: (id) => find(id).host?.appliedIndex() ?? 0,
  };
}
