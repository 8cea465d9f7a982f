import type {
  Configuration,
  Entry,
  LogIndex,
  Message,
  NodeId,
  RaftStatus,
} from '../../src/raft/core/types.ts';
import type { DurableState } from './durable-state.ts';
import type { FaultKind } from './faults.ts';
import type { Random } from './random.ts';
import type { Weather } from './swarm.ts';

export type DiskFailure = 'EIO' | 'ENOSPC';

/** One life of a server's process in the simulation. */
export interface Host {
  status(): RaftStatus;
  entries(from: LogIndex, to: LogIndex): readonly Entry[];
  receive(message: Message): void;
  proposeConfig(config: Configuration): void;
  transferLeadership(to: NodeId): void;
  /** Of the state machine's state; equal on all nodes that have applied the same. */
  digest(): string | number;
  /** The next write to the disk fails, where the host can do that. */
  failDisk?(failure: DiskFailure): void;
  /** Now, due or not. */
  takeSnapshot(): void;
  /** The process dies. What it had on the way to the disk may or may not get there. */
  kill(): void;
}

/** What a host needs of the world around it. All times are of the node's own clock. */
export interface Surroundings {
  readonly random: Random;
  readonly weather: () => Weather;
  readonly nowMs: () => number;
  /** What the wall clock says, which people and time servers set; from 0 at the start of the run. */
  readonly wallMs: () => number;
  /** A fault has struck. */
  readonly struck: (kind: FaultKind) => void;
  /** Runs `action` later if the process still lives then; a paused process does it late. @returns what cancels it */
  readonly after: (delayMs: number, action: () => void) => () => void;
  /** For the disk: also while the process is paused, or dead. In true time. */
  readonly afterAnyway: (delayMs: number, action: () => void) => void;
  /** To be called when the node's state has changed, before others can learn of it. */
  readonly observe: () => void;
  readonly send: (message: Message) => void;
  readonly trace: (what: string, detail: string) => void;
  /** How long a write takes now. */
  readonly diskMs: () => number;
  /** Asked between effects (messages, writes, answers of the disk): whether the process dies on the spot (the world kills it). */
  readonly diesNow: () => boolean;
  /** The process ends itself because the disk failed; the world restarts it. */
  readonly diskFailed: () => void;
  /** A broken invariant or failed operation inside the host. */
  readonly fail: (error: unknown) => void;
}

/** What a node has beyond its processes: a disk, and how a process is started from it. */
export interface Server<H extends Host> {
  readonly durable: DurableState;
  /** At once, or when the promise is fulfilled. */
  readonly start: (life: number, around: Surroundings) => H | Promise<H>;
  /** Damages the disk for good, in one way that must be noticed at the next start; null: there is nothing to damage. */
  readonly damage?: (random: Random) => Promise<FaultKind | null>;
  /** At the end of a run: that damage of what is stored would be noticed. */
  readonly checkDamage?: (random: Random) => Promise<void>;
}
