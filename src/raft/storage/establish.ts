/**
 * What open does first: finds out whether this is the first start, a store of an older format, or a store as usual; whose
 * it is; and leaves identity and superblock as they have to be. Each step can be cut off by a crash and is gone on with
 * at the next start.
 */
import type { Configuration, LogIndex, Term } from '../core/types.ts';
import type { KvOp, KvStore } from './kv-store.ts';
import {
  checkIdentity,
  encodeHard,
  encodeIdentity,
  encodeLogStart,
  encodeSnapshot,
  encodeWrites,
  foreignError,
  HARD_STATE_KEY,
  IDENTITY_KEY,
  LOG_START_KEY,
  prefixRange,
  SNAPSHOT_KEY,
  STORAGE_FORMAT,
  WRITES_KEY,
} from './records.ts';
import type { StorageIdentity } from './records.ts';
import { StorageCorruptError } from './storage-errors.ts';
import type { Superblock, SuperblockState } from './superblock.ts';

/** The first format with a superblock. */
const SUPERBLOCK_FORMAT = 2;

/**
 * @param bootstrap written into an empty store; of no effect on any other
 * @throws StorageError `STORAGE_FOREIGN`, `STORAGE_FORMAT`, `STORAGE_CORRUPT`
 */
export async function establish(
  kv: KvStore,
  superblock: Superblock,
  identity: StorageIdentity,
  bootstrap: Configuration,
): Promise<void> {
  const known = superblock.state;
  const record = kv.get(IDENTITY_KEY);
  const format = record === undefined ? null : checkIdentity(record, identity);
  if (known !== null && (known.clusterId !== identity.clusterId || known.nodeId !== identity.nodeId)) {
    throw foreignError(superblock.name, known, identity);
  }
  if (format === null) {
    await refuseRemains(kv);
    if (known !== null && known.writes > 0) throw emptiedError(superblock.name, known);
    if (known === null) await superblock.create(blank(identity));
    await kv.batch(firstRecords(identity, bootstrap), { sync: true });
  } else if (format < SUPERBLOCK_FORMAT) {
    if (known !== null && known.writes > 0) {
      throw new StorageCorruptError(
        `the database has format ${format}, but ${superblock.name} tells of ${known.writes} writes in format ${known.format}: ` +
          'the database is an older copy, from before the change of format',
      );
    }
    if (known === null) await superblock.create(blank(identity));
    const ops: readonly KvOp[] = [
      { kind: 'put', key: IDENTITY_KEY, value: encodeIdentity(identity) },
      { kind: 'put', key: WRITES_KEY, value: encodeWrites(1) },
    ];
    await kv.batch(ops, { sync: true });
  } else if (known === null) {
    throw new StorageCorruptError(
      `the superblock ${superblock.name} is missing although there is a database`,
    );
  }
}

/** Of a store in which nothing is written yet. */
function blank(identity: StorageIdentity): SuperblockState {
  return {
    format: STORAGE_FORMAT,
    ...identity,
    writes: 0,
    hardSeq: 0,
    currentTerm: 0 as Term,
    votedFor: null,
    lastIndex: 0,
    chain: 0,
    snapshotIndex: 0,
  };
}

async function refuseRemains(kv: KvStore): Promise<void> {
  for (const prefix of ['raft!', 'log!', 'snap!', 'sm!']) {
    for await (const [key] of kv.iterate({ ...prefixRange(prefix), limit: 1 })) {
      throw new StorageCorruptError(`record ${IDENTITY_KEY} is missing although there is ${key}`);
    }
  }
}

function emptiedError(name: string, known: SuperblockState): StorageCorruptError {
  return new StorageCorruptError(
    `the database is empty, but ${name} knows of ${known.writes} writes ` +
      `(term ${known.currentTerm}, log up to entry ${known.lastIndex}): its folder was wiped or is another one`,
  );
}

function firstRecords(identity: StorageIdentity, bootstrap: Configuration): readonly KvOp[] {
  const hard = { seq: 0, currentTerm: 0 as Term, votedFor: null };
  const snapshot = {
    index: 0 as LogIndex,
    term: 0 as Term,
    config: bootstrap,
    chunks: 0,
    bytes: 0,
    crc: 0,
    generation: 1,
  };
  return [
    { kind: 'put', key: IDENTITY_KEY, value: encodeIdentity(identity) },
    { kind: 'put', key: WRITES_KEY, value: encodeWrites(1) },
    { kind: 'put', key: HARD_STATE_KEY, value: encodeHard(hard) },
    { kind: 'put', key: SNAPSHOT_KEY, value: encodeSnapshot(snapshot) },
    { kind: 'put', key: LOG_START_KEY, value: encodeLogStart({ index: 1 as LogIndex, chain: 0 }) },
  ];
}
