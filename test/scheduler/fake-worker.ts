import type {
  AttemptRef,
  LinkConnection,
  MasterToWorker,
  ResourceSample,
  WorkerToMaster,
} from '../../src/link/protocol.ts';
import type { TaskResult } from '../../src/api/tasks.ts';
import type { Master } from '../../src/scheduler/master/master.ts';
import type { FakeClock } from './fake-clock.ts';
import { taskResult } from './machine-driver.ts';

type Hello = Extract<WorkerToMaster, { kind: 'hello' }>;
type Run = Extract<MasterToWorker, { kind: 'run' }>;

/** A worker as the master sees it: says what the test wants, keeps what it is told. */
export class FakeWorker {
  readonly id: string;
  readonly received: MasterToWorker[] = [];
  closedWith: string | null = null;
  readonly #hello: Hello;
  readonly #clock: FakeClock;
  #connection: (LinkConnection<MasterToWorker, WorkerToMaster> & { closed: boolean }) | null = null;
  #seq = 0;
  #beat: (() => void) | null = null;

  constructor(id: string, clock: FakeClock, hello: Partial<Hello> = {}) {
    this.id = id;
    this.#clock = clock;
    this.#hello = {
      ...{ kind: 'hello', version: 1, node: id, role: 'worker', instance: `${id}-1`, address: `${id}:3006` },
      ...{ slots: 2, cpus: 2, memoryMb: 4_096, labels: {}, held: [], sample: null, leaving: false },
      ...hello,
    };
  }

  /** Dials and says hello; nothing more is said by itself. */
  dial(master: Master, more: Partial<Hello> = {}): void {
    this.closedWith = null;
    const connection = {
      closed: false,
      send: (message: MasterToWorker) => {
        if (!connection.closed) this.received.push(message);
      },
      close: () => {
        connection.closed = true;
        this.closedWith ??= 'closed by the master';
      },
      onMessage: null as ((message: WorkerToMaster) => void) | null,
      onClose: null as ((reason: string) => void) | null,
    };
    this.#connection = connection;
    master.acceptLink(connection);
    this.say({ ...this.#hello, ...more });
  }

  /** Dials, and sends a heartbeat every half second from then on. */
  async join(master: Master, more: Partial<Hello> = {}): Promise<void> {
    this.dial(master, more);
    await this.#clock.settle();
    this.keepBeating();
  }

  keepBeating(): void {
    this.silence();
    this.beat();
    this.#beat = this.#clock.after(500, () => this.keepBeating());
  }

  beat(sample: ResourceSample | null = null): void {
    this.#seq += 1;
    this.say({ kind: 'heartbeat', seq: this.#seq, sample });
  }

  /** No further heartbeats. */
  silence(): void {
    this.#beat?.();
    this.#beat = null;
  }

  say(message: WorkerToMaster): void {
    const connection = this.#connection;
    if (connection !== null && !connection.closed) connection.onMessage?.(message);
  }

  /** The connection breaks. */
  hangUp(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.silence();
    if (connection === null || connection.closed) return;
    connection.closed = true;
    connection.onClose?.('broken by the test');
  }

  of<K extends MasterToWorker['kind']>(kind: K): Extract<MasterToWorker, { kind: K }>[] {
    return this.received.filter((message) => message.kind === kind) as never;
  }

  get runs(): readonly Run[] {
    return this.of('run');
  }

  lastRun(): AttemptRef {
    const run = this.runs.at(-1);
    if (run === undefined) throw new Error(`${this.id} was given nothing to run`);
    return { task: run.task, token: run.token };
  }

  started(ref: AttemptRef): void {
    this.say({ kind: 'started', ...ref });
  }

  finished(
    ref: AttemptRef,
    outcome: 'succeeded' | 'failed' | 'canceled' = 'succeeded',
    result: Partial<TaskResult> = {},
  ): void {
    this.say({ kind: 'finished', ...ref, outcome, reason: null, runMs: 5, result: taskResult(result) });
  }
}
