import type { KvOp, KvRange, KvStore, KvView } from './kv-store.ts';
import { MemorySlotFile } from './slot-file.ts';
import type { SlotFile } from './slot-file.ts';

/** What {@link MemoryKv} stores in: outlives the store, as a disk outlives a process. */
export type MemoryDisk = Map<string, Uint8Array>;

/** What lies beside each disk. A copy of a disk has none. */
const slotFiles = new WeakMap<MemoryDisk, MemorySlotFile>();

function slotsBeside(disk: MemoryDisk): MemorySlotFile {
  const slots = slotFiles.get(disk) ?? new MemorySlotFile();
  slotFiles.set(disk, slots);
  return slots;
}

/** A {@link KvStore} in memory, for tests. Every batch counts as durable; reopen by making a new one over the same disk. */
export class MemoryKv implements KvStore {
  readonly slots: SlotFile;
  readonly #disk: MemoryDisk;
  #sortedKeys: string[] | null = null;
  #batchInFlight = false;
  #closed = false;
  /** How many batches asked to be durable. */
  syncedBatches = 0;

  constructor(disk: MemoryDisk = new Map(), slots: SlotFile = slotsBeside(disk)) {
    this.#disk = disk;
    this.slots = slots;
  }

  get(key: string): Uint8Array | undefined {
    this.#assertOpen();
    return this.#disk.get(key);
  }

  rangeSync(range: KvRange & { readonly limit: number }): readonly (readonly [string, Uint8Array])[] {
    this.#assertOpen();
    return this.#select(range);
  }

  iterate(range: KvRange): AsyncIterable<readonly [string, Uint8Array]> {
    this.#assertOpen();
    return inTurns(this.#select(range));
  }

  view(): KvView {
    this.#assertOpen();
    const frozen = new MemoryKv(new Map(this.#disk));
    return {
      iterate: (range) => frozen.iterate(range),
      close: () => frozen.close(),
    };
  }

  async batch(ops: readonly KvOp[], options: { readonly sync: boolean }): Promise<void> {
    this.#assertOpen();
    if (this.#batchInFlight) throw new Error('a batch is in flight already: the owner must serialize');
    this.#batchInFlight = true;
    if (options.sync) this.syncedBatches += 1;
    await Promise.resolve();
    for (const op of ops) {
      if (op.kind === 'put') this.#disk.set(op.key, new Uint8Array(op.value));
      else this.#disk.delete(op.key);
    }
    this.#sortedKeys = null;
    this.#batchInFlight = false;
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #select(range: KvRange): (readonly [string, Uint8Array])[] {
    const keys = (this.#sortedKeys ??= [...this.#disk.keys()].sort());
    const selected = keys.slice(lowerBound(keys, range.gte), lowerBound(keys, range.lt));
    if (range.reverse === true) selected.reverse();
    const limit = range.limit ?? -1;
    const clipped = limit >= 0 ? selected.slice(0, limit) : selected;
    return clipped.map((key) => [key, this.#disk.get(key) ?? new Uint8Array(0)]);
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error('the store is closed');
  }
}

async function* inTurns(
  records: readonly (readonly [string, Uint8Array])[],
): AsyncIterable<readonly [string, Uint8Array]> {
  for (const record of records) {
    await Promise.resolve();
    yield record;
  }
}

/** Position of the first key that is not below `bound`. */
function lowerBound(keys: readonly string[], bound: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
