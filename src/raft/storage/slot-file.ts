/**
 * A small file of two slots, each overwritten in place: what the superblock is kept in (superblock.ts). It lies beside the
 * database, not in it, so that whatever happens to the database's folder does not happen to it.
 */
import { open, readFile, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StorageError } from './storage-errors.ts';

/** One block of usual disks and file systems, so that writing one slot does not touch the other. */
export const SLOT_BYTES = 4_096;

export type Slot = 0 | 1;

/** Any rejection of `create` or `write` is fatal: what the file holds is unknown then. */
export interface SlotFile {
  /** Where it is, for messages. */
  readonly name: string;
  /** Both slots ({@link SLOT_BYTES} each, or less if the file is cut off); null if there is no such file. */
  read(): Promise<readonly [Uint8Array, Uint8Array] | null>;
  /** Makes the file, with `content` in both slots: after a crash it is there as a whole or not at all. */
  create(content: Uint8Array): Promise<void>;
  /** Overwrites one slot. Durable when resolved; after a crash in between that slot may hold anything. One at a time. */
  write(slot: Slot, content: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** A {@link SlotFile} in the file system. */
export class DiskSlotFile implements SlotFile {
  readonly name: string;
  #file: FileHandle | null = null;

  constructor(path: string) {
    this.name = path;
  }

  async read(): Promise<readonly [Uint8Array, Uint8Array] | null> {
    try {
      const bytes = await readFile(this.name);
      return [bytes.subarray(0, SLOT_BYTES), bytes.subarray(SLOT_BYTES, 2 * SLOT_BYTES)];
    } catch (error) {
      if (isNotThere(error)) return null;
      throw new StorageError('STORAGE_UNAVAILABLE', `${this.name} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  async create(content: Uint8Array): Promise<void> {
    const temporary = `${this.name}.new`;
    try {
      const file = await open(temporary, 'w');
      try {
        await file.write(twice(content));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.name);
      await syncFolder(dirname(this.name));
    } catch (error) {
      throw writeFailed(this.name, error);
    }
  }

  async write(slot: Slot, content: Uint8Array): Promise<void> {
    try {
      this.#file ??= await open(this.name, 'r+');
      await this.#file.write(padded(content), 0, SLOT_BYTES, slot * SLOT_BYTES);
      // The size never changes, so the data alone is what must reach the disk.
      await this.#file.datasync();
    } catch (error) {
      throw writeFailed(this.name, error);
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }
}

/** A {@link SlotFile} in memory, for tests. */
export class MemorySlotFile implements SlotFile {
  readonly name = 'the superblock in memory';
  slots: [Uint8Array, Uint8Array] | null = null;

  read(): Promise<readonly [Uint8Array, Uint8Array] | null> {
    return Promise.resolve(this.slots);
  }

  create(content: Uint8Array): Promise<void> {
    this.slots = [padded(content), padded(content)];
    return Promise.resolve();
  }

  write(slot: Slot, content: Uint8Array): Promise<void> {
    if (this.slots === null) throw new Error('there is no file to write to');
    this.slots[slot] = padded(content);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function padded(content: Uint8Array): Uint8Array {
  if (content.byteLength > SLOT_BYTES) {
    throw new RangeError(`${content.byteLength} bytes do not fit into a slot of ${SLOT_BYTES}`);
  }
  const slot = new Uint8Array(SLOT_BYTES);
  slot.set(content);
  return slot;
}

function twice(content: Uint8Array): Uint8Array {
  const slot = padded(content);
  return Buffer.concat([slot, slot]);
}

/** A renamed file is found after a power loss only once its folder is on the disk. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function writeFailed(name: string, cause: unknown): StorageError {
  return new StorageError('STORAGE_WRITE_FAILED', `writing to ${name} failed: ${messageOf(cause)}`, {
    cause,
  });
}

function isNotThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
