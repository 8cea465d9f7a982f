import type {
  Configuration,
  Entry,
  LogIndex,
  Message,
  NodeId,
  RaftStatus,
} from '../../src/raft/core/types.ts';
import type { ProposeResult, ReadBarrierResult } from '../../src/raft/consensus.ts';
import type { Random } from './random.ts';
import type { Weather } from './swarm.ts';

/** One life of a server's process in the simulation. There are two kinds: {@link ./core-host.ts} and {@link ./node-host.ts}. */
export interface Host<Result> {
  status(): RaftStatus;
  entries(from: LogIndex, to: LogIndex): readonly Entry[];
  tick(): void;
  receive(message: Message): void;
  propose(payload: Uint8Array, done: (result: ProposeResult<Result>) => void): void;
  proposeConfig(config: Configuration): void;
  /** `ready`: the local state may be read now. */
  read(done: (result: ReadBarrierResult) => void): void;
  transferLeadership(to: NodeId): void;
  /** Everything applied so far. */
  appliedIndex(): number;
  /** The process dies. What it had on the way to the disk may or may not get there. */
  kill(): void;
}

/** What a host needs of the world around it. */
export interface Surroundings {
  readonly random: Random;
  readonly weather: () => Weather;
  /** Runs `action` after virtual time, if the process still lives then; a paused process does it late. */
  readonly after: (delayMs: number, action: () => void) => void;
  /** Like `after`, but also if the process is dead: for the disk. */
  readonly afterAnyway: (delayMs: number, action: () => void) => void;
  readonly nowMs: () => number;
  /** To be called when the node's state has changed, before others can learn of it. */
  readonly observe: () => void;
  readonly send: (message: Message) => void;
  readonly trace: (what: string, detail: string) => void;
  /** How long a write takes now, in virtual milliseconds. */
  readonly diskMs: () => number;
  /**
   * Asked after each effect that is carried out: whether the process dies on the spot (the world kills it).
   */
  readonly diesNow: () => boolean;
  /** A broken invariant or failed operation inside the host. */
  readonly fail: (error: unknown) => void;
}
