/** Which data folder this is, and by which ones the other members are known: see node/peer-folders.ts. */
import type { NodeId } from '../core/types.ts';
import { Fields } from './json-fields.ts';
import type { KvOp, KvStore } from './kv-store.ts';
import { sealJson, unsealJson } from './sealed-record.ts';
import { StorageCorruptError } from './storage-errors.ts';

export const FOLDER_KEY = 'raft!folder';
export const PEER_FOLDERS_KEY = 'raft!peerfolders';

const encodeFolder = (id: string): Uint8Array => sealJson(FOLDER_KEY, { id });

/** @throws StorageCorruptError */
export function decodeFolder(record: Uint8Array): string {
  return new Fields(FOLDER_KEY, unsealJson(FOLDER_KEY, record)).text('id');
}

export const encodePeerFolders = (folders: ReadonlyMap<NodeId, string>): Uint8Array =>
  sealJson(PEER_FOLDERS_KEY, { folders: Object.fromEntries(folders) });

/** @throws StorageCorruptError */
export function decodePeerFolders(record: Uint8Array): Map<NodeId, string> {
  const folders = new Fields(PEER_FOLDERS_KEY, unsealJson(PEER_FOLDERS_KEY, record)).get('folders');
  if (typeof folders !== 'object' || folders === null)
    throw new StorageCorruptError(`record ${PEER_FOLDERS_KEY} has no proper folders`);
  return new Map(Object.entries(folders).map(([peer, folder]) => [peer as NodeId, String(folder)]));
}

/**
 * Whether the store has a name. Both records were written by one write and stay for good, so that one without the other is damage:
 * without the first the others would not know this server any more, without the second it would let in whoever comes.
 * @throws StorageCorruptError
 */
export function checkFolderRecords(kv: Pick<KvStore, 'get'>): boolean {
  const folder = kv.get(FOLDER_KEY);
  const peers = kv.get(PEER_FOLDERS_KEY);
  if (folder !== undefined) decodeFolder(folder);
  if (peers !== undefined) decodePeerFolders(peers);
  if ((folder === undefined) !== (peers === undefined)) {
    const [lost, there] =
      folder === undefined ? [FOLDER_KEY, PEER_FOLDERS_KEY] : [PEER_FOLDERS_KEY, FOLDER_KEY];
    throw new StorageCorruptError(`record ${lost} is missing although there is ${there}`);
  }
  return folder !== undefined;
}

/** The name of a store that has none yet; no other member is known. */
export const firstFolderRecords = (id: string): readonly KvOp[] => [
  { kind: 'put', key: FOLDER_KEY, value: encodeFolder(id) },
  { kind: 'put', key: PEER_FOLDERS_KEY, value: encodePeerFolders(new Map()) },
];
