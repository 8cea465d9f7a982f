import { asReadId } from './ids.ts';
import type { ReadId } from './types.ts';

/** Bits of a wire id that count reads; the bits above tell the lives of a process apart. */
const COUNTER_VALUES = 2 ** 22;
const LIFE_VALUES = 2 ** 30;

/**
 * Reads a follower has passed to its leader. On the wire they have ids of their own: an answer that was meant for
 * the process before a restart, which may have used the same {@link ReadId}, must not answer a newer read.
 */
export class ForwardedReads {
  readonly #life: number;
  readonly #pending = new Map<number, { readonly readId: ReadId; readonly askedAtTick: number }>();
  #counter = 0;

  constructor(random: (boundExclusive: number) => number) {
    this.#life = random(LIFE_VALUES) * COUNTER_VALUES;
  }

  get count(): number {
    return this.#pending.size;
  }

  /** @returns the id to ask the leader with */
  add(readId: ReadId, tick: number): ReadId {
    this.#counter = (this.#counter + 1) % COUNTER_VALUES;
    const wireId = this.#life + this.#counter;
    this.#pending.set(wireId, { readId, askedAtTick: tick });
    return asReadId(wireId);
  }

  /** The read an answer belongs to, or null if nobody waits for it. */
  take(wireId: ReadId): ReadId | null {
    const pending = this.#pending.get(wireId);
    this.#pending.delete(wireId);
    return pending?.readId ?? null;
  }

  /** Reads asked before `tick`: question or answer was lost. */
  takeAskedBefore(tick: number): readonly ReadId[] {
    const expired: ReadId[] = [];
    for (const [wireId, pending] of this.#pending) {
      if (pending.askedAtTick >= tick) break;
      expired.push(pending.readId);
      this.#pending.delete(wireId);
    }
    return expired;
  }

  takeAll(): readonly ReadId[] {
    const all = [...this.#pending.values()].map((pending) => pending.readId);
    this.#pending.clear();
    return all;
  }
}
