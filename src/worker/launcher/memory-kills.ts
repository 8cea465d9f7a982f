/**
 * How often the kernel has killed a process for want of memory: of this process's control group where that is counted, else
 * of the machine. A process that was killed by SIGKILL tells nobody why; that the count grew while it ran does.
 */
import { readFileSync } from 'node:fs';

/** Lines `oom_kill N`; the first file that has one counts. In a container its own group is mounted as the root. */
const FILES: readonly string[] = ['/sys/fs/cgroup/memory.events', '/proc/vmstat'];

export class MemoryKills {
  /** The file that counts; undefined: not looked for yet. */
  #file: string | null | undefined = undefined;
  readonly #files: readonly string[];

  constructor(files: readonly string[] = FILES) {
    this.#files = files;
  }

  /** Never falls; 0 where nobody counts. */
  count(): number {
    this.#file ??= this.#files.find((file) => read(file) !== null) ?? null;
    return this.#file === null ? 0 : (read(this.#file) ?? 0);
  }
}

function read(file: string): number | null {
  try {
    const count = /^oom_kill (\d+)$/m.exec(readFileSync(file, 'utf8'))?.[1];
    return count === undefined ? null : Number(count);
  } catch {
    return null;
  }
}
