/**
 * One run: a cluster, those who use it, and its troubles, all from one seed. Phases of faults, after each of which everything
 * is healed and must come right (I17). The history is asked after every event.
 */
import { asNodeId } from '../../src/raft/core/ids.ts';
import type { Configuration, Message, NodeId, RaftStatus } from '../../src/raft/core/types.ts';
import { EventQueue } from './event-queue.ts';
import { FaultCounts, type FaultTable } from './faults.ts';
import { History } from './history.ts';
import type { Host } from './host.ts';
import { Nemesis } from './nemesis.ts';
import { SimNetwork } from './network.ts';
import { Operator } from './operator.ts';
import { Random } from './random.ts';
import { check, SimFailure } from './sim-failure.ts';
import type { SeedOrder } from './seed-order.ts';
import { SimNode } from './sim-node.ts';
import { drawCast, drawTroubles, drawWeather, heal, type Cast, type Weather } from './swarm.ts';
import { replayCommand } from './replay.ts';
import { Trace } from './trace.ts';
import { TrialGround } from './trial-ground.ts';
import { Trials } from './trials.ts';
import type { Kind, Traffic } from './traffic.ts';

/** The healed cluster must have come right after this much virtual time. */
const HEALING_MS_MAX = 20_000;
const HEALING_STEP_MS = 50;
const TRACE_LINES = 200;
/** The trials take as long as all the rest: not every seed has them. */
const TRIALS_EVERY = { core: 8, node: 16, tasks: 8 } as const;
/** Many more than any run needs; more means that something goes round in circles. */
const EVENTS_MAX = 5_000_000;

export interface RunOptions<H extends Host> {
  readonly kind: Kind<H>;
  readonly seed: number;
  /** Voters at the start; otherwise drawn from the seed. */
  readonly voters?: number | undefined;
}

export interface RunReport {
  readonly events: number;
  readonly virtualMs: number;
  readonly committed: number;
  readonly leaders: number;
  readonly answered: number;
  readonly faults: FaultTable;
  /** Of the processor. */
  readonly cpuMs: number;
}

/** A run that failed, with what is needed to look into it. */
export class RunFailure extends Error {
  constructor(order: SeedOrder, trace: Trace, cause: unknown) {
    const stack = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `${stack}\n\nlast events:\n${trace.toString()}\n\n` +
        `seed ${String(order.seed)}, kind ${order.kind}: ${reason}\nreplay: ${replayCommand(order)}`,
      { cause },
    );
    this.name = 'RunFailure';
  }
}

export class World<H extends Host> {
  readonly #options: RunOptions<H>;
  readonly #random: Random;
  readonly #queue = new EventQueue();
  readonly #trace = new Trace(TRACE_LINES, () => this.#queue.nowMs);
  readonly #history: History;
  readonly #network: SimNetwork;
  readonly #nodes: readonly SimNode<H>[];
  readonly #byId = new Map<NodeId, SimNode<H>>();
  readonly #traffic: Traffic<H>;
  readonly #nemesis: Nemesis;
  readonly #operator: Operator;
  readonly #faults = new FaultCounts();
  readonly #cast: Cast;
  #weather: Weather;
  #failure: { readonly error: unknown } | null = null;
  #events = 0;
  readonly #startedAt = process.cpuUsage();

