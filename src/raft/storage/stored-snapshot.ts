/** A snapshot in the store, read back. */
import { crc32 } from 'node:zlib';
import type { SnapshotMeta } from '../core/types.ts';
import type { KvView } from './kv-store.ts';
import { chunkKey, machinePrefix, prefixRange } from './records.ts';
import type { SnapshotRecord } from './records.ts';
import { unseal } from './sealed-record.ts';
import { StorageCorruptError } from './storage-errors.ts';

/** The checksum over all chunks, one after the other. */
export const continueCrc = (crc: number, chunk: Uint8Array): number => crc32(chunk, crc);

/** A snapshot and its stored records as they were when it was opened: see KvRaftStorage.openTransfer. */
export class SnapshotTransferView {
  readonly meta: SnapshotMeta;
  readonly #view: KvView;
  readonly #record: SnapshotRecord;

  constructor(view: KvView, record: SnapshotRecord) {
    this.#view = view;
    this.#record = record;
    this.meta = { index: record.index, term: record.term, config: record.config };
  }

  chunks(): AsyncIterable<Uint8Array> {
    return readChunks(this.#view, this.#record);
  }

  /** Relative keys, in order. */
  async *machineRecords(): AsyncIterable<readonly [key: string, value: Uint8Array]> {
    const prefix = machinePrefix(this.#record.generation);
    for await (const [key, record] of this.#view.iterate(prefixRange(prefix))) {
      yield [key.slice(prefix.length), unseal(key, record)];
    }
  }

  close(): Promise<void> {
    return this.#view.close();
  }
}

/** The chunks of the state machine's memory, in order. @throws StorageCorruptError */
export async function* readChunks(
  source: Pick<KvView, 'iterate'>,
  snapshot: SnapshotRecord,
): AsyncIterable<Uint8Array> {
  let next = 0;
  let crc = 0;
  const range = { gte: chunkKey(snapshot.index, 0), lt: chunkKey(snapshot.index, snapshot.chunks) };
  for await (const [key, record] of source.iterate(range)) {
    if (key !== chunkKey(snapshot.index, next)) break;
    const chunk = unseal(key, record);
    crc = continueCrc(crc, chunk);
    next += 1;
    yield chunk;
  }
  if (next !== snapshot.chunks)
    throw new StorageCorruptError(`snapshot ${snapshot.index} lacks chunk ${next} of ${snapshot.chunks}`);
  if (crc !== snapshot.crc)
    throw new StorageCorruptError(`snapshot ${snapshot.index} does not match its checksum`);
}
