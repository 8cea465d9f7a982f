/**
 * One run: a cluster, those who use it, and its troubles, all from one seed. First a phase of faults, then everything is
 * healed and must come right (I17). The history is asked after every event.
 */
import { asNodeId } from '../../src/raft/core/ids.ts';
import type { Configuration, NodeId, RaftStatus } from '../../src/raft/core/types.ts';
import { EventQueue } from './event-queue.ts';
import { History } from './history.ts';
import type { Host } from './host.ts';
import { Nemesis } from './nemesis.ts';
import { SimNetwork } from './network.ts';
import { Random } from './random.ts';
import { check, SimFailure } from './sim-failure.ts';
import { SimNode } from './sim-node.ts';
import { drawWeather, heal, type Weather } from './swarm.ts';
import { Trace } from './trace.ts';
import { Trials } from './trials.ts';
import type { Kind, Traffic } from './traffic.ts';

/** The healed cluster must have come right after this much virtual time. */
const HEALING_MS_MAX = 20_000;
const HEALING_STEP_MS = 50;
const TRACE_LINES = 400;
/** What costs more than the core is tried on fewer seeds. */
const TRIALS_EVERY = 4;
/** Many more than any run needs; more means that something goes round in circles. */
const EVENTS_MAX = 5_000_000;

export interface RunOptions<H extends Host> {
  readonly kind: Kind<H>;
  readonly seed: number;
  readonly nodes: number;
  readonly weather?: Partial<Weather>;
}

export interface RunReport {
  readonly events: number;
  readonly virtualMs: number;
  readonly committed: number;
  readonly leaders: number;
  readonly answered: number;
}

/** A run that failed, with what is needed to look into it. */
export class RunFailure extends Error {
  constructor(
    run: Pick<RunOptions<Host>, 'seed' | 'nodes'> & { readonly kind: string },
    trace: Trace,
    cause: unknown,
  ) {
    const { kind, seed, nodes } = run;
    const stack = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `${stack}\n\nlast events:\n${trace.toString()}\n\n` +
        `seed ${String(seed)}, ${String(nodes)} nodes, kind ${kind}: ${reason}\n` +
        `replay: npm run sim -- --seed ${String(seed)} --nodes ${String(nodes)} --kind ${kind}`,
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
  readonly #traffic: Traffic<H>;
  readonly #nemesis: Nemesis;
  #weather: Weather;
  #failure: { readonly error: unknown } | null = null;
  #events = 0;

  constructor(options: RunOptions<H>) {
    this.#options = options;
    this.#random = new Random(options.seed * 16 + options.nodes);
    const drawn = drawWeather(this.#random);
    this.#weather = { ...drawn, ...options.kind.adjustWeather?.(drawn), ...options.weather };
    const random = this.#random;
    const queue = this.#queue;
    const trace = this.#trace;
    const weather = (): Weather => this.#weather;
    const ids = Array.from({ length: options.nodes }, (_, i) => asNodeId(`n${String(i + 1)}`));
    const config = this.#bootstrap(ids);
    this.#history = new History(this.#weather.limits, config, (id) => this.#node(id).durable);
    this.#network = new SimNetwork({
      ...{ queue, trace, weather, random: random.fork() },
      deliver: (message) => {
        this.#node(message.to).touch((host) => {
          trace.add(message.to, 'receive', message);
          host.receive(message);
        });
      },
    });
    this.#nodes = ids.map((id) => this.#makeNode(id, config));
    this.#nemesis = new Nemesis({
      ...{ nodes: this.#nodes, network: this.#network, queue, weather, trace, random: random.fork() },
    });
    this.#traffic = options.kind.makeTraffic({
      ...{ queue, weather, trace, history: this.#history, nodes: this.#nodes, random: random.fork() },
      fail: (error) => this.#fail(error),
    });
  }

  /** @throws RunFailure */
  async run(): Promise<RunReport> {
    try {
      for (const node of this.#nodes) this.#setClock(node);
      for (const node of this.#nodes) node.start();
      this.#traffic.start();
      this.#nemesis.start();
      await this.#runUntil(this.#weather.faultPhaseMs);
      await this.#heal();
    } catch (error) {
      const { kind, seed, nodes } = this.#options;
      throw new RunFailure({ kind: kind.name, seed, nodes }, this.#trace, error);
    }
    return {
      events: this.#events,
      virtualMs: this.#queue.nowMs,
      committed: this.#history.committedIndex,
      leaders: this.#history.leaderCount,
      answered: this.#traffic.answered,
    };
  }

  #bootstrap(ids: readonly NodeId[]): Configuration {
    // With changes of membership, some begin outside.
    const members = this.#weather.membershipEveryMs > 0 ? Math.max(1, ids.length - 2) : ids.length;
    return { voters: ids.slice(0, members), learners: [] };
  }

  #makeNode(id: NodeId, config: Configuration): SimNode<H> {
    const { kind } = this.#options;
    const bootstrap = config.voters.includes(id) ? config : { voters: [], learners: [] };
    const node: SimNode<H> = new SimNode({
      id,
      queue: this.#queue,
      random: this.#random.fork(),
      weather: () => this.#weather,
      history: this.#history,
      trace: this.#trace,
      server: kind.makeServer({ id, bootstrap, history: this.#history, random: this.#random.fork() }),
      send: (message) => {
        this.#history.sent(id, message);
        this.#network.send(message);
      },
      fail: (error) => this.#fail(error),
      onDied: () => this.#nemesis.died(node),
    });
    return node;
  }

  #node(id: NodeId): SimNode<H> {
    const node = this.#nodes.find((candidate) => candidate.id === id);
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
    await new Promise((resolve) => setImmediate(resolve));
    try {
      for (const node of this.#nodes) node.observeIfTouched();
    } catch (error) {
      this.#fail(error);
    }
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
    if (this.#options.kind.name === 'core' || this.#options.seed % TRIALS_EVERY === 0) await this.#trials();
    this.#traffic.checkAtRest(this.#members());
    for (const node of this.#nodes) await node.checkDamage(this.#random);
  }

  /** I18 */
  async #trials(): Promise<void> {
    await new Trials({
      ...{ nodes: this.#nodes, network: this.#network, random: this.#random, trace: this.#trace },
      run: (forMs) => this.#runUntil(this.#queue.nowMs + forMs),
      converge: (when) => this.#converge(when),
      more: () => this.#traffic.more(),
      read: (id) => this.#traffic.read?.(id),
    }).run();
  }

  async #converge(when: string): Promise<void> {
    const deadlineMs = this.#queue.nowMs + HEALING_MS_MAX;
    for (;;) {
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
    const waiting = this.#traffic.unfinished();
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

  /** Those who take part, as the leader sees it; everybody while there is none. */
  #members(): readonly SimNode<H>[] {
    const leader = this.#nodes.find((node) => node.host?.status().role === 'leader');
    const config = leader?.host?.status().config;
    if (config === undefined) return this.#nodes;
    return this.#nodes.filter((node) => config.voters.includes(node.id) || config.learners.includes(node.id));
  }
}
