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
/** How often a trial looks for the moment that it waits for. */
const LOOK_MS = 1;
const LOOKS_MAX = 300;
/** Longer than anything a trial does meanwhile. */
const DISK_STALL_MS = 200;
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
    await this.#lateVotes();
    await this.#readOfNewLeader();
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

  /**
   * §5.2: votes of one term are late, and come when their candidate stands in the next, in which nobody has voted for it yet: they
   * make no leader (I1).
   */
  async #lateVotes(): Promise<void> {
    const ground = this.#ground;
    const { network } = ground;
    const leader = ground.leader();
    const [candidate, ...voters] = ground.votersBeside(leader);
    if (candidate === undefined) return;
    ground.trace.add(candidate.id, 'trial', 'is given votes of the term before');
    network.cutOneWay(candidate.id, leader.id);
    for (const { id } of voters) network.clog(id, candidate.id);
    leader.touch((host) => host.transferLeadership(candidate.id));
    await ground.run(STEP_MS);
    const votes = voters.map(({ id }) => network.setAside(id, candidate.id));
    const term = candidate.host?.status().term ?? 0;
    for (const voter of voters) voter.stallDisk(DISK_STALL_MS);
    candidate.setClockRate(FAST_CLOCK);
    await this.#lookFor(() => {
      const status = candidate.host?.status();
      return status !== undefined && status.role === 'candidate' && status.term > term;
    });
    for (const deliver of votes) deliver();
    await ground.run(STEP_MS);
    await ground.heal('after late votes');
  }

  /**
   * Thesis §6.4, step 1: a follower has an entry, but does not know that it is committed, and is elected. Before an entry of its own
   * term is committed it must answer no read: it would not see what a read of the old leader has seen (I15).
   */
  async #readOfNewLeader(): Promise<void> {
    const ground = this.#ground;
    const { network } = ground;
    const leader = ground.leader();
    const [heir, ...others] = ground.votersBeside(leader);
    if (heir === undefined) return;
    ground.trace.add(heir.id, 'trial', 'is elected, and does not know what is committed');
    for (const { id } of others) network.cut(leader.id, id);
    network.cutOneWay(heir.id, leader.id);
    this.#options.write(leader.id);
    await ground.run(STEP_MS);
    network.healAll();
    network.cut(leader.id, heir.id);
    await this.#lookFor(() => {
      const status = leader.host?.status();
      return status?.appliedIndex === status?.lastIndex;
    });
    this.#options.read(leader.id);
    await ground.run(STEP_MS);
    leader.crash();
    heir.setClockRate(FAST_CLOCK);
    await this.#lookFor(() => heir.host?.status().role === 'leader');
    for (const other of others) other.stallDisk(DISK_STALL_MS);
    this.#options.read(heir.id);
    await ground.run(REQUESTS_MS);
    leader.start();
    await ground.heal('after a read of a new leader');
  }

  /** Until that is so; if it never is, the trial shows nothing this time. */
  async #lookFor(condition: () => boolean): Promise<void> {
    for (let looks = 0; !condition() && looks < LOOKS_MAX; looks++) await this.#ground.run(LOOK_MS);
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
