import type { KvOp, KvRange, KvStore, KvView } from '../../src/raft/storage/kv-store.ts';

/** A store in memory, for tests of the state machine. */
export class MemoryKv implements Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'> {
  readonly map: Map<string, Uint8Array>;

  constructor(entries: Iterable<readonly [string, Uint8Array]> = []) {
    this.map = new Map(entries);
  }

  write(ops: readonly KvOp[]): void {
    for (const op of ops) {
      if (op.kind === 'put') this.map.set(op.key, op.value);
      else this.map.delete(op.key);
    }
  }

  get(key: string): Uint8Array | undefined {
    return this.map.get(key);
  }

  rangeSync(range: KvRange): readonly (readonly [string, Uint8Array])[] {
    const found = [...this.map]
      .filter(([key]) => key >= range.gte && key < range.lt)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    if (range.reverse === true) found.reverse();
    return range.limit === undefined || range.limit < 0 ? found : found.slice(0, range.limit);
  }

  async *iterate(range: KvRange): AsyncIterable<readonly [string, Uint8Array]> {
    yield* await Promise.resolve(this.rangeSync(range));
  }

  view(): KvView {
    const frozen = new MemoryKv(this.map);
    return { iterate: (range) => frozen.iterate(range), close: () => Promise.resolve() };
  }
}
