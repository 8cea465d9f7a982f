/**
 * What can be wrong with a data folder. Every message says what is wrong and the way out. None of these is ever
 * handled by going on: the process that meets one ends (docs/storage.md).
 */
export type StorageErrorCode =
  /** Another process uses the folder. */
  | 'STORAGE_LOCKED'
  /** The folder cannot be opened (rights, no such disk, too many files, …). */
  | 'STORAGE_UNAVAILABLE'
  /** Records are missing or damaged. */
  | 'STORAGE_CORRUPT'
  /** The folder belongs to another node or another cluster. */
  | 'STORAGE_FOREIGN'
  /** Written by a newer version of this program. */
  | 'STORAGE_FORMAT'
  /** A write failed. Nothing after it may be written by this process (LevelDB could acknowledge and lose it). */
  | 'STORAGE_WRITE_FAILED';

export class StorageError extends Error {
  readonly code: StorageErrorCode;
  constructor(code: StorageErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.name = 'StorageError';
    this.code = code;
  }
}

/** Said with every kind of damage, because the tempting repair (cut the log and go on) loses acknowledged data. */
export const CORRUPT_WAY_OUT =
  'Nothing was changed. Do not repair or cut the data: entries that others rely on may be gone. ' +
  'Remove this server from the cluster, set the folder aside, and add the server again under a NEW id with an empty folder (docs/recovery.md, "A server\'s disk is lost or damaged").';

/** Damage was found by a check at open (or while a snapshot was read). */
export class StorageCorruptError extends StorageError {
  /** What is damaged, without the advice. */
  readonly damage: string;
  constructor(damage: string, options?: { readonly cause: unknown }) {
    super('STORAGE_CORRUPT', `the stored state is damaged: ${damage}. ${CORRUPT_WAY_OUT}`, options);
    this.name = 'StorageCorruptError';
    this.damage = damage;
  }
}

/** The other members know this one by another data folder. */
export class FolderReplacedError extends StorageError {
  constructor(id: string, by: string) {
    super(
      'STORAGE_FOREIGN',
      `${by} knows ${id} by another data folder than this one, which is new or was put in its place. A server that lost its folder ` +
        'may not come back under its id: it could vote twice, and what it acknowledged is gone. Put the old folder back, or give ' +
        `${id} up (clb raft remove ${id}) and start a server under a NEW --id with an empty --data and --join (docs/recovery.md, ` +
        '"A server\'s disk is lost or damaged").',
    );
    this.name = 'FolderReplacedError';
  }
}
