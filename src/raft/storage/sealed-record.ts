/**
 * How every record of the storage stands on disk: `crc:u32 body`. The CRC covers the key too, so that a record
 * that turns up under another key is noticed. LevelDB has checksums of its own, but neither verifies them on reads nor
 * reports what it dropped at recovery (docs/storage.md).
 */
import { crc32 } from 'node:zlib';
import { StorageCorruptError } from './storage-errors.ts';

export const SEAL_BYTES = 4;

/** A buffer for a record with a body of `bodyBytes`: write the body from {@link SEAL_BYTES} on, then {@link seal} it. */
export function unsealedRecord(bodyBytes: number): Buffer {
  return Buffer.allocUnsafe(SEAL_BYTES + bodyBytes);
}

/** Puts the CRC in front of the body that is already in `record`. */
export function seal(key: string, record: Buffer): Uint8Array {
  record.writeUInt32BE(crc32(record.subarray(SEAL_BYTES), crc32(key)), 0);
  return record;
}

/** {@link seal} for a body that exists already (copies it). */
export function sealBytes(key: string, body: Uint8Array): Uint8Array {
  const record = unsealedRecord(body.byteLength);
  record.set(body, SEAL_BYTES);
  return seal(key, record);
}

/** {@link seal} for small records that people may want to read with a LevelDB tool. */
export function sealJson(key: string, value: unknown): Uint8Array {
  return sealBytes(key, Buffer.from(JSON.stringify(value)));
}

/**
 * Checks the CRC and returns the body (a view).
 * @throws StorageCorruptError
 */
export function unseal(key: string, record: Uint8Array): Uint8Array {
  if (record.byteLength < SEAL_BYTES) throw new StorageCorruptError(`record ${key} is cut off`);
  const body = record.subarray(SEAL_BYTES);
  const expected = new DataView(record.buffer, record.byteOffset, SEAL_BYTES).getUint32(0);
  if (crc32(body, crc32(key)) !== expected)
    throw new StorageCorruptError(`record ${key} does not match its checksum`);
  return body;
}

/** The value of a record written by {@link sealJson}. @throws StorageCorruptError */
export function unsealJson(key: string, record: Uint8Array): unknown {
  const body = unseal(key, record);
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
  } catch (error) {
    throw new StorageCorruptError(`record ${key} is not readable`, { cause: error });
  }
}
