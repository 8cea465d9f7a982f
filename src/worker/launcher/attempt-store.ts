/** The folders of attempts (layout.ts): made before the start, kept after the end for as long as somebody may ask. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rm,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { TaskFile } from '../../api/task-files.ts';
import type { AttemptRef, RunSpec } from '../../link/protocol.ts';
import type { Ending } from '../executor.ts';
import { attemptFolderName, parseAttemptFolderName } from './layout.ts';
import type { LauncherLayout } from './layout.ts';

export const KEPT = {
  /** Output of ended attempts stays until one of these is exceeded; the oldest goes first. */
  attemptsMax: 200,
  bytesMax: 1024 * 1024 * 1024,
  sparesMax: 32,
} as const;

const SCRATCH = 'scratch';
export const KEPT_FILES = 'files';
const FOLDER_MODE = 0o700;

export interface AttemptFolder {
  readonly path: string;
  readonly scratch: string;
  /** Inside the scratch folder, hidden so that the payload finds its folder empty. */
  readonly tmp: string;
  readonly script: string;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly result: string;
  /** Collected files that are not part of the result. */
  readonly files: string;
}

/** What an earlier launcher left in the folder of attempts. */
export interface FoundAttempt extends AttemptRef {
  readonly number: number;
  /** null: it was running when that launcher died. */
  readonly ending: Ending | null;
}

interface KeptFolder {
  readonly path: string;
  readonly bytes: number;
}

export class AttemptStore {
  readonly #layout: LauncherLayout;
  /** Oldest first. */
  #kept: KeptFolder[] = [];
  #keptBytes = 0;
  #trashed = 0;
  /**
   * Empty folders of attempts that are over, scratch folder included, for the next ones: making and removing three folders
   * costs more than half as much as starting a process.
   */
  #spares: string[] = [];
  #sparesMade = 0;

  constructor(layout: LauncherLayout) {
    this.#layout = layout;
  }

