/**
 * A disk with a key-value store on it, as the production code sees one. A batch reaches the disk some time after it was
 * asked for, and the process hears of it later still; a crash in between leaves it done or not, but whole. The disk
 * can fail a batch; whoever writes on after that is lied to: the writes seem to succeed and are lost (raft.md L1).
 */
import type { HardState, LogIndex, Term } from '../../src/raft/core/types.ts';
import { ByteReader } from '../../src/raft/byte-reader.ts';
import { readEntryBlock } from '../../src/raft/entry-block.ts';
import type { KvOp, KvRange, KvStore, KvView } from '../../src/raft/storage/kv-store.ts';
import { MemoryKv, type MemoryDisk } from '../../src/raft/storage/memory-kv.ts';
import { decodeHard, decodeSnapshot, HARD_STATE_KEY, SNAPSHOT_KEY } from '../../src/raft/storage/records.ts';
import { unseal } from '../../src/raft/storage/sealed-record.ts';
import { SLOT_BYTES, type Slot, type SlotFile } from '../../src/raft/storage/slot-file.ts';
import { asLogIndex, asTerm } from '../../src/raft/core/ids.ts';
import type { DurableState } from './durable-state.ts';
import type { DiskFailure, Surroundings } from './host.ts';
import type { Weather } from './swarm.ts';

/** What a disk needs of the world around it. */
export interface DiskWorld extends Pick<
  Surroundings,
  'random' | 'after' | 'afterAnyway' | 'trace' | 'diskMs' | 'struck' | 'diesNow'
> {
  readonly weather: () => Pick<Weather, 'diskAckMs'>;
}

/** Of the writes under way when a process dies, those that reach the disk all the same. */
const DONE_ANYWAY_RATE = 0.5;
/** Of the slots that were being written and have changed, those of which only a part has. */
const TORN_RATE = 0.5;
/** Of the failures, those of the superblock. */
const SUPERBLOCK_FAILS_RATE = 0.3;
/** A slot's content is about so long. */
const SLOT_TORN_BYTES_MAX = 300;
const LOG_PREFIX = 'log!';
/** Of the starts, those at which a copy is put aside. */
const OLDER_COPY_RATE = 0.3;
/** So many of the last batches can be undone, to see whether their loss is noticed. */
const UNDO_BATCHES_MAX = 6;

type Slots = readonly [Uint8Array, Uint8Array];

/** What each key of a batch held before it. */
type Undo = ReadonlyMap<string, Uint8Array | undefined>;

/** What survives crashes. Knows of the stored format only what the history asks about. */
export class SimDisk implements DurableState {
  readonly records: MemoryDisk = new Map();
  /** What stood under keys of the log before. */
  readonly replaced: MemoryDisk = new Map();
  /** The superblock's file, beside the records. */
  slots: Slots | null = null;
  /** The records as they were at an earlier start. */
  olderCopy: MemoryDisk | null = null;
  readonly #undo: Undo[] = [];
  hardState: HardState = { currentTerm: asTerm(0), votedFor: null };
  snapshotIndex: LogIndex = asLogIndex(0);
  readonly #packs = new Map<string, { readonly first: number; readonly last: number }>();
  readonly #terms = new Map<number, Term>();

