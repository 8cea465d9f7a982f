/** Numbers per part. */
const PART = 4_096;

/** A Map from submission numbers to V, in parts of consecutive numbers, so that none is ever large (see {@link ShardedMap} for why). */
export class SeqMap<V> {
  readonly #parts = new Map<number, Map<number, V>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(seq: number): V | undefined {
    return this.#parts.get(partOf(seq))?.get(seq);
  }

  set(seq: number, value: V): void {
    let part = this.#parts.get(partOf(seq));
    if (part === undefined) {
      part = new Map();
      this.#parts.set(partOf(seq), part);
    }
    const before = part.size;
    part.set(seq, value);
    this.#size += part.size - before;
  }

  delete(seq: number): void {
    const part = this.#parts.get(partOf(seq));
    if (part?.delete(seq) !== true) return;
    this.#size -= 1;
    if (part.size === 0) this.#parts.delete(partOf(seq));
  }

  /** As of now; in ascending order, if new numbers came in that order. */
  values(): readonly V[] {
    const values: V[] = [];
    for (const part of this.#parts.values()) for (const value of part.values()) values.push(value);
    return values;
  }
}

function partOf(seq: number): number {
  return Math.floor(seq / PART);
}
