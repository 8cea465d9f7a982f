import type { Consensus, ProposeResult, ReadBarrierResult, RoleChange } from '../../src/raft/consensus.ts';
import type { Entry, LogIndex, NodeId, RaftStatus, Role, Term } from '../../src/raft/core/types.ts';
import type { StoredStretch } from '../../src/raft/storage/log-packs.ts';
import type { StateMachine } from '../../src/raft/state-machine.ts';
import type { Timers } from '../../src/raft/timers.ts';

interface Waiting<Result> {
  readonly payload: Uint8Array;
  readonly resolve: (result: ProposeResult<Result>) => void;
}

/**
 * Consensus of one server without disk or network. Entries are committed at the end of the turn in which they were proposed,
 * or, when held, on command; the lead can be taken away at any moment.
 */
export class FakeConsensus<Result> implements Consensus<Result> {
  readonly #machine: StateMachine<Result>;
  readonly #timers: Timers;
  readonly #self: NodeId;
  readonly #log: Entry[] = [];
  readonly #listeners = new Set<(change: RoleChange) => void>();
  #waiting: Waiting<Result>[] = [];
  #barriers: ((result: ReadBarrierResult) => void)[] = [];
  #role: Role = 'follower';
  #term = 0;
  #leader: NodeId | null = null;
  #scheduled = false;
  /** Nothing is committed while true. */
  held = false;
  /** Read barriers wait while true. */
  barriersHeld = false;
  /** Entries are refused while true. */
  overloaded = false;
  limit = 'testMax';
  reachable = true;
  /** The newest version that every server is known to speak. */
  version = 1;
  proposals = 0;

  constructor(self: string, machine: StateMachine<Result>, timers: Timers) {
    this.#self = self as NodeId;
    this.#machine = machine;
    this.#timers = timers;
  }

  /** Wins an election; the first entry of the term is applied at once unless `quiet`. */
  elect(options: { readonly quiet?: boolean } = {}): void {
    this.#term += 1;
    this.#change('leader', this.#self);
    if (options.quiet !== true) this.applyTermStart();
  }

  applyTermStart(): void {
    const entry: Entry = { kind: 'noop', index: this.#nextIndex(), term: this.#term as Term };
    this.#log.push(entry);
    this.#machine.applyTermStart(entry.term, entry.index);
  }

  /** Loses the lead; what was proposed and not committed gets `fate`. */
  depose(leader: string | null, fate: 'unknown' | 'notLeader' = 'unknown'): void {
    this.#term += 1;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#change('follower', leader as NodeId | null);
    for (const { resolve } of waiting) {
      resolve(
        fate === 'unknown'
          ? { kind: 'unknown', reason: 'lost the lead' }
          : { kind: 'notLeader', leader: null },
      );
    }
    this.releaseBarriers({ kind: 'notLeader', leader: null });
  }

  become(role: Role, leader: string | null): void {
    this.#change(role, leader as NodeId | null);
  }

  #change(role: Role, leader: NodeId | null): void {
    this.#role = role;
    this.#leader = leader;
    for (const listener of this.#listeners) listener({ role, term: this.#term as Term, leader });
  }

  /** Commits what waits. */
  commit(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { payload, resolve } of waiting) {
      const index = this.#nextIndex();
      const term = this.#term as Term;
      this.#log.push({ kind: 'command', index, term, payload });
      resolve({ kind: 'applied', index, term, result: this.#machine.apply({ index, term, payload }) });
    }
  }

  releaseBarriers(result?: ReadBarrierResult): void {
    const barriers = this.#barriers;
    this.#barriers = [];
    const ready: ReadBarrierResult = { kind: 'ready', index: this.#log.length as LogIndex };
    for (const resolve of barriers) resolve(result ?? ready);
  }

  propose(payload: Uint8Array): Promise<ProposeResult<Result>> {
    this.proposals += 1;
    if (this.#role !== 'leader') return Promise.resolve({ kind: 'notLeader', leader: this.#leader });
    if (this.overloaded) return Promise.resolve({ kind: 'overloaded', limit: this.limit });
    return new Promise((resolve) => {
      this.#waiting.push({ payload, resolve });
      if (this.#scheduled) return;
      this.#scheduled = true;
      this.#timers.soon(() => {
        this.#scheduled = false;
        if (!this.held) this.commit();
      });
    });
  }

  readBarrier(): Promise<ReadBarrierResult> {
    if (this.#role !== 'leader') return Promise.resolve({ kind: 'notLeader', leader: this.#leader });
    return new Promise((resolve) => {
      this.#barriers.push(resolve);
      if (!this.barriersHeld) this.#timers.soon(() => this.releaseBarriers());
    });
  }

  async *storedLog(): AsyncIterable<StoredStretch> {
    await Promise.resolve();
    for (const [at, entry] of this.#log.entries()) {
      yield { chainBefore: at, chainAfter: at + 1, entries: [entry] };
    }
  }

  status(): RaftStatus {
    const last = this.#log.length as LogIndex;
    return {
      id: this.#self,
      role: this.#role,
      term: this.#term as Term,
      votedFor: this.#self,
      leader: this.#leader,
      firstIndex: 1 as LogIndex,
      lastIndex: last,
      lastTerm: this.#term as Term,
      durableIndex: last,
      commitIndex: last,
      appliedIndex: last,
      snapshotIndex: 0 as LogIndex,
      config: { voters: [this.#self], learners: [] },
      peers: new Map([
        [
          'server2' as NodeId,
          { state: 'replicate', matchIndex: 1 as LogIndex, nextIndex: 2 as LogIndex, ticksSinceContact: 0 },
        ],
      ]),
    };
  }

  quorumReachable(): boolean {
    return this.reachable;
  }

  lastContactMs(): ReadonlyMap<NodeId, number | null> {
    return new Map([['server2' as NodeId, 12]]);
  }

  commonVersion(): number {
    return this.version;
  }

  entries(from: LogIndex, to: LogIndex): readonly Entry[] {
    return this.#log.filter((entry) => entry.index >= from && entry.index <= to);
  }

  onRoleChanged(listener: (change: RoleChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #nextIndex(): LogIndex {
    return (this.#log.length + 1) as LogIndex;
  }
}
