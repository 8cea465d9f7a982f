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
import type { PeersView } from '../api/peers.ts';
import { parsePeerAddress } from '../raft/transport/transport-settings.ts';
import { clusterIdOf } from './cluster-id.ts';
import { NodeFault } from './faults.ts';
import { askForMembers, askToBeAdded } from './join.ts';
import type { JoinOptions } from './join.ts';
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
  /** The process is ending: nothing is to be waited for any more. */
  readonly signal: AbortSignal;
  /** This server is no member of the cluster any more. */
  readonly onRemoved: () => void;
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
  readonly #ending = new AbortController();

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
    raft.onConfigured((config) => worker.learnServers(Object.values(config.addresses ?? {})));
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
    if (options.join.length > 0) core.#join(deps);
    return core;
  }

  /** Asks to be added until this server is what it wants to be: after a restart it is at once. */
  #join(deps: ServerCoreDeps): void {
    const { id, learner, join } = deps.options;
    const isDone = (): boolean => {
      const { voters, learners } = this.#raft.status().config;
      return voters.includes(id as NodeId) || (learner && learners.includes(id as NodeId));
    };
    if (isDone()) return;
    const given = join.map(formatAddress);
    const servers = (): readonly string[] => {
      const { addresses = {} } = this.#raft.status().config;
      const others = Object.entries(addresses).filter(([other]) => other !== id);
      return [...new Set([...given, ...others.map(([, address]) => address)])];
    };
    const signal = AbortSignal.any([deps.signal, this.#ending.signal]);
    askToBeAdded(servers, isDone, joinOptions(deps, signal)).catch((error: unknown) => {
      if (!signal.aborted) deps.onFatal(error);
    });
  }

  /**
   * In order: running tasks are given back while there is a master to take them, then the lead is handed over.
   * @param onHandedOver called when that is done: from then on this server can answer nobody
   */
  async stop(onHandedOver: () => void): Promise<void> {
    this.#ending.abort();
    await this.#worker.stop();
    this.#stopAccepting();
    await this.#raft.handOver();
    onHandedOver();
    await this.#raft.stop();
    this.#master.stop();
    this.#cluster.stop();
  }

  /** As a crash: nothing is flushed, sent or handed over; running tasks are killed. */
  async crash(): Promise<void> {
    this.#ending.abort();
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
  const stored = storedIdentity(kv)?.clusterId ?? null;
  const members = stored === null && options.join.length > 0 ? await membersToJoin(deps, kv) : null;
  const clusterId = stored ?? members?.clusterId ?? clusterIdOf(options.peers);
  const others = options.peers.filter((peer) => peer.id !== options.id);
  const transport = new HttpTransport({
    clusterId,
    self: id,
    peers: new Map(others.map((peer) => [peer.id as NodeId, { host: peer.host, port: peer.port }])),
    router: upgrades,
    token: options.token,
    timers: systemTimers,
    log,
    dial: deps.dial,
  });
  const raft = await RaftNode.open<ApplyResult>({
    id,
    clusterId,
    bootstrap: {
      voters: options.peers.map((peer) => peer.id as NodeId),
      learners: [],
      addresses: givenAddresses(options),
    },
    addresses: givenAddresses(options),
    newFolderId: () => randomBytes(12).toString('hex'),
    kv,
    transport,
    machine,
    timers: systemTimers,
    random: (boundExclusive) => randomInt(boundExclusive),
    diskFreeBytes: () => diskFreeBytes(folder),
    log,
    onFatal: deps.onFatal,
    onRemoved: deps.onRemoved,
    metrics: {
      flushed: (seconds) => metrics.raftFsync(seconds),
      committed: (seconds) => metrics.raftCommit(seconds),
      electionStarted: () => metrics.electionBegun(),
      snapshotTaken: (seconds, bytes) => log.info({ seconds, bytes }, 'snapshot taken'),
    },
  });
  if (options.join.length > 0 && raft.status().config.voters.length === 0) {
    // Its own log does not say yet who the others are.
    const { clusterId: found, peers } = members ?? (await membersToJoin(deps, raft));
    if (found !== clusterId) {
      await raft.crash();
      const message = `the data folder is of cluster ${clusterId}, the servers of --join are of ${found}: give this server an empty --data`;
      throw new NodeFault('CONFIG', message);
    }
    for (const peer of peers) {
      const address = peer.address === null ? null : parsePeerAddress(peer.address);
      if (address !== null) transport.setPeer(peer.id as NodeId, address);
    }
  }
  return raft;
}

/** host:port of the servers that the command line names, by id. */
function givenAddresses(options: ServerOptions): Readonly<Record<string, string>> {
  return Object.fromEntries(options.peers.map((peer) => [peer.id, formatAddress(peer)]));
}

/** @throws NodeFault, or the signal's reason; what was opened is closed then */
async function membersToJoin(
  deps: ServerCoreDeps,
  opened: { close(): Promise<void> } | { crash(): Promise<void> },
): Promise<PeersView> {
  try {
    return await askForMembers(deps.options.join.map(formatAddress), joinOptions(deps, deps.signal));
  } catch (error) {
    await ('crash' in opened ? opened.crash() : opened.close());
    throw error;
  }
}

function joinOptions({ options, log }: ServerCoreDeps, signal: AbortSignal): JoinOptions {
  const told = { info: (line: string) => log.info(line), warn: (line: string) => log.warn(line) };
  return {
    id: options.id,
    address: advertised(options),
    learner: options.learner,
    token: options.token,
    log: told,
    signal,
  };
}

function createWorker({ options, writeLine, log, onFatal, dial }: ServerCoreDeps): Worker {
  return new Worker({
    id: options.id,
    role: 'server',
    address: advertised(options),
    servers: (options.peers.length > 0 ? options.peers : options.join).map(formatAddress),
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
