/** Ids are random, so three characters of base 32 spread a million of them over 32,768 short lists. */
const BUCKET_CHARS = 3;

/** Finds live ids by a prefix without walking through all of them. */
export class IdIndex {
  readonly #buckets = new Map<string, string[]>();

  add(id: string): void {
    const key = id.slice(0, BUCKET_CHARS);
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) this.#buckets.set(key, [id]);
    else bucket.push(id);
  }

  delete(id: string): void {
    const key = id.slice(0, BUCKET_CHARS);
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return;
    const at = bucket.indexOf(id);
    if (at < 0) return;
    if (bucket.length === 1) {
      this.#buckets.delete(key);
      return;
    }
    const last = bucket.pop();
    if (last !== undefined && at < bucket.length) bucket[at] = last;
  }

  /** Up to `limit` ids that begin with `prefix` (at least {@link BUCKET_CHARS} characters), in no particular order. */
  find(prefix: string, limit: number): readonly string[] {
    const found: string[] = [];
    for (const id of this.#buckets.get(prefix.slice(0, BUCKET_CHARS)) ?? []) {
      if (!id.startsWith(prefix)) continue;
      found.push(id);
      if (found.length === limit) break;
    }
    return found;
  }
}
