import type { Configuration, NodeId } from '../../src/raft/core/types.ts';
import type { EventQueue } from './event-queue.ts';
import type { Host } from './host.ts';
import type { SimNetwork } from './network.ts';
import type { Random } from './random.ts';
import type { SimNode } from './sim-node.ts';
import type { Weather } from './swarm.ts';
import type { Trace } from './trace.ts';

/** An armed crash strikes within so many effects. */
const ARMED_EFFECTS_MAX = 12;
const PAUSE_MS_MAX = 400;
const STALL_MS_MAX = 600;
/** Of changes of membership that ask for what must be refused: two voters fewer at once. */
const TWO_AT_ONCE_RATE = 0.1;

export interface NemesisOptions {
  readonly nodes: readonly SimNode<Host>[];
  readonly network: SimNetwork;
  readonly queue: EventQueue;
  readonly random: Random;
  readonly weather: () => Weather;
  readonly trace: Trace;
}

/** Makes trouble, as the weather says, until {@link Nemesis.stop}. */
export class Nemesis {
  readonly #options: NemesisOptions;
  #isStopped = false;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  start(): void {
    const weather = this.#options.weather();
    this.#repeat(weather.crashEveryMs, () => this.#crash());
    this.#repeat(weather.partitionEveryMs, () => this.#partition());
    this.#repeat(weather.diskStallEveryMs, () => this.#stallDisk());
    this.#repeat(weather.diskFailEveryMs, () => this.#victim().touch((host) => host.failDisk?.()));
    this.#repeat(weather.pauseEveryMs, () => this.#pause());
    this.#repeat(weather.transferEveryMs, () => this.#transfer());
    this.#repeat(weather.membershipEveryMs, () => this.#changeMembership());
  }

  /** Ends all trouble and repairs what is broken. */
  stop(): void {
    this.#isStopped = true;
    this.#options.network.healAll();
    for (const node of this.#options.nodes) {
      node.healDisk();
      node.armCrash(Number.MAX_SAFE_INTEGER);
      node.resume();
      node.start();
    }
  }

  /** A process has died by itself: an armed crash has struck, or its disk has failed. */
  died(node: SimNode<Host>): void {
    this.#restartLater(node);
  }

  #repeat(meanMs: number, action: () => void): void {
    if (meanMs === 0) return;
    const { queue, random } = this.#options;
    queue.after(random.exponential(meanMs), () => {
      if (this.#isStopped) return;
      action();
      this.#repeat(meanMs, action);
    });
  }

  #crash(): void {
    const { random, nodes } = this.#options;
    if (random.chance(0.1)) {
      for (const node of nodes) this.#crashOne(node);
      return;
    }
    this.#crashOne(this.#victim());
  }

  #crashOne(node: SimNode<Host>): void {
    const { random, weather } = this.#options;
    if (!node.isUp) return;
    if (random.chance(weather().crashMidwayRate)) {
      node.armCrash(random.between(1, ARMED_EFFECTS_MAX));
      return;
    }
    node.crash();
    this.#restartLater(node);
  }

  #restartLater(node: SimNode<Host>): void {
    const { queue, random, weather } = this.#options;
    queue.after(random.exponential(weather().downMs), () => node.start());
  }

  #partition(): void {
    const { network, queue, random, weather, trace } = this.#options;
    const kind = random.pick(['isolate', 'isolate', 'split', 'one-way', 'bridge'] as const);
    const ids = this.#options.nodes.map((node) => node.id);
    const victim = this.#victim().id;
    trace.add('*', 'cut', `${kind} ${victim}`);
    switch (kind) {
      case 'isolate':
        for (const other of ids) if (other !== victim) network.cut(victim, other);
        break;
      case 'split': {
        const side = new Set(ids.filter(() => random.chance(0.5)));
        for (const a of side) for (const b of ids) if (!side.has(b)) network.cut(a, b);
        break;
      }
      case 'one-way': {
        const inbound = random.chance(0.5);
        for (const other of ids) {
          if (other === victim || random.chance(0.3)) continue;
          if (inbound) network.cutOneWay(other, victim);
          else network.cutOneWay(victim, other);
        }
        break;
      }
      case 'bridge': {
        // Two groups that only the victim can reach both of.
        const side = new Set(ids.filter((id) => id !== victim && random.chance(0.5)));
        for (const a of side) for (const b of ids) if (b !== victim && !side.has(b)) network.cut(a, b);
        break;
      }
    }
    queue.after(random.exponential(weather().partitionMs), () => {
      if (this.#isStopped) return;
      trace.add('*', 'heal');
      network.healAll();
    });
  }

  #stallDisk(): void {
    const { random } = this.#options;
    this.#victim().stallDisk(random.below(STALL_MS_MAX));
  }

  #pause(): void {
    const { queue, random } = this.#options;
    const node = this.#victim();
    node.pause();
    queue.after(random.below(PAUSE_MS_MAX), () => node.resume());
  }

  #transfer(): void {
    const { random, nodes, trace } = this.#options;
    const leader = this.#leader();
    const to = random.pick(nodes).id;
    if (leader === null) return;
    trace.add(leader.id, 'transfer', `to ${to}`);
    leader.touch((host) => host.transferLeadership(to));
  }

  #changeMembership(): void {
    const leader = this.#leader();
    if (leader?.host == null) return;
    const { config } = leader.host.status();
    const next = this.#neighbour(config);
    this.#options.trace.add(leader.id, 'members', `${next.voters.join()} learners ${next.learners.join()}`);
    leader.touch((host) => host.proposeConfig(next));
  }

  /** A random configuration one step away; some steps the core refuses. */
  #neighbour({ voters, learners }: Configuration): Configuration {
    const { random, nodes } = this.#options;
    if (voters.length > 2 && random.chance(TWO_AT_ONCE_RATE)) return { voters: voters.slice(2), learners };
    const node = random.pick(nodes).id;
    const without = (list: readonly NodeId[]): NodeId[] => list.filter((id) => id !== node);
    if (voters.includes(node)) {
      return { voters: without(voters), learners: random.chance(0.7) ? [...learners, node] : learners };
    }
    if (!learners.includes(node)) return { voters, learners: [...learners, node] };
    return random.chance(0.8)
      ? { voters: [...voters, node], learners: without(learners) }
      : { voters, learners: without(learners) };
  }

  /** Leaders suffer more than others. */
  #victim(): SimNode<Host> {
    const { random, nodes } = this.#options;
    return (random.chance(0.5) ? this.#leader() : null) ?? random.pick(nodes);
  }

  #leader(): SimNode<Host> | null {
    let newest: SimNode<Host> | null = null;
    let newestTerm = -1;
    for (const node of this.#options.nodes) {
      const status = node.host?.status();
      if (status?.role !== 'leader' || status.term <= newestTerm) continue;
      newest = node;
      newestTerm = status.term;
    }
    return newest;
  }
}
