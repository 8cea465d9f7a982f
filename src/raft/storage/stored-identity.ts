import type { NodeId } from '../core/types.ts';
import { Fields } from './json-fields.ts';
import type { KvStore } from './kv-store.ts';
import { IDENTITY_KEY } from './records.ts';
import type { StorageIdentity } from './records.ts';
import { unsealJson } from './sealed-record.ts';

/**
 * Whose data a store holds; null if nothing is stored yet. Asked before the store is opened as a whole, which is when
 * everything in it is checked.
 * @throws StorageCorruptError
 */
export function storedIdentity(kv: Pick<KvStore, 'get'>): StorageIdentity | null {
  const record = kv.get(IDENTITY_KEY);
  if (record === undefined) return null;
  const fields = new Fields(IDENTITY_KEY, unsealJson(IDENTITY_KEY, record));
  return { clusterId: fields.text('clusterId'), nodeId: fields.text('nodeId') as NodeId };
}
