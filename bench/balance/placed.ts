import { Fleet } from '../../src/scheduler/master/fleet.ts';
import { Placer } from '../../src/scheduler/master/placer.ts';
import { WorkerSession } from '../../src/scheduler/master/worker-session.ts';
import type { MasterClock } from '../../src/scheduler/master/clock.ts';
import type { Op } from '../../src/scheduler/state/ops.ts';
import { EventQueue } from '../../test/sim/event-queue.ts';
import { MachineDriver, taskResult } from '../../test/scheduler/machine-driver.ts';
import type { Outcome, SimNode, SimTask, Workload } from './workload.ts';

/** A worker sends a sample with its heartbeat. */
const SAMPLE_MS = 500;
/** A CPU reading follows what runs: what it was before still counts so much a sample later. */
const READING_MEMORY = 0.6;
/** How often the master looks at the queue though nothing has happened. */
const LOOK_MS = 500;

/** One workload through the production state machine, queue, fleet, placer and scores, over simulated time. */
export class BalanceRun {
  readonly #workload: Workload;
  readonly #events = new EventQueue();
  readonly #driver = new MachineDriver();
  readonly #fleet = new Fleet('master', Infinity);
  readonly #placer: Placer;
  readonly #readings = new Map<string, number>();
  #left: number;
  #waitedMs = 0;
  #doneMs = 0;
  #lastEndMs = 0;

  constructor(workload: Workload) {
    this.#workload = workload;
    this.#left = workload.tasks.length;
    const clock: MasterClock = {
      nowMs: () => this.#events.nowMs,
      wallMs: () => this.#events.nowMs,
      after: () => () => undefined,
      soon: () => undefined,
    };
    this.#placer = new Placer({
      ...{ machine: this.#driver.machine, fleet: this.#fleet, clock },
      ...{ leaderExecutes: 'never', fallbackAfterMs: 0 },
    });
    this.#placer.reset(0);
  }

  run(): Outcome {
    const { nodes, tasks } = this.#workload;
    this.#driver.machine.observe({
      applied: (entry) => {
        for (const task of entry.tasks) if (task.status === 'succeeded') this.#fleet.learn(task);
      },
    });
    for (const node of nodes) this.#join(node);
    for (const task of tasks) this.#events.after(task.arrivalMs, () => this.#submit(task));
    this.#look();
    while (this.#left > 0) if (!this.#events.runNext()) throw new Error('tasks are left and nothing happens');
    return {
      makespanMs: this.#lastEndMs - (tasks[0]?.arrivalMs ?? 0),
      meanWaitMs: this.#waitedMs / tasks.length,
      meanDoneMs: this.#doneMs / tasks.length,
    };
  }

  #apply(...ops: readonly Op[]): void {
    this.#driver.now = Math.round(this.#events.nowMs);
    this.#driver.apply(...ops);
    // Nothing is replayed here.
    this.#driver.log.length = 0;
    this.#driver.results.length = 0;
  }

  #join(node: SimNode): void {
    const { id, slots } = node;
    this.#apply({
      op: 'nodeUp',
      node: {
        ...{
          id,
          role: 'worker',
          address: `${id}:1`,
          slots,
          cpus: slots,
          memoryMb: 8_192,
          labels: {},
          instance: id,
        },
      },
    });
    const record = this.#driver.machine.state.nodes.get(id);
    if (record === undefined) throw new Error(`${id} is not registered`);
    this.#fleet.put(record, 0).session = new WorkerSession({
      ...{ onMessage: null, onClose: null, send: () => undefined, close: () => undefined },
    });
    this.#sample(node);
  }

  #sample(node: SimNode): void {
    const live = this.#fleet.get(node.id);
    if (live === undefined) throw new Error(`${node.id} is gone`);
    const taken = Math.min(100, node.cpuIdle + (100 * live.busy) / node.slots);
    const cpu = READING_MEMORY * (this.#readings.get(node.id) ?? node.cpuIdle) + (1 - READING_MEMORY) * taken;
    this.#readings.set(node.id, cpu);
    live.sampled({ cpu, memory: node.memoryIdle + live.busy }, this.#events.nowMs);
    this.#events.after(SAMPLE_MS, () => this.#sample(node));
  }

  #look(): void {
    this.#place([]);
    this.#events.after(LOOK_MS, () => this.#look());
  }

  #submit(task: SimTask): void {
    this.#place([
      {
        op: 'submit',
        atomic: false,
        tasks: [{ id: task.id, spec: { script: `sleep(${task.workMs}) # ${task.id}` } }],
      },
    ]);
  }

  /** One log entry: `ops` and whatever can be assigned with them. */
  #place(ops: readonly Op[]): void {
    const assigns = this.#placer.assign(ops, 1_000);
    if (ops.length + assigns.length === 0) return;
    this.#apply(...ops, ...assigns.map(({ op }) => op));
    const token = this.#driver.index;
    for (const op of ops) if (op.op === 'submit') this.#placer.submitDecided(op.tasks);
    for (const { op } of assigns) {
      if (op.op === 'assign') this.#start(op.task, op.node, token);
    }
  }

  #start(id: string, node: string, token: number): void {
    const task = this.#workload.tasks[Number(id.slice('task'.length))];
    const speed = this.#workload.nodes.find((candidate) => candidate.id === node)?.speed;
    if (task === undefined || speed === undefined) throw new Error(`${id} on ${node} is unknown`);
    const nowMs = this.#events.nowMs;
    this.#placer.inForce(id);
    this.#fleet.get(node)?.occupy(id, token, 0, 0, nowMs);
    this.#apply({ op: 'start', task: id, token });
    this.#waitedMs += nowMs - task.arrivalMs;
    this.#doneMs += nowMs - task.arrivalMs + task.workMs / speed;
    this.#events.after(task.workMs / speed, () => this.#end(id, node, token));
  }

  #end(id: string, node: string, token: number): void {
    this.#fleet.get(node)?.vacate(id, token);
    this.#left -= 1;
    this.#lastEndMs = this.#events.nowMs;
    this.#place([
      { op: 'finish', task: id, token, outcome: 'succeeded', reason: null, runMs: 0, result: taskResult({}) },
    ]);
  }
}