  /** Looks through what is there. */
  open(): readonly FoundAttempt[] {
    for (const place of [this.#layout.trash, this.#layout.spare]) {
      for (const name of readdirSync(place)) this.#delete(join(place, name));
    }
    const kept = readdirSync(this.#layout.kept).map((name) => {
      const path = join(this.#layout.kept, name);
      return { path, bytes: keptBytes(path), atMs: statSync(path).mtimeMs };
    });
    this.#kept = kept.sort((a, b) => a.atMs - b.atMs);
    this.#keptBytes = kept.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#trim();
    const found: FoundAttempt[] = [];
    for (const name of readdirSync(this.#layout.attempts)) {
      const ref = parseAttemptFolderName(name);
      if (ref === null) continue;
      found.push({ ...ref, ending: this.readEnding(ref, ref.number) });
    }
    return found;
  }

  folder(ref: AttemptRef, number: number): AttemptFolder {
    const path = join(this.#layout.attempts, attemptFolderName(ref, number));
    const scratch = join(path, SCRATCH);
    return {
      path,
      scratch,
      tmp: join(scratch, '.tmp'),
      script: join(path, 'script'),
      stdin: join(path, 'stdin'),
      stdout: join(path, 'stdout'),
      stderr: join(path, 'stderr'),
      result: join(path, 'result.json'),
      files: join(path, KEPT_FILES),
    };
  }

  /** Makes the folder and writes what the payload is given. @throws errors of the file system. */
  prepare(ref: AttemptRef, number: number, spec: RunSpec): AttemptFolder {
    const folder = this.folder(ref, number);
    const spare = this.#spares.pop();
    if (spare !== undefined) {
      renameSync(spare, folder.path);
    } else {
      mkdirSync(folder.path, { mode: FOLDER_MODE });
      mkdirSync(folder.scratch, { mode: FOLDER_MODE });
      mkdirSync(folder.tmp, { mode: FOLDER_MODE });
    }
    if (spec.script !== null) writeFileSync(folder.script, spec.script, { mode: 0o700 });
    for (const file of spec.files) putFile(folder.scratch, file);
    if (spec.stdin !== null) writeFileSync(folder.stdin, spec.stdin, { mode: 0o600 });
    return folder;
  }

  /** Keeps the ending until it is acknowledged. A half-written one is never seen. */
  writeEnding(ref: AttemptRef, number: number, ending: Ending): void {
    const { path, result } = this.folder(ref, number);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    writeFileSync(`${result}.new`, JSON.stringify(ending), { mode: 0o600 });
    renameSync(`${result}.new`, result);
  }

  /** null: there is none (yet). */
  readEnding(ref: AttemptRef, number: number): Ending | null {
    try {
      return JSON.parse(readFileSync(this.folder(ref, number).result, 'utf8')) as Ending;
    } catch {
      return null;
    }
  }

  /** Nothing runs in it any more. A scratch folder as empty as it was stays: most are, and the next attempt may have it. */
  cleanScratch(ref: AttemptRef, number: number): void {
    const { scratch, tmp } = this.folder(ref, number);
    if (!isUntouched(scratch, tmp)) this.#trash(scratch);
  }

  /** The ending is safe elsewhere: only output stays, as long as there is room for it. */
  release(ref: AttemptRef, number: number): void {
    const folder = this.folder(ref, number);
    const bytes = keptBytes(folder.path);
    const hasScratch = existsSync(folder.scratch);
    try {
      if (bytes > 0) {
        if (hasScratch) this.#trash(folder.scratch);
        for (const file of [folder.result, folder.script, folder.stdin]) rmSync(file, { force: true });
        const path = join(this.#layout.kept, attemptFolderName(ref, number));
        renameSync(folder.path, path);
        this.#kept.push({ path, bytes });
        this.#keptBytes += bytes;
        this.#trim();
      } else if (hasScratch && this.#spares.length < KEPT.sparesMax) {
        for (const name of readdirSync(folder.path)) {
          if (name !== SCRATCH) unlinkSync(join(folder.path, name));
        }
        this.#sparesMade += 1;
        const spare = join(this.#layout.spare, `${process.pid}.${this.#sparesMade}`);
        renameSync(folder.path, spare);
        this.#spares.push(spare);
      } else {
        this.#trash(folder.path);
      }
    } catch {
      this.#trash(folder.path);
    }
  }

  /** What is kept of these tasks goes. */
  forget(tasks: readonly string[]): void {
    const gone = new Set(tasks);
    this.#kept = this.#kept.filter(({ path, bytes }) => {
      const task = parseAttemptFolderName(basename(path))?.task;
      if (task === undefined || !gone.has(task)) return true;
      this.#keptBytes -= bytes;
      this.#delete(path);
      return false;
    });
  }

  #trim(): void {
    while (this.#kept.length > KEPT.attemptsMax || this.#keptBytes > KEPT.bytesMax) {
      const oldest = this.#kept.shift();
      if (oldest === undefined) return;
      this.#keptBytes -= oldest.bytes;
      this.#delete(oldest.path);
    }
  }

  /** Out of the way at once, deleted when there is time: a payload may have left a million files. */
  #trash(path: string): void {
    this.#trashed += 1;
    const place = join(this.#layout.trash, `${process.pid}.${this.#trashed}`);
    try {
      renameSync(path, place);
    } catch {
      return; // it is not there
    }
    this.#delete(place);
  }

  #delete(path: string): void {
    // What can't be deleted (a payload's file of another user) stays in the trash and is tried again at the next start.
    rm(path, { recursive: true, force: true, maxRetries: 2 }, () => undefined);
  }
}

/** Executable, because it may be a program. The folder is the task's alone. */
function putFile(scratch: string, { path, contentBase64 }: TaskFile): void {
  const place = join(scratch, path);
  const folder = dirname(place);
  if (folder !== scratch) mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  writeFileSync(place, Buffer.from(contentBase64, 'base64'), { mode: 0o700, flag: 'wx' });
}

function isUntouched(scratch: string, tmp: string): boolean {
  try {
    return isEmpty(tmp, 0) && isEmpty(scratch, 1);
  } catch {
    return false;
  }
}

function isEmpty(folder: string, entries: number): boolean {
  const { mode } = lstatSync(folder);
  return (mode & 0o7777) === FOLDER_MODE && readdirSync(folder).length === entries;
}

function keptBytes(folder: string): number {
  let bytes = 0;
  for (const name of ['stdout', 'stderr']) {
    bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes + bytesIn(join(folder, KEPT_FILES));
}

/** Of all files in it; at most LIMITS.collectFilesMax are there. */
function bytesIn(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + lstatSync(join(entry.parentPath, entry.name)).size, 0);
}
