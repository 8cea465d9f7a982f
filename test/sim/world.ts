/**
 * One run: a cluster, its clients and its troubles, all from one seed. First a phase of faults, then everything is
 * healed and must come right (I17). The history is asked after every event.
 */
import { asLogIndex, asNodeId, asTerm } from '../../src/raft/core/ids.ts';
import type { Configuration, NodeId, RaftStatus } from '../../src/raft/core/types.ts';
import { Client, type ClusterAccess } from './clients.ts';
import { CoreHost } from './core-host.ts';
import { LogDisk } from './durable-state.ts';
import { EventQueue } from './event-queue.ts';
import { History } from './history.ts';
import { Nemesis } from './nemesis.ts';
import { SimNetwork } from './network.ts';
import { Random } from './random.ts';
import { check, SimFailure } from './sim-failure.ts';
import { SimNode } from './sim-node.ts';
import { drawWeather, heal, type Weather } from './swarm.ts';
import { Trace } from './trace.ts';

/** The healed cluster must have come right after this much virtual time. */
const HEALING_MS_MAX = 20_000;
const HEALING_STEP_MS = 50;
const TRACE_LINES = 400;
/** Many more than any run needs; more means that something goes round in circles. */
const EVENTS_MAX = 5_000_000;

export interface RunOptions {
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
  constructor(options: RunOptions, trace: Trace, cause: unknown) {
    const reason = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    super(
      `${reason}\n\nlast events:\n${trace.toString()}\n\n` +
        `seed ${String(options.seed)}, ${String(options.nodes)} nodes: ` +
        (cause instanceof Error ? cause.message : String(cause)) +
        `\nreplay: npm run sim -- --seed ${String(options.seed)} --nodes ${String(options.nodes)}`,
      { cause },
    );
    this.name = 'RunFailure';
  }
}

