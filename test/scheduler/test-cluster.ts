import type { TaskRequest } from '../../src/api/tasks.ts';
import type { SubmitItem } from '../../src/api/cluster.ts';
import type { LeaderExecutes } from '../../src/scheduler/placement/placement.ts';
import type { AssignmentFault } from '../../src/scheduler/master/placer.ts';
import { Master } from '../../src/scheduler/master/master.ts';
import { ServerCluster } from '../../src/scheduler/server-cluster.ts';
import type { ApplyResult } from '../../src/scheduler/state/ops.ts';
import type { TaskRecord } from '../../src/scheduler/state/records.ts';
import { TaskMachine } from '../../src/scheduler/task-machine.ts';
import { exactTask } from '../../src/scheduler/task-search.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeConsensus } from './fake-consensus.ts';
import { FakeWorker } from './fake-worker.ts';
import { restoreMachine } from './machine-driver.ts';
import { MemoryKv } from './memory-kv.ts';

export interface TestClusterOptions {
  readonly leaderExecutes?: LeaderExecutes;
  readonly queuedTasksMax?: number;
  readonly retention?: { readonly ageMs: number; readonly tasksMax: number };
  readonly fault?: AssignmentFault;
}

/** The whole of one server but for consensus, time and workers, which are the test's. */
export class TestCluster {
  readonly clock = new FakeClock();
  readonly machine = new TaskMachine({ segmentTasks: 4 });
  readonly kv = new MemoryKv();
  readonly lines: string[] = [];
  readonly consensus: FakeConsensus<ApplyResult>;
  readonly master: Master;
  readonly cluster: ServerCluster;
  #random = 0;

  private constructor(options: TestClusterOptions) {
    const { clock, machine } = this;
    this.consensus = new FakeConsensus('server1', machine, clock);
    const { consensus } = this;
    const serverAddress = (id: string): string | null =>
      ({ server1: 'host1:3002', server2: 'host2:3004' })[id] ?? null;
    this.master = new Master({
      ...{ consensus, machine, nodeId: 'server1', clock, serverAddress, clientPortDefault: 3001 },
      leaderExecutes: options.leaderExecutes ?? 'fallback',
      writeLine: (line) => this.lines.push(line),
      log: { info: () => undefined, warn: () => undefined },
      ...(options.queuedTasksMax === undefined ? {} : { queuedTasksMax: options.queuedTasksMax }),
      ...(options.retention === undefined ? {} : { retention: options.retention }),
      fault: options.fault ?? null,
    });
    const { master } = this;
    this.cluster = new ServerCluster({
      ...{ consensus, machine, master, nodeId: 'server1', clock, serverAddress },
      randomBytes: (count) => this.#randomBytes(count),
    });
  }

  /** A server that follows nobody yet. */
  static async create(options: TestClusterOptions = {}): Promise<TestCluster> {
    const test = new TestCluster(options);
    await restoreMachine(test.machine, 0, 0, [], test.kv);
    test.cluster.start();
    test.master.start();
    return test;
  }

  /** A server that leads, past the time in which workers may still turn up. */
  static async leading(options: TestClusterOptions = {}): Promise<TestCluster> {
    const test = await TestCluster.create(options);
    test.consensus.elect();
    await test.clock.advance(3_500);
    return test;
  }

  /** Well spread and the same in every run. */
  #randomBytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => {
      this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
      return this.#random >>> 24;
    });
  }

  async worker(id: string, hello: Parameters<FakeWorker['dial']>[1] = {}): Promise<FakeWorker> {
    const worker = new FakeWorker(id, this.clock, hello);
    await worker.join(this.master);
    return worker;
  }

  /** Submits one task and returns its id. */
  async submit(request: Partial<TaskRequest> = {}, more: Partial<SubmitItem> = {}): Promise<string> {
    const submitting = this.cluster.submit([item(request, more)], { atomic: true });
    await this.clock.settle();
    const [result] = await submitting;
    if (result?.task === undefined) throw new Error(JSON.stringify(result));
    return result.task.id;
  }

  task(id: string): TaskRecord {
    const task = exactTask(this.machine.state.tasks, id);
    if (task === null) throw new Error(`there is no task ${id}`);
    return task;
  }
}

export function item(request: Partial<TaskRequest> = {}, more: Partial<SubmitItem> = {}): SubmitItem {
  return {
    request: { command: ['true'], ...request },
    idempotencyKey: null,
    retryOf: null,
    clientPort: null,
    ...more,
  };
}
