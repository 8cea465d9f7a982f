/**
 * The log on disk: each flush adds one value (a *pack*) that holds all its entries, under the index of the first.
 *
 *     pack body = chain before:u32  hard state seq:f64  entry block
 *
 * The chain is a running CRC32 over the entries' bytes from the first entry ever: each pack names the value before it, so a
 * pack that is missing, old or from elsewhere does not fit between its neighbours. It does not depend on how entries
 * are cut into packs.
 *
 * This class knows where the packs are; it composes writes but does none. Composing counts as written: a
 * write that fails ends the process.
 */
import { crc32 } from 'node:zlib';
import { ByteReader, MalformedBytesError } from '../byte-reader.ts';
import {
  BLOCK_HEADER_BYTES,
  entryBlockBytes,
  entryBytes,
  readEntryBlock,
  writeEntryBlock,
} from '../entry-block.ts';
import type { Entry, LogIndex, Term } from '../core/types.ts';
import type { KvOp, KvStore, KvView } from './kv-store.ts';
import { encodeLogStart, LOG_START_KEY, logKey, prefixRange } from './records.ts';
import type { LogStartRecord } from './records.ts';
import { seal, SEAL_BYTES, unseal, unsealedRecord } from './sealed-record.ts';
import { StorageCorruptError } from './storage-errors.ts';

const PACK_HEADER_BYTES = 12;
/** A flush with more than this is cut into several packs (of one batch), so that no value gets huge. */
const PACK_BYTES_MAX = 1024 * 1024;

interface Pack {
  readonly first: number;
  readonly last: number;
  readonly chainBefore: number;
  readonly chainAfter: number;
  readonly bytes: number;
}

/** The log from this index on has this term (until the next such mark). */
interface TermStart {
  readonly index: number;
  readonly term: Term;
}

interface DecodedPack {
  readonly chainBefore: number;
  readonly chainAfter: number;
  readonly hardSeq: number;
  readonly entries: readonly Entry[];
}

/** How much of the log stays when a snapshot covers it, for followers that are a little behind. */
export interface TrailingLog {
  readonly entries: number;
  readonly bytes: number;
}

/** What stays besides, for those that are being brought up to date: all that comes after an index, within bounds. */
export interface NeededLog {
  /** Infinity: nothing. */
  readonly after: number;
  readonly bytes: number;
}

export const NOTHING_NEEDED: NeededLog = { after: Infinity, bytes: 0 };

export class LogPacks {
  readonly #kv: Pick<KvStore, 'get'>;
  #packs: Pack[] = [];
  #termStarts: TermStart[] = [];
  #start: LogStartRecord;

  private constructor(kv: Pick<KvStore, 'get'>, start: LogStartRecord) {
    this.#kv = kv;
    this.#start = start;
  }

  /**
   * Reads and checks the whole log.
   * @throws StorageCorruptError
   */
  static async load(
    kv: KvStore,
    start: LogStartRecord,
    hardSeq: number,
  ): Promise<{ readonly packs: LogPacks; readonly entries: readonly Entry[] }> {
    const packs = new LogPacks(kv, start);
    const entries: Entry[] = [];
    for await (const [key, record] of kv.iterate(prefixRange('log!'))) {
      const pack = decodePack(key, record);
      const first = pack.entries[0];
      if (first === undefined || key !== logKey(first.index))
        throw new StorageCorruptError(`${key} holds other entries`);
      if (first.index !== packs.lastIndex + 1) {
        throw new StorageCorruptError(
          `the log has a hole: after entry ${packs.lastIndex} comes entry ${first.index}`,
        );
      }
      if (pack.chainBefore !== packs.chainTip) {
        throw new StorageCorruptError(
          `entry ${first.index} does not continue the log before it (chain value)`,
        );
      }
      if (pack.hardSeq > hardSeq) {
        throw new StorageCorruptError(
          `the vote record is older than the log (its write ${pack.hardSeq} is missing)`,
        );
      }
      packs.#add(pack.entries, pack.chainBefore, pack.chainAfter, record.byteLength);
      for (const entry of pack.entries) {
        const before = entries.at(-1);
        if (before !== undefined && entry.term < before.term) {
          throw new StorageCorruptError(
            `terms go back from ${before.term} to ${entry.term} at entry ${entry.index}`,
          );
        }
        entries.push(entry);
      }
    }
    return { packs, entries };
  }

