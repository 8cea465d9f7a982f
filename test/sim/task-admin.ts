import { ApiError } from '../../src/api/errors.ts';
import type { SimNode } from './sim-node.ts';
import type { TaskHost } from './task-host.ts';
import type { TrafficSurroundings } from './traffic.ts';

const EVERY_MS = 400;
const PATIENCE_MS = 300;
const RETRY_MS = 15;
const DRAIN_DEADLINE_MS = 100;

/** Pauses the queue, drains nodes, adds schedules, hands over the lead; and takes everything back in the end. */
export class TaskAdmin {
  readonly #around: TrafficSurroundings<TaskHost>;
  /** Orders still to be carried out, in this order. */
  #orders: ((host: TaskHost) => Promise<unknown>)[] = [];
  #isPaused = false;
  readonly #drained = new Set<string>();
  #hasSchedules = false;
  #isStopping = false;
  #turn = 0;
  #phase = 0;

  constructor(around: TrafficSurroundings<TaskHost>) {
    this.#around = around;
  }

  get isIdle(): boolean {
    return this.#orders.length === 0;
  }

  start(): void {
    this.#isStopping = false;
    this.#phase++;
    if (this.#around.random.chance(0.6)) this.#later(this.#phase);
  }

  stop(): void {
    this.#isStopping = true;
    if (this.#isPaused) this.#order((host) => host.cluster.pauseQueue(false));
    for (const node of this.#drained) this.#order((host) => host.cluster.drain(node, false, null));
    if (this.#hasSchedules) this.#order(removeSchedules);
    this.#isPaused = false;
    this.#drained.clear();
    this.#hasSchedules = false;
  }

  #later(phase: number): void {
    const { queue, random } = this.#around;
    queue.after(random.exponential(EVERY_MS), () => {
      if (this.#isStopping || this.#phase !== phase) return;
      this.#act();
      this.#later(phase);
    });
  }

  #act(): void {
    const { random, workers, trace } = this.#around;
    const what = random.pick(['pause', 'drain', 'drain', 'schedule'] as const);
    trace.add('admin', what);
    switch (what) {
      case 'pause': {
        const paused = !this.#isPaused;
        this.#isPaused = paused;
        this.#order((host) => host.cluster.pauseQueue(paused));
        return;
      }
      case 'drain': {
        const node = `w${String(random.between(1, Math.max(1, workers)))}`;
        const drain = !this.#drained.has(node);
        if (drain) this.#drained.add(node);
        else this.#drained.delete(node);
        const deadlineMs = random.chance(0.5) ? DRAIN_DEADLINE_MS : null;
        this.#order((host) => host.cluster.drain(node, drain, drain ? deadlineMs : null));
        return;
      }
      case 'schedule':
        this.#hasSchedules = true;
        this.#order((host) => host.cluster.addSchedule({ cron: '* * * * * *', task: { command: ['true'] } }));
        return;
    }
  }

  #order(order: (host: TaskHost) => Promise<unknown>): void {
    this.#orders.push(order);
    if (this.#orders.length === 1) this.#carryOut();
  }

  #carryOut(): void {
    const [order] = this.#orders;
    if (order === undefined) return;
    const { queue, fail } = this.#around;
    const turn = ++this.#turn;
    const again = (): void => {
      if (turn === this.#turn) this.#carryOut();
    };
    const done = (): void => {
      if (turn !== this.#turn) return;
      this.#orders.shift();
      this.#carryOut();
    };
    const node = this.#master();
    if (node === null) {
      queue.after(RETRY_MS, again);
      return;
    }
    const refused = node.whileAlive((error: unknown) => {
      if (!(error instanceof ApiError)) fail(error);
      else if (['NOT_FOUND', 'CONFLICT', 'INVALID'].includes(error.code)) done();
      else queue.after(RETRY_MS, again);
    });
    node.touch((host) => void order(host).then(node.whileAlive(done), refused));
    queue.after(PATIENCE_MS, again);
  }

  #master(): SimNode<TaskHost> | null {
    return this.#around.nodes.find((node) => node.host?.cluster.isLeader() === true) ?? null;
  }
}

async function removeSchedules({ cluster }: TaskHost): Promise<void> {
  for (const { id } of cluster.schedules()) await cluster.removeSchedule(id);
}
