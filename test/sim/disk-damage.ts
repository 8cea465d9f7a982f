/** I19: whatever of a stored log or vote is damaged, missing or old is noticed when the store is opened. */
import { isDeepStrictEqual } from 'node:util';
import type { RecoveredState } from '../../src/raft/core/types.ts';
import { ByteReader } from '../../src/raft/byte-reader.ts';
import { MemoryKv, type MemoryDisk } from '../../src/raft/storage/memory-kv.ts';
import { KvRaftStorage, type StorageOptions } from '../../src/raft/storage/raft-storage.ts';
import { decodeHard, encodeHard, HARD_STATE_KEY } from '../../src/raft/storage/records.ts';
import { unseal } from '../../src/raft/storage/sealed-record.ts';
import { StorageError } from '../../src/raft/storage/storage-errors.ts';
import type { Random } from './random.ts';
import { check } from './sim-failure.ts';

const LOG_PREFIX = 'log!';
const RAFT_PREFIX = 'raft!';
/** Bits are turned in so many places, one at a time. */
const BIT_FLIPS = 4;

export interface StoredRecords {
  readonly records: MemoryDisk;
  /** Values that stood under keys of the log before the present ones. */
  readonly replaced: ReadonlyMap<string, Uint8Array>;
}

/** Damages copies of the store, each in one way, and opens them: either that is refused, or nothing is different. */
export async function checkDamageIsFound(
  stored: StoredRecords,
  options: StorageOptions,
  random: Random,
): Promise<void> {
  const sound = await recover(stored.records, options);
  for (const [what, records] of damages(stored, random)) {
    let found: RecoveredState;
    try {
      found = await recover(records, options);
    } catch (error) {
      if (error instanceof StorageError) continue;
      throw error;
    }
    check(isDeepStrictEqual(found, sound), 'I19', () => `${what}: opened as if it were sound`);
  }
}

async function recover(records: MemoryDisk, options: StorageOptions): Promise<RecoveredState> {
  // Opening clears leftovers away: only in a copy.
  const { recovered } = await KvRaftStorage.open(new MemoryKv(new Map(records)), options);
  return recovered;
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
  // That the last write is lost is not for this to notice (level-wal-check.ts).
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