  get firstIndex(): number {
    return this.#start.index;
  }

  get lastIndex(): number {
    return this.#packs.at(-1)?.last ?? this.#start.index - 1;
  }

  /** The chain value after the last entry. */
  get chainTip(): number {
    return this.#packs.at(-1)?.chainAfter ?? this.#start.chain;
  }

  /** The term of a kept entry; null if `index` is not in the log. */
  termAt(index: number): Term | null {
    if (index < this.firstIndex || index > this.lastIndex) return null;
    return this.#termStarts.findLast((start) => start.index <= index)?.term ?? null;
  }

  /** Ops that first drop the entries from `truncateFrom` on (null: none), then append. */
  compose(truncateFrom: LogIndex | null, append: readonly Entry[], hardSeq: number): readonly KvOp[] {
    const ops: KvOp[] = [];
    if (truncateFrom !== null && truncateFrom <= this.lastIndex) this.#truncate(ops, truncateFrom, hardSeq);
    let from = 0;
    while (from < append.length) {
      let until = from;
      let bytes = 0;
      for (let entry = append[until]; entry !== undefined; entry = append[until]) {
        const size = entryBytes(entry);
        if (until > from && bytes + size > PACK_BYTES_MAX) break;
        bytes += size;
        until += 1;
      }
      this.#put(ops, from === 0 && until === append.length ? append : append.slice(from, until), hardSeq);
      from = until;
    }
    return ops;
  }

