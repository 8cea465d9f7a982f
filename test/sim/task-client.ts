import { ApiError } from '../../src/api/errors.ts';
import type { SubmitItem } from '../../src/api/cluster.ts';
import type { BatchResultItem, TaskRequest, TaskStatus } from '../../src/api/tasks.ts';
import type { EventQueue } from './event-queue.ts';
import type { Random } from './random.ts';
import { check } from './sim-failure.ts';
import type { SimNode } from './sim-node.ts';
import type { Weather } from './swarm.ts';
import type { TaskHost } from './task-host.ts';
import { phaseOf, type TaskAnswer, type TaskCall } from './task-model.ts';
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
const TASK_RETRY_RATE = 0.03;
/** Of requests that were not answered in time, those that are not repeated: nobody knows what became of them. */
const GIVE_UP_RATE = 0.05;

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
  readonly #keyOf = new Map<string, string>();
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

  /** Begins, also after {@link stop}. */
  start(): void {
    this.#isStopping = false;
    this.#thinkThenAsk();
  }

  #thinkThenAsk(): void {
    const { queue, random, weather } = this.#options;
    queue.after(random.exponential(weather().thinkMs * 3), () => {
      if (this.#isStopping || !this.#isIdle) return;
      if (this.#options.tasks.liveCount < LIVE_TASKS_MAX) this.once();
      else this.#thinkThenAsk();
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
    else if (known.length > 0 && random.chance(TASK_RETRY_RATE)) this.#retry(random.pick(known));
    else if (known.length > 0 && random.chance(weather().readRate)) this.#read(random.pick(known));
    else this.#submit(this.#items(known));
  }

  #done(): void {
    this.#attempt++;
    this.#isIdle = true;
    this.#thinkThenAsk();
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
        onDisconnect: random.pick(['pause', 'pause', 'stop', 'continue'] as const),
        cpu: random.pick([0, 0, 0, 2]),
        ...(known.length > 0 && random.chance(AFTER_RATE) ? { after: [random.pick(known)] } : {}),
      };
      return { request, idempotencyKey: `${name}-${String(this.#keys)}`, retryOf: null, clientPort: null };
    });
  }

  #submit(items: readonly SubmitItem[]): void {
    const { random, queue } = this.#options;
    const calledMs = queue.nowMs;
    const atomic = random.chance(0.3);
    this.#ask(
      true,
      (host) => host.cluster.submit(items, { atomic }),
      (results) => {
        items.forEach((item, at) => this.#submitted(item, results[at], calledMs));
        if (random.chance(REPEAT_RATE)) this.#submit(items);
        else this.#done();
      },
      () => {
        for (const { idempotencyKey } of items) this.#heardNothing(idempotencyKey ?? '', 'submit', calledMs);
      },
    );
  }

  #heardNothing(key: string, call: TaskCall, calledMs: number): void {
    this.#options.tasks.operated(key, { calledMs, returnedMs: Infinity, call, answer: null });
  }

  /** T12 */
  #answered(key: string, call: TaskCall, calledMs: number, answer: TaskAnswer): void {
    this.#options.tasks.operated(key, { calledMs, returnedMs: this.#options.queue.nowMs, call, answer });
  }

  #submitted(item: SubmitItem, result: BatchResultItem | undefined, calledMs: number): void {
    const { tasks, trace, name, mayForget } = this.#options;
    const key = item.idempotencyKey ?? '';
    const id = result?.task?.id;
    if (result?.task === undefined || id === undefined) {
      // The only thing that can be wrong with it: a task it names is forgotten.
      check(mayForget, 'T1', () => `${key} was refused: ${JSON.stringify(result)}`);
      return;
    }
    trace.add(name, 'accepted', `${key} is ${id} (${String(result.status)})`);
    const known = this.#ids.get(key);
    check(
      known === undefined || known === id || mayForget,
      'T2',
      () => `${key} is ${String(known)} and ${id}`,
    );
    tasks.acknowledged(id);
    this.#ids.set(key, id);
    this.#keyOf.set(id, key);
    this.#answered(key, 'submit', calledMs, { id, status: phaseOf(result.task.status) });
  }

  #cancel(id: string): void {
    const calledMs = this.#options.queue.nowMs;
    const key = this.#keyOf.get(id) ?? '';
    this.#ask(
      true,
      async (host): Promise<TaskAnswer> => {
        try {
          const { status } = await host.cluster.cancel(id);
          return { id, status: phaseOf(status) };
        } catch (error) {
          return refusalOf(error);
        }
      },
      (answer) => {
        this.#answered(key, 'cancel', calledMs, answer);
        this.#done();
      },
      () => this.#heardNothing(key, 'cancel', calledMs),
    );
  }

  /** A new task of the same content. */
  #retry(id: string): void {
    this.#ask(
      true,
      (host) => host.cluster.retry(id),
      (task) => {
        this.#options.tasks.acknowledged(task.id);
        check(task.id !== id, 'T2', () => `${id} repeated is ${id} again`);
        this.#done();
      },
      () => undefined,
    );
  }

  /** T1: on any server, a linearizable read finds what was acknowledged before. */
  #read(id: string): void {
    const { tasks, queue } = this.#options;
    const calledMs = queue.nowMs;
    const key = this.#keyOf.get(id) ?? '';
    this.#ask(
      false,
      async (host) => {
        if (!(await host.linearizableRead())) return;
        const status = statusOf(host, id);
        tasks.found(id, status !== null, host.machine);
        this.#answered(key, 'read', calledMs, status === null ? 'notFound' : { id, status: phaseOf(status) });
      },
      () => this.#done(),
      () => undefined,
    );
  }

  /** Asks servers in turn until one answers. What was done by one that did not answer is done (or not) all the same. */
  #ask<T>(
    masterOnly: boolean,
    question: (host: TaskHost) => Promise<T>,
    answered: (answer: T) => void,
    gaveUp: () => void,
  ): void {
    const { queue, random, nodes, trace } = this.#options;
    const attempt = ++this.#attempt;
    const node = this.#leader() ?? random.pick(nodes);
    const again = (): void => {
      if (attempt !== this.#attempt) return;
      if (!this.#isStopping && random.chance(GIVE_UP_RATE)) {
        trace.add(this.name, 'gives up');
        gaveUp();
        this.#done();
        return;
      }
      this.#ask(masterOnly, question, answered, gaveUp);
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

/** null: there is no such task. */
function statusOf(host: TaskHost, id: string): TaskStatus | null {
  try {
    return host.cluster.getTask(id).status;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

/** @throws what is no answer */
function refusalOf(error: unknown): TaskAnswer {
  if (error instanceof ApiError && error.code === 'CONFLICT') return 'conflict';
  if (error instanceof ApiError && error.code === 'NOT_FOUND') return 'notFound';
  throw error;
}
