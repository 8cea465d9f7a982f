/**
 * Reads LevelDB's write-ahead log before LevelDB does, because LevelDB takes damage in its last 32 KiB for a write that
 * the crash cut off: it drops everything from there on without a word, acknowledged writes included (docs/storage.md).
 *
 * Format (leveldb/doc/log_format.md): blocks of 32 KiB; a record is `masked crc32c:u32le length:u16le type:u8 data`, in
 * one block; a batch is one FULL record, or FIRST, MIDDLE …, LAST in consecutive blocks; zeros fill the end of a block.
 *
 * A write that was cut off is the last one: every batch is synced before the next is begun. So where something
 * unreadable is followed by the start of another batch, an acknowledged write is damaged.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StorageCorruptError } from './storage-errors.ts';

const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const TYPE_FULL = 1;
const TYPE_FIRST = 2;
const TYPE_LAST = 4;

/** CRC-32C (Castagnoli), which zlib does not have. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0);
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** The record that begins at `at`, if a sound one does. `blockEnd` bounds it. */
function soundRecord(
  wal: Buffer,
  at: number,
  blockEnd: number,
): { readonly type: number; readonly end: number } | null {
  if (at + HEADER_BYTES > blockEnd) return null;
  const type = wal.readUInt8(at + 6);
  const end = at + HEADER_BYTES + wal.readUInt16LE(at + 4);
  if (type < TYPE_FULL || type > TYPE_LAST || end > blockEnd) return null;
  return wal.readUInt32LE(at) === maskedCrc(wal.subarray(at + 6, end)) ? { type, end } : null;
}

/** Where the first unreadable record begins; null if there is none. */
function firstUnsound(wal: Buffer): number | null {
  for (let block = 0; block < wal.byteLength; block += BLOCK_BYTES) {
    const blockEnd = Math.min(block + BLOCK_BYTES, wal.byteLength);
    let at = block;
    while (at + HEADER_BYTES <= blockEnd) {
      const record = soundRecord(wal, at, blockEnd);
      if (record === null) return at;
      at = record.end;
    }
  }
  return null;
}

/** Whether a batch begins after `damage`. In the damaged block records may begin anywhere. */
function batchBeginsAfter(wal: Buffer, damage: number): boolean {
  const ownBlockEnd = Math.min(damage - (damage % BLOCK_BYTES) + BLOCK_BYTES, wal.byteLength);
  for (let at = damage + 1; at < ownBlockEnd; at++) {
    const type = soundRecord(wal, at, ownBlockEnd)?.type;
    if (type === TYPE_FULL || type === TYPE_FIRST) return true;
  }
  for (let block = ownBlockEnd; block < wal.byteLength; block += BLOCK_BYTES) {
    const blockEnd = Math.min(block + BLOCK_BYTES, wal.byteLength);
    for (
      let record = soundRecord(wal, block, blockEnd);
      record !== null;
      record = soundRecord(wal, record.end, blockEnd)
    ) {
      if (record.type === TYPE_FULL || record.type === TYPE_FIRST) return true;
    }
  }
  return false;
}

/** What is wrong with the bytes of a write-ahead log, other than that its last batch may be cut off; null if nothing. */
export function damageOfWal(wal: Buffer): string | null {
  const damage = firstUnsound(wal);
  if (damage === null || !batchBeginsAfter(wal, damage)) return null;
  return `the write at byte ${damage} is damaged, and others follow it`;
}

/**
 * Checks the write-ahead logs of the LevelDB folder, which must not be open.
 * @throws StorageCorruptError
 */
export async function refuseDamagedWal(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names.filter((candidate) => /^\d+\.log$/.test(candidate))) {
    const damage = damageOfWal(await readFile(join(folder, name)));
    if (damage !== null) throw new StorageCorruptError(`LevelDB's file ${join(folder, name)}: ${damage}`);
  }
}