  constructor(options: RunOptions<H>) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#cast = drawCast(this.#random, options.voters);
    this.#weather = this.#adjusted(drawWeather(this.#random));
    const random = this.#random;
    const queue = this.#queue;
    const trace = this.#trace;
    const weather = (): Weather => this.#weather;
    const faults = this.#faults;
    const { voters, learners, spares, replacements, workers } = this.#cast;
    const ids = Array.from({ length: voters + learners + spares + replacements }, (_, i) =>
      asNodeId(`n${String(i + 1)}`),
    );
    const config = { voters: ids.slice(0, voters), learners: ids.slice(voters, voters + learners) };
    this.#history = new History({
      ...{ limits: this.#weather.limits, bootstrap: config, faults },
      durable: (id) => this.#node(id).durable,
    });
    this.#network = new SimNetwork({
      ...{
        queue,
        trace,
        weather,
        faults,
        random: random.fork(),
        garble: options.kind.garble?.(random.fork()) ?? null,
      },
      deliver: (message) => this.#deliver(message),
    });
    this.#nodes = ids.map((id, at) => this.#makeNode(id, config, at >= ids.length - replacements));
    for (const node of this.#nodes) this.#byId.set(node.id, node);
    const nodes = this.#nodes;
    const leader = (): SimNode<H> | null => this.#leader();
    this.#operator = new Operator({ nodes, leader, trace, faults });
    this.#nemesis = new Nemesis({
      ...{ nodes, network: this.#network, queue, weather, trace, faults, random: random.fork() },
      ...{ operator: this.#operator, leader },
    });
    this.#traffic = options.kind.makeTraffic({
      ...{ queue, weather, trace, faults, workers, history: this.#history, nodes, random: random.fork() },
      fail: (error) => this.#fail(error),
    });
  }

  /** @throws RunFailure */
  async run(): Promise<RunReport> {
    try {
      await this.#startAll();
      for (const [phase, forMs] of this.#weather.faultPhasesMs.entries()) {
        if (phase > 0) this.#weather = this.#adjusted({ ...this.#weather, ...drawTroubles(this.#random) });
        await this.#sufferFor(forMs);
        await this.#heal();
      }
      await this.#end();
    } catch (error) {
      const { kind, seed, voters } = this.#options;
      throw new RunFailure({ kind: kind.name, seed, voters }, this.#trace, error);
    }
    return this.#report();
  }

  /** How it does without load and without faults. */
  async idle(forMs: number): Promise<RunReport> {
    this.#weather = this.#adjusted(heal(this.#weather));
    await this.#startAll();
    await this.#runUntil(forMs);
    return this.#report();
  }

  async #startAll(): Promise<void> {
    // Who calls may be a tick itself, and ticks that follow a tick at once have their turn before promises (#settlePromises).
    await Promise.resolve();
    for (const node of this.#nodes) node.start();
  }

  #report(): RunReport {
    const { user, system } = process.cpuUsage(this.#startedAt);
    return {
      events: this.#events,
      virtualMs: this.#queue.nowMs,
      committed: this.#history.committedIndex,
      leaders: this.#history.leaderCount,
      answered: this.#traffic.answered,
      faults: this.#faults.table,
      cpuMs: (user + system) / 1000,
    };
  }

  #adjusted(drawn: Weather): Weather {
    return { ...drawn, ...this.#options.kind.adjustWeather?.(drawn) };
  }

  #deliver(message: Message): void {
    const node = this.#node(message.to);
    if (message.kind === 'timeoutNow') this.#faults.struck('lead transferred');
    const deliver = (): void =>
      node.touch((host) => {
        this.#trace.add(message.to, 'receive', message);
        host.receive(message);
      });
    if (isOfSnapshot(message)) node.passChunk(deliver);
    else deliver();
  }

  #send(from: NodeId, message: Message): void {
    const send = (): void => {
      this.#history.sent(from, message);
      this.#network.send(message);
    };
    if (isOfSnapshot(message)) this.#node(from).passChunk(send);
    else send();
  }

  #makeNode(id: NodeId, config: Configuration, isAbsent: boolean): SimNode<H> {
    const { kind } = this.#options;
    const isMember = config.voters.includes(id) || config.learners.includes(id);
    const bootstrap = isMember ? config : { voters: [], learners: [] };
    const node: SimNode<H> = new SimNode({
      id,
      queue: this.#queue,
      random: this.#random.fork(),
      weather: () => this.#weather,
      history: this.#history,
      trace: this.#trace,
      server: kind.makeServer({
        id,
        bootstrap,
        history: this.#history,
        random: this.#random.fork(),
        faults: this.#faults,
      }),
      faults: this.#faults,
      isAbsent,
      send: (message) => this.#send(id, message),
      fail: (error) => this.#fail(error),
      onDied: () => this.#nemesis.died(node),
    });
    return node;
  }

  #node(id: NodeId): SimNode<H> {
    const node = this.#byId.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  #setClock(node: SimNode<H>): void {
    const skew = 1 + this.#random.fraction() * (this.#weather.clockSkewMax - 1);
    node.setClockRate(this.#random.chance(0.5) ? skew : 1 / skew);
  }

  /** What was caught first says more than what it led to. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  async #runUntil(untilMs: number): Promise<void> {
    const { usesPromises } = this.#options.kind;
    if (usesPromises) await this.#settlePromises();
    while (this.#queue.nowMs < untilMs) {
      this.#runEvent();
      if (usesPromises) await this.#settlePromises();
      if (this.#failure !== null) throw this.#failure.error;
      if (this.#events > EVENTS_MAX) throw new Error(`more than ${String(EVENTS_MAX)} events`);
    }
  }

  #runEvent(): void {
    this.#events++;
    try {
      if (!this.#queue.runNext()) throw new Error('nothing is left to happen');
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Everything that promises lead to happens at the moment of the event that fulfilled the first of them. */
  async #settlePromises(): Promise<void> {
    // Ticks have their turn when all promises have had theirs, and those that followed from them.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    try {
      for (const node of this.#nodes) node.observeIfTouched();
    } catch (error) {
      this.#fail(error);
    }
  }

  async #sufferFor(forMs: number): Promise<void> {
    for (const node of this.#nodes) this.#setClock(node);
    this.#traffic.start();
    this.#nemesis.start();
    await this.#runUntil(this.#queue.nowMs + forMs);
  }

  /** I17: a leader, every request answered, all logs and states equal; and it goes on working. */
  async #heal(): Promise<void> {
    this.#weather = heal(this.#weather);
    this.#trace.add('*', 'healing');
    for (const node of this.#nodes) node.setClockRate(1);
    this.#nemesis.stop();
    this.#traffic.stop();
    await this.#converge('after the faults');
    this.#traffic.more();
    await this.#converge('after a little more');
  }

  async #end(): Promise<void> {
    if (this.#options.seed % TRIALS_EVERY[this.#options.kind.name] === 1) await this.#trials();
    this.#traffic.checkAtRest(this.#members());
    for (const node of this.#members()) await node.checkDamage(this.#random);
  }

  async #trials(): Promise<void> {
    const ground = new TrialGround({
      ...{ nodes: this.#nodes, network: this.#network, random: this.#random, trace: this.#trace },
      run: (forMs) => this.#runUntil(this.#queue.nowMs + forMs),
      converge: (when) => this.#converge(when),
    });
    const traffic = this.#traffic;
    await new Trials({
      ground,
      more: () => traffic.more(),
      read: (id) => traffic.read?.(id),
      write: (id) => traffic.write?.(id),
    }).run();
    await traffic.trials?.(ground);
  }

  async #converge(when: string): Promise<void> {
    const deadlineMs = this.#queue.nowMs + HEALING_MS_MAX;
    for (;;) {
      this.#operator.goOn();
      await this.#runUntil(this.#queue.nowMs + HEALING_STEP_MS);
      const reason = this.#unfinished();
      if (reason === null) return;
      if (this.#queue.nowMs > deadlineMs) throw new SimFailure('I17', `${when}: ${reason}`);
    }
  }

  /** @returns what is still missing, or null */
  #unfinished(): string | null {
    const members = this.#members();
    const statuses: RaftStatus[] = [];
    for (const node of members) {
      if (node.host === null) return `${node.id} is down`;
      statuses.push(node.host.status());
    }
    const leaders = statuses.filter((status) => status.role === 'leader');
    const leader = leaders[0];
    if (leader === undefined || leaders.length > 1) return `${String(leaders.length)} leaders`;
    const waiting = this.#operator.busyWith ?? this.#traffic.unfinished();
    if (waiting !== null) return waiting;
    for (const status of statuses) {
      if (status.lastIndex !== leader.lastIndex || status.lastTerm !== leader.lastTerm)
        return `${status.id} lags behind`;
      if (status.commitIndex !== leader.lastIndex) return `${status.id} has not committed everything`;
      if (status.appliedIndex !== leader.lastIndex) return `${status.id} has not applied everything`;
      if (status.leader !== leader.id) return `${status.id} follows ${String(status.leader)}`;
    }
    const digests = new Set(members.map((node) => node.host?.digest()));
    check(digests.size === 1, 'I5', () => 'states differ at the end');
    return null;
  }

  #leader(): SimNode<H> | null {
    let newest: SimNode<H> | null = null;
    let newestTerm = -1;
    for (const node of this.#nodes) {
      const status = node.host?.status();
      if (status?.role !== 'leader' || status.term <= newestTerm) continue;
      newest = node;
      newestTerm = status.term;
    }
    return newest;
  }

  /** Those who take part, as the leader sees it; everybody while there is none. */
  #members(): readonly SimNode<H>[] {
    const leader = this.#nodes.find((node) => node.host?.status().role === 'leader');
    const config = leader?.host?.status().config;
    if (config === undefined) return this.#nodes;
    return this.#nodes.filter((node) => config.voters.includes(node.id) || config.learners.includes(node.id));
  }
}

function isOfSnapshot({ kind }: Message): boolean {
  return kind === 'snapshotChunk' || kind === 'snapshotAck';
}
