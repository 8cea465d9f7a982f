/** I19: whatever of a stored log or vote is damaged, missing or old is noticed when the store is opened. */
import { isDeepStrictEqual } from 'node:util';
import type { RecoveredState } from '../../src/raft/core/types.ts';
import { ByteReader } from '../../src/raft/byte-reader.ts';
import { MemoryKv, type MemoryDisk } from '../../src/raft/storage/memory-kv.ts';
import { KvRaftStorage, type StorageOptions } from '../../src/raft/storage/raft-storage.ts';
import {
  decodeHard,
  decodeWrites,
  encodeHard,
  HARD_STATE_KEY,
  WRITES_KEY,
} from '../../src/raft/storage/records.ts';
import { unseal } from '../../src/raft/storage/sealed-record.ts';
import { MemorySlotFile } from '../../src/raft/storage/slot-file.ts';
import { StorageError } from '../../src/raft/storage/storage-errors.ts';
import { Superblock } from '../../src/raft/storage/superblock.ts';
import type { FaultKind } from './faults.ts';
import type { Random } from './random.ts';
import type { SimDisk } from './sim-disk.ts';
import { check } from './sim-failure.ts';

const LOG_PREFIX = 'log!';
const RAFT_PREFIX = 'raft!';
/** Bits are turned in so many places, one at a time. */
const BIT_FLIPS = 4;
const LOST_BATCHES_MAX = 5;

export interface StoredRecords {
  readonly records: MemoryDisk;
  readonly slots: readonly [Uint8Array, Uint8Array] | null;
  /** The records as they were some time ago. */
  readonly olderCopy: MemoryDisk | null;
  /** The records as they would be without the last batches; null if that is further back than is known. */
  withoutLast(batches: number): MemoryDisk | null;
  /** Values that stood under keys of the log before the present ones. */
  readonly replaced: ReadonlyMap<string, Uint8Array>;
}

/** Damages copies of the store, each in one way, and opens them: either that is refused, or nothing is different. */
export async function checkDamageIsFound(
  stored: StoredRecords,
  options: StorageOptions,
  random: Random,
): Promise<void> {
  const { slots } = stored;
  const sound = await recover(stored.records, slots, options);
  for (const [what, records] of damages(stored, random)) {
    const found = await recoverOrRefuse(records, slots, options);
    check(
      found === null || isDeepStrictEqual(found, sound),
      'I19',
      () => `${what}: opened as if it were sound`,
    );
  }
  await checkLossIsFound(stored, options, random);
  await checkSlots(stored, options, random);
}

/**
 * Damages a disk that nobody uses, in one way that must be noticed when it is opened.
 * @returns what has struck
 */
export async function damageDisk(disk: SimDisk, random: Random): Promise<FaultKind | null> {
  const known = await knownWrites(disk.slots);
  const isKnownLoss = (records: MemoryDisk | null): records is MemoryDisk =>
    records !== null && writesOf(records) < known;
  const ways: (readonly [FaultKind, MemoryDisk])[] = [];
  if (disk.records.size > 0) ways.push(['bit of the store turned', withBitTurned(disk.records, random)]);
  const inner = packsOf(disk.records).slice(0, -1);
  if (inner.length > 0) ways.push(['record lost', withoutKey(disk.records, random.pick(inner))]);
  const lost = disk.withoutLast(random.between(1, LOST_BATCHES_MAX));
  if (isKnownLoss(lost)) ways.push(['last writes lost', lost]);
  if (isKnownLoss(disk.olderCopy)) ways.push(['old copy of the folder restored', disk.olderCopy]);
  if (known > 0) ways.push(['database wiped', new Map()]);
  if (ways.length === 0) return null;
  // They are seldom possible at such a moment.
  const rare = ways.filter(([kind]) => kind === 'record lost' || kind === 'last writes lost');
  const [kind, records] = random.pick([...ways, ...rare]);
  disk.records.clear();
  for (const [key, value] of records) disk.records.set(key, value);
  return kind;
}

async function recover(
  records: MemoryDisk,
  slots: StoredRecords['slots'],
  options: StorageOptions,
): Promise<RecoveredState> {
  // Opening changes both: only in copies.
  const file = new MemorySlotFile();
  file.slots = slots === null ? null : [slots[0], slots[1]];
  const { recovered } = await KvRaftStorage.open(new MemoryKv(new Map(records), file), options);
  return recovered;
}

