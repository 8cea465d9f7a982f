import type { KvOp, KvRange, KvStore, KvView } from './kv-store.ts';
import { sealBytes, unseal } from './sealed-record.ts';

/**
 * The state machine's part of the store: keys are relative to `prefix`, values are sealed with a checksum. What the machine
 * handed over by `takeDirty` is seen here at once, although the write is still on its way. Reads throw
 * StorageCorruptError where a record is damaged.
 */
export class MachineStore implements Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'> {
  readonly prefix: string;
  readonly #kv: Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'>;
  /** Relative key → value, or null for deleted. At most one write's worth. */
  readonly #staged = new Map<string, Uint8Array | null>();

  constructor(kv: Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'>, prefix: string) {
    this.#kv = kv;
    this.prefix = prefix;
  }

  get(key: string): Uint8Array | undefined {
    const staged = this.#staged.get(key);
    if (staged !== undefined) return staged ?? undefined;
    const record = this.#kv.get(this.prefix + key);
    return record === undefined ? undefined : unseal(this.prefix + key, record);
  }

  iterate(range: KvRange): AsyncIterable<readonly [string, Uint8Array]> {
    return this.#merge(this.#kv, range, new Map(this.#staged));
  }

  rangeSync(range: KvRange & { readonly limit: number }): readonly (readonly [string, Uint8Array])[] {
    // Deleted ones among the staged may hide as many of those found.
    const absolute = { ...this.#absolute(range), limit: range.limit + this.#staged.size };
    const found = new Map<string, Uint8Array>();
    for (const [key, record] of this.#kv.rangeSync(absolute)) {
      found.set(key.slice(this.prefix.length), unseal(key, record));
    }
    const complete = found.size < absolute.limit;
    const edge = [...found.keys()].at(-1);
    for (const [key, value] of this.#staged) {
      if (key < range.gte || key >= range.lt) continue;
      if (value === null) found.delete(key);
      else if (complete || edge === undefined || (range.reverse === true ? key >= edge : key <= edge))
        found.set(key, value);
    }
    const sorted = [...found].sort(([a], [b]) => compareKeys(a, b));
    if (range.reverse === true) sorted.reverse();
    return sorted.slice(0, range.limit);
  }

  view(): KvView {
    const view = this.#kv.view();
    const staged = new Map(this.#staged);
    return {
      iterate: (range) => this.#merge(view, range, staged),
      close: () => view.close(),
    };
  }

  /** Makes the machine's ops visible and returns them with absolute keys, for the write. */
  stage(ops: readonly KvOp[]): readonly KvOp[] {
    return ops.map((op) => {
      const key = this.prefix + op.key;
      this.#staged.set(op.key, op.kind === 'put' ? op.value : null);
      return op.kind === 'put' ? { kind: 'put', key, value: sealBytes(key, op.value) } : { kind: 'del', key };
    });
  }

  /** The write that held everything staged is durable. */
  settle(): void {
    this.#staged.clear();
  }

  #absolute(range: KvRange): KvRange {
    return { ...range, gte: this.prefix + range.gte, lt: this.prefix + range.lt };
  }

  async *#merge(
    source: Pick<KvView, 'iterate'>,
    range: KvRange,
    staged: ReadonlyMap<string, Uint8Array | null>,
  ): AsyncIterable<readonly [string, Uint8Array]> {
    const direction = range.reverse === true ? -1 : 1;
    const limit = range.limit === undefined || range.limit < 0 ? Infinity : range.limit;
    const extra = [...staged]
      .filter(([key]) => key >= range.gte && key < range.lt)
      .sort(([a], [b]) => direction * compareKeys(a, b));
    let at = 0;
    let given = 0;
    const unlimited = { ...this.#absolute(range), limit: limit === Infinity ? -1 : limit + staged.size };
    for await (const [absoluteKey, record] of source.iterate(unlimited)) {
      const key = absoluteKey.slice(this.prefix.length);
      for (
        let next = extra[at];
        next !== undefined && direction * compareKeys(next[0], key) < 0;
        next = extra[at]
      ) {
        at += 1;
        if (next[1] === null) continue;
        yield [next[0], next[1]];
        if (++given >= limit) return;
      }
      if (staged.has(key)) continue;
      yield [key, unseal(absoluteKey, record)];
      if (++given >= limit) return;
    }
    for (const [key, value] of extra.slice(at)) {
      if (value === null) continue;
      yield [key, value];
      if (++given >= limit) return;
    }
  }
}

function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
