/**
 * LevelDB reports what it dropped at recovery nowhere but in its own text file `LOG`, and renames that file to
 * `LOG.old` at each open. A byte flipped in the middle of its write-ahead log makes it skip the record and go on, and the
 * next open finds nothing wrong any more. So the finding is kept in a marker file until the operator deals with it.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StorageCorruptError } from './storage-errors.ts';

export const CORRUPTION_MARKER = 'CORRUPTION-FOUND.txt';

const SUSPICIOUS = /dropping \d+ bytes|Corruption|ignoring error/;
/** Enough of the line to tell what it is about. */
const QUOTED_CHARACTERS_MAX = 300;

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Call before and after opening the database in `folder`: before, for what an earlier open or run left (it may have
 * been killed before it could look); after, for what this open found.
 * @throws StorageCorruptError, from then on at every call, until the marker is taken away.
 */
export async function refuseReportedCorruption(folder: string): Promise<void> {
  const marked = await readIfThere(join(folder, CORRUPTION_MARKER));
  if (marked !== null) {
    throw new StorageCorruptError(
      `an earlier start found, and noted in ${CORRUPTION_MARKER}: ${marked.trim()}`,
    );
  }
  const log = await readIfThere(join(folder, 'LOG'));
  const line = log?.split('\n').find((candidate) => SUSPICIOUS.test(candidate));
  if (line === undefined) return;
  const quoted = line.trim().slice(0, QUOTED_CHARACTERS_MAX);
  await writeFile(join(folder, CORRUPTION_MARKER), `${quoted}\n`, { flush: true });
  throw new StorageCorruptError(`LevelDB reported in ${join(folder, 'LOG')}: ${quoted}`);
}
