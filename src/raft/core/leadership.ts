import { present } from './assert.ts';
import { PendingProposals } from './pending-proposals.ts';
import { Progress } from './progress.ts';
import { reachedByMajority } from './quorum.ts';
import { ReadRounds } from './read-rounds.ts';
import type { Configuration, LogIndex, NodeId, RaftConfig } from './types.ts';

/** A transfer of the lead under way (thesis §3.10). */
export interface Transfer {
  readonly to: NodeId;
  readonly startedAtTick: number;
}

/** What exists only on a leader and ends with its leadership (Figure 2, "volatile state on leaders"). */
export class Leadership {
  /** Index of the no-op this leadership began with; when it is committed, everything before is too. */
  readonly startIndex: LogIndex;
  readonly peers = new Map<NodeId, Progress>();
  readonly reads = new ReadRounds();
  readonly proposals: PendingProposals;
  heartbeatElapsed = 0;
  /** Bytes of this leadership's entries that are not committed. */
  uncommittedBytes = 0;
  transfer: Transfer | null = null;

  readonly #config: RaftConfig;

  constructor(config: RaftConfig, startIndex: LogIndex) {
    this.#config = config;
    this.startIndex = startIndex;
    this.proposals = new PendingProposals(startIndex);
  }

  /** Tracks exactly the other members of `members`. New ones are probed from `nextIndex` on. */
  trackMembers(members: Configuration, nextIndex: LogIndex): void {
    const everybody = [...members.voters, ...members.learners].filter((id) => id !== this.#config.id);
    for (const id of this.peers.keys()) {
      if (!everybody.includes(id)) this.peers.delete(id);
    }
    for (const id of everybody) {
      if (!this.peers.has(id)) this.peers.set(id, new Progress(this.#config, nextIndex));
    }
  }

  /** The greatest index that a majority of `voters` has durably; `ownIndex`: what this server has. */
  majorityMatch(voters: readonly NodeId[], ownIndex: LogIndex): number {
    return reachedByMajority(voters, (id) => (id === this.#config.id ? ownIndex : this.#peer(id).matchIndex));
  }

  /** The newest read round that a majority of `voters` has answered. */
  majorityRound(voters: readonly NodeId[]): number {
    return reachedByMajority(voters, (id) =>
      id === this.#config.id ? this.reads.lastRound : (this.peers.get(id)?.ackedRound ?? 0),
    );
  }

  /** Whether a majority of `voters` was heard from within an election timeout (thesis §6.2). */
  hasQuorumContact(voters: readonly NodeId[]): boolean {
    const limit = this.#config.electionTicks;
    return (
      reachedByMajority(voters, (id) => {
        if (id === this.#config.id) return 1;
        return this.#peer(id).ticksSinceContact < limit ? 1 : 0;
      }) === 1
    );
  }

  /** Every other member of the configuration in force is tracked. */
  #peer(id: NodeId): Progress {
    return present(this.peers.get(id), 'a voter that is not tracked');
  }
}
