/**
 * The superblock: in a few bytes, how far this server's stored state had come. LevelDB can lose its last writes, or its folder
 * be replaced by an older copy, and still open without a word (docs/storage.md); then it is older than the superblock,
 * and that is seen.
 *
 * It is written after the writes it tells of are durable, so it is never ahead of an honest database; being behind is no fault.
 * The two slots are written in turn: a crash while one is written leaves the other.
 *
 *     slot = crc:u32  length:u32  JSON (SuperblockState and `seq`)
 */
import { crc32 } from 'node:zlib';
import type { NodeId, Term } from '../core/types.ts';
import { Fields } from './json-fields.ts';
import { checkFormat } from './records.ts';
import type { Slot, SlotFile } from './slot-file.ts';
import { StorageCorruptError } from './storage-errors.ts';

/** What is known to be durable. */
export interface SuperblockState {
  /** Of the store, {@link STORAGE_FORMAT}. */
  readonly format: number;
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** Number of the write ({@link WRITES_KEY}) it tells of; 0: made before the database's first. */
  readonly writes: number;
  readonly hardSeq: number;
  readonly currentTerm: Term;
  readonly votedFor: NodeId | null;
  readonly lastIndex: number;
  /** The chain value after the entry at `lastIndex`. */
  readonly chain: number;
  readonly snapshotIndex: number;
}

interface SlotContent {
  /** Rises with each write of the superblock: the higher one counts. */
  readonly seq: number;
  readonly state: SuperblockState;
}

const HEADER_BYTES = 8;

export class Superblock {
  readonly #file: SlotFile;
  #seq: number;
  #next: Slot;
  #state: SuperblockState | null;
  #isWriting = false;
  /** How many of the slots cannot be read: 0 or 1. It is mended by the next write. */
  readonly damagedSlots: number;

  private constructor(file: SlotFile, newest: SlotContent | null, next: Slot, damagedSlots: number) {
    this.#file = file;
    this.#state = newest?.state ?? null;
    this.#seq = newest?.seq ?? 0;
    this.#next = next;
    this.damagedSlots = damagedSlots;
  }

  /** @throws StorageCorruptError if neither slot can be read, StorageError `STORAGE_UNAVAILABLE` */
  static async open(file: SlotFile): Promise<Superblock> {
    const slots = await file.read();
    if (slots === null) return new Superblock(file, null, 0, 0);
    const [first, second] = [decodeSlot(slots[0]), decodeSlot(slots[1])];
    if (first === null && second === null) {
      throw new StorageCorruptError(`both slots of the superblock ${file.name} are damaged`);
    }
    const isFirstNewest = second === null || (first !== null && first.seq >= second.seq);
    const newest = isFirstNewest ? first : second;
    return new Superblock(file, newest, isFirstNewest ? 1 : 0, first === null || second === null ? 1 : 0);
  }

  get name(): string {
    return this.#file.name;
  }

  /** What it says; null if there is none yet. */
  get state(): SuperblockState | null {
    return this.#state;
  }

  /** @throws StorageError `STORAGE_WRITE_FAILED`: fatal */
  async create(state: SuperblockState): Promise<void> {
    this.#seq += 1;
    await this.#file.create(encodeSlot({ seq: this.#seq, state }));
    this.#state = state;
  }

  /** Durable when resolved. One at a time. @throws StorageError `STORAGE_WRITE_FAILED`: fatal */
  async write(state: SuperblockState): Promise<void> {
    if (this.#isWriting) throw new Error('the superblock is being written: the owner must serialize');
    this.#isWriting = true;
    const slot = this.#next;
    this.#seq += 1;
    this.#next = slot === 0 ? 1 : 0;
    await this.#file.write(slot, encodeSlot({ seq: this.#seq, state }));
    this.#state = state;
    this.#isWriting = false;
  }
}

function encodeSlot({ seq, state }: SlotContent): Uint8Array {
  const json = Buffer.from(JSON.stringify({ seq, ...state }));
  const slot = Buffer.allocUnsafe(HEADER_BYTES + json.byteLength);
  slot.writeUInt32BE(crc32(json), 0);
  slot.writeUInt32BE(json.byteLength, 4);
  slot.set(json, HEADER_BYTES);
  return slot;
}

/** @returns null if it is damaged. @throws StorageError `STORAGE_FORMAT` */
function decodeSlot(slot: Uint8Array): SlotContent | null {
  if (slot.byteLength < HEADER_BYTES) return null;
  const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
  const length = view.getUint32(4);
  if (length > slot.byteLength - HEADER_BYTES) return null;
  const json = slot.subarray(HEADER_BYTES, HEADER_BYTES + length);
  if (length === 0 || crc32(json) !== view.getUint32(0)) return null;
  const fields = new Fields('of the superblock', JSON.parse(Buffer.from(json).toString()));
  const format = fields.integer('format');
  checkFormat('the superblock', format);
  const votedFor = fields.textOrNull('votedFor');
  return {
    seq: fields.integer('seq'),
    state: {
      format,
      clusterId: fields.text('clusterId'),
      nodeId: fields.text('nodeId') as NodeId,
      writes: fields.integer('writes'),
      hardSeq: fields.integer('hardSeq'),
      currentTerm: fields.integer('currentTerm') as Term,
      votedFor: votedFor === null ? null : (votedFor as NodeId),
      lastIndex: fields.integer('lastIndex'),
      chain: fields.integer('chain'),
      snapshotIndex: fields.integer('snapshotIndex'),
    },
  };
}

/**
 * Compares what was found in the database with what the superblock knows of it.
 * @throws StorageCorruptError if the database is older, or another
 */
export function checkAgainstSuperblock(found: SuperblockState, known: SuperblockState, name: string): void {
  if (found.writes < known.writes) {
    throw new StorageCorruptError(
      `acknowledged writes are lost: the database ends with its write ${found.writes}, but ${name} knows of ${known.writes} ` +
        `(term ${known.currentTerm}, log up to entry ${known.lastIndex}; found: term ${found.currentTerm}, entry ${found.lastIndex}). ` +
        'Either its last writes were dropped, or the folder is an older copy',
    );
  }
  const isSame = found.writes === known.writes;
  const differing = DIFFERENCES.find(({ field, kind }) => {
    if (isSame || (kind === 'per hardSeq' && found.hardSeq === known.hardSeq)) {
      return found[field] !== known[field];
    }
    return kind === 'rises' && Number(found[field]) < Number(known[field]);
  });
  if (differing === undefined) return;
  const { field } = differing;
  throw new StorageCorruptError(
    `the database is not the one that ${name} was written beside: ` +
      `after write ${known.writes} ${field} was ${String(known[field])}, in the database it is ${String(found[field])}`,
  );
}

/** What must be equal after the same write, and how it may have changed after later ones. */
const DIFFERENCES: readonly {
  readonly field: Exclude<keyof SuperblockState, 'format' | 'clusterId' | 'nodeId' | 'writes'>;
  readonly kind: 'rises' | 'per hardSeq' | 'may change';
}[] = [
  { field: 'hardSeq', kind: 'rises' },
  { field: 'currentTerm', kind: 'rises' },
  { field: 'votedFor', kind: 'per hardSeq' },
  { field: 'snapshotIndex', kind: 'rises' },
  // A truncated log may end earlier, and differently.
  { field: 'lastIndex', kind: 'may change' },
  { field: 'chain', kind: 'may change' },
];
