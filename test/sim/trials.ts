/**
 * After the faults, on a cluster that is well: what a single server in trouble, or with a wrong clock, must not be able to
 * do to the others (I18). The swarm's faults pass too soon to show it.
 */
import type { NodeId } from '../../src/raft/core/types.ts';
import type { Host } from './host.ts';
import type { SimNetwork } from './network.ts';
import type { Random } from './random.ts';
import { check, SimFailure } from './sim-failure.ts';
import type { SimNode } from './sim-node.ts';
import type { Trace } from './trace.ts';

/** Many election timeouts. */
const TRIAL_MS = 1500;
/** A new leader must be there, and an old one gone, within this. */
const CHANGE_MS_MAX = 10_000;
const STEP_MS = 50;
/** A clock so fast stands for election before anybody else does. */
const FAST_CLOCK = 3;
/** A clock so slow believes long after everybody else that the leader's time has not run out. */
const SLOW_CLOCK = 0.05;
/** Time enough for some requests. */
const REQUESTS_MS = 600;

export interface TrialsOptions {
  readonly nodes: readonly SimNode<Host>[];
  readonly network: SimNetwork;
  readonly random: Random;
  readonly trace: Trace;
  /** Lets so much time pass. */
  readonly run: (forMs: number) => Promise<void>;
  /** Everything is as it was before: heard of each other, equal. */
  readonly converge: (when: string) => Promise<void>;
  /** Some requests. */
  readonly more: () => void;
  /** A read of this server; what it may see is checked elsewhere (I15). */
  readonly read: (id: NodeId) => void;
}

export class Trials {
  readonly #options: TrialsOptions;

  constructor(options: TrialsOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    if (this.#voters().length < 3) return;
    await this.#deaf();
    await this.#apartFromLeader();
    await this.#leaderAlone();
  }

  /** Hears nobody, and its clock is fast: neither may it unseat the leader, nor keep the others from electing one. */
  async #deaf(): Promise<void> {
    const { network, trace, run, more } = this.#options;
    const leader = this.#leader();
    const deaf = this.#follower(leader);
    trace.add(deaf.id, 'trial', 'hears nobody');
    deaf.setClockRate(FAST_CLOCK);
    for (const other of this.#others(deaf)) network.cutOneWay(other, deaf.id);
    more();
    await this.#staysLeader(leader, `${deaf.id} hears nobody`);
    trace.add(leader.id, 'trial', 'restarts');
    leader.crash();
    leader.start();
    await this.#until(
      () => this.#nodesThatLead().some(({ id }) => id !== deaf.id),
      `nobody is elected while ${deaf.id} hears nobody`,
    );
    deaf.setClockRate(1);
    network.healAll();
    await run(STEP_MS);
    await this.#options.converge('after a server that heard nobody');
  }

  /** Back from having heard nobody, or cut off from the leader only: the leader that the others hear stays. */
  async #apartFromLeader(): Promise<void> {
    const { network, trace, converge } = this.#options;
    const leader = this.#leader();
    const apart = this.#follower(leader);
    trace.add(apart.id, 'trial', `does not hear ${leader.id}`);
    network.cut(apart.id, leader.id);
    await this.#staysLeader(leader, `${apart.id} does not hear it`);
    network.healAll();
    for (const other of this.#others(apart)) network.cutOneWay(other, apart.id);
    await this.#staysLeader(leader, `${apart.id} hears nobody`);
    network.healAll();
    await this.#staysLeader(leader, `${apart.id} is back`);
    await converge('after a server apart');
  }

  /** Heard by nobody, and its clock is slow: it must answer no read, and not lead on for ever. */
  async #leaderAlone(): Promise<void> {
    const { network, trace, converge, more, run, read } = this.#options;
    const leader = this.#leader();
    trace.add(leader.id, 'trial', 'is alone');
    leader.setClockRate(SLOW_CLOCK);
    for (const other of this.#others(leader)) network.cut(leader.id, other);
    await this.#until(
      () => this.#nodesThatLead().some((node) => node !== leader),
      `nobody is elected while ${leader.id} is alone`,
    );
    more();
    await run(REQUESTS_MS);
    read(leader.id);
    await this.#until(
      () => leader.host?.status().role !== 'leader' && this.#nodesThatLead().length === 1,
      `${leader.id} is alone and leads on, or nobody else does`,
    );
    leader.setClockRate(1);
    network.healAll();
    await converge('after a leader alone');
  }

  async #staysLeader(leader: SimNode<Host>, why: string): Promise<void> {
    const term = leader.host?.status().term;
    await this.#options.run(TRIAL_MS);
    const now = leader.host?.status();
    check(
      now?.role === 'leader' && now.term === term,
      'I18',
      () => `${leader.id} does not lead term ${String(term)} any more because ${why}`,
    );
  }

  async #until(condition: () => boolean, failure: string): Promise<void> {
    for (let passedMs = 0; !condition(); passedMs += STEP_MS) {
      if (passedMs > CHANGE_MS_MAX) throw new SimFailure('I18', failure);
      await this.#options.run(STEP_MS);
    }
  }

  #nodesThatLead(): readonly SimNode<Host>[] {
    return this.#options.nodes.filter((node) => node.host?.status().role === 'leader');
  }

  #leader(): SimNode<Host> {
    const leader = this.#nodesThatLead()[0];
    if (leader === undefined) throw new SimFailure('I18', 'a cluster that is well has no leader');
    return leader;
  }

  #voters(): readonly NodeId[] {
    return this.#leader().host?.status().config.voters ?? [];
  }

  #follower(leader: SimNode<Host>): SimNode<Host> {
    const voters = this.#voters();
    return this.#options.random.pick(
      this.#options.nodes.filter((node) => node !== leader && voters.includes(node.id)),
    );
  }

  #others(node: SimNode<Host>): readonly NodeId[] {
    return this.#options.nodes.map(({ id }) => id).filter((id) => id !== node.id);
  }
}
