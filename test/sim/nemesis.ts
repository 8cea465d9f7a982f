import { withLearner, withVoter, without } from '../../src/raft/core/configuration.ts';
import type { Configuration } from '../../src/raft/core/types.ts';
import type { EventQueue } from './event-queue.ts';
import type { FaultCounts } from './faults.ts';
import type { Host } from './host.ts';
import type { SimNetwork } from './network.ts';
import { addressOf, type Operator } from './operator.ts';
import type { Random } from './random.ts';
import type { SimNode } from './sim-node.ts';
import type { Weather } from './swarm.ts';
import type { Trace } from './trace.ts';

/** An armed crash strikes within so many effects … */
const ARMED_EFFECTS_MAX = 12;
/** … or chunks of snapshots that it sends or receives. */
const ARMED_CHUNKS_MAX = 5;
const RESTARTS_MAX = 6;
/** Mean time that a process lives in a loop of restarts. */
const LOOP_LIFE_MS = 15;
const PAUSE_MS_MAX = 400;
/** The event loop stands still for less than an election takes. */
const LOOP_STALL_MS_MAX = 60;
const CLOG_MS = 200;
const WALL_JUMP_MS_MAX = 3_600_000;
/** How often the operator looks after a server that is being replaced. */
const OPERATOR_MS = 60;
const STALL_MS_MAX = 600;
/** Of the disks that are lost, those that are there and damaged. */
const DAMAGED_RATE = 0.7;
/** Of changes of membership that ask for what must be refused: two voters fewer at once. */
const TWO_AT_ONCE_RATE = 0.1;
/** … or, perhaps, to take in who was removed. */
const REMOVED_RATE = 0.05;

export interface NemesisOptions {
  readonly nodes: readonly SimNode<Host>[];
  readonly network: SimNetwork;
  readonly queue: EventQueue;
  readonly random: Random;
  readonly weather: () => Weather;
  readonly trace: Trace;
  readonly faults: FaultCounts;
  readonly operator: Operator;
  readonly leader: () => SimNode<Host> | null;
}

const PARTITIONS = {
  isolate: 'server isolated',
  split: 'cluster split',
  'one-way': 'link cut one way',
  bridge: 'bridge partition',
} as const;

