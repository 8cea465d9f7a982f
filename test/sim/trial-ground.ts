import type { NodeId } from '../../src/raft/core/types.ts';
import type { Host } from './host.ts';
import type { SimNetwork } from './network.ts';
import type { Random } from './random.ts';
import { SimFailure } from './sim-failure.ts';
import type { SimNode } from './sim-node.ts';
import type { Trace } from './trace.ts';

/** A new leader must be there, and an old one gone, within this. */
const CHANGE_MS_MAX = 10_000;
const STEP_MS = 50;

/** A clock so slow believes long after everybody else that the leader's time has not run out. */
export const SLOW_CLOCK = 0.05;
/** A clock so fast stands for election before anybody else does. */
export const FAST_CLOCK = 3;

export interface TrialGroundOptions {
  readonly nodes: readonly SimNode<Host>[];
  readonly network: SimNetwork;
  readonly random: Random;
  readonly trace: Trace;
  /** Lets so much time pass. */
  readonly run: (forMs: number) => Promise<void>;
  /** Everything is as it was before: heard of each other, equal. */
  readonly converge: (when: string) => Promise<void>;
}

/** A cluster that is well, on which trials are made: what they all ask of it. */
export class TrialGround {
  readonly network: SimNetwork;
  readonly random: Random;
  readonly trace: Trace;
  readonly run: (forMs: number) => Promise<void>;
  readonly #nodes: readonly SimNode<Host>[];
  readonly #converge: (when: string) => Promise<void>;

  constructor(options: TrialGroundOptions) {
    this.network = options.network;
    this.random = options.random;
    this.trace = options.trace;
    this.run = options.run;
    this.#nodes = options.nodes;
    this.#converge = options.converge;
  }

  voters(): readonly NodeId[] {
    return this.leader().host?.status().config.voters ?? [];
  }

  leader(): SimNode<Host> {
    const leader = this.leaders()[0];
    if (leader === undefined) throw new SimFailure('I18', 'a cluster that is well has no leader');
    return leader;
  }

  /** All that believe that they lead. */
  leaders(): readonly SimNode<Host>[] {
    return this.#nodes.filter((node) => node.host?.status().role === 'leader');
  }

  leadsAnotherThan(node: SimNode<Host>): boolean {
    return this.leaders().some((leader) => leader !== node);
  }

  /** Any voter but this one. */
  voterBeside(leader: SimNode<Host>): SimNode<Host> {
    return this.random.pick(this.votersBeside(leader));
  }

  /** All voters but this one. */
  votersBeside(leader: SimNode<Host>): readonly SimNode<Host>[] {
    const voters = this.voters();
    return this.#nodes.filter((node) => node !== leader && voters.includes(node.id));
  }

  others(node: SimNode<Host>): readonly NodeId[] {
    return this.#nodes.map(({ id }) => id).filter((id) => id !== node.id);
  }

  /** Nobody hears it, and it hears nobody. */
  isolate(node: SimNode<Host>): void {
    for (const other of this.others(node)) this.network.cut(node.id, other);
  }

  async until(condition: () => boolean, failure: string): Promise<void> {
    for (let passedMs = 0; !condition(); passedMs += STEP_MS) {
      if (passedMs > CHANGE_MS_MAX) throw new SimFailure('I18', failure);
      await this.run(STEP_MS);
    }
  }

  /** Ends a trial: all clocks are right, everybody hears everybody, and soon all is well again. */
  async heal(when: string): Promise<void> {
    for (const node of this.#nodes) node.setClockRate(1);
    this.network.healAll();
    await this.run(STEP_MS);
    await this.#converge(when);
  }
}
