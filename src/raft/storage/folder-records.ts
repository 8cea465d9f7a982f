/** Which data folder this is, and by which ones the other members are known: see node/peer-folders.ts. */
import type { NodeId } from '../core/types.ts';
import { Fields } from './json-fields.ts';
import { sealJson, unsealJson } from './sealed-record.ts';
import { StorageCorruptError } from './storage-errors.ts';

export const FOLDER_KEY = 'raft!folder';
export const PEER_FOLDERS_KEY = 'raft!peerfolders';

export const encodeFolder = (id: string): Uint8Array => sealJson(FOLDER_KEY, { id });

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
