import { isFinal } from '../../src/api/tasks.ts';
import type { TaskRecord } from '../../src/scheduler/state/records.ts';
import { check } from './sim-failure.ts';
import type { SimNode } from './sim-node.ts';
import { SimWorker } from './sim-worker.ts';
import { TaskAdmin } from './task-admin.ts';
import { TaskClient } from './task-client.ts';
import type { TaskHost } from './task-host.ts';
import type { TaskHistory } from './task-history.ts';
import { TaskTrials } from './task-trials.ts';
import type { TrialGround } from './trial-ground.ts';
import type { Traffic, TrafficSurroundings } from './traffic.ts';

const SLOTS_MAX = 3;
const WORKER_DOWN_MS = 200;
const CUT_MS_MAX = 900;
/** Workers' clocks are this much faster or slower at most: the leases' margin allows for it. */
const WORKER_SKEW_MAX = 0.1;

/** Clients that submit tasks, and workers that run them. */
export class TaskTraffic implements Traffic<TaskHost> {
  readonly #around: TrafficSurroundings<TaskHost>;
  readonly #tasks: TaskHistory;
  readonly #mayForget: boolean;
  readonly #admin: TaskAdmin;
  readonly #clients: readonly TaskClient[];
  readonly #workers: readonly SimWorker[];
  /** Counts the phases of trouble. */
  #phase = 0;

  constructor(around: TrafficSurroundings<TaskHost>, tasks: TaskHistory, mayForget: boolean) {
    this.#around = around;
    this.#tasks = tasks;
    this.#mayForget = mayForget;
    this.#admin = new TaskAdmin({ ...around, random: around.random.fork() });
    const { random, weather } = around;
    this.#clients = Array.from({ length: weather().clients }, (_, i) => {
      const client = new TaskClient({
        ...around,
        random: random.fork(),
        name: `c${String(i + 1)}`,
        tasks,
        mayForget,
      });
      client.onFailed = around.fail;
      return client;
    });
    this.#workers = Array.from({ length: Math.max(1, around.workers) }, (_, i) => {
      const id = `w${String(i + 1)}`;
      const clockRate = 1 + (random.fraction() - 0.5) * 2 * WORKER_SKEW_MAX;
      return new SimWorker({
        ...around,
        random: random.fork(),
        id,
        tasks,
        slots: random.between(1, SLOTS_MAX),
        clockRate,
      });
    });
  }

  get answered(): number {
    return this.#clients.reduce((sum, client) => sum + client.acknowledged.size, 0);
  }

  start(): void {
    for (const worker of this.#workers) worker.start();
    for (const client of this.#clients) client.start();
    this.#admin.start();
    this.#phase++;
    this.#trouble(this.#phase);
  }

  stop(): void {
    this.#phase++;
    for (const client of this.#clients) client.stop();
    this.#admin.stop();
    for (const worker of this.#workers) {
      worker.healAll();
      worker.start();
    }
  }

  more(): void {
    for (const client of this.#clients) client.once();
  }

  trials(ground: TrialGround): Promise<void> {
    const { nodes, fail } = this.#around;
    return new TaskTrials({ ground, nodes, fail, workers: this.#workers, tasks: this.#tasks }).run();
  }

  unfinished(): string | null {
    if (!this.#admin.isIdle) return 'the administrator waits for an answer';
    for (const client of this.#clients) if (!client.isIdle) return `${client.name} waits for an answer`;
    for (const record of this.#tasks.tasks.values()) {
      if (!isFinal(record.status)) return this.#describe(record);
    }
    for (const worker of this.#workers) if (worker.holds > 0) return `${worker.id} holds ${worker.heldText}`;
    return null;
  }

  checkAtRest(members: readonly SimNode<TaskHost>[]): void {
    if (!this.#mayForget) this.#tasks.checkOperations();
    for (const node of members) {
      check(node.host !== null, 'I17', () => `${node.id} is down`);
      if (node.host !== null) this.#tasks.checkAtRest(node.id, node.host.machine);
    }
  }

  #describe({ id, status, attempts }: TaskRecord): string {
    const last = attempts.at(-1);
    const where = last === undefined ? '' : `, attempt ${String(last.token)} on ${last.node}`;
    const holders = this.#workers.map((worker) => worker.describe(id)).filter((text) => text !== null);
    return `task ${id} is ${status}${where}; ${holders.join('; ') || 'no worker holds it'}`;
  }

  #trouble(phase: number): void {
    const { queue, random, weather, faults } = this.#around;
    const everyMs = weather().workerTroubleEveryMs;
    if (everyMs === 0 || this.#workers.length === 0) return;
    queue.after(random.exponential(everyMs), () => {
      if (this.#phase !== phase) return;
      const worker = random.pick(this.#workers);
      if (random.chance(0.5)) {
        faults.struck('worker cut off');
        worker.cutOff(random.below(CUT_MS_MAX));
      } else {
        const power = random.chance(0.4);
        faults.struck(power ? 'worker lost power' : 'worker crashed');
        worker.crash(power);
        queue.after(random.exponential(WORKER_DOWN_MS), () => worker.start());
      }
      this.#trouble(phase);
    });
  }
}
