/**
 * After the faults, on a cluster that is well: a task that takes longer than a lease, on a worker that its master hears of no more,
 * must stand still before another worker goes on with it (T3). The swarm's faults seldom meet at the right moments.
 */
import type { Host } from './host.ts';
import { check } from './sim-failure.ts';
import type { SimNode } from './sim-node.ts';
import { sleepCommand, type SimWorker } from './sim-worker.ts';
import { SIM_LEASE, type TaskHost } from './task-host.ts';
import type { TaskHistory } from './task-history.ts';
import { SLOW_CLOCK, type TrialGround } from './trial-ground.ts';

/** Longer than the trial with all that it waits for. */
const TASK_MS = 3_000;
const LEASES_MS = 3 * SIM_LEASE.lostAfterMs;
/** Acknowledgements come later and later, but within the lease by any clock, those that wait for a quorum round included. */
const LATE_MS = [50, 100, 150] as const;
const SOME_HEARTBEATS_MS = 3 * SIM_LEASE.heartbeatMs;

export interface TaskTrialsOptions {
  readonly ground: TrialGround;
  readonly nodes: readonly SimNode<TaskHost>[];
  readonly workers: readonly SimWorker[];
  readonly tasks: TaskHistory;
  readonly fail: (error: unknown) => void;
}

export class TaskTrials {
  readonly #ground: TrialGround;
  readonly #options: TaskTrialsOptions;

  constructor(options: TaskTrialsOptions) {
    this.#options = options;
    this.#ground = options.ground;
  }

  async run(): Promise<void> {
    if (this.#ground.voters().length < 3 || this.#options.workers.length < 2) return;
    await this.#lateAcknowledgement();
    await this.#deposedMaster();
    await this.#lostWorker();
  }

  /** What the master says comes late, and then it hears nothing more: a lease counts from when the heartbeat was sent. */
  async #lateAcknowledgement(): Promise<void> {
    const ground = this.#ground;
    const { task, worker } = await this.#longTask();
    ground.trace.add(worker.id, 'trial', 'hears late, and is heard no more');
    for (const lateMs of LATE_MS) {
      worker.hearLate(lateMs);
      await ground.run(SOME_HEARTBEATS_MS);
    }
    worker.mute(LEASES_MS);
    await this.#goesOnElsewhere(task, worker);
    worker.healAll();
    await ground.heal('after late acknowledgements');
  }

  /** It does not know that it is none any more, and its worker hears nobody else: it must not prolong the lease. */
  async #deposedMaster(): Promise<void> {
    const ground = this.#ground;
    const { task, worker } = await this.#longTask();
    const master = ground.leader();
    ground.trace.add(master.id, 'trial', `is alone with ${worker.id}`);
    const others = this.#options.workers.filter((other) => other !== worker);
    for (const other of others) other.cutOff(LEASES_MS);
    master.setClockRate(SLOW_CLOCK);
    ground.isolate(master);
    await ground.until(
      () => ground.leadsAnotherThan(master),
      `nobody is elected while ${master.id} is alone`,
    );
    await this.#goesOnElsewhere(task, worker);
    for (const other of others) other.healAll();
    await ground.heal('after a master alone');
  }

  /** T7: its machine loses power and stays away: its lease runs out, and the task goes on at another. */
  async #lostWorker(): Promise<void> {
    const ground = this.#ground;
    const { task, worker } = await this.#longTask();
    ground.trace.add(worker.id, 'trial', 'loses power and stays away');
    worker.crash(true);
    const others = this.#options.workers.filter((other) => other !== worker);
    await ground.until(
      () => others.some((other) => other.runs(task)),
      `${task} is not run again after ${worker.id}, which had it, has gone`,
    );
    worker.start();
    await ground.heal('after a worker was lost');
  }

  /** Gives it the time that it has for that; it may also go on where it was, by another way. */
  async #goesOnElsewhere(task: string, worker: SimWorker): Promise<void> {
    const others = this.#options.workers.filter((other) => other !== worker);
    for (let leftMs = LEASES_MS; leftMs > 0; leftMs -= SIM_LEASE.heartbeatMs) {
      if (others.some((other) => other.runs(task))) return;
      await this.#ground.run(SIM_LEASE.heartbeatMs);
    }
  }

  async #longTask(): Promise<{ readonly task: string; readonly worker: SimWorker }> {
    const { tasks, workers } = this.#options;
    const task = await this.#submitted();
    tasks.acknowledged(task);
    const holder = (): SimWorker | undefined => workers.find((worker) => worker.runs(task));
    await this.#ground.until(() => holder() !== undefined, `nobody runs ${task}`);
    const worker = holder();
    check(worker !== undefined, 'T9', () => `nobody runs ${task}`);
    return { task, worker: worker ?? this.#ground.random.pick(workers) };
  }

  async #submitted(): Promise<string> {
    const leader: SimNode<Host> = this.#ground.leader();
    const node = this.#options.nodes.find(({ id }) => id === leader.id);
    let task: string | null = null;
    node?.touch((host) => {
      const request = { command: sleepCommand(TASK_MS), onDisconnect: 'pause' } as const;
      host.cluster
        .submit([{ request, idempotencyKey: null, retryOf: null, clientPort: null }], { atomic: false })
        .then((results) => (task = results[0]?.task?.id ?? null))
        .catch(this.#options.fail);
    });
    await this.#ground.until(() => task !== null, 'a task is not accepted');
    return String(task);
  }
}
