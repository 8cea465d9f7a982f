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
import type { Random } from './random.ts';
import { check } from './sim-failure.ts';

const LOG_PREFIX = 'log!';
const RAFT_PREFIX = 'raft!';
/** Bits are turned in so many places, one at a time. */
const BIT_FLIPS = 4;

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
    const record = records.get(WRITES_KEY);
    const isKnown = (record === undefined ? 0 : decodeWrites(record)) < known;
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

async function knownWrites(slots: StoredRecords['slots']): Promise<number> {
  const file = new MemorySlotFile();
  file.slots = slots === null ? null : [slots[0], slots[1]];
  return (await Superblock.open(file)).state?.writes ?? 0;
}

function* damages(
  { records, replaced }: StoredRecords,
  random: Random,
): Generator<readonly [what: string, MemoryDisk]> {
  const packs = [...records.keys()].filter((key) => key.startsWith(LOG_PREFIX)).sort();
  const checked = [...packs, ...[...records.keys()].filter((key) => key.startsWith(RAFT_PREFIX))];
  for (let flip = 0; flip < BIT_FLIPS; flip++) {
    const key = random.pick(checked);
    const value = new Uint8Array(records.get(key) ?? []);
    const at = random.below(value.length);
    value[at] = (value[at] ?? 0) ^ (1 << random.below(8));
    yield [`a bit of ${key} is turned`, new Map(records).set(key, value)];
  }
  const hard = olderHardState(records, packs);
  if (hard !== null) yield [`${HARD_STATE_KEY} is an older one`, new Map(records).set(HARD_STATE_KEY, hard)];
  // That the last pack is lost as a part of its batch cannot be: batches are atomic. See checkLossIsFound.
  const inner = packs.slice(0, -1);
  if (inner.length === 0) return;
  const missing = random.pick(inner);
  const without = new Map(records);
  without.delete(missing);
  yield [`${missing} is missing`, without];
  for (const key of inner) {
    const old = replaced.get(key);
    if (old !== undefined) yield [`${key} is an older one`, new Map(records).set(key, old)];
  }
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
