import { ApiError } from '../../src/api/errors.ts';
import type { SubmitItem } from '../../src/api/cluster.ts';
import type { BatchResultItem, TaskRequest } from '../../src/api/tasks.ts';
import type { EventQueue } from './event-queue.ts';
import type { Random } from './random.ts';
import { check } from './sim-failure.ts';
import type { SimNode } from './sim-node.ts';
import type { Weather } from './swarm.ts';
import type { TaskHost } from './task-host.ts';
import type { TaskHistory } from './task-history.ts';
import type { Trace } from './trace.ts';

const PATIENCE_MS = 400;
const RETRY_MS = 15;
const BATCH_MAX = 4;
/** No more are submitted while so many are not done: the workers are few. */
const LIVE_TASKS_MAX = 40;
/** Of submissions that are repeated although they were answered. */
const REPEAT_RATE = 0.1;
const CANCEL_RATE = 0.1;
const AFTER_RATE = 0.2;

export interface TaskClientOptions {
  readonly name: string;
  readonly queue: EventQueue;
  readonly random: Random;
  readonly weather: () => Weather;
  readonly trace: Trace;
  readonly nodes: readonly SimNode<TaskHost>[];
  readonly tasks: TaskHistory;
  /** Retention may make the cluster forget finished tasks, and keys with them. */
  readonly mayForget: boolean;
}

/** Submits tasks under keys of its own until they are acknowledged, cancels some, and looks for them. */
export class TaskClient {
  readonly #options: TaskClientOptions;
  /** Key → task, as acknowledged. */
  readonly #ids = new Map<string, string>();
  #keys = 0;
  #attempt = 0;
  #isStopping = false;
  #isIdle = true;

  constructor(options: TaskClientOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }
  get isIdle(): boolean {
    return this.#isIdle;
  }
  get acknowledged(): ReadonlyMap<string, string> {
    return this.#ids;
  }

  start(): void {
    const { queue, random, weather } = this.#options;
    queue.after(random.exponential(weather().thinkMs * 3), () => {
      if (this.#isStopping) return;
      if (this.#options.tasks.liveCount < LIVE_TASKS_MAX) this.once();
      else this.start();
    });
  }
  stop(): void {
    this.#isStopping = true;
  }

  /** One request. */
  once(): void {
    const { random, weather } = this.#options;
    this.#isIdle = false;
    const known = [...this.#ids.values()];
    if (known.length > 0 && random.chance(CANCEL_RATE)) this.#cancel(random.pick(known));
    else if (known.length > 0 && random.chance(weather().readRate)) this.#read(random.pick(known));
    else this.#submit(this.#items(known));
  }

  #done(): void {
    this.#attempt++;
    this.#isIdle = true;
    this.start();
  }

  #items(known: readonly string[]): readonly SubmitItem[] {
    const { random, name } = this.#options;
    return Array.from({ length: random.between(1, BATCH_MAX) }, () => {
      this.#keys++;
      const request: TaskRequest = {
        command: ['true'],
        priority: random.below(3) * 50,
        maxAttempts: random.between(1, 3),
        backoffMs: random.pick([0, 30]),
        delayMs: random.pick([0, 0, 0, 50]),
        ...(known.length > 0 && random.chance(AFTER_RATE) ? { after: [random.pick(known)] } : {}),
      };
      return { request, idempotencyKey: `${name}-${String(this.#keys)}`, retryOf: null, clientPort: null };
    });
  }

  #submit(items: readonly SubmitItem[]): void {
    const { random } = this.#options;
    const atomic = random.chance(0.3);
    this.#ask(
      true,
      (host) => host.cluster.submit(items, { atomic }),
      (results) => {
        items.forEach((item, at) => this.#submitted(item, results[at]));
        if (random.chance(REPEAT_RATE)) this.#submit(items);
        else this.#done();
      },
    );
  }

  #submitted(item: SubmitItem, result: BatchResultItem | undefined): void {
    const { tasks, trace, name, mayForget } = this.#options;
    const key = item.idempotencyKey ?? '';
    const id = result?.task?.id;
    if (id === undefined) {
      // The only thing that can be wrong with it: a task it names is forgotten.
      check(mayForget, 'T1', () => `${key} was refused: ${JSON.stringify(result)}`);
      return;
    }
    trace.add(name, 'accepted', `${key} is ${id} (${String(result?.status)})`);
    const known = this.#ids.get(key);
    check(
      known === undefined || known === id || mayForget,
      'T2',
      () => `${key} is ${String(known)} and ${id}`,
    );
    tasks.acknowledged(id);
    this.#ids.set(key, id);
  }

  #cancel(id: string): void {
    this.#ask(
      true,
      (host) => host.cluster.cancel(id),
      () => this.#done(),
    );
  }

  /** T1: on any server, a linearizable read finds what was acknowledged before. */
  #read(id: string): void {
    const { tasks } = this.#options;
    this.#ask(
      false,
      async (host) => {
        if (!(await host.linearizableRead())) return;
        tasks.found(id, isKnown(host, id), host.machine);
      },
      () => this.#done(),
    );
  }

  /** Asks servers in turn until one answers. What was done by one that did not answer is done (or not) all the same. */
  #ask<T>(
    masterOnly: boolean,
    question: (host: TaskHost) => Promise<T>,
    answered: (answer: T) => void,
  ): void {
    const { queue, random, nodes } = this.#options;
    const attempt = ++this.#attempt;
    const node = this.#leader() ?? random.pick(nodes);
    const again = (): void => {
      if (attempt === this.#attempt) this.#ask(masterOnly, question, answered);
    };
    node.touch((host) => {
      // What only a master may decide is asked of others by the routes of a server that is none.
      if (masterOnly && !host.cluster.isLeader()) {
        queue.after(RETRY_MS, again);
        return;
      }
      const onAnswer = node.whileAlive((answer: T) => {
        if (attempt === this.#attempt) answered(answer);
      });
      const onError = node.whileAlive((error: unknown) => this.#failed(error, attempt, again));
      question(host).then(onAnswer, onError).catch(this.#fail);
    });
    queue.after(node.isUp ? PATIENCE_MS * (0.5 + random.fraction()) : RETRY_MS, again);
  }

  #failed(error: unknown, attempt: number, again: () => void): void {
    if (attempt !== this.#attempt) return;
    if (!(error instanceof ApiError)) throw error;
    switch (error.code) {
      case 'NOT_FOUND':
      case 'CONFLICT':
      case 'INVALID':
        check(this.#options.mayForget || error.code === 'CONFLICT', 'T1', () => `refused: ${error.message}`);
        this.#done();
        return;
      default:
        this.#options.queue.after(RETRY_MS, again);
    }
  }

  readonly #fail = (error: unknown): void => {
    this.#options.trace.add(this.name, 'failed', String(error));
    this.onFailed?.(error);
  };

  /** Told of broken invariants. */
  onFailed: ((error: unknown) => void) | null = null;

  #leader(): SimNode<TaskHost> | null {
    const { nodes, random } = this.#options;
    if (random.chance(0.3)) return null;
    return nodes.find((node) => node.host?.cluster.isLeader() === true) ?? null;
  }
}

function isKnown(host: TaskHost, id: string): boolean {
  try {
    host.cluster.getTask(id);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
