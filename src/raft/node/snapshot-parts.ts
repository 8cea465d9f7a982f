/**
 * A snapshot on its way to a peer: first the chunks of the state machine's memory, then its stored records. Each part
 * travels as the data of one `snapshotChunk` message:
 *
 *     part = 0:u8 chunk                                     one chunk, as it is stored here
 *          | 1:u8 (key length:u32 key value length:u32 value)*   records, keys relative
 *          | (nothing)                                      the last part, if there is nothing at all
 */
import { ByteReader, MalformedBytesError } from '../byte-reader.ts';
import type { LogIndex } from '../core/types.ts';
import type { SnapshotTransferView } from '../storage/stored-snapshot.ts';

const PART_CHUNK = 0;
const PART_RECORDS = 1;
/** A part with records is sent once it has this size. */
const RECORDS_BYTES = 256 * 1024;

export type SnapshotPart =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'chunk'; readonly chunk: Uint8Array }
  | { readonly kind: 'records'; readonly records: readonly (readonly [key: string, value: Uint8Array])[] };

/** The parts of the snapshot in `view`. `storedAt` tells which stored records belong to it. */
export async function* snapshotParts(
  view: SnapshotTransferView,
  storedAt: (index: LogIndex, key: string, value: Uint8Array) => boolean,
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of view.chunks()) yield Buffer.concat([Uint8Array.of(PART_CHUNK), chunk]);
  let records: Uint8Array[] = [];
  let bytes = 0;
  for await (const [key, value] of view.machineRecords()) {
    if (!storedAt(view.meta.index, key, value)) continue;
    const record = encodeRecord(key, value);
    records.push(record);
    bytes += record.byteLength;
    if (bytes < RECORDS_BYTES) continue;
    yield Buffer.concat([Uint8Array.of(PART_RECORDS), ...records]);
    records = [];
    bytes = 0;
  }
  if (records.length > 0) yield Buffer.concat([Uint8Array.of(PART_RECORDS), ...records]);
}

function encodeRecord(key: string, value: Uint8Array): Uint8Array {
  const keyBytes = Buffer.byteLength(key);
  const record = Buffer.allocUnsafe(8 + keyBytes + value.byteLength);
  let at = record.writeUInt32BE(keyBytes, 0);
  at += record.write(key, at);
  at = record.writeUInt32BE(value.byteLength, at);
  record.set(value, at);
  return record;
}

/** @throws MalformedBytesError */
export function readSnapshotPart(data: Uint8Array): SnapshotPart {
  if (data.byteLength === 0) return { kind: 'nothing' };
  const reader = new ByteReader(data);
  const kind = reader.u8();
  if (kind === PART_CHUNK) return { kind: 'chunk', chunk: reader.bytes(reader.left) };
  if (kind !== PART_RECORDS) throw new MalformedBytesError(`${kind} is no kind of snapshot part`);
  const records: (readonly [string, Uint8Array])[] = [];
  while (reader.left > 0) {
    const key = reader.text(reader.u32());
    records.push([key, reader.bytes(reader.u32())]);
  }
  return { kind: 'records', records };
}