/** Makes trouble, as the weather says, until {@link Nemesis.stop}. */
export class Nemesis {
  readonly #options: NemesisOptions;
  /** Counts the phases, so that what belongs to one that is over does nothing. */
  #phase = 0;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  start(): void {
    const weather = this.#options.weather();
    this.#phase++;
    this.#repeat(weather.crashEveryMs, () => this.#crash());
    this.#repeat(weather.restartLoopEveryMs, () => this.#restartLoop());
    this.#repeat(weather.partitionEveryMs, () => this.#partition());
    this.#repeat(weather.diskStallEveryMs, () => this.#stallDisk());
    this.#repeat(weather.clogEveryMs, () => this.#clog());
    this.#repeat(weather.diskFailEveryMs, () => this.#failDisk());
    this.#repeat(weather.pauseEveryMs, () => this.#pause());
    this.#repeat(weather.wallJumpEveryMs, () => this.#jumpWallClock());
    this.#repeat(weather.replaceEveryMs, () => this.#loseDisk());
    this.#repeat(weather.snapshotNowEveryMs, () => this.#victim().touch((host) => host.takeSnapshot()));
    this.#repeat(OPERATOR_MS, () => this.#options.operator.goOn());
    this.#repeat(weather.transferEveryMs, () => this.#transfer());
    this.#repeat(weather.membershipEveryMs, () => this.#changeMembership());
  }

  /** Ends all trouble and repairs what is broken. */
  stop(): void {
    this.#phase++;
    this.#options.network.healAll();
    for (const node of this.#options.nodes) {
      node.disarm();
      // Before its disk is healed: what befell it while it was paused, a failing disk among it, befalls it now.
      node.resume();
      node.healDisk();
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
    const phase = this.#phase;
    queue.after(random.exponential(meanMs), () => {
      if (this.#phase !== phase) return;
      action();
      this.#repeat(meanMs, action);
    });
  }

  #crash(): void {
    const { random, nodes } = this.#options;
    if (random.chance(0.1)) {
      this.#options.faults.struck('crash of all');
      for (const node of nodes) this.#crashOne(node);
      return;
    }
    this.#crashOne(this.#victim());
  }

  #crashOne(node: SimNode<Host>): void {
    const { random, weather } = this.#options;
    if (!node.isUp) return;
    if (random.chance(weather().crashMidwayRate)) {
      if (random.chance(0.7)) node.armCrash(random.between(1, ARMED_EFFECTS_MAX));
      else node.armCrashAtChunk(random.between(1, ARMED_CHUNKS_MAX), random.chance(0.5));
      return;
    }
    this.#options.faults.struck('crash');
    node.crash();
    this.#restartLater(node);
  }

  /** The process comes up and dies, again and again. */
  #restartLoop(): void {
    const { queue, random, faults } = this.#options;
    const node = this.#victim();
    const phase = this.#phase;
    faults.struck('restart loop');
    let left = random.between(2, RESTARTS_MAX);
    const turn = (): void => {
      if (this.#phase !== phase) return;
      node.crash();
      node.start();
      left--;
      if (left > 0) queue.after(random.exponential(LOOP_LIFE_MS), turn);
    };
    turn();
  }

  #clog(): void {
    const { network, nodes, queue, random, faults, trace } = this.#options;
    const from = this.#victim().id;
    const to = random.pick(nodes).id;
    if (from === to) return;
    trace.add('*', 'clog', `${from}→${to}`);
    faults.struck('link clogged');
    network.clog(from, to);
    queue.after(random.exponential(CLOG_MS), () => network.unclog(from, to));
  }

  #failDisk(): void {
    const { random, faults } = this.#options;
    const failure = random.pick(['EIO', 'ENOSPC'] as const);
    const isLasting = random.chance(0.3);
    const node = this.#victim();
    node.touch((host) => {
      if (host.failDisk === undefined) return;
      faults.struck(`write failed: ${failure} ${isLasting ? 'from then on' : 'once'}`);
      if (isLasting) node.failDiskFor(failure);
      else host.failDisk(failure);
    });
  }

  #jumpWallClock(): void {
    const { random, faults } = this.#options;
    faults.struck('wall clock jumps');
    this.#victim().jumpWallClock(
      (random.fraction() - 0.5) * 2 * WALL_JUMP_MS_MAX * random.pick([1, 1e-3, 1e-4]),
    );
  }

  #loseDisk(): void {
    const { operator, random, faults } = this.#options;
    const node = this.#victim();
    if (!operator.mayLose(node)) return;
    operator.replace(node);
    if (random.chance(DAMAGED_RATE)) node.refuseDamage(random);
    else faults.struck('folder wiped');
  }

  #restartLater(node: SimNode<Host>): void {
    const { queue, random, weather } = this.#options;
    queue.after(random.exponential(weather().downMs), () => node.start());
  }

  #partition(): void {
    const { network, queue, random, weather, trace, faults } = this.#options;
    const phase = this.#phase;
    const kind = random.pick(['isolate', 'isolate', 'split', 'one-way', 'bridge'] as const);
    const ids = this.#options.nodes.map((node) => node.id);
    const victim = this.#victim().id;
    trace.add('*', 'cut', `${kind} ${victim}`);
    faults.struck(PARTITIONS[kind]);
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
      if (this.#phase !== phase) return;
      trace.add('*', 'heal');
      network.mend();
    });
  }

  #stallDisk(): void {
    const { random, faults } = this.#options;
    faults.struck('disk stalled');
    this.#victim().stallDisk(random.below(STALL_MS_MAX));
  }

  #pause(): void {
    const { queue, random, faults } = this.#options;
    const node = this.#victim();
    const kind = random.pick(['pause', 'pause of the clock too', 'event loop stalled'] as const);
    faults.struck(kind);
    node.pause(kind === 'pause of the clock too');
    queue.after(random.below(kind === 'event loop stalled' ? LOOP_STALL_MS_MAX : PAUSE_MS_MAX), () =>
      node.resume(),
    );
  }

  #transfer(): void {
    const { random, nodes, trace } = this.#options;
    const leader = this.#options.leader();
    const to = random.pick(nodes).id;
    if (leader === null) return;
    trace.add(leader.id, 'transfer', `to ${to}`);
    leader.touch((host) => host.transferLeadership(to));
  }

  #changeMembership(): void {
    const leader = this.#options.leader();
    if (leader?.host == null || this.#options.operator.busyWith !== null) return;
    const { config } = leader.host.status();
    const next = this.#neighbour(config);
    this.#options.trace.add(leader.id, 'members', `${next.voters.join()} learners ${next.learners.join()}`);
    leader.touch((host) => host.proposeConfig(next));
  }

  /** A random configuration one step away; some steps the core refuses. Whoever was removed stays outside, and runs on. */
  #neighbour(config: Configuration): Configuration {
    const { random, nodes } = this.#options;
    const { voters, learners, removed = [] } = config;
    if (voters.length > 2 && random.chance(TWO_AT_ONCE_RATE)) return { ...config, voters: voters.slice(2) };
    const present = nodes.filter(({ isGone, isAbsent }) => !isGone && !isAbsent);
    const mayTakePart = present.filter(({ id }) => !removed.includes(id));
    const node = random.pick(random.chance(REMOVED_RATE) ? present : mayTakePart).id;
    if (voters.includes(node)) {
      if (random.chance(0.4)) return without(config, node);
      return { ...config, voters: voters.filter((id) => id !== node), learners: [...learners, node] };
    }
    if (!learners.includes(node)) return withLearner(config, node, addressOf(node));
    return random.chance(0.8) ? withVoter(config, node) : without(config, node);
  }

  /** Leaders suffer more than others. */
  #victim(): SimNode<Host> {
    const { random, nodes } = this.#options;
    return (random.chance(0.5) ? this.#options.leader() : null) ?? random.pick(nodes);
  }
}
