/** Keys and small records of the storage. docs/storage.md lists them all. */
import type { HardState, LogIndex, NodeId, SnapshotMeta, Term } from '../core/types.ts';
import { MalformedBytesError } from '../byte-reader.ts';
import { checkConfiguration } from '../entry-block.ts';
import { Fields } from './json-fields.ts';
import { keyNumber } from './kv-store.ts';
import type { KvRange } from './kv-store.ts';
import { sealJson, unsealJson } from './sealed-record.ts';
import { StorageCorruptError, StorageError } from './storage-errors.ts';

/**
 * Raised whenever an older program could misread what is written. 1: as released first. 2: with superblock and
 * {@link WRITES_KEY}. A store one format older is taken over at open; a newer one is refused (docs/storage.md).
 */
export const STORAGE_FORMAT = 2;
export const STORAGE_FORMAT_OLDEST = 1;

export const IDENTITY_KEY = 'raft!identity';
export const HARD_STATE_KEY = 'raft!hard';
export const SNAPSHOT_KEY = 'raft!snapshot';
export const LOG_START_KEY = 'raft!logstart';
export const WRITES_KEY = 'raft!writes';

export const logKey = (firstIndex: number): string => `log!${keyNumber(firstIndex)}`;
export const chunkKey = (index: number, chunk: number): string =>
  `snap!${keyNumber(index)}!${keyNumber(chunk)}`;
export const machinePrefix = (generation: number): string => `sm!${keyNumber(generation)}!`;

/** Everything whose key begins with `prefix`; `prefix` must end in '!'. */
export function prefixRange(prefix: string): KvRange {
  return { gte: prefix, lt: `${prefix.slice(0, -1)}"` };
}

/** Whose data this is. */
export interface StorageIdentity {
  readonly clusterId: string;
  readonly nodeId: NodeId;
}

/** {@link HardState} with a number that rises at each write: log packs name it, so a lost later write is noticed. */
export interface HardRecord extends HardState {
  readonly seq: number;
}

/** The commit point of a snapshot: its chunks count only once this is written. */
export interface SnapshotRecord extends SnapshotMeta {
  readonly chunks: number;
  readonly bytes: number;
  /** CRC32 over all chunks in order. */
  readonly crc: number;
  /** Which `sm!` prefix is in force. */
  readonly generation: number;
}

/** Where the kept log begins, so that missing packs at its front are noticed. */
export interface LogStartRecord {
  readonly index: LogIndex;
  /** The chain value before the first kept entry. */
  readonly chain: number;
}

export const encodeIdentity = (identity: StorageIdentity): Uint8Array =>
  sealJson(IDENTITY_KEY, { format: STORAGE_FORMAT, ...identity });
export const encodeHard = (hard: HardRecord): Uint8Array => sealJson(HARD_STATE_KEY, hard);
export const encodeSnapshot = (snapshot: SnapshotRecord): Uint8Array => sealJson(SNAPSHOT_KEY, snapshot);
export const encodeLogStart = (start: LogStartRecord): Uint8Array => sealJson(LOG_START_KEY, start);

/** How many writes this store has had: in every one of them. */
export const encodeWrites = (count: number): Uint8Array => sealJson(WRITES_KEY, { count });

/** @throws StorageCorruptError */
export function decodeWrites(record: Uint8Array): number {
  return new Fields(WRITES_KEY, unsealJson(WRITES_KEY, record)).integer('count');
}

/** @throws StorageError `STORAGE_FORMAT` if this program does not know the format `format` of `what` */
export function checkFormat(what: string, format: number): void {
  if (format >= STORAGE_FORMAT_OLDEST && format <= STORAGE_FORMAT) return;
  const way = format > STORAGE_FORMAT ? 'start a newer version of it' : 'upgrade one version after the other';
  throw new StorageError(
    'STORAGE_FORMAT',
    `${what} has format ${format}, this program reads ${STORAGE_FORMAT_OLDEST} to ${STORAGE_FORMAT}: ` +
      `${way} (docs/recovery.md, "A newer or older format")`,
  );
}

/** `what` belongs to another node or cluster. */
export function foreignError(what: string, found: StorageIdentity, expected: StorageIdentity): StorageError {
  return new StorageError(
    'STORAGE_FOREIGN',
    `${what} belongs to node ${found.nodeId} of cluster ${found.clusterId}, ` +
      `but this is node ${expected.nodeId} of cluster ${expected.clusterId}: give this node its own folder ` +
      '(docs/recovery.md, "Another node\'s folder")',
  );
}

/**
 * Checks that the folder is this node's. @returns the store's format
 * @throws StorageError `STORAGE_FOREIGN`, `STORAGE_FORMAT`, `STORAGE_CORRUPT`
 */
export function checkIdentity(record: Uint8Array, expected: StorageIdentity): number {
  const fields = new Fields(IDENTITY_KEY, unsealJson(IDENTITY_KEY, record));
  const format = fields.integer('format');
  checkFormat('the stored state', format);
  const found = { clusterId: fields.text('clusterId'), nodeId: fields.text('nodeId') as NodeId };
  if (found.clusterId !== expected.clusterId || found.nodeId !== expected.nodeId) {
    throw foreignError('the data folder', found, expected);
  }
  return format;
}

/** @throws StorageCorruptError */
export function decodeHard(record: Uint8Array): HardRecord {
  const fields = new Fields(HARD_STATE_KEY, unsealJson(HARD_STATE_KEY, record));
  const votedFor = fields.textOrNull('votedFor');
  return {
    seq: fields.integer('seq'),
    currentTerm: fields.integer('currentTerm') as Term,
    votedFor: votedFor === null ? null : (votedFor as NodeId),
  };
}

/** @throws StorageCorruptError */
export function decodeSnapshot(record: Uint8Array): SnapshotRecord {
  const fields = new Fields(SNAPSHOT_KEY, unsealJson(SNAPSHOT_KEY, record));
  try {
    return {
      index: fields.integer('index') as LogIndex,
      term: fields.integer('term') as Term,
      config: checkConfiguration(fields.get('config')),
      chunks: fields.integer('chunks'),
      bytes: fields.integer('bytes'),
      crc: fields.integer('crc'),
      generation: fields.integer('generation'),
    };
  } catch (error) {
    if (!(error instanceof MalformedBytesError)) throw error;
    throw new StorageCorruptError(`record ${SNAPSHOT_KEY}: ${error.message}`, { cause: error });
  }
}

/** @throws StorageCorruptError */
export function decodeLogStart(record: Uint8Array): LogStartRecord {
  const fields = new Fields(LOG_START_KEY, unsealJson(LOG_START_KEY, record));
  return { index: fields.integer('index') as LogIndex, chain: fields.integer('chain') };
}
