/**
 * Watches what running attempts keep in their scratch folders, and the disk these are on: a task that fills its folder is
 * ended before it fills the disk of a node that may be a voter.
 */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { lstat, opendir, statfs } from 'node:fs/promises';
import { join } from 'node:path';

export const SCRATCH = {
  /** What one attempt may keep there (as allocated on the disk). */
  bytesMax: 4 * 1024 * 1024 * 1024,
  /** Files and folders of one attempt. */
  entriesMax: 500_000,
  /** Between two looks, and at least so many times as long as the last one took. */
  everyMs: 1_000,
  restFactor: 10,
  /** With less than this free on the disk (or this share of a small one), the attempt that uses most of it is ended. */
  reserveBytes: 1024 * 1024 * 1024,
  reserveShare: 0.05,
  /** Less than this is nobody's fault. */
  culpritBytesMin: 16 * 1024 * 1024,
} as const;

const MIB = 1024 * 1024;
/** What `blocks` of a stat counts. */
const BLOCK_BYTES = 512;

/** An attempt as it is watched. */
export interface WatchedAttempt {
  readonly scratch: string;
  /** Of its processes, for files that are open and have no name any more. */
  readonly pids: () => readonly number[];
  /** Ends it at once, with this reason. */
  readonly end: (reason: string) => void;
}

export interface ScratchWatchOptions {
  /** For messages. */
  readonly node: string;
  /** A folder on the same disk. */
  readonly folder: string;
  readonly bytesMax: number;
  /** Those that run now. */
  readonly attempts: () => readonly WatchedAttempt[];
}

export class ScratchWatch {
  readonly #options: ScratchWatchOptions;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ScratchWatchOptions) {
    this.#options = options;
  }

  /** Something was started. It stops by itself when nothing runs. */
  arm(delayMs: number = SCRATCH.everyMs): void {
    this.#timer ??= setTimeout(() => {
      const beganMs = performance.now();
      void this.#look().finally(() => {
        this.#timer = null;
        const restMs = (performance.now() - beganMs) * SCRATCH.restFactor;
        if (this.#options.attempts().length > 0) this.arm(Math.max(SCRATCH.everyMs, restMs));
      });
    }, delayMs);
  }

  async #look(): Promise<void> {
    const { attempts, bytesMax } = this.#options;
    const used: { readonly attempt: WatchedAttempt; readonly bytes: number }[] = [];
    for (const attempt of attempts()) {
      const { bytes, entries } = await usageOf(attempt.scratch, bytesMax);
      if (bytes > bytesMax) {
        attempt.end(`scratch folder too large: ${inMib(bytes)} of ${inMib(bytesMax)} MiB`);
      } else if (entries > SCRATCH.entriesMax) {
        attempt.end(`scratch folder too large: more than ${SCRATCH.entriesMax} files and folders`);
      } else {
        used.push({ attempt, bytes });
      }
    }
    await this.#guardDisk(used);
  }

  async #guardDisk(
    used: readonly { readonly attempt: WatchedAttempt; readonly bytes: number }[],
  ): Promise<void> {
    const { node, folder } = this.#options;
    const disk = await statfs(folder).catch(() => null);
    if (disk === null) return;
    const freeBytes = disk.bavail * disk.bsize;
    if (freeBytes >= Math.min(SCRATCH.reserveBytes, disk.blocks * disk.bsize * SCRATCH.reserveShare)) return;
    const all = used.map(({ attempt, bytes }) => ({ attempt, bytes: bytes + namelessBytes(attempt.pids()) }));
    const largest = all.reduce<{ readonly attempt: WatchedAttempt | null; readonly bytes: number }>(
      (a, b) => (b.bytes > a.bytes ? b : a),
      { attempt: null, bytes: 0 },
    );
    if (largest.bytes < SCRATCH.culpritBytesMin) return;
    largest.attempt?.end(
      `the disk of ${node} is nearly full (${inMib(freeBytes)} MiB free), and this task uses most of it: ${inMib(largest.bytes)} MiB`,
    );
  }
}

/** Stops counting above `bytesMax`. What disappears meanwhile, or can't be read, counts as nothing. */
async function usageOf(folder: string, bytesMax: number): Promise<{ bytes: number; entries: number }> {
  const usage = { bytes: 0, entries: 0 };
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    try {
      for await (const entry of await opendir(next)) {
        usage.entries += 1;
        if (usage.entries > SCRATCH.entriesMax) return usage;
        const path = join(next, entry.name);
        if (entry.isDirectory()) folders.push(path);
        else if (entry.isFile()) usage.bytes += (await lstat(path)).blocks * BLOCK_BYTES;
        if (usage.bytes > bytesMax) return usage;
      }
    } catch {
      // Removed, or closed to us.
    }
  }
  return usage;
}

/** Held by files that were deleted and are still open. Looked at only when the disk is nearly full. */
function namelessBytes(pids: readonly number[]): number {
  const seen = new Map<string, number>();
  for (const pid of pids) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const path = `/proc/${pid}/fd/${fd}`;
        if (!readlinkSync(path).endsWith(' (deleted)')) continue;
        const { dev, ino, blocks } = statSync(path);
        seen.set(`${dev}:${ino}`, blocks * BLOCK_BYTES);
      }
    } catch {
      // It ended meanwhile.
    }
  }
  return [...seen.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function inMib(bytes: number): number {
  return Math.ceil(bytes / MIB);
}
