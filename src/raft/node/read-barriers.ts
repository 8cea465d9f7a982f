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
  readonly ask: (readId: ReadId) => void;
  readonly appliedIndex: () => LogIndex;
}

/** Linearizable reads: one question per turn, answered when the state machine has applied what it must have. */
export class ReadBarriers {
  readonly #options: ReadBarriersOptions;
  #nextId = 1;
  #gathering: Group | null = null;
  readonly #asked = new Map<ReadId, Group>();
  #unapplied: { readonly index: LogIndex; readonly group: Group }[] = [];

  constructor(options: ReadBarriersOptions) {
    this.#options = options;
  }

  wait(): Promise<ReadBarrierResult> {
    return new Promise((resolve) => {
      this.#gathering ??= this.#begin();
      this.#gathering.resolve.push(resolve);
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
    if (this.#gathering !== null) groups.push(this.#gathering);
    this.#gathering = null;
    this.#asked.clear();
    this.#unapplied = [];
    for (const group of groups) settle(group, { kind: 'unknown', reason });
  }

  #begin(): Group {
    const { timers, timeoutMs, ask } = this.#options;
    const readId = this.#nextId++ as ReadId;
    const group: Group = { resolve: [], cancelTimeout: () => undefined };
    timers.soon(() => {
      if (this.#gathering !== group) return;
      this.#gathering = null;
      this.#asked.set(readId, group);
      group.cancelTimeout = timers.after(timeoutMs, () => {
        this.#asked.delete(readId);
        this.#unapplied = this.#unapplied.filter((waiting) => waiting.group !== group);
        settle(group, { kind: 'unknown', reason: `no answer within ${timeoutMs} ms` });
      });
      ask(readId);
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
