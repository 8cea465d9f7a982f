const SHARDS = 256;

/**
 * A Map from text to V, in parts, in no order. Whenever a Map is full it copies itself: one of a million entries holds the event loop for
 * longer than an election timeout, and on all servers at the same entry; a part of this one for less than a millisecond. The
 * parts of random texts do not fill up at the same moment.
 */
export class ShardedMap<V> {
  readonly #shards: readonly Map<string, V>[] = Array.from({ length: SHARDS }, () => new Map<string, V>());

  get(key: string): V | undefined {
    return this.#shardOf(key).get(key);
  }

  has(key: string): boolean {
    return this.#shardOf(key).has(key);
  }

  set(key: string, value: V): void {
    this.#shardOf(key).set(key, value);
  }

  /** False if it was not there. */
  delete(key: string): boolean {
    return this.#shardOf(key).delete(key);
  }

  /** By the last two characters: ids and digests are random there. */
  #shardOf(key: string): Map<string, V> {
    const { length } = key;
    const at = (key.charCodeAt(length - 1) * 31 + key.charCodeAt(length - 2)) & (SHARDS - 1);
    return this.#shards[at] as Map<string, V>;
  }
}