export class World {
  readonly #options: RunOptions;
  readonly #random: Random;
  readonly #queue = new EventQueue();
  readonly #trace = new Trace(TRACE_LINES, () => this.#queue.nowMs);
  readonly #history: History;
  readonly #network: SimNetwork;
  readonly #nodes: readonly SimNode[];
  readonly #clients: readonly Client[];
  readonly #nemesis: Nemesis;
  #weather: Weather;
  #failure: { readonly error: unknown } | null = null;
  #events = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#random = new Random(options.seed * 16 + options.nodes);
    this.#weather = { ...drawWeather(this.#random), ...options.weather };
    const random = this.#random;
    const queue = this.#queue;
    const trace = this.#trace;
    const weather = (): Weather => this.#weather;
    const ids = Array.from({ length: options.nodes }, (_, i) => asNodeId(`n${String(i + 1)}`));
    const config = this.#bootstrap(ids);
    this.#history = new History(this.#weather.limits, config, (id) => this.#node(id).durable);
    this.#network = new SimNetwork({
      queue,
      random: random.fork(),
      trace,
      weather,
      deliver: (message) => {
        this.#node(message.to).touch((host) => {
          trace.add(message.to, 'receive', message);
          host.receive(message);
        });
      },
    });
    this.#nodes = ids.map((id) => this.#makeNode(id, config));
    this.#nemesis = new Nemesis({
      nodes: this.#nodes,
      network: this.#network,
      queue,
      random: random.fork(),
      weather,
      trace,
    });
    this.#clients = Array.from(
      { length: this.#weather.clients },
      (_, i) =>
        new Client({
          name: `c${String(i + 1)}`,
          queue,
          random: random.fork(),
          weather,
          access: this.#access(ids),
          history: this.#history,
          trace,
        }),
    );
  }

  /** @throws RunFailure */
  run(): RunReport {
    try {
      for (const node of this.#nodes) this.#tick(node);
      for (const node of this.#nodes) node.start();
      for (const client of this.#clients) client.start();
      this.#nemesis.start();
      this.#runUntil(this.#weather.faultPhaseMs);
      this.#heal();
    } catch (error) {
      throw new RunFailure(this.#options, this.#trace, error);
    }
    return {
      events: this.#events,
      virtualMs: this.#queue.nowMs,
      committed: this.#history.committedIndex,
      leaders: this.#history.leaderCount,
      answered: this.#clients.reduce((sum, client) => sum + client.answeredSeq, 0),
    };
  }

  #bootstrap(ids: readonly NodeId[]): Configuration {
    // With changes of membership, some begin outside.
    const members = this.#weather.membershipEveryMs > 0 ? Math.max(1, ids.length - 2) : ids.length;
    return { voters: ids.slice(0, members), learners: [] };
  }

  #makeNode(id: NodeId, config: Configuration): SimNode {
    const isMember = config.voters.includes(id);
    const disk = new LogDisk(
      { currentTerm: asTerm(0), votedFor: null },
      {
        meta: {
          index: asLogIndex(0),
          term: asTerm(0),
          config: isMember ? config : { voters: [], learners: [] },
        },
        data: new Uint8Array(),
      },
    );
    const node: SimNode = new SimNode({
      id,
      queue: this.#queue,
      random: this.#random.fork(),
      weather: () => this.#weather,
      history: this.#history,
      trace: this.#trace,
      durable: disk,
      send: (message) => {
        this.#history.sent(id, message);
        this.#network.send(message);
      },
      startHost: (life, around) => new CoreHost({ id, life, disk, history: this.#history, around }),
      fail: (error) => {
        this.#failure ??= { error };
      },
      onDied: () => this.#nemesis.died(node),
    });
    return node;
  }

  #node(id: NodeId): SimNode {
    const node = this.#nodes.find((candidate) => candidate.id === id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  #access(ids: readonly NodeId[]): ClusterAccess {
    return {
      nodes: ids,
      propose: (id, payload, done) => {
        const node = this.#node(id);
        node.touch((host) => host.propose(payload, node.whileAlive(done)));
        return node.isUp;
      },
      read: (id, done) => {
        const node = this.#node(id);
        node.touch((host) => host.read(node.whileAlive(done)));
        return node.isUp;
      },
      appliedIndex: (id) => this.#node(id).host?.appliedIndex() ?? 0,
    };
  }

  /** The clock of one node, faster or slower than others by its skew. */
  #tick(node: SimNode): void {
    const skew = 1 + this.#random.fraction() * (this.#weather.clockSkewMax - 1);
    const factor = this.#random.chance(0.5) ? skew : 1 / skew;
    const again = (): void => {
      const isSkewed = this.#weather.clockSkewMax > 1;
      this.#queue.after(this.#weather.tickMs * (isSkewed ? factor : 1), () => {
        node.touch((host) => host.tick());
        again();
      });
    };
    again();
  }

  #runUntil(untilMs: number): void {
    while (this.#queue.nowMs < untilMs) {
      this.#runEvent();
      if (this.#failure !== null) throw this.#failure.error;
      if (this.#events > EVENTS_MAX) throw new Error(`more than ${String(EVENTS_MAX)} events`);
    }
  }

  #runEvent(): void {
    this.#events++;
    try {
      if (!this.#queue.runNext()) throw new Error('nothing is left to happen');
    } catch (error) {
      // What was caught first says more than what it led to.
      this.#failure ??= { error };
    }
  }

  /** I17: a leader, every request answered, all logs and states equal; and it goes on working. */
  #heal(): void {
    this.#weather = heal(this.#weather);
    this.#trace.add('*', 'healing');
    this.#nemesis.stop();
    for (const client of this.#clients) client.stop();
    this.#converge('after the faults');
    for (const client of this.#clients) client.once();
    this.#converge('after one more command each');
    for (const client of this.#clients) {
      for (const node of this.#members()) {
        const seq = node.host?.machine.lastSeq(client.name) ?? 0;
        check(
          seq >= client.answeredSeq,
          'T1',
          () => `${node.id} lacks ${client.name}'s ${String(client.answeredSeq)}`,
        );
      }
    }
  }

  #converge(when: string): void {
    const deadlineMs = this.#queue.nowMs + HEALING_MS_MAX;
    for (;;) {
      this.#runUntil(this.#queue.nowMs + HEALING_STEP_MS);
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
    for (const client of this.#clients) if (!client.isIdle) return `${client.name} waits for an answer`;
    for (const status of statuses) {
      if (status.lastIndex !== leader.lastIndex || status.lastTerm !== leader.lastTerm)
        return `${status.id} lags behind`;
      if (status.commitIndex !== leader.lastIndex) return `${status.id} has not committed everything`;
      if (status.appliedIndex !== leader.lastIndex) return `${status.id} has not applied everything`;
      if (status.leader !== leader.id) return `${status.id} follows ${String(status.leader)}`;
    }
    const digests = new Set(members.map((node) => node.host?.machine.digest));
    check(digests.size === 1, 'I5', () => 'states differ at the end');
    return null;
  }

  /** Those who take part, by the newest committed configuration a leader knows; everybody while there is none. */
  #members(): readonly SimNode[] {
    const leader = this.#nodes.find((node) => node.host?.status().role === 'leader');
    const config = leader?.host?.status().config;
    if (config === undefined) return this.#nodes;
    return this.#nodes.filter((node) => config.voters.includes(node.id) || config.learners.includes(node.id));
  }
}
