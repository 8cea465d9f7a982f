/** A whole server but for its HTTP routes: the production driver, the task list, and the master's duties. */
import type { Configuration, NodeId } from '../../src/raft/core/types.ts';
import { Master } from '../../src/scheduler/master/master.ts';
import type { MasterClock } from '../../src/scheduler/master/clock.ts';
import type { WorkerLink } from '../../src/scheduler/master/worker-session.ts';
import { ServerCluster } from '../../src/scheduler/server-cluster.ts';
import type { ApplyResult } from '../../src/scheduler/state/ops.ts';
import type { TaskMachine } from '../../src/scheduler/task-machine.ts';
import type { History } from './history.ts';
import type { Host, Surroundings } from './host.ts';
import { NodeHost } from './node-host.ts';
import { VersionedMachine, type ProgramVersions } from './program-versions.ts';
import type { SimDisk } from './sim-disk.ts';
import type { TaskHistory } from './task-history.ts';

/** Leases scaled down, with the same proportions as in production (src/link/protocol.ts). */
export const SIM_LEASE = { heartbeatMs: 40, pauseAfterMs: 250, lostAfterMs: 330 } as const;

const WALL_START_MS = 1_700_000_000_000;
/** Servers' wall clocks differ by up to this, anew in every life. */
const WALL_SKEW_MS = 100;
/** The state is compared between servers every so many entries. */
const DIGEST_EVERY = 8;
const SEGMENT_TASKS = 4;
const CLIENT_PORT = 3001;

export interface TaskHost extends Host {
  readonly machine: TaskMachine;
  readonly cluster: ServerCluster;
  acceptLink(link: WorkerLink): void;
  /** As the consensus has it; a master may take longer. */
  linearizableRead(): Promise<boolean>;
}

export interface TaskHostOptions {
  readonly id: NodeId;
  readonly life: number;
  readonly disk: SimDisk;
  readonly bootstrap: Configuration;
  readonly history: History;
  readonly tasks: TaskHistory;
  readonly around: Surroundings;
  readonly versions: ProgramVersions;
  /** Finished tasks kept. */
  readonly retainTasks: number;
}

export async function startTaskHost(options: TaskHostOptions): Promise<TaskHost> {
  const { id, life, disk, bootstrap, history, tasks, around, versions } = options;
  const version = versions.startOf(id, bootstrap.voters.length > 0, around);
  const machine = new VersionedMachine(version, SEGMENT_TASKS);
  const digestNow = (index: number): string | null =>
    index % DIGEST_EVERY === 0 ? machine.stateHash() : null;
  const host = await NodeHost.start<ApplyResult>({
    ...{ id, life, disk, bootstrap, history, around, machine, digestNow },
    versionOf: (server) => versions.of(server),
  });
  const skewMs = around.random.below(WALL_SKEW_MS);
  const clock: MasterClock = {
    ...host.timers,
    wallMs: () => Math.round(WALL_START_MS + around.wallMs() + skewMs),
  };
  const unwatch = machine.observe({ applied: (entry) => guard(around, () => tasks.applied(entry, machine)) });
  const shared = {
    consensus: host.node,
    machine,
    nodeId: id,
    clock,
    serverAddress: (other: string) => `${other}:3002`,
  };
  const master = new Master({
    ...shared,
    clientPortDefault: CLIENT_PORT,
    leaderExecutes: 'never',
    writeLine: () => undefined,
    log: { info: (line) => around.trace('master', line), warn: (line) => around.trace('master', line) },
    lease: SIM_LEASE,
    retention: { ageMs: Number.MAX_SAFE_INTEGER, tasksMax: options.retainTasks },
  });
  const randomBytes = (count: number): Uint8Array =>
    Uint8Array.from({ length: count }, () => around.random.below(256));
  const cluster = new ServerCluster({ ...shared, master, randomBytes });
  cluster.start();
  master.start();
  return {
    machine,
    cluster,
    status: () => host.status(),
    entries: (from, to) => host.entries(from, to),
    receive: (message) => host.receive(message),
    proposeConfig: (config) => host.proposeConfig(config),
    transferLeadership: (to) => host.transferLeadership(to),
    failDisk: (failure) => host.failDisk(failure),
    takeSnapshot: () => host.takeSnapshot(),
    kill: () => {
      unwatch();
      host.kill();
    },
    digest: () => machine.stateHash(),
    acceptLink: (link) => master.acceptLink(link),
    linearizableRead: async () => (await host.node.readBarrier()).kind === 'ready',
  };
}

/** The machine must not throw on account of what watches it. */
function guard(around: Surroundings, action: () => void): void {
  try {
    action();
  } catch (error) {
    around.fail(error);
  }
}
