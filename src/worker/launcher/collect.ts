/**
 * What is kept of an attempt's scratch folder (`collect`), once no process of it is left: small files go into the
 * result, larger ones are moved beside the output. Nothing here can fail the task: what is not kept is told in `leftOut`.
 */
import { constants } from 'node:fs';
import { lstat, mkdir, open, opendir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LIMITS } from '../../api/limits.ts';
import type { CollectedFile, CollectedFiles, FileContents } from '../../api/task-files.ts';
import { globDepth, globMatches } from './glob.ts';

export const COLLECT = {
  /** Files and folders looked at: a payload may leave a million. */
  entriesMax: 100_000,
  depthMax: 64,
} as const;

export interface Collected {
  readonly collected: CollectedFiles;
  readonly contents: FileContents;
}

interface Found {
  readonly path: string;
  readonly bytes: number;
}

/** What was found and is not kept, by reason. */
class LeftOut {
  readonly #reasons = new Map<string, { files: number; bytes: number }>();

  add(reason: string, bytes: number): void {
    const sum = this.#reasons.get(reason) ?? { files: 0, bytes: 0 };
    sum.files += 1;
    sum.bytes += bytes;
    this.#reasons.set(reason, sum);
  }

  sentence(): string | null {
    if (this.#reasons.size === 0) return null;
    const parts = [...this.#reasons].map(([reason, { files, bytes }]) => {
      const what = files === 1 ? '1 file' : `${files} files`;
      return bytes === 0 ? `${what}: ${reason}` : `${what} (${bytes} bytes): ${reason}`;
    });
    return `not kept: ${parts.join('; ')}`;
  }
}

/** `keepFolder` is made if a file goes there. @param patterns as submitted */
export async function collectFiles(
  scratch: string,
  patterns: readonly string[],
  keepFolder: string,
): Promise<Collected> {
  const leftOut = new LeftOut();
  const found = await findFiles(scratch, patterns, leftOut);
  const kept = withinLimits(found, leftOut);
  const replicated = smallest(kept);
  const files: CollectedFile[] = [];
  const contents: Record<string, string> = {};
  for (const file of kept) {
    const from = join(scratch, file.path);
    try {
      if (replicated.has(file.path)) {
        contents[file.path] = (await readExactly(from, file.bytes)).toString('base64');
        files.push({ ...file, kept: 'cluster' });
      } else {
        const to = join(keepFolder, file.path);
        await mkdir(dirname(to), { recursive: true, mode: 0o700 });
        await rename(from, to);
        files.push({ ...file, kept: 'node' });
      }
    } catch {
      leftOut.add('could not be read', file.bytes);
    }
  }
  return { collected: { files, leftOut: leftOut.sentence() }, contents };
}

/** Plain files that match, by path. No link is followed. */
async function findFiles(
  scratch: string,
  patterns: readonly string[],
  leftOut: LeftOut,
): Promise<readonly Found[]> {
  const depthMax = Math.min(COLLECT.depthMax, Math.max(0, ...patterns.map(globDepth)));
  const found: Found[] = [];
  const folders: { readonly path: string; readonly depth: number; readonly whole: boolean }[] = [
    { path: '', depth: 0, whole: false },
  ];
  let entries = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for await (const entry of await opendir(join(scratch, folder.path))) {
        entries += 1;
        if (entries > COLLECT.entriesMax) {
          leftOut.add(`more than ${COLLECT.entriesMax} files and folders; the rest was not looked at`, 0);
          return sorted(found);
        }
        const path = folder.path === '' ? entry.name : `${folder.path}/${entry.name}`;
        const wanted = folder.whole || patterns.some((pattern) => globMatches(pattern, path));
        const depth = folder.depth + 1;
        if (entry.isDirectory()) {
          // A folder that matches stands for all that is in it.
          const whole = wanted && depth < COLLECT.depthMax;
          if (whole || depth < depthMax) folders.push({ path, depth, whole });
        } else if (wanted && entry.isFile()) {
          await addFile(scratch, path, found, leftOut);
        }
      }
    } catch {
      leftOut.add(`folder ${folder.path === '' ? '.' : folder.path} could not be read`, 0);
    }
  }
  return sorted(found);
}

async function addFile(scratch: string, path: string, found: Found[], leftOut: LeftOut): Promise<void> {
  // What is not UTF-8 can't be named in JSON (and was read as U+FFFD).
  if (path.includes('\uFFFD')) {
    leftOut.add('the name is not UTF-8', 0);
    return;
  }
  try {
    found.push({ path, bytes: (await lstat(join(scratch, path))).size });
  } catch {
    leftOut.add('could not be read', 0);
  }
}

function sorted(found: readonly Found[]): readonly Found[] {
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function withinLimits(found: readonly Found[], leftOut: LeftOut): readonly Found[] {
  const kept: Found[] = [];
  let bytes = 0;
  let chars = 0;
  for (const file of found) {
    if (kept.length >= LIMITS.collectFilesMax) {
      leftOut.add(`more than ${LIMITS.collectFilesMax} files`, file.bytes);
    } else if (file.path.length > LIMITS.filePathCharsMax) {
      leftOut.add(`a path of more than ${LIMITS.filePathCharsMax} characters`, file.bytes);
    } else if (chars + file.path.length > LIMITS.collectPathCharsMax) {
      leftOut.add(`more than ${LIMITS.collectPathCharsMax} characters of paths`, file.bytes);
    } else if (bytes + file.bytes > LIMITS.collectBytesMax) {
      leftOut.add(`more than ${LIMITS.collectBytesMax} bytes`, file.bytes);
    } else {
      kept.push(file);
      bytes += file.bytes;
      chars += file.path.length;
    }
  }
  return kept;
}

/** Paths of those that fit into the result, the smallest first. */
function smallest(kept: readonly Found[]): ReadonlySet<string> {
  const paths = new Set<string>();
  let bytes = 0;
  for (const file of kept.toSorted((a, b) => a.bytes - b.bytes || (a.path < b.path ? -1 : 1))) {
    bytes += file.bytes;
    if (bytes > LIMITS.resultFilesBytesMax) break;
    paths.add(file.path);
  }
  return paths;
}

/** @throws Error if it is not (any more) a plain file of that size. */
async function readExactly(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.alloc(bytes);
    let at = 0;
    while (at < bytes) {
      const { bytesRead } = await file.read(buffer, at, bytes - at, at);
      if (bytesRead === 0) throw new Error('it became shorter');
      at += bytesRead;
    }
    return buffer;
  } finally {
    await file.close();
  }
}