/** null: the store was refused. */
async function recoverOrRefuse(
  records: MemoryDisk,
  slots: StoredRecords['slots'],
  options: StorageOptions,
): Promise<RecoveredState | null> {
  try {
    return await recover(records, slots, options);
  } catch (error) {
    if (error instanceof StorageError) return null;
    throw error;
  }
}

/** What the superblock knows of and the database does not have is noticed: lost last writes, an older copy, a wiped folder. */
async function checkLossIsFound(
  stored: StoredRecords,
  options: StorageOptions,
  random: Random,
): Promise<void> {
  const { slots, olderCopy } = stored;
  const known = await knownWrites(slots);
  const losses: (readonly [what: string, MemoryDisk | null])[] = [
    ['the last write is lost', stored.withoutLast(1)],
    ['the last writes are lost', stored.withoutLast(2 + random.below(4))],
    ['the database is an older copy', olderCopy],
    ['the database is wiped', new Map()],
  ];
  for (const [what, records] of losses) {
    if (records === null) continue;
    const isKnown = writesOf(records) < known;
    const found = await recoverOrRefuse(records, slots, options);
    check(!isKnown || found === null, 'I19', () => `${what}: opened as if it were sound`);
  }
}

/** One slot may be damaged, both may not. */
async function checkSlots(
  { records, slots }: StoredRecords,
  options: StorageOptions,
  random: Random,
): Promise<void> {
  if (slots === null) return;
  const garbage = Uint8Array.from({ length: 64 }, () => random.below(256));
  for (const one of [
    [garbage, slots[1]],
    [slots[0], garbage],
  ] as const) {
    check((await recoverOrRefuse(records, one, options)) !== null, 'I19', () => 'refused for one torn slot');
  }
  check(
    (await recoverOrRefuse(records, [garbage, garbage], options)) === null,
    'I19',
    () => 'opened without any superblock',
  );
}

function writesOf(records: MemoryDisk): number {
  const record = records.get(WRITES_KEY);
  return record === undefined ? 0 : decodeWrites(record);
}

async function knownWrites(slots: StoredRecords['slots']): Promise<number> {
  const file = new MemorySlotFile();
  file.slots = slots === null ? null : [slots[0], slots[1]];
  return (await Superblock.open(file)).state?.writes ?? 0;
}

function* damages(
  { records, replaced }: StoredRecords,
  random: Random,
): Generator<readonly [what: string, MemoryDisk]> {
  const packs = packsOf(records);
  for (let flip = 0; flip < BIT_FLIPS; flip++) yield ['a bit is turned', withBitTurned(records, random)];
  const hard = olderHardState(records, packs);
  if (hard !== null) yield [`${HARD_STATE_KEY} is an older one`, new Map(records).set(HARD_STATE_KEY, hard)];
  // That the last pack is lost as a part of its batch cannot be: batches are atomic. See checkLossIsFound.
  const inner = packs.slice(0, -1);
  if (inner.length === 0) return;
  const missing = random.pick(inner);
  yield [`${missing} is missing`, withoutKey(records, missing)];
  for (const key of inner) {
    const old = replaced.get(key);
    if (old !== undefined) yield [`${key} is an older one`, new Map(records).set(key, old)];
  }
}

function packsOf(records: MemoryDisk): string[] {
  return [...records.keys()].filter((key) => key.startsWith(LOG_PREFIX)).sort();
}

/** One bit of a record of log or hard state. */
function withBitTurned(records: MemoryDisk, random: Random): MemoryDisk {
  const keys = [...records.keys()].filter((key) => key.startsWith(LOG_PREFIX) || key.startsWith(RAFT_PREFIX));
  const key = random.pick(keys.sort());
  const value = new Uint8Array(records.get(key) ?? []);
  const at = random.below(value.length);
  value[at] = (value[at] ?? 0) ^ (1 << random.below(8));
  return new Map(records).set(key, value);
}

function withoutKey(records: MemoryDisk, key: string): MemoryDisk {
  const without = new Map(records);
  without.delete(key);
  return without;
}

/** The vote record as it may have been before the log's last write; null if it was the first. */
function olderHardState(records: MemoryDisk, packs: readonly string[]): Uint8Array | null {
  const last = packs.at(-1);
  const record = last === undefined ? undefined : records.get(last);
  const present = records.get(HARD_STATE_KEY);
  if (last === undefined || record === undefined || present === undefined) return null;
  const reader = new ByteReader(unseal(last, record));
  reader.u32();
  const seq = reader.safeInteger();
  return seq === 0 ? null : encodeHard({ ...decodeHard(present), seq: seq - 1, votedFor: null });
}
