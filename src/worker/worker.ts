/**
 * Runs the tasks that the master gives to this node and reports what became of them (docs/execution.md).
 *
 * The worker holds one link to the master. Its lease counts from the moment it SENT the last heartbeat that the master
 * acknowledged; it is passed on to the executor, which pauses the tasks by its own clock when it runs out. A lease that ran
 * out is only ever renewed over a new link, after the master has said which attempts are still this node's own.
 */
import { join } from 'node:path';
import { LINES } from '../api/log.ts';
import type { WriteLine } from '../api/log.ts';
import { LEASE, LINK_VERSION } from '../link/protocol.ts';
import type { AttemptRef, MasterToWorker, WorkerToMaster } from '../link/protocol.ts';
import { attemptKey } from '../link/messages.ts';
import { Attempts } from './attempts.ts';
import type { Executor } from './executor.ts';
import { LauncherExecutor } from './launcher-executor.ts';
import type { Dial } from '../net/connection-cut.ts';
import { LeaseRenewal } from './lease-renewal.ts';
import { hostAndPort, MasterFinder, networkDial } from './master-finder.ts';
import type { DialLink, MasterLink, Welcome } from './master-finder.ts';
import { monotonicMs } from './monotonic.ts';
import { Outbox } from './outbox.ts';
import { OutputReads } from './output-reads.ts';
import { nodeCapacity, Sampler } from './sampler.ts';
import type { NodeCapacity } from './sampler.ts';

export const WORKER = {
  /** Between heartbeats while nothing runs; still well below the lease. */
  idleHeartbeatMs: 1_000,
  /** How often the master is told of which tasks output is kept here, so that it can say which of them are no more. */
  keptMs: 600_000,
  /** stop() gives running tasks this long to end and the master to record that they were given back. */
  stopMs: 6_000,
} as const;

/** The part of pino's logger that is used here. */
export interface WorkerLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface WorkerOptions {
  readonly id: string;
  readonly role: 'server' | 'worker';
  /** host:port under which other nodes reach this node's HTTP routes. */
  readonly address: string;
  /** host:port of every server. */
  readonly servers: readonly string[];
  /** Tasks at once; null: as many as the node may use CPUs. */
  readonly slots: number | null;
  readonly labels: Readonly<Record<string, string>>;
  /** The node's data folder; uses `worker` and `launcher` in it. */
  readonly dataDir: string;
  /** Sent as bearer token when dialing; null: none. */
  readonly token: string | null;
  /** Further headers that nodes of this cluster send each other. */
  readonly clusterHeaders: Readonly<Record<string, string>>;
  /** Default: the launcher process. */
  readonly executor?: Executor;
  /** Default: HTTP Upgrade over the network. For tests. */
  readonly dial?: DialLink;
  /** Opens the connection under the link; left out: nothing can cut it off. */
  readonly connect?: Dial;
  readonly writeLine: WriteLine;
  readonly log: WorkerLog;
  /** Nothing may be relied on any more: the process has to end with a failure. */
  readonly onFatal: (error: Error) => void;
}

