/**
 * A worker as the protocol describes it (src/link/protocol.ts), with tasks that only take time. Its attempts run only
 * while its lease is valid by its own clock, which counts from when the last acknowledged heartbeat was SENT.
 */
import type { AttemptRef, MasterToWorker, RunSpec, WorkerToMaster } from '../../src/link/protocol.ts';
import { LINK_VERSION } from '../../src/link/protocol.ts';
import { LeaseRenewal } from '../../src/worker/lease-renewal.ts';
import type { EventQueue } from './event-queue.ts';
import type { Random } from './random.ts';
import { SimLink } from './sim-link.ts';
import type { SimNode } from './sim-node.ts';
import type { Weather } from './swarm.ts';
import { SIM_LEASE, type TaskHost } from './task-host.ts';
import type { TaskHistory } from './task-history.ts';
import type { Trace } from './trace.ts';

type Ending =
  | Omit<Extract<WorkerToMaster, { kind: 'finished' }>, 'task' | 'token'>
  | Omit<Extract<WorkerToMaster, { kind: 'released' }>, 'task' | 'token'>;

interface Attempt {
  readonly ref: AttemptRef;
  readonly onDisconnect: 'pause' | 'stop' | 'continue';
  leftMs: number;
  /** Own time since when it runs; null while it is paused or over. */
  runsSinceMs: number | null;
  ending: Ending | null;
  /** Counts its timers, so that an old one does nothing. */
  turn: number;
}

const REDIAL_MS = 30;
const WELCOME_MS_MAX = 300;
const RESEND_MS = 150;
/** Some tasks take much less than a lease (task-host.ts), some much more. */
const RUN_MS_MAX = [20, 120, 120, 1000] as const;

export interface SimWorkerOptions {
  readonly id: string;
  readonly queue: EventQueue;
  readonly random: Random;
  readonly weather: () => Weather;
  readonly trace: Trace;
  readonly nodes: readonly SimNode<TaskHost>[];
  readonly tasks: TaskHistory;
  readonly slots: number;
  /** Own milliseconds per true one. */
  readonly clockRate: number;
}

export class SimWorker {
  readonly id: string;
  readonly #options: SimWorkerOptions;
  /** Durable: what it has begun and not been told to forget. */
  readonly #attempts = new Map<string, Attempt>();
  /** Durable: orders that must not be carried out again. */
  readonly #recorded = new Set<string>();
  readonly #cutFrom = new Map<string, number>();
  #isUp = false;
  #life = 0;
  #link: SimLink | null = null;
  #isWelcomed = false;
  #server: SimNode<TaskHost> | null = null;
  #hint: string | null = null;
  #seq = 0;
  #lease = new LeaseRenewal(SIM_LEASE.pauseAfterMs, 0);
  #verdicts: Extract<MasterToWorker, { kind: 'welcome' }>['verdicts'] = [];
  #leaseUntilMs = 0;

  constructor(options: SimWorkerOptions) {
    this.#options = options;
    this.id = options.id;
  }

  get isUp(): boolean {
    return this.#isUp;
  }
  /** Attempts it holds, over or not. */
  get holds(): number {
    return this.#attempts.size;
  }

