import type { Entry, LogIndex } from '../core/types.ts';
import type { StateMachine } from '../state-machine.ts';
import type { Timers } from '../timers.ts';
import type { Proposals } from './proposals.ts';

/** Looking at the clock costs more than applying a small entry … */
const ENTRIES_PER_CLOCK_LOOK = 16;
/** … but not more than this much of a large one: sixteen of those take seconds. */
const BYTES_PER_CLOCK_LOOK = 16 * 1024;

export interface ApplierOptions<Result> {
  readonly machine: StateMachine<Result>;
  readonly commands: Proposals<Result>;
  readonly configs: Proposals<null>;
  readonly timers: Timers;
  readonly sliceMs: number;
  readonly appliedIndex: LogIndex;
  /** A slice is done: `through` is the last applied, with `entries` commands of `bytes` payload bytes. */
  readonly onApplied: (through: LogIndex, entries: number, bytes: number) => void;
  readonly onFailed: (error: unknown) => void;
}

/** Applies committed entries in order, in slices short enough that heartbeats are not late. */
export class Applier<Result> {
  readonly #options: ApplierOptions<Result>;
  #queue: Entry[] = [];
  #head = 0;
  #appliedIndex: LogIndex;
  #isScheduled = false;
  #isFrozen = false;

  constructor(options: ApplierOptions<Result>) {
    this.#options = options;
    this.#appliedIndex = options.appliedIndex;
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  /** Takes the entries of an `apply` effect. What fits into a slice is applied before this returns. */
  enqueue(entries: readonly Entry[]): void {
    if (this.#queue.length === 0) this.#queue = entries.slice();
    else for (const entry of entries) this.#queue.push(entry);
    if (!this.#isScheduled) this.#slice();
  }

  /** Applies nothing until {@link resumeAfter} (or ever again). */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** The state machine now has the state as of `index`: goes on with what follows. */
  resumeAfter(index: LogIndex): void {
    this.#queue = this.#queue.slice(this.#head).filter((entry) => entry.index > index);
    this.#head = 0;
    this.#appliedIndex = index;
    this.#isFrozen = false;
    this.#scheduleSlice();
  }

  /** Goes on where {@link freeze} stopped. */
  resume(): void {
    this.#isFrozen = false;
    this.#scheduleSlice();
  }

  #scheduleSlice(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.timers.soon(() => {
      this.#isScheduled = false;
      this.#slice();
    });
  }

  #slice(): void {
    const { timers, sliceMs, onApplied, onFailed } = this.#options;
    if (this.#isFrozen || this.#head >= this.#queue.length) return;
    const startMs = timers.nowMs();
    let nowMs = startMs;
    let entries = 0;
    let bytes = 0;
    let lookedAt = 0;
    try {
      for (let entry = this.#queue[this.#head]; entry !== undefined; entry = this.#queue[this.#head]) {
        this.#head += 1;
        this.#apply(entry, nowMs);
        entries += 1;
        bytes += entry.kind === 'command' ? entry.payload.byteLength : 0;
        if (entries % ENTRIES_PER_CLOCK_LOOK !== 0 && bytes - lookedAt < BYTES_PER_CLOCK_LOOK) continue;
        lookedAt = bytes;
        nowMs = timers.nowMs();
        if (nowMs - startMs >= sliceMs) break;
      }
    } catch (error) {
      this.freeze();
      onFailed(error);
      return;
    }
    if (this.#head >= this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else {
      this.#scheduleSlice();
    }
    onApplied(this.#appliedIndex, entries, bytes);
  }

  #apply(entry: Entry, nowMs: number): void {
    const { machine, commands, configs } = this.#options;
    const { index, term } = entry;
    if (index !== this.#appliedIndex + 1)
      throw new Error(`entry ${index} cannot be applied after ${this.#appliedIndex}`);
    switch (entry.kind) {
      case 'command': {
        const result = machine.apply({ index, term, payload: entry.payload });
        this.#appliedIndex = index;
        commands.applied(index, term, result, nowMs);
        break;
      }
      case 'noop':
        machine.applyTermStart(term, index);
        this.#appliedIndex = index;
        break;
      case 'config':
        this.#appliedIndex = index;
        configs.applied(index, term, null, nowMs);
        break;
    }
  }
}