interface Connection {
  readonly link: MasterLink;
  /** Of the master's address as dialed, for the log lines. */
  readonly port: number;
  readonly leader: string;
  /**
   * Attempts that the master did not confirm. They are killed when the first heartbeat is acknowledged: only then is it
   * certain that this is the master.
   */
  toKill: readonly AttemptRef[];
  readonly lease: LeaseRenewal;
  /** What is kept here; null: it was told, or is being looked at. Told with the next heartbeat. */
  kept: readonly string[] | null;
  keptLookedAtMs: number;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #executor: Executor;
  readonly #finder: MasterFinder;
  readonly #sampler: Sampler;
  readonly #outputReads: OutputReads;
  #mode: 'new' | 'running' | 'stopping' | 'ended' = 'new';
  #starting: Promise<void> = Promise.resolve();
  #capacityRead: NodeCapacity | null = null;
  #outbox: Outbox | null = null;
  #attempts: Attempts | null = null;
  #connection: Connection | null = null;
  #heartbeatTimer: NodeJS.Timeout | null = null;
  #heartbeatSeq = 0;
  /** When the last one was sent. */
  #beatAtMs = 0;
  #termMax = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#executor =
      options.executor ??
      new LauncherExecutor({ node: options.id, dataDir: options.dataDir, log: options.log });
    this.#outputReads = new OutputReads(options.id, this.#executor);
    const authorization = options.token === null ? {} : { authorization: `Bearer ${options.token}` };
    this.#finder = new MasterFinder({
      servers: options.servers,
      dial: options.dial ?? networkDial({ ...options.clusterHeaders, ...authorization }, options.connect),
      hello: () => this.#hello(),
      onWelcome: (link, address, welcome) => this.#welcomed(link, address, welcome),
      warn: (message) => options.log.warn({}, message),
    });
    this.#sampler = new Sampler((error) =>
      options.log.warn({ err: error }, 'measuring CPU and memory failed'),
    );
  }

  /** Read from the system when it is first asked for. */
  get #capacity(): NodeCapacity {
    this.#capacityRead ??= nodeCapacity();
    return this.#capacityRead;
  }

  get slots(): number {
    return this.#options.slots ?? this.#capacity.slotsDefault;
  }

  /** Attempts on this node that are not over. */
  get runningCount(): number {
    return this.#attempts?.runningCount ?? 0;
  }

  /** The node id of the master this worker is connected to. */
  get master(): string | null {
    return this.#connection?.leader ?? null;
  }

  /**
   * Opens the outbox, finds again what an earlier life left, and begins to look for the master.
   * @throws what the outbox or the executor says (a data folder in use by another process, for example).
   */
  start(): Promise<void> {
    if (this.#mode !== 'new') throw new Error('a Worker is started once');
    this.#mode = 'running';
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { outbox, records } = await Outbox.open(
      join(this.#options.dataDir, 'worker'),
      (error) => this.#fatal(error),
      (message) => this.#options.log.warn({}, message),
    );
    this.#outbox = outbox;
    const attempts = new Attempts(this.#options.id, this.#executor, outbox);
    try {
      const holdings = await this.#executor.start({
        onStarted: (ref) => attempts.onStarted(ref),
        onEnded: (ref, ending) => attempts.onEnded(ref, ending),
        onFatal: (error) => this.#fatal(error),
      });
      attempts.adopt(records, holdings);
    } catch (error) {
      await outbox.abandon();
      throw error;
    }
    this.#attempts = attempts;
    this.#sampler.start();
    this.#finder.start();
  }

  /**
   * Orderly end: takes no more work, ends what runs (SIGTERM first), gives it back to the master and waits until that is
   * recorded, says goodbye. What could not be delivered in time stays in the outbox. Takes at most 10 s.
   */
  async stop(): Promise<void> {
    await this.#started();
    if (this.#mode !== 'running') return;
    this.#mode = 'stopping';
    const attempts = this.#attempts;
    if (attempts !== null && attempts.size > 0) {
      // The only message that says "no more work" is the hello, so the link is opened anew.
      this.#disconnect('stopping');
      attempts.releaseAll();
      await within(WORKER.stopMs, attempts.empty());
    }
    if (this.#isEnded()) return;
    this.#mode = 'ended';
    if (attempts?.size === 0) this.#connection?.link.send({ kind: 'goodbye' });
    this.#disconnect('stopped');
    this.#finder.stop();
    this.#sampler.stop();
    await this.#executor.stop();
    await this.#outbox?.close();
  }

  /** A simulated crash: tasks die at once, nothing is flushed, sent or handed over. Resolves when no process is left. */
  async crash(): Promise<void> {
    await this.#started();
    if (this.#mode === 'new' || this.#mode === 'ended') return;
    this.#mode = 'ended';
    const crashed = this.#executor.crash();
    this.#disconnect('crashed');
    this.#finder.stop();
    this.#sampler.stop();
    await this.#outbox?.abandon();
    await crashed;
  }

  /** Whatever became of the start. */
  async #started(): Promise<void> {
    await this.#starting.catch(() => {
      this.#mode = 'ended';
    });
  }

  // A call, because the mode changes while one waits.
  #isEnded(): boolean {
    return this.#mode === 'ended';
  }

  #fatal(error: Error): void {
    if (this.#isEnded()) return;
    this.#mode = 'ended';
    this.#disconnect('failed');
    this.#finder.stop();
    this.#sampler.stop();
    this.#options.onFatal(error);
  }

  #hello(): Extract<WorkerToMaster, { kind: 'hello' }> {
    return {
      kind: 'hello',
      version: LINK_VERSION,
      node: this.#options.id,
      role: this.#options.role,
      instance: this.#outbox?.instance ?? '',
      address: this.#options.address,
      slots: this.slots,
      cpus: this.#capacity.cpus,
      memoryMb: this.#capacity.memoryMb,
      labels: this.#options.labels,
      held: this.#attempts?.held() ?? [],
      sample: this.#sampler.latest,
      leaving: this.#mode !== 'running',
    };
  }

  /** host:port of the servers there are now: asked from now on besides those given at the start. */
  learnServers(servers: readonly string[]): void {
    this.#finder.learn(servers);
  }

  #welcomed(link: MasterLink, address: string, welcome: Welcome): void {
    if (welcome.servers !== undefined) this.learnServers(welcome.servers);
    const connection: Connection = {
      link,
      port: hostAndPort(address).port,
      leader: welcome.leader,
      toKill: this.#unconfirmed(welcome),
      lease: new LeaseRenewal(LEASE.pauseAfterMs, monotonicMs()),
      kept: null,
      keptLookedAtMs: -Infinity,
    };
    this.#connection = connection;
    link.onMessage = (message) => {
      if (this.#connection === connection) this.#received(connection, message);
    };
    link.onClose = (reason) => {
      if (this.#connection === connection) this.#disconnect(reason);
    };
    if (welcome.term < this.#termMax) {
      this.#disconnect(`${welcome.leader} leads term ${welcome.term} only, ${this.#termMax} was seen`);
      return;
    }
    this.#termMax = welcome.term;
    this.#options.log.info(
      { master: welcome.leader, address, term: welcome.term },
      'connected to the master',
    );
    this.#attempts?.connected({
      send: (message) => link.send(message),
      onResultSent: (task) => this.#options.writeLine(LINES.sentToLeader(task, connection.port)),
    });
    this.#beat();
  }

  /** Leaves the master, and looks for it again unless this node is at its end. */
  #disconnect(reason: string): void {
    const connection = this.#connection;
    this.#connection = null;
    if (this.#heartbeatTimer !== null) clearTimeout(this.#heartbeatTimer);
    this.#attempts?.disconnected();
    if (connection !== null) {
      this.#options.log.info({ master: connection.leader, reason }, 'disconnected from the master');
      connection.link.close();
    }
    if (this.#attempts !== null && !this.#isEnded()) this.#finder.start();
  }

  /** Sends a heartbeat and plans the next one. */
  #beat(): void {
    const connection = this.#connection;
    if (connection === null) return;
    const nowMs = monotonicMs();
    if (connection.lease.isOverdue(nowMs)) {
      this.#disconnect('the master has not acknowledged a heartbeat in time');
      return;
    }
    this.#heartbeatSeq += 1;
    connection.lease.sent(this.#heartbeatSeq, nowMs);
    const kept = connection.kept === null ? {} : { kept: connection.kept };
    connection.kept = null;
    const seq = this.#heartbeatSeq;
    connection.link.send({ kind: 'heartbeat', seq, sample: this.#sampler.take(), ...kept });
    this.#lookAtKept(connection, nowMs);
    this.#beatAtMs = nowMs;
    const busy = (this.#attempts?.size ?? 0) > 0;
    if (busy) this.#sampler.touch();
    this.#attempts?.resendStale(nowMs);
    this.#planBeat(busy ? LEASE.heartbeatMs : WORKER.idleHeartbeatMs);
  }

  /** Has what is kept here told with a later heartbeat, now and then. */
  #lookAtKept(connection: Connection, nowMs: number): void {
    if (nowMs - connection.keptLookedAtMs < WORKER.keptMs) return;
    connection.keptLookedAtMs = nowMs;
    this.#executor.keptTasks().then(
      (kept) => (connection.kept = kept.length === 0 ? null : kept),
      (error: unknown) => this.#options.log.warn({ err: error }, 'looking at what is kept failed'),
    );
  }

  /** The next heartbeat, so long after the last one. */
  #planBeat(afterMs: number): void {
    if (this.#heartbeatTimer !== null) clearTimeout(this.#heartbeatTimer);
    this.#heartbeatTimer = setTimeout(
      () => this.#beat(),
      Math.max(0, this.#beatAtMs + afterMs - monotonicMs()),
    );
  }

  #acknowledged(connection: Connection, seq: number): void {
    const renewal = connection.lease.acknowledged(seq, monotonicMs());
    if (renewal.kind === 'stale') return;
    if (renewal.kind === 'late') {
      this.#disconnect('the acknowledgement of a heartbeat came too late');
      return;
    }
    // Before the lease lets the others go on.
    for (const { task, token } of connection.toKill) this.#attempts?.kill({ task, token }, 'superseded');
    connection.toKill = [];
    this.#executor.extendLease(renewal.untilMs);
  }

  /** What runs here and is not this node's any more, as far as this master says (saying nothing is not a yes). */
  #unconfirmed(welcome: Welcome): readonly AttemptRef[] {
    const kept = new Set(welcome.verdicts.filter(({ verdict }) => verdict === 'keep').map(attemptKey));
    return (this.#attempts?.held() ?? []).filter(
      (attempt) => attempt.state === 'running' && !kept.has(attemptKey(attempt)),
    );
  }

  #received(connection: Connection, message: MasterToWorker): void {
    switch (message.kind) {
      case 'run':
        this.#run(message);
        return;
      case 'recorded':
        this.#attempts?.recorded(message);
        return;
      case 'heartbeatAck':
        if (message.forget !== undefined) this.#executor.forget(message.forget);
        if (message.servers !== undefined) this.learnServers(message.servers);
        this.#acknowledged(connection, message.seq);
        return;
      case 'kill':
        this.#options.log.info({ task: message.task, why: message.why }, 'ending an attempt');
        this.#attempts?.kill(message, message.why);
        return;
      case 'readOutput':
      case 'readFile':
        this.#outputReads.answer(message, this.#attempts, (answer) => connection.link.send(answer));
        return;
      case 'considered':
        this.#options.writeLine(LINES.cpu(message.cpu));
        this.#options.writeLine(LINES.ram(message.memory));
        this.#sampler.touch();
        return;
      case 'redirect':
        this.#disconnect(`${message.self} is not the master any more`);
        return;
      case 'refuse':
        this.#disconnect(message.reason);
        return;
      case 'welcome':
        this.#disconnect('a second welcome');
        return;
    }
  }

  #run(order: Extract<MasterToWorker, { kind: 'run' }>): void {
    const attempts = this.#attempts;
    if (attempts === null) return;
    if (this.#mode !== 'running') {
      attempts.refuse(order, `${this.#options.id} is being stopped`);
      return;
    }
    const wasIdle = attempts.size === 0;
    if (!attempts.run(order)) return;
    this.#options.writeLine(LINES.receivedPayload(order.task));
    if (!wasIdle) return;
    this.#sampler.touch();
    this.#planBeat(LEASE.heartbeatMs);
  }
}

/** Waits for the promise, but not longer than that. */
async function within(ms: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([promise, tooLong]);
  clearTimeout(timer);
}