  /** Ops that drop whole packs up to `through`. */
  composeCompaction(through: LogIndex): readonly KvOp[] {
    const ops: KvOp[] = [];
    const chainEnd = this.chainTip;
    const indexEnd = this.lastIndex + 1;
    const kept = this.#packs.findIndex((pack) => pack.last > through);
    const dropped = this.#packs.splice(0, kept === -1 ? this.#packs.length : kept);
    if (dropped.length === 0) return ops;
    for (const pack of dropped) ops.push({ kind: 'del', key: logKey(pack.first) });
    const first = this.#packs[0];
    this.#setStart(ops, {
      index: (first?.first ?? indexEnd) as LogIndex,
      chain: first?.chainBefore ?? chainEnd,
    });
    const oldest = this.#termStarts.findLastIndex((start) => start.index <= this.firstIndex);
    if (oldest > 0) this.#termStarts.splice(0, oldest);
    return ops;
  }

  /** Ops that empty the log: it goes on after `index`. */
  composeReset(index: LogIndex): readonly KvOp[] {
    const ops: KvOp[] = this.#packs.map((pack) => ({ kind: 'del', key: logKey(pack.first) }) as const);
    this.#packs = [];
    this.#termStarts = [];
    this.#setStart(ops, { index: (index + 1) as LogIndex, chain: 0 });
    return ops;
  }

  /**
   * The last index that may go once there is a snapshot at `snapshotIndex`: of what it covers stays what either of the two
   * asks for. Whole packs count.
   */
  compactionPoint(snapshotIndex: LogIndex, trailing: TrailingLog, needed: NeededLog): LogIndex {
    let keptBytes = 0;
    let firstKept = this.lastIndex + 1;
    for (let i = this.#packs.length - 1; i >= 0; i--) {
      const pack = this.#packs[i];
      if (pack === undefined) break;
      const bytes = keptBytes + (pack.last <= snapshotIndex ? pack.bytes : 0);
      const trails = snapshotIndex - firstKept + 1 < trailing.entries && bytes <= trailing.bytes;
      const isNeeded = firstKept - 1 > needed.after && bytes <= needed.bytes;
      if (!trails && !isNeeded) break;
      keptBytes = bytes;
      firstKept = pack.first;
    }
    return Math.max(0, Math.min(snapshotIndex, firstKept - 1)) as LogIndex;
  }

  #truncate(ops: KvOp[], from: LogIndex, hardSeq: number): void {
    let cut: Pack | undefined;
    while ((this.#packs.at(-1)?.last ?? 0) >= from) {
      cut = this.#packs.pop();
      if (cut !== undefined) ops.push({ kind: 'del', key: logKey(cut.first) });
    }
    while ((this.#termStarts.at(-1)?.index ?? 0) >= from) this.#termStarts.pop();
    if (cut === undefined || cut.first >= from) return;
    const key = logKey(cut.first);
    const record = this.#kv.get(key);
    if (record === undefined) throw new StorageCorruptError(`record ${key} has vanished`);
    while ((this.#termStarts.at(-1)?.index ?? 0) >= cut.first) this.#termStarts.pop();
    const kept = decodePack(key, record).entries.slice(0, from - cut.first);
    this.#put(ops, kept, hardSeq);
  }

  #put(ops: KvOp[], entries: readonly Entry[], hardSeq: number): void {
    const first = entries[0];
    if (first === undefined) return;
    if (first.index !== this.lastIndex + 1) {
      throw new Error(`entry ${first.index} cannot follow entry ${this.lastIndex}`);
    }
    const key = logKey(first.index);
    const chainBefore = this.chainTip;
    const record = unsealedRecord(PACK_HEADER_BYTES + entryBlockBytes(entries));
    let at = record.writeUInt32BE(chainBefore, SEAL_BYTES);
    at = record.writeDoubleBE(hardSeq, at);
    writeEntryBlock(record, at, entries);
    const chainAfter = crc32(record.subarray(at + BLOCK_HEADER_BYTES), chainBefore);
    ops.push({ kind: 'put', key, value: seal(key, record) });
    this.#add(entries, chainBefore, chainAfter, record.byteLength);
  }

  #add(entries: readonly Entry[], chainBefore: number, chainAfter: number, bytes: number): void {
    const first = entries[0];
    const last = entries.at(-1);
    if (first === undefined || last === undefined) return;
    this.#packs.push({ first: first.index, last: last.index, chainBefore, chainAfter, bytes });
    let term = this.#termStarts.at(-1)?.term;
    if (last.term === term) return;
    for (const entry of entries) {
      if (entry.term === term) continue;
      term = entry.term;
      this.#termStarts.push({ index: entry.index, term });
    }
  }

  #setStart(ops: KvOp[], start: LogStartRecord): void {
    this.#start = start;
    ops.push({ kind: 'put', key: LOG_START_KEY, value: encodeLogStart(start) });
  }
}

/** Entries that were written at once, as they lie in the store. */
export interface StoredStretch {
  readonly chainBefore: number;
  readonly chainAfter: number;
  readonly entries: readonly Entry[];
}

/**
 * Reads the log as it is stored, not as it is remembered.
 * @throws StorageCorruptError at a record that does not match its checksum or cannot be decoded
 */
export async function* readStoredLog(source: Pick<KvView, 'iterate'>): AsyncIterable<StoredStretch> {
  for await (const [key, record] of source.iterate(prefixRange('log!'))) {
    const { chainBefore, chainAfter, entries } = decodePack(key, record);
    yield { chainBefore, chainAfter, entries };
  }
}

function decodePack(key: string, record: Uint8Array): DecodedPack {
  const body = unseal(key, record);
  try {
    const reader = new ByteReader(body);
    const chainBefore = reader.u32();
    const hardSeq = reader.safeInteger();
    const chainAfter = crc32(body.subarray(reader.at + BLOCK_HEADER_BYTES), chainBefore);
    const entries = readEntryBlock(reader);
    reader.end();
    return { chainBefore, chainAfter, hardSeq, entries };
  } catch (error) {
    if (!(error instanceof MalformedBytesError)) throw error;
    throw new StorageCorruptError(`record ${key}: ${error.message}`, { cause: error });
  }
}
