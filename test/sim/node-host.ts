/**
 * A server made of the production driver (src/raft/raft-node.ts) with the production storage format and wire format.
 * Time, network, disk and randomness are the simulation's.
 */
import { asLogIndex } from '../../src/raft/core/ids.ts';
import type {
  Configuration,
  Entry,
  LogIndex,
  Message,
  NodeId,
  RaftStatus,
  SnapshotMeta,
  Term,
} from '../../src/raft/core/types.ts';
import { RaftNode } from '../../src/raft/raft-node.ts';
import type { RaftSettings } from '../../src/raft/raft-settings.ts';
import type { CommittedCommand, StateMachine } from '../../src/raft/state-machine.ts';
import type { KvOp, KvStore } from '../../src/raft/storage/kv-store.ts';
import type { Timers } from '../../src/raft/timers.ts';
import { messageBytes, readMessage, writeMessage } from '../../src/raft/transport/codec.ts';
import { PROTOCOL_VERSIONS } from '../../src/raft/transport/versions.ts';
import type { RaftTransport } from '../../src/raft/transport/transport.ts';
import type { History } from './history.ts';
import type { DiskFailure, Host, Surroundings } from './host.ts';
import { SimKv, type SimDisk } from './sim-disk.ts';
import type { Weather } from './swarm.ts';

/** All servers of a simulation are of this cluster. */
export const SIM_CLUSTER_ID = 'simulated';

/** No snapshots by number of entries, no limit by bytes. */
const NEVER = Number.MAX_SAFE_INTEGER;

export interface NodeHostOptions<Result> {
  readonly id: NodeId;
  readonly life: number;
  readonly disk: SimDisk;
  readonly bootstrap: Configuration;
  readonly history: History;
  readonly around: Surroundings;
  readonly machine: StateMachine<Result>;
  /** What each server speaks now; otherwise all are of one version. */
  readonly versionOf?: (server: NodeId) => number;
  /** Of the machine's state now; null where that would cost too much. */
  readonly digestNow: (index: number) => string | number | null;
}

export class NodeHost<Result> implements Omit<Host, 'digest'> {
  readonly node: RaftNode<Result>;
  readonly timers: Timers;
  readonly #transport: SimTransport;
  readonly #kv: SimKv;
  readonly #watched: WatchedMachine<Result>;

  private constructor(node: RaftNode<Result>, parts: Parts<Result>) {
    this.node = node;
    this.timers = parts.timers;
    this.#transport = parts.transport;
    this.#kv = parts.kv;
    this.#watched = parts.watched;
  }

  static async start<Result>(options: NodeHostOptions<Result>): Promise<NodeHost<Result>> {
    const { id, disk, bootstrap, around } = options;
    const kv = new SimKv(disk, around);
    const transport = new SimTransport(id, around, options.versionOf);
    const watched = new WatchedMachine(options);
    const timers = timersOf(around);
    const node = await RaftNode.open<Result>({
      id,
      clusterId: SIM_CLUSTER_ID,
      bootstrap,
      kv,
      transport,
      machine: watched,
      timers,
      random: around.random.below,
      log: {
        info: (line: string) => around.trace('log', line),
        warn: (line: string) => around.trace('log', line),
        error: (line: string) => around.trace('log', line),
      },
      onFatal: (error) => {
        if (kv.hasFailed) around.diskFailed();
        else around.fail(error);
      },
      settings: settingsOf(around.weather()),
    });
    const host = new NodeHost(node, { timers, transport, kv, watched });
    node.start();
    return host;
  }

  status(): RaftStatus {
    return this.node.status();
  }
  entries(from: LogIndex, to: LogIndex): readonly Entry[] {
    return this.node.entries(from, to);
  }
  appliedIndex(): number {
    return this.#watched.appliedIndex;
  }
  receive(message: Message): void {
    this.#transport.onMessage?.(message);
  }
  proposeConfig(config: Configuration): void {
    void this.node.proposeConfig(config);
  }
  takeSnapshot(): void {
    void this.node.takeSnapshot();
  }
  transferLeadership(to: NodeId): void {
    void this.node.transferLeadership(to);
  }
  /** The next write to the disk fails. */
  failDisk(failure: DiskFailure): void {
    this.#kv.failNext(failure);
  }
  kill(): void {
    this.#kv.kill();
    this.#watched.kill();
  }
}

interface Parts<Result> {
  readonly timers: Timers;
  readonly transport: SimTransport;
  readonly kv: SimKv;
  readonly watched: WatchedMachine<Result>;
}

function timersOf(around: Surroundings): Timers {
  return {
    nowMs: around.nowMs,
    after: around.after,
    soon: (action) => void around.after(0, action),
  };
}