  /** Attempts it holds, for messages. */
  get heldText(): string {
    const held = [...this.#attempts.values()];
    return `${held.map(({ ref, ending }) => `${nameOf(ref)} (${ending?.kind ?? 'not ended'})`).join(', ')}, ${this.#isWelcomed ? 'welcomed' : 'not welcomed'}`;
  }

  /** What it has of a task, or null. */
  describe(task: string): string | null {
    const held = [...this.#attempts.values()].filter(({ ref }) => ref.task === task);
    if (held.length === 0) return null;
    const state = `${this.id} (${this.#isUp ? '' : 'down, '}${this.#isWelcomed ? 'welcomed' : 'not welcomed'})`;
    const attempts = held.map(
      ({ ref, runsSinceMs, ending, leftMs }) =>
        `${String(ref.token)} ${ending?.kind ?? (runsSinceMs === null ? 'paused' : 'running')}, ${leftMs.toFixed(0)} ms left`,
    );
    return `${state} has ${attempts.join(', ')}`;
  }

  start(): void {
    if (this.#isUp) return;
    this.#isUp = true;
    this.#life++;
    this.#options.trace.add(this.id, 'start');
    this.#dialLater();
  }

  /** The worker's process dies; its launcher and the tasks do not. `power`: the machine, with everything that runs. */
  crash(power: boolean): void {
    if (!this.#isUp) return;
    this.#options.trace.add(this.id, 'crash', power ? 'of the machine' : 'of the process');
    this.#isUp = false;
    this.#life++;
    this.#link?.swallow();
    this.#link = null;
    this.#isWelcomed = false;
    if (!power) return;
    this.#leaseUntilMs = 0;
    this.#options.tasks.leased(this.id, 0);
    for (const attempt of this.#attempts.values()) {
      if (attempt.ending !== null) continue;
      this.#pause(attempt);
      attempt.ending = { kind: 'released', reason: 'the machine lost power' };
    }
  }

  /** Nothing gets through between it and its server, for a while, and neither is told. */
  cutOff(forMs: number): void {
    if (this.#server === null) return;
    this.#options.trace.add(this.id, 'cut', `from ${this.#server.id} for ${forMs.toFixed(0)} ms`);
    this.#cutFrom.set(this.#server.id, this.#options.queue.nowMs + forMs);
    this.#link?.swallow();
  }

  /** What its server sends takes so much longer. */
  hearLate(byMs: number): void {
    this.#link?.delayAnswers(byMs);
  }

  /** Nothing that it sends gets to its server for a while, and it is not told; what is on its way to it arrives. */
  mute(forMs: number): void {
    if (this.#server === null) return;
    this.#options.trace.add(this.id, 'mute', `to ${this.#server.id} for ${forMs.toFixed(0)} ms`);
    this.#cutFrom.set(this.#server.id, this.#options.queue.nowMs + forMs);
    this.#link?.swallow('toServer');
  }

  healAll(): void {
    this.#cutFrom.clear();
  }

  /** Whether a process of this task runs here now. */
  runs(task: string): boolean {
    return [...this.#attempts.values()].some(
      ({ ref, runsSinceMs }) => ref.task === task && runsSinceMs !== null,
    );
  }

  #nowMs(): number {
    return this.#options.queue.nowMs * this.#options.clockRate;
  }

  /** In own time; not if the process has died meanwhile. */
  #after(delayMs: number, action: () => void): void {
    const life = this.#life;
    this.#options.queue.after(delayMs / this.#options.clockRate, () => {
      if (life === this.#life) action();
    });
  }

  #dialLater(): void {
    this.#after(this.#options.random.exponential(REDIAL_MS), () => this.#dial());
  }

  #dial(): void {
    const { nodes, random, queue, weather } = this.#options;
    const hinted = nodes.find((node) => node.id === this.#hint);
    this.#hint = null;
    const node = hinted ?? random.pick(nodes);
    if ((this.#cutFrom.get(node.id) ?? 0) > queue.nowMs || !node.isUp) {
      this.#dialLater();
      return;
    }
    this.#server = node;
    this.#isWelcomed = false;
    const link: SimLink = new SimLink({
      ...{ queue, random, weather, node },
      onMessage: (message) => {
        if (this.#link === link) this.#received(message);
      },
      onClosed: () => {
        if (this.#link === link) this.#disconnect();
      },
    });
    this.#link = link;
    link.open();
    link.send(this.#hello());
    this.#after(WELCOME_MS_MAX, () => {
      if (this.#link === link && !this.#isWelcomed) this.#disconnect();
    });
  }

  #hello(): WorkerToMaster {
    const held = [...this.#attempts.values()].map(({ ref, ending }) => ({
      ...ref,
      state: ending === null ? ('running' as const) : ('ended' as const),
    }));
    return {
      ...{ kind: 'hello', version: LINK_VERSION, node: this.id, role: 'worker', instance: this.id },
      ...{ address: `${this.id}:3006`, slots: this.#options.slots, cpus: 4, memoryMb: 4096, labels: {} },
      ...{ held, sample: null, leaving: false },
    };
  }

  #disconnect(): void {
    this.#link?.close();
    this.#link = null;
    this.#isWelcomed = false;
    this.#dialLater();
  }

  #received(message: MasterToWorker): void {
    switch (message.kind) {
      case 'welcome':
        this.#welcomed(message);
        break;
      case 'redirect':
        this.#hint = message.leader;
        this.#disconnect();
        break;
      case 'refuse':
        this.#disconnect();
        break;
      case 'heartbeatAck':
        this.#acknowledged(message.seq);
        break;
      case 'run':
        this.#run({ task: message.task, token: message.token }, message.spec);
        break;
      case 'kill':
        this.#kill({ task: message.task, token: message.token }, message.why);
        break;
      case 'recorded':
        this.#forget({ task: message.task, token: message.token }, message.accepted);
        break;
      case 'readOutput':
      case 'readFile':
      case 'considered':
        break;
    }
  }

  #welcomed(welcome: Extract<MasterToWorker, { kind: 'welcome' }>): void {
    this.#isWelcomed = true;
    this.#verdicts = welcome.verdicts;
    this.#lease = new LeaseRenewal(SIM_LEASE.pauseAfterMs, this.#nowMs());
    for (const attempt of this.#attempts.values()) this.#report(attempt);
    this.#beat();
  }

  #beat(): void {
    const link = this.#link;
    if (link === null || !this.#isWelcomed) return;
    const nowMs = this.#nowMs();
    if (this.#lease.isOverdue(nowMs)) {
      this.#disconnect();
      return;
    }
    this.#seq++;
    this.#lease.sent(this.#seq, nowMs);
    link.send({ kind: 'heartbeat', seq: this.#seq, sample: null });
    this.#after(SIM_LEASE.heartbeatMs, () => {
      if (this.#link === link) this.#beat();
    });
  }

  #acknowledged(seq: number): void {
    const renewal = this.#lease.acknowledged(seq, this.#nowMs());
    if (renewal.kind === 'stale') return;
    if (renewal.kind === 'late') {
      this.#disconnect();
      return;
    }
    // What is not this node's any more ends before the lease lets the others go on.
    for (const { task, token, verdict } of this.#verdicts) {
      if (verdict === 'kill') this.#kill({ task, token }, 'superseded');
    }
    this.#verdicts = [];
    this.#extendLease(renewal.untilMs);
  }

  /** The launcher's part: it lives on when the worker's process dies. */
  #extendLease(untilMs: number): void {
    if (untilMs <= this.#leaseUntilMs) return;
    this.#leaseUntilMs = untilMs;
    this.#options.tasks.leased(this.id, untilMs / this.#options.clockRate);
    for (const attempt of this.#attempts.values()) this.#go(attempt);
    this.#options.queue.after((untilMs - this.#nowMs()) / this.#options.clockRate, () => {
      if (this.#leaseUntilMs > untilMs) return;
      for (const attempt of this.#attempts.values()) this.#leaseLost(attempt);
    });
  }

  #run(ref: AttemptRef, { onDisconnect, command }: RunSpec): void {
    const name = nameOf(ref);
    if (this.#attempts.has(name) || this.#recorded.has(name)) return;
    const { random } = this.#options;
    const attempt: Attempt = {
      ref,
      onDisconnect,
      leftMs: sleepMsOf(command) ?? random.below(random.pick(RUN_MS_MAX)),
      runsSinceMs: null,
      ending: null,
      turn: 0,
    };
    this.#attempts.set(name, attempt);
    this.#go(attempt);
  }

  #leaseLost(attempt: Attempt): void {
    if (attempt.onDisconnect === 'pause') this.#pause(attempt);
    else if (attempt.onDisconnect === 'stop' && attempt.runsSinceMs !== null)
      this.#end(attempt, { kind: 'released', reason: 'lost the master (onDisconnect: stop)' });
  }

  /** Runs it, if it may run now. */
  #go(attempt: Attempt): void {
    const nowMs = this.#nowMs();
    const mayRun = nowMs < this.#leaseUntilMs || attempt.onDisconnect === 'continue';
    if (attempt.ending !== null || attempt.runsSinceMs !== null || !mayRun) return;
    // With `continue` it may run at two places: that is what was asked for.
    if (attempt.onDisconnect !== 'continue') this.#options.tasks.activated(attempt.ref, this.id);
    attempt.runsSinceMs = nowMs;
    attempt.turn++;
    const { turn } = attempt;
    if (this.#isWelcomed) this.#link?.send({ kind: 'started', ...attempt.ref });
    this.#options.queue.after(attempt.leftMs / this.#options.clockRate, () => {
      if (attempt.turn !== turn || attempt.runsSinceMs === null) return;
      this.#end(attempt, this.#outcome(attempt.ref));
    });
  }

  #pause(attempt: Attempt): void {
    if (attempt.runsSinceMs === null) return;
    attempt.leftMs = Math.max(0, attempt.leftMs - (this.#nowMs() - attempt.runsSinceMs));
    attempt.runsSinceMs = null;
    attempt.turn++;
    this.#options.tasks.deactivated(attempt.ref, this.id);
  }

  #end(attempt: Attempt, ending: Ending): void {
    if (attempt.ending !== null) return;
    this.#pause(attempt);
    attempt.ending = ending;
    this.#report(attempt);
  }

  #kill(ref: AttemptRef, why: 'canceled' | 'superseded'): void {
    const attempt = this.#attempts.get(nameOf(ref));
    if (attempt === undefined || attempt.ending !== null) return;
    if (why === 'canceled') {
      this.#end(attempt, { kind: 'finished', outcome: 'canceled', ...ended(ref, null) });
      return;
    }
    this.#pause(attempt);
    this.#attempts.delete(nameOf(ref));
  }

  #outcome(ref: AttemptRef): Ending {
    const outcome = this.#options.random.pick([
      'succeeded',
      'succeeded',
      'succeeded',
      'failed',
      'timed_out',
    ] as const);
    return { kind: 'finished', outcome, ...ended(ref, outcome === 'succeeded' ? 0 : 1) };
  }

  /** Tells the master what it may not have heard of, until it says that it is recorded. */
  #report(attempt: Attempt): void {
    const link = this.#link;
    if (link === null || !this.#isWelcomed || !this.#attempts.has(nameOf(attempt.ref))) return;
    if (attempt.ending === null) {
      if (attempt.runsSinceMs !== null) link.send({ kind: 'started', ...attempt.ref });
      return;
    }
    link.send({ ...attempt.ending, ...attempt.ref });
    this.#after(RESEND_MS, () => {
      if (this.#link === link) this.#report(attempt);
    });
  }

  #forget(ref: AttemptRef, accepted: boolean): void {
    const attempt = this.#attempts.get(nameOf(ref));
    if (attempt?.ending == null) return;
    if (accepted && attempt.ending.kind === 'finished') this.#options.tasks.recorded(ref);
    this.#attempts.delete(nameOf(ref));
    this.#recorded.add(nameOf(ref));
  }
}

/** For tasks that are to take a certain time. */
export function sleepCommand(ms: number): string[] {
  return ['sleep', String(ms)];
}

function sleepMsOf(command: RunSpec['command']): number | null {
  return command?.[0] === 'sleep' ? Number(command[1]) : null;
}

function nameOf(ref: AttemptRef): string {
  return `${ref.task} ${String(ref.token)}`;
}

/** The result names its attempt, so that the history can tell whose it is. */
function ended(
  ref: AttemptRef,
  exitCode: number | null,
): Omit<Extract<Ending, { kind: 'finished' }>, 'kind' | 'outcome'> {
  const stdout = String(ref.token);
  return {
    reason: null,
    runMs: 1,
    result: {
      ...{ exitCode, signal: exitCode === null ? 'SIGTERM' : null, stdout, stderr: '' },
      ...{ stdoutBytes: stdout.length, stderrBytes: 0, truncated: false },
    },
  };
}
