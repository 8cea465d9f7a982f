import { randomBytes, randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Cluster } from '../api/cluster.ts';
import type { WriteLine } from '../api/log.ts';
import { LINK_PROTOCOL } from '../link/protocol.ts';
import { masterLink } from '../link/socket-connection.ts';
import type { Dial } from '../net/connection-cut.ts';
import type { UpgradeRouter } from '../net/upgrade.ts';
import type { NodeId } from '../raft/core/types.ts';
import { RaftNode } from '../raft/raft-node.ts';
import { diskFreeBytes } from '../raft/storage/disk-space.ts';
import { LevelKv } from '../raft/storage/level-kv.ts';
import { storedIdentity } from '../raft/storage/stored-identity.ts';
import { systemTimers } from '../raft/timers.ts';
import { HttpTransport } from '../raft/transport/http-transport.ts';
import { systemClock } from '../scheduler/master/clock.ts';
import { Master } from '../scheduler/master/master.ts';
import type { AssignmentFault } from '../scheduler/master/placer.ts';
import { ServerCluster } from '../scheduler/server-cluster.ts';
import type { ApplyResult } from '../scheduler/state/ops.ts';
import { TaskMachine } from '../scheduler/task-machine.ts';
import type { NodeMetrics } from '../web/metrics.ts';
import { Worker } from '../worker/worker.ts';
import { clusterIdOf } from './cluster-id.ts';
import { advertised, formatAddress } from './http-host.ts';
import type { ServerOptions } from './options.ts';

export interface ServerCoreDeps {
  readonly options: ServerOptions;
  readonly log: Logger;
  readonly writeLine: WriteLine;
  readonly metrics: NodeMetrics;
  readonly upgrades: UpgradeRouter;
  /** Opens the node's connections to others. */
  readonly dial: Dial;
  /** null: fault injection is off. */
  readonly fault: AssignmentFault | null;
  /** Storage can't be relied on, or an invariant is broken: the process must end. */
  readonly onFatal: (error: unknown) => void;
}

/**
 * What a simulated crash takes away and a restart builds anew from disk: consensus, state machine, the master's duties and
 * the server's own worker. The HTTP side in front of it stays.
 */
export class ServerCore {
  readonly cluster: Cluster;
  readonly #raft: RaftNode<ApplyResult>;
  readonly #master: Master;
  readonly #cluster: ServerCluster;
  readonly #worker: Worker;
  readonly #stopAccepting: () => void;

  private constructor(
    raft: RaftNode<ApplyResult>,
    master: Master,
    cluster: ServerCluster,
    worker: Worker,
    stopAccepting: () => void,
  ) {
    this.#raft = raft;
    this.#master = master;
    this.#cluster = cluster;
    this.cluster = cluster;
    this.#worker = worker;
    this.#stopAccepting = stopAccepting;
  }

  /**
   * Opens and checks what is on disk, then takes part.
   * @throws StorageError and what else the stores say; nothing is left running or open then
   */
  static async start(deps: ServerCoreDeps): Promise<ServerCore> {
    const { options, writeLine, log, upgrades } = deps;
    const machine = new TaskMachine();
    const raft = await openRaft(deps, machine);
    const given = givenAddresses(options);
    const serverAddress = (id: string): string | null =>
      given[id] ?? raft.status().config.addresses?.[id] ?? null;
    const master = new Master({
      consensus: raft,
      machine,
      nodeId: options.id,
      clock: systemClock,
      writeLine,
      log,
      leaderExecutes: options.leaderExecutes,
      serverAddress,
      clientPortDefault: options.clientPort,
      queuedTasksMax: options.queuedTasksMax,
      retention: options.retention,
      fault: deps.fault,
    });
    const cluster = new ServerCluster({
      consensus: raft,
      machine,
      master,
      nodeId: options.id,
      clock: systemClock,
      randomBytes: (count) => randomBytes(count),
      serverAddress,
    });
    const stopAccepting = upgrades.handle(LINK_PROTOCOL, (socket) => master.acceptLink(masterLink(socket)));
    const worker = createWorker(deps);
    cluster.start();
    master.start();
    raft.start();
    const core = new ServerCore(raft, master, cluster, worker, stopAccepting);
    try {
      await worker.start();
    } catch (error) {
      await core.#crashCoordination();
      throw error;
    }
    return core;
  }

  /** In order: running tasks are given back while there is a master to take them, then the lead is handed over. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    this.#stopAccepting();
    await this.#raft.stop();
    this.#master.stop();
    this.#cluster.stop();
  }

  /** As a crash: nothing is flushed, sent or handed over; running tasks are killed. */
  async crash(): Promise<void> {
    await Promise.all([this.#crashCoordination(), this.#worker.crash()]);
  }

  async #crashCoordination(): Promise<void> {
    this.#stopAccepting();
    this.#master.stop();
    this.#cluster.stop();
    await this.#raft.crash();
  }
}

async function openRaft(deps: ServerCoreDeps, machine: TaskMachine): Promise<RaftNode<ApplyResult>> {
  const { options, metrics, log, upgrades } = deps;
  const folder = join(options.dataDir, 'raft');
  const kv = await LevelKv.open(folder);
  const id = options.id as NodeId;
  // Fixed by the first start. A server whose flags name other servers by now is of the same cluster still.
  const clusterId = storedIdentity(kv)?.clusterId ?? clusterIdOf(options.peers);
  const others = options.peers.filter((peer) => peer.id !== options.id);
  return RaftNode.open<ApplyResult>({
    id,
    clusterId,
    bootstrap: {
      voters: options.peers.map((peer) => peer.id as NodeId),
      learners: [],
      addresses: givenAddresses(options),
    },
    kv,
    transport: new HttpTransport({
      clusterId,
      self: id,
      peers: new Map(others.map((peer) => [peer.id as NodeId, { host: peer.host, port: peer.port }])),
      router: upgrades,
      token: options.token,
      timers: systemTimers,
      log,
      dial: deps.dial,
    }),
    machine,
    timers: systemTimers,
    random: (boundExclusive) => randomInt(boundExclusive),
    diskFreeBytes: () => diskFreeBytes(folder),
    log,
    onFatal: deps.onFatal,
    metrics: {
      flushed: (seconds) => metrics.raftFsync(seconds),
      committed: (seconds) => metrics.raftCommit(seconds),
      electionStarted: () => metrics.electionBegun(),
      snapshotTaken: (seconds, bytes) => log.info({ seconds, bytes }, 'snapshot taken'),
    },
  });
}

/** host:port of the servers that the command line names, by id. */
function givenAddresses(options: ServerOptions): Readonly<Record<string, string>> {
  return Object.fromEntries(options.peers.map((peer) => [peer.id, formatAddress(peer)]));
}

function createWorker({ options, writeLine, log, onFatal, dial }: ServerCoreDeps): Worker {
  return new Worker({
    id: options.id,
    role: 'server',
    address: advertised(options),
    servers: options.peers.map(formatAddress),
    slots: options.slots,
    labels: options.labels,
    dataDir: options.dataDir,
    token: options.token,
    clusterHeaders: {},
    connect: dial,
    writeLine,
    log,
    onFatal,
  });
}