function settingsOf(weather: Weather): RaftSettings {
  const { tickMs, limits, snapshotEvery, trailingEntries } = weather;
  const { electionTicks, heartbeatTicks, patienceTicksMax, ...sizes } = limits;
  const electionMs = tickMs * electionTicks;
  return {
    ...sizes,
    tickMs,
    heartbeatMs: tickMs * heartbeatTicks,
    electionMs,
    patienceMs: tickMs * patienceTicksMax,
    stallTicks: 2,
    tellCommitMs: tickMs / 5,
    contactMs: 4 * electionMs,
    readBarrierMs: 3 * electionMs,
    transferMs: 2 * electionMs,
    catchUpMs: 2_000,
    configCommitMs: 1_000,
    waitingProposalsMax: 1000,
    applySliceMs: 5,
    snapshotEveryEntries: snapshotEvery === 0 ? NEVER : snapshotEvery,
    snapshotEveryBytes: NEVER,
    trailingEntries,
    trailingBytes: NEVER,
    // Where nothing trails, nothing is kept for those who catch up either: they come to their end all the same.
    catchUpBytesMax: trailingEntries === 0 ? 0 : NEVER,
    chunkResendMs: 60,
    chunkResendsMax: 6,
    superblockLagMs: 10 * tickMs,
    diskFreeBytesMin: 0,
    diskCheckMs: 1_000_000,
  };
}

/** Hands messages to the simulated network in the form in which they cross the wire. */
class SimTransport implements RaftTransport {
  onMessage: ((message: Message) => void) | null = null;
  onPeerLost: ((peer: NodeId) => void) | null = null;
  readonly #around: Surroundings;
  readonly #versionOf: (server: NodeId) => number;
  readonly #heardAtMs = new Map<NodeId, number>();
  readonly #versions = new Map<NodeId, number>();

  constructor(
    id: NodeId,
    around: Surroundings,
    versionOf: (server: NodeId) => number = () => PROTOCOL_VERSIONS.newest,
  ) {
    this.#around = around;
    this.#versionOf = versionOf;
    this.#versions.set(id, versionOf(id));
  }

  newestVersions(): ReadonlyMap<NodeId, number> {
    return this.#versions;
  }

  start(): void {
    const deliver = this.onMessage;
    this.onMessage = (message) => {
      this.#heardAtMs.set(message.from, this.#around.nowMs());
      this.#versions.set(message.from, this.#versionOf(message.from));
      deliver?.(message);
    };
  }

  send(to: NodeId, message: Message): void {
    this.#around.observe();
    // What its code does after that, until it comes to an end, has no effect on anybody (Surroundings).
    if (this.#around.diesNow()) return;
    const body = Buffer.alloc(messageBytes(message));
    writeMessage(body, 0, message);
    this.#around.send(readMessage(new Uint8Array(body), message.from, to));
  }

  lastContactMs(): ReadonlyMap<NodeId, number | null> {
    const now = this.#around.nowMs();
    return new Map([...this.#heardAtMs].map(([id, heardAtMs]) => [id, now - heardAtMs]));
  }

  close(): Promise<void> {
    this.onMessage = null;
    return Promise.resolve();
  }
}

/** Tells the history of everything the machine applies. */
class WatchedMachine<Result> implements StateMachine<Result> {
  readonly #options: NodeHostOptions<Result>;
  #appliedIndex = 0;
  #isDead = false;

  constructor(options: NodeHostOptions<Result>) {
    this.#options = options;
  }

  /** The process has died. What its code still does before it comes to an end never happened. */
  kill(): void {
    this.#isDead = true;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  apply(command: CommittedCommand): Result {
    const result = this.#options.machine.apply(command);
    this.#applied({ kind: 'command', ...command });
    return result;
  }

  applyTermStart(term: Term, index: LogIndex): void {
    this.#options.machine.applyTermStart(term, index);
    this.#applied({ kind: 'noop', term, index });
  }

  takeDirty(): readonly KvOp[] {
    return this.#options.machine.takeDirty();
  }
  snapshot(): AsyncIterable<Uint8Array> {
    return this.#options.machine.snapshot();
  }
  storedAt(index: LogIndex, key: string, value: Uint8Array): boolean {
    return this.#options.machine.storedAt(index, key, value);
  }
  dropBefore(index: LogIndex): readonly KvOp[] {
    return this.#options.machine.dropBefore(index);
  }

  async restore(
    meta: SnapshotMeta,
    chunks: AsyncIterable<Uint8Array>,
    kv: Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'>,
  ): Promise<void> {
    await this.#options.machine.restore(meta, chunks, kv);
    if (this.#isDead) return;
    this.#appliedIndex = meta.index;
    const { id, life, history, digestNow } = this.#options;
    history.installed(id, life, asLogIndex(meta.index), digestNow(meta.index));
  }

  #applied(entry: Entry): void {
    if (this.#isDead) return;
    const { id, life, history, around, digestNow } = this.#options;
    this.#appliedIndex = entry.index;
    around.observe();
    history.applied(id, life, entry, digestNow(entry.index));
  }
}