  get lastIndex(): LogIndex {
    let last: number = this.snapshotIndex;
    for (const pack of this.#packs.values()) last = Math.max(last, pack.last);
    return asLogIndex(last);
  }

  term(index: LogIndex): Term | null {
    return this.#terms.get(index) ?? null;
  }

  /** The records as they would be without the last `batches`; null if that is further back than is known. */
  withoutLast(batches: number): MemoryDisk | null {
    if (batches > this.#undo.length) return null;
    const records: MemoryDisk = new Map(this.records);
    for (const undo of this.#undo.slice(-batches).reverse()) {
      for (const [key, value] of undo) {
        if (value === undefined) records.delete(key);
        else records.set(key, value);
      }
    }
    return records;
  }

  write(ops: readonly KvOp[]): void {
    const undo = new Map<string, Uint8Array | undefined>();
    this.#undo.push(undo);
    if (this.#undo.length > UNDO_BATCHES_MAX) this.#undo.shift();
    for (const op of ops) {
      const old = this.records.get(op.key);
      if (!undo.has(op.key)) undo.set(op.key, old);
      if (old !== undefined && op.key.startsWith(LOG_PREFIX)) this.replaced.set(op.key, old);
      if (op.kind === 'put') this.records.set(op.key, new Uint8Array(op.value));
      else this.records.delete(op.key);
      this.interpret(op);
    }
  }

  /** Follows what the history asks about. */
  protected interpret(op: KvOp): void {
    if (op.key.startsWith(LOG_PREFIX)) this.#interpretPack(op);
    else if (op.kind === 'put' && op.key === HARD_STATE_KEY) this.hardState = decodeHard(op.value);
    else if (op.kind === 'put' && op.key === SNAPSHOT_KEY)
      this.snapshotIndex = decodeSnapshot(op.value).index;
  }

  #interpretPack(op: KvOp): void {
    const old = this.#packs.get(op.key);
    if (old !== undefined) for (let index = old.first; index <= old.last; index++) this.#terms.delete(index);
    this.#packs.delete(op.key);
    if (op.kind === 'del') return;
    const reader = new ByteReader(unseal(op.key, op.value));
    reader.u32();
    reader.safeInteger();
    const entries = readEntryBlock(reader);
    const first = entries[0];
    const last = entries.at(-1);
    if (first === undefined || last === undefined) return;
    this.#packs.set(op.key, { first: first.index, last: last.index });
    for (const entry of entries) this.#terms.set(entry.index, entry.term);
  }
}

/** The superblock's file as one life of a process sees it. A crash leaves a slot that was being written old, new, or torn. */
class SimSlotFile implements SlotFile {
  readonly name = 'the simulated superblock';
  readonly #disk: SimDisk;
  readonly #around: DiskWorld;
  #underWay: { readonly slots: Slots; readonly slot: Slot | null } | null = null;
  #isDead = false;
  #failNext = false;
  hasFailed = false;

  constructor(disk: SimDisk, around: DiskWorld) {
    this.#disk = disk;
    this.#around = around;
  }

  /** The next write fails, and what the slot holds then is nobody's guess. */
  failNext(): void {
    this.#failNext = true;
  }

  read(): Promise<Slots | null> {
    return Promise.resolve(this.#disk.slots);
  }

  create(content: Uint8Array): Promise<void> {
    const slot = padded(content);
    return this.#write([slot, slot], null);
  }

  write(slot: Slot, content: Uint8Array): Promise<void> {
    const { slots } = this.#disk;
    if (slots === null) throw new Error('no superblock to write to');
    return this.#write(slot === 0 ? [padded(content), slots[1]] : [slots[0], padded(content)], slot);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  kill(): void {
    this.#isDead = true;
    const underWay = this.#underWay;
    if (underWay === null || !this.#around.random.chance(DONE_ANYWAY_RATE)) return;
    const { slots, slot } = underWay;
    this.#disk.slots = slots;
    if (slot === null || !this.#around.random.chance(TORN_RATE)) return;
    this.#around.trace('disk', `slot ${String(slot)} of the superblock is torn`);
    const torn = new Uint8Array(slots[slot]);
    torn.fill(0, this.#around.random.below(SLOT_TORN_BYTES_MAX));
    this.#disk.slots = slot === 0 ? [torn, slots[1]] : [slots[0], torn];
  }

  #write(slots: Slots, slot: Slot | null): Promise<void> {
    if (this.#isDead) return new Promise(() => undefined);
    if (this.#underWay !== null) throw new Error('the superblock is being written already');
    this.#underWay = { slots, slot };
    return new Promise((resolve, reject) => {
      this.#around.afterAnyway(this.#around.diskMs(), () => {
        if (this.#isDead) return;
        if (this.#failNext) {
          this.#around.trace('disk', 'the superblock fails');
          this.hasFailed = true;
          this.kill();
          this.#around.after(0, () => reject(new Error('EIO: the simulated disk failed')));
          return;
        }
        this.#disk.slots = slots;
        this.#underWay = null;
        this.#around.after(0, resolve);
      });
    });
  }
}

function padded(content: Uint8Array): Uint8Array {
  const slot = new Uint8Array(SLOT_BYTES);
  slot.set(content);
  return slot;
}

/** The store of one life of a process. */
export class SimKv implements KvStore {
  readonly slots: SimSlotFile;
  readonly #disk: SimDisk;
  readonly #around: DiskWorld;
  /** Reads go here; the disk's records are shared, so what is written shows. */
  #reader: MemoryKv;
  #underWay: readonly KvOp[] | null = null;
  #isBusy = false;
  #isDead = false;
  #hasFailed = false;
  #failNext: DiskFailure | null = null;

  constructor(disk: SimDisk, around: DiskWorld) {
    this.#disk = disk;
    this.#around = around;
    this.slots = new SimSlotFile(disk, around);
    this.#reader = new MemoryKv(disk.records);
    if (disk.olderCopy === null || around.random.chance(OLDER_COPY_RATE)) {
      disk.olderCopy = new Map(disk.records);
    }
  }

  get(key: string): Uint8Array | undefined {
    return this.#reader.get(key);
  }
  iterate(range: KvRange): AsyncIterable<readonly [string, Uint8Array]> {
    return this.#reader.iterate(range);
  }
  rangeSync(range: KvRange & { readonly limit: number }): readonly (readonly [string, Uint8Array])[] {
    return this.#reader.rangeSync(range);
  }
  view(): KvView {
    return this.#reader.view();
  }

  batch(ops: readonly KvOp[], options: { readonly sync: boolean }): Promise<void> {
    if (this.#isDead) return new Promise(() => undefined);
    if (!options.sync) throw new Error('a write that is not synced');
    if (this.#isBusy) return Promise.reject(new Error('a batch is in flight already'));
    this.#isBusy = true;
    this.#underWay = ops;
    if (this.#around.diesNow()) return new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      this.#around.afterAnyway(this.#around.diskMs(), () => {
        if (this.#isDead) return;
        const failed = this.#failNext;
        if (failed !== null) this.#around.trace('disk', `fails: ${failed}`);
        if (failed === null && !this.#hasFailed) this.#carryOut(ops);
        this.#hasFailed ||= failed !== null;
        this.#failNext = null;
        this.#underWay = null;
        if (this.#around.diesNow()) return;
        this.#around.after(this.#around.random.exponential(this.#around.weather().diskAckMs), () => {
          this.#isBusy = false;
          if (failed !== null) reject(new Error(`${failed}: the simulated disk failed`));
          else resolve();
        });
      });
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The next write of the records, or of the superblock, fails. */
  failNext(failure: DiskFailure): void {
    if (this.#around.random.chance(SUPERBLOCK_FAILS_RATE)) this.slots.failNext();
    else this.#failNext = failure;
  }

  get hasFailed(): boolean {
    return this.#hasFailed || this.slots.hasFailed;
  }

  kill(): void {
    this.#isDead = true;
    this.slots.kill();
    const ops = this.#underWay;
    this.#underWay = null;
    if (ops === null || this.#hasFailed) return;
    if (!this.#around.random.chance(DONE_ANYWAY_RATE)) {
      this.#around.struck('write lost at a crash');
      return;
    }
    this.#around.struck('write done and unheard of');
    this.#around.trace('disk', 'done, and nobody heard of it');
    this.#disk.write(ops);
  }

  #carryOut(ops: readonly KvOp[]): void {
    this.#disk.write(ops);
    // It keeps a sorted list of keys.
    this.#reader = new MemoryKv(this.#disk.records);
  }
}
