import type { ReadBarrierResult } from '../consensus.ts';
import type { LogIndex, NodeId, ReadId } from '../core/types.ts';
import type { Timers } from '../timers.ts';

/** All barriers asked in one turn of the event loop. */
interface Group {
  readonly resolve: ((result: ReadBarrierResult) => void)[];
  cancelTimeout: () => void;
}

export interface ReadBarriersOptions {
  readonly timers: Timers;
  readonly timeoutMs: number;
  readonly ask: (readId: ReadId, lazy: boolean) => void;
  readonly appliedIndex: () => LogIndex;
}

/** Linearizable reads: one question per turn, answered when the state machine has applied what it must have. */
export class ReadBarriers {
  readonly #options: ReadBarriersOptions;
  #nextId = 1;
  #gathering: Group | null = null;
  #gatheringLazy: Group | null = null;
  readonly #asked = new Map<ReadId, Group>();
  #unapplied: { readonly index: LogIndex; readonly group: Group }[] = [];

  constructor(options: ReadBarriersOptions) {
    this.#options = options;
  }

  wait(lazy = false): Promise<ReadBarrierResult> {
    return new Promise((resolve) => {
      const group = (lazy ? this.#gatheringLazy : this.#gathering) ?? this.#begin(lazy);
      if (lazy) this.#gatheringLazy = group;
      else this.#gathering = group;
      group.resolve.push(resolve);
    });
  }

  ready(readId: ReadId, index: LogIndex): void {
    const group = this.#take(readId);
    if (group === undefined) return;
    if (index <= this.#options.appliedIndex()) settle(group, { kind: 'ready', index });
    else this.#unapplied.push({ index, group });
  }

  failed(readId: ReadId, leader: NodeId | null): void {
    const group = this.#take(readId);
    if (group !== undefined) settle(group, { kind: 'notLeader', leader });
  }

  applied(through: LogIndex): void {
    if (this.#unapplied.length === 0) return;
    const waiting = this.#unapplied;
    this.#unapplied = waiting.filter(({ index }) => index > through);
    for (const { index, group } of waiting) if (index <= through) settle(group, { kind: 'ready', index });
  }

  endAll(reason: string): void {
    const groups = [...this.#asked.values(), ...this.#unapplied.map(({ group }) => group)];
    for (const group of [this.#gathering, this.#gatheringLazy]) if (group !== null) groups.push(group);
    this.#gathering = null;
    this.#gatheringLazy = null;
    this.#asked.clear();
    this.#unapplied = [];
    for (const group of groups) settle(group, { kind: 'unknown', reason });
  }

  #begin(lazy: boolean): Group {
    const { timers, timeoutMs, ask } = this.#options;
    const readId = this.#nextId++ as ReadId;
    const group: Group = { resolve: [], cancelTimeout: () => undefined };
    timers.soon(() => {
      // Ended meanwhile.
      if ((lazy ? this.#gatheringLazy : this.#gathering) !== group) return;
      if (lazy) this.#gatheringLazy = null;
      else this.#gathering = null;
      this.#asked.set(readId, group);
      group.cancelTimeout = timers.after(timeoutMs, () => {
        this.#asked.delete(readId);
        this.#unapplied = this.#unapplied.filter((waiting) => waiting.group !== group);
        settle(group, { kind: 'unknown', reason: `no answer within ${timeoutMs} ms` });
      });
      ask(readId, lazy);
    });
    return group;
  }

  #take(readId: ReadId): Group | undefined {
    const group = this.#asked.get(readId);
    this.#asked.delete(readId);
    return group;
  }
}

function settle(group: Group, result: ReadBarrierResult): void {
  group.cancelTimeout();
  for (const resolve of group.resolve) resolve(result);
}
