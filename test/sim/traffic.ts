import type { Configuration, Message, NodeId } from '../../src/raft/core/types.ts';
import type { EventQueue } from './event-queue.ts';
import type { FaultCounts } from './faults.ts';
import type { History } from './history.ts';
import type { Host, Server } from './host.ts';
import type { Random } from './random.ts';
import type { SimNode } from './sim-node.ts';
import type { Weather } from './swarm.ts';
import type { Trace } from './trace.ts';
import type { TrialGround } from './trial-ground.ts';

/** What the makers of clients and workers get of the world. */
export interface TrafficSurroundings<H extends Host> {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly weather: () => Weather;
  readonly history: History;
  readonly trace: Trace;
  readonly nodes: readonly SimNode<H>[];
  readonly faults: FaultCounts;
  /** How many workers there are, where the traffic has workers. */
  readonly workers: number;
  readonly fail: (error: unknown) => void;
}

/** Those who use the cluster. */
export interface Traffic<H extends Host> {
  start(): void;
  /** Finishes what is under way and begins nothing new. */
  stop(): void;
  /** After {@link stop}: a little more, to see that it still works. */
  more(): void;
  /** A linearizable read of one server, where the traffic has such reads; one that is not answered is no failure. */
  read?(id: NodeId): void;
  /** A command that nobody waits for, given to one server, where the traffic has such commands. */
  write?(id: NodeId): void;
  /** What is tried of those who use the cluster when it is well (trials.ts). */
  trials?(ground: TrialGround): Promise<void>;
  /** What still waits for the cluster, or null. */
  unfinished(): string | null;
  /** Everything is at rest: nothing that was acknowledged may be missing. */
  checkAtRest(members: readonly SimNode<H>[]): void;
  /** Requests answered so far. */
  readonly answered: number;
}

/** One way to put a simulated cluster together. */
export interface Kind<H extends Host> {
  readonly name: 'core' | 'node' | 'tasks';
  /** Its code uses promises, so that each event must be followed by a turn of the real event loop. */
  readonly usesPromises: boolean;
  /** What this kind wants otherwise than drawn. */
  readonly adjustWeather?: (drawn: Weather) => Partial<Weather>;
  /** Checks that garbled bytes of a message are refused, where there is a wire format. */
  readonly garble?: (random: Random) => (message: Message) => void;
  readonly makeServer: (options: ServerOptions) => Server<H>;
  readonly makeTraffic: (around: TrafficSurroundings<H>) => Traffic<H>;
}

export interface ServerOptions {
  readonly id: NodeId;
  readonly bootstrap: Configuration;
  readonly history: History;
  readonly random: Random;
  readonly faults: FaultCounts;
}
