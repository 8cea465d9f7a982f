/**
 * After the faults, on a cluster that is well: what a single server in trouble, or with a wrong clock, must not be able to
 * do to the others (I18). The swarm's faults pass too soon to show it.
 */
import type { NodeId } from '../../src/raft/core/types.ts';
import type { Host } from './host.ts';
import { check } from './sim-failure.ts';
import type { SimNode } from './sim-node.ts';
import { FAST_CLOCK, SLOW_CLOCK, type TrialGround } from './trial-ground.ts';

/** Many election timeouts. */
const TRIAL_MS = 1500;
/** Time enough for some requests. */
const REQUESTS_MS = 600;
/** Time enough for a message and what it causes; a few of them are less than an election timeout. */
const STEP_MS = 20;
/** More entries than any election and what follows it put into a log. */
const WRITES = 30;

export interface TrialsOptions {
  readonly ground: TrialGround;
  /** Some requests. */
  readonly more: () => void;
  /** A read of this server; what it may see is checked elsewhere (I15). */
  readonly read: (id: NodeId) => void;
  /** A command for this server; nobody waits for what becomes of it. */
  readonly write: (id: NodeId) => void;
}

export class Trials {
  readonly #ground: TrialGround;
  readonly #options: TrialsOptions;

  constructor(options: TrialsOptions) {
    this.#options = options;
    this.#ground = options.ground;
  }

  async run(): Promise<void> {
    if (this.#ground.voters().length < 3) return;
    await this.#deaf();
    await this.#apartFromLeader();
    await this.#leaderAlone();
    await this.#longOldLog();
    await this.#twoCandidates();
  }

  /** Hears nobody, and its clock is fast: neither may it unseat the leader, nor keep the others from electing one. */
  async #deaf(): Promise<void> {
    const ground = this.#ground;
    const leader = ground.leader();
    const deaf = ground.voterBeside(leader);
    ground.trace.add(deaf.id, 'trial', 'hears nobody');
    deaf.setClockRate(FAST_CLOCK);
    for (const other of ground.others(deaf)) ground.network.cutOneWay(other, deaf.id);
    this.#options.more();
    await this.#staysLeader(leader, `${deaf.id} hears nobody`);
    ground.trace.add(leader.id, 'trial', 'restarts');
    leader.crash();
    leader.start();
    await ground.until(
      () => ground.leadsAnotherThan(deaf),
      `nobody is elected while ${deaf.id} hears nobody`,
    );
    await ground.heal('after a server that heard nobody');
  }

  /** Back from having heard nobody, or cut off from the leader only: the leader that the others hear stays. */
  async #apartFromLeader(): Promise<void> {
    const ground = this.#ground;
    const leader = ground.leader();
    const apart = ground.voterBeside(leader);
    ground.trace.add(apart.id, 'trial', `does not hear ${leader.id}`);
    ground.network.cut(apart.id, leader.id);
    await this.#staysLeader(leader, `${apart.id} does not hear it`);
    ground.network.healAll();
    for (const other of ground.others(apart)) ground.network.cutOneWay(other, apart.id);
    await this.#staysLeader(leader, `${apart.id} hears nobody`);
    ground.network.healAll();
    await this.#staysLeader(leader, `${apart.id} is back`);
    await ground.heal('after a server apart');
  }

  /** Heard by nobody, and its clock is slow: it must answer no read, and not lead on for ever. */
  async #leaderAlone(): Promise<void> {
    const ground = this.#ground;
    const leader = ground.leader();
    ground.trace.add(leader.id, 'trial', 'is alone');
    leader.setClockRate(SLOW_CLOCK);
    ground.isolate(leader);
    await ground.until(
      () => ground.leadsAnotherThan(leader),
      `nobody is elected while ${leader.id} is alone`,
    );
    this.#options.more();
    await ground.run(REQUESTS_MS);
    this.#options.read(leader.id);
    await ground.until(
      () => leader.host?.status().role !== 'leader' && ground.leaders().length === 1,
      `${leader.id} is alone and leads on, or nobody else does`,
    );
    await ground.heal('after a leader alone');
  }

  /** §5.4.1: its log is the longest, but of an older term, and its clock is fast: it must not be elected (I4). */
  async #longOldLog(): Promise<void> {
    const ground = this.#ground;
    const old = ground.leader();
    ground.trace.add(old.id, 'trial', 'writes what nobody else hears of');
    ground.isolate(old);
    for (let written = 0; written < WRITES; written++) this.#options.write(old.id);
    await ground.until(
      () => old.host?.status().role !== 'leader' && ground.leaders().length === 1,
      `${old.id} is alone and leads on, or nobody else does`,
    );
    await ground.run(REQUESTS_MS);
    const leader = ground.leader();
    leader.crash();
    old.setClockRate(FAST_CLOCK);
    ground.network.healAll();
    await ground.until(() => ground.leaders().length > 0, `nobody is elected after ${leader.id}`);
    leader.start();
    await ground.heal('after a long old log');
  }

  /**
   * §5.2: two are told to stand in the same term, and do not hear of each other. A voter gives its vote to the first, restarts,
   * and is asked by the second: it has had its vote (I7).
   */
  async #twoCandidates(): Promise<void> {
    const ground = this.#ground;
    const leader = ground.leader();
    const [first, second, voter, ...rest] = ground.votersBeside(leader);
    if (first === undefined || second === undefined || voter === undefined) return;
    ground.trace.add(voter.id, 'trial', `votes for ${first.id}, restarts, and is asked by ${second.id}`);
    for (const other of rest) ground.isolate(other);
    ground.network.cut(first.id, second.id);
    ground.network.cut(leader.id, voter.id);
    ground.network.cutOneWay(first.id, leader.id);
    leader.touch((host) => host.transferLeadership(first.id));
    await ground.run(STEP_MS);
    voter.crash();
    voter.start();
    leader.touch((host) => host.transferLeadership(second.id));
    await ground.run(STEP_MS);
    await ground.heal('after two candidates in one term');
  }

  async #staysLeader(leader: SimNode<Host>, why: string): Promise<void> {
    const term = leader.host?.status().term;
    await this.#ground.run(TRIAL_MS);
    const now = leader.host?.status();
    check(
      now?.role === 'leader' && now.term === term,
      'I18',
      () => `${leader.id} does not lead term ${String(term)} any more because ${why}`,
    );
  }
}
