/** The ways to put a simulated cluster together, from the bare core to the whole of a server. */
import { asLogIndex, asTerm } from '../../src/raft/core/ids.ts';
import { CoreHost } from './core-host.ts';
import { LogDisk } from './durable-state.ts';
import type { Surroundings } from './host.ts';
import { ListMachine, type ListResult } from './list-machine.ts';
import { ListTraffic, type ListHost } from './list-traffic.ts';
import { checkDamageIsFound, damageDisk } from './disk-damage.ts';
import { checkGarbled } from './garble.ts';
import { NodeHost, SIM_CLUSTER_ID, type NodeHostOptions } from './node-host.ts';
import { ProgramVersions } from './program-versions.ts';
import { SimDisk } from './sim-disk.ts';
import { TaskHistory } from './task-history.ts';
import { startTaskHost, type TaskHost } from './task-host.ts';
import { TaskTraffic } from './task-traffic.ts';
import type { Kind } from './traffic.ts';

/** The pure core with a driver made for the simulation, which can die between any two effects. */
export const CORE_KIND: Kind<ListHost> = {
  name: 'core',
  usesPromises: false,
  makeServer: ({ id, bootstrap, history }) => {
    const meta = { index: asLogIndex(0), term: asTerm(0), config: bootstrap };
    const disk = new LogDisk({ currentTerm: asTerm(0), votedFor: null }, { meta, data: new Uint8Array() });
    return { durable: disk, start: (life, around) => new CoreHost({ id, life, disk, history, around }) };
  },
  makeTraffic: (around) => new ListTraffic(around),
};

/** The production driver and storage, with the same state machine. */
export const NODE_KIND: Kind<ListHost> = {
  name: 'node',
  usesPromises: true,
  garble: (random) => (message) => checkGarbled(message, random),
  makeServer: ({ id, bootstrap, history, faults }) => {
    const disk = new SimDisk();
    const identity = { clusterId: SIM_CLUSTER_ID, nodeId: id };
    return {
      durable: disk,
      damage: (random) => damageDisk(disk, random),
      checkDamage: (random) => {
        faults.struck('bit of the store turned');
        if (disk.replaced.size > 0) faults.struck('old record put back');
        if (disk.olderCopy !== null) faults.struck('old copy of the folder restored');
        return checkDamageIsFound(disk, { identity, bootstrap }, random);
      },
      start: async (life, around) => {
        const machine = new ListMachine();
        const digestNow = (): number => machine.digest;
        const options: NodeHostOptions<ListResult> = {
          ...{ id, life, disk, bootstrap, history, around, machine, digestNow },
        };
        return listHost(await NodeHost.start(options), machine, around);
      },
    };
  },
  makeTraffic: (around) => new ListTraffic(around),
};

function listHost(host: NodeHost<ListResult>, machine: ListMachine, { fail }: Surroundings): ListHost {
  return {
    status: () => host.status(),
    entries: (from, to) => host.entries(from, to),
    receive: (message) => host.receive(message),
    proposeConfig: (config) => host.proposeConfig(config),
    transferLeadership: (to) => host.transferLeadership(to),
    failDisk: (failure) => host.failDisk(failure),
    takeSnapshot: () => host.takeSnapshot(),
    kill: () => host.kill(),
    digest: () => machine.digest,
    appliedIndex: () => host.appliedIndex(),
    lastSeq: (client) => machine.lastSeq(client),
    propose: (payload, done) => void host.node.propose(payload).then(done).catch(fail),
    read: (done) => void host.node.readBarrier().then(done).catch(fail),
  };
}

/** Beyond this the margin of the leases would not do. */
const TASKS_CLOCK_SKEW_MAX = 1.05;
/** A master's own reads (leases, and workers that come) hold some places nearly always: fewer would keep everybody else waiting. */
const TASKS_PENDING_READS_MIN = 5;
const RETAIN_FEW = 20;
const RETAIN_ALL = 1_000_000;

/** Whole servers with simulated clients and workers. Made per run: its history of tasks belongs to one. */
export function tasksKind(seed: number): Kind<TaskHost> {
  const tasks = new TaskHistory();
  const versions = new ProgramVersions(seed);
  const mayForget = seed % 3 === 0;
  const retainTasks = mayForget ? RETAIN_FEW : RETAIN_ALL;
  return {
    name: 'tasks',
    usesPromises: true,
    garble: (random) => (message) => checkGarbled(message, random),
    adjustWeather: (drawn) => ({
      clockSkewMax: Math.min(drawn.clockSkewMax, TASKS_CLOCK_SKEW_MAX),
      membershipEveryMs: 0,
      limits: {
        ...drawn.limits,
        proposalBytesMax: 1_000_000,
        pendingReadsMax: Math.max(drawn.limits.pendingReadsMax, TASKS_PENDING_READS_MIN),
      },
    }),
    makeServer: ({ id, bootstrap, history }) => {
      const disk = new SimDisk();
      return {
        durable: disk,
        damage: (random) => damageDisk(disk, random),
        start: (life, around) =>
          startTaskHost({ id, life, disk, bootstrap, history, tasks, around, versions, retainTasks }),
      };
    },
    makeTraffic: (around) => {
      tasks.keepTime(() => around.queue.nowMs);
      return new TaskTraffic(around, tasks, mayForget);
    },
  };
}
