/**
 * Named pipes for the output of payloads. Node's own `pipe` is a socket pair, and a program whose stdout is a socket can't
 * open /dev/stdout or /dev/stderr (ENXIO), which shell scripts do all the time. A named pipe behaves as a pipe should;
 * it is used again once everybody has closed it.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

export const FIFO = {
  /** Made by one call of mkfifo. */
  batch: 32,
} as const;

export interface OpenFifo {
  readonly path: string;
  /** Non-blocking, for the launcher. */
  readonly readFd: number;
  /** Blocking as a program expects it, for the payload; to be closed here after the fork. */
  readonly writeFd: number;
}

export class FifoPool {
  readonly #folder: string;
  #free: string[] = [];
  #made = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Removes what an earlier launcher left. */
  clear(): void {
    for (const name of readdirSync(this.#folder)) unlinkSync(join(this.#folder, name));
    this.#free = [];
  }

  /** @throws Error if pipes can't be made or opened (no mkfifo, no more file descriptors). */
  open(): OpenFifo {
    const path = this.#free.pop() ?? this.#make();
    const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      // Does not block, because there is a reader; O_NONBLOCK would be seen by the payload.
      return { path, readFd, writeFd: openSync(path, constants.O_WRONLY) };
    } catch (error) {
      closeSync(readFd);
      throw error;
    }
  }

  /** Every end of it was closed: the next one may have it. */
  giveBack(path: string): void {
    this.#free.push(path);
  }

  /** Somebody still holds it: it is never used again. */
  discard(path: string): void {
    try {
      unlinkSync(path);
    } catch {
      // The folder may have been removed under us; the pipe is not used again either way.
    }
  }

  #make(): string {
    const paths: string[] = [];
    for (let count = 0; count < FIFO.batch; count += 1) {
      paths.push(join(this.#folder, String(this.#made)));
      this.#made += 1;
    }
    const { status, stderr, error } = spawnSync('mkfifo', ['-m', '600', ...paths], { encoding: 'utf8' });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`mkfifo failed: ${stderr.trim()}`);
    const first = paths.pop();
    if (first === undefined) throw new Error('a batch of pipes is never empty');
    this.#free.push(...paths);
    return first;
  }
}
