import type { KvStore } from './kv-store.ts';
import { IDENTITY_KEY } from './records.ts';
import { unsealJson } from './sealed-record.ts';

/**
 * The cluster a store belongs to; null if nothing is stored yet. Asked before the store is opened as a whole, which is when
 * everything in it is checked.
 * @throws StorageCorruptError
 */
export function storedClusterId(kv: Pick<KvStore, 'get'>): string | null {
  const record = kv.get(IDENTITY_KEY);
  if (record === undefined) return null;
  const identity = unsealJson(IDENTITY_KEY, record);
  const found =
    typeof identity === 'object' && identity !== null && 'clusterId' in identity ? identity.clusterId : null;
  return typeof found === 'string' ? found : null;
}
