import { resolve } from 'node:path';
import { Level } from 'level';
import type { KvOp, KvRange, KvStore, KvView } from './kv-store.ts';
import { refuseReportedCorruption } from './level-log-file.ts';
import { refuseDamagedWal } from './level-wal-check.ts';
import { LevelRangeReader } from './level-range-reader.ts';
import { DiskSlotFile } from './slot-file.ts';
import type { SlotFile } from './slot-file.ts';
import { CORRUPT_WAY_OUT, StorageError } from './storage-errors.ts';

type Database = Level<string, Uint8Array>;

/**
 * Larger than LevelDB's 4 MiB: the log is rewritten less often by background compaction, which competes with the
 * voters for two cores. Costs that much memory twice, and that much to read again at open.
 */
const WRITE_BUFFER_BYTES = 32 * 1024 * 1024;
const CACHE_BYTES = 16 * 1024 * 1024;
/** Records fetched by an iterator at a time. */
const ITERATE_RECORDS = 256;
const ITERATE_BYTES = 1024 * 1024;

/**
 * Folders open in this process. `multithreading` (needed for synchronous range reads) makes LevelDB's own lock let the
 * same process in twice.
 */
const openFolders = new Set<string>();

/** The superblock of the database in `data/raft` is `data/raft.superblock`. */
export const SUPERBLOCK_SUFFIX = '.superblock';

export interface LevelKvOptions {
  readonly writeBufferBytes?: number;
}

/** A {@link KvStore} in a LevelDB folder. After any failed write it refuses all further ones (docs/storage.md). */
export class LevelKv implements KvStore {
  readonly slots: SlotFile;
  readonly #db: Database;
  readonly #folder: string;
  #rangeReader: LevelRangeReader | null = null;
  #batchInFlight = false;
  #poisonedBy: unknown = null;

  private constructor(db: Database, folder: string) {
    this.#db = db;
    this.#folder = folder;
    this.slots = new DiskSlotFile(folder + SUPERBLOCK_SUFFIX);
  }

  /**
   * Opens the database in `folder`, making it if there is none.
   * @throws StorageError `STORAGE_LOCKED`, `STORAGE_CORRUPT` or `STORAGE_UNAVAILABLE`
   */
  static async open(folder: string, options: LevelKvOptions = {}): Promise<LevelKv> {
    const path = resolve(folder);
    if (openFolders.has(path)) throw lockedError(path, undefined);
    openFolders.add(path);
    try {
      await checkBeforeOpen(path);
      const db: Database = new Level(path, {
        keyEncoding: 'utf8',
        valueEncoding: 'view',
        multithreading: true,
        compression: true,
        cacheSize: CACHE_BYTES,
        writeBufferSize: options.writeBufferBytes ?? WRITE_BUFFER_BYTES,
      });
      await db.open().catch((error: unknown) => {
        throw openError(path, error);
      });
      try {
        await refuseReportedCorruption(path);
      } catch (error) {
        await db.close();
        throw error;
      }
      return new LevelKv(db, path);
    } catch (error) {
      openFolders.delete(path);
      throw error;
    }
  }

  /** @throws StorageError `STORAGE_CORRUPT`: LevelDB finds damage only when it comes to read it */
  get(key: string): Uint8Array | undefined {
    try {
      return this.#db.getSync(key);
    } catch (error) {
      if (!/corrupt/i.test(messageOf(error))) throw error;
      throw corruptError(this.#folder, error);
    }
  }

  rangeSync(range: KvRange & { readonly limit: number }): readonly (readonly [string, Uint8Array])[] {
    this.#rangeReader ??= LevelRangeReader.start(this.#folder);
    return this.#rangeReader.read(range);
  }

  iterate(range: KvRange): AsyncIterable<readonly [string, Uint8Array]> {
    return scan(this.#db, range, null);
  }

  view(): KvView {
    const snapshot = this.#db.snapshot();
    return {
      iterate: (range) => scan(this.#db, range, snapshot),
      close: () => snapshot.close(),
    };
  }

  /** @throws StorageError `STORAGE_WRITE_FAILED`: the process must end. */
  async batch(ops: readonly KvOp[], options: { readonly sync: boolean }): Promise<void> {
    if (this.#batchInFlight) throw new Error('a batch is in flight already: the owner must serialize');
    if (this.#poisonedBy !== null) {
      throw new StorageError('STORAGE_WRITE_FAILED', 'an earlier write failed, nothing more may be written', {
        cause: this.#poisonedBy,
      });
    }
    this.#batchInFlight = true;
    try {
      // Several times cheaper than the array form of `batch`, which reads each op's fields from C++ by name.
      const batch = this.#db.batch();
      for (const op of ops) {
        if (op.kind === 'put') batch.put(op.key, op.value);
        else batch.del(op.key);
      }
      await batch.write({ sync: options.sync });
    } catch (error) {
      this.#poisonedBy = error;
      throw new StorageError(
        'STORAGE_WRITE_FAILED',
        `writing to ${this.#folder} failed: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    } finally {
      this.#batchInFlight = false;
    }
  }

  /** Waits for the batch in flight; the folder can be opened again afterwards. */
  async close(): Promise<void> {
    await this.#rangeReader?.close();
    this.#rangeReader = null;
    await this.slots.close();
    await this.#db.close();
    openFolders.delete(this.#folder);
  }
}

async function checkBeforeOpen(folder: string): Promise<void> {
  try {
    await refuseReportedCorruption(folder);
    await refuseDamagedWal(folder);
  } catch (error) {
    throw error instanceof StorageError ? error : openError(folder, error);
  }
}

async function* scan(
  db: Database,
  range: KvRange,
  snapshot: ReturnType<Database['snapshot']> | null,
): AsyncIterable<readonly [string, Uint8Array]> {
  const iterator = db.iterator({
    gte: range.gte,
    lt: range.lt,
    reverse: range.reverse ?? false,
    limit: range.limit ?? -1,
    highWaterMarkBytes: ITERATE_BYTES,
    ...(snapshot === null ? {} : { snapshot }),
  });
  try {
    for (;;) {
      const records = await iterator.nextv(ITERATE_RECORDS);
      if (records.length === 0) return;
      for (const record of records) yield record;
    }
  } finally {
    await iterator.close();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function lockedError(folder: string, cause: unknown): StorageError {
  return new StorageError(
    'STORAGE_LOCKED',
    `the data folder ${folder} is in use by another process; stop that process, or give this node a folder of its own`,
    { cause },
  );
}

function corruptError(folder: string, cause: unknown): StorageError {
  const message = `LevelDB cannot read ${folder}: ${messageOf(cause)}. ${CORRUPT_WAY_OUT}`;
  return new StorageError('STORAGE_CORRUPT', message, { cause });
}

/** LevelDB's reason is in the cause of what `level` throws. */
function openError(folder: string, error: unknown): StorageError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const reason = messageOf(cause);
  if (code === 'LEVEL_LOCKED') return lockedError(folder, cause);
  if (code === 'LEVEL_CORRUPTION') return corruptError(folder, cause);
  return new StorageError(
    'STORAGE_UNAVAILABLE',
    `the data folder ${folder} cannot be opened: ${reason}. Check that it exists, that this user may write there, and that the disk has room`,
    { cause },
  );
}
