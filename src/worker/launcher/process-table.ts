/**
 * The machine's processes as far as they concern the launcher: who is whose child, in which session, and which attempt's
 * marker (CLB_TASK_ID and CLB_ATTEMPT in the environment) it carries. On Linux from /proc; elsewhere from `ps`, which shows
 * no environments.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';

export interface ProcessEntry {
  readonly pid: number;
  readonly ppid: number;
  readonly pgid: number;
  /** 0 where it is not known. */
  readonly sid: number;
  /** Letter of /proc/PID/stat: R, S, D running or waiting; T stopped; Z dead and not yet reaped. */
  readonly state: string;
  readonly rssBytes: number;
  /** {@link markerOf} of the attempt it belongs to, if it says so itself. */
  readonly marker: string | null;
  /** Its environment was empty, as it is for an instant during an exec: it may carry a marker after all. */
  readonly unsure: boolean;
}

/** What an attempt's processes carry in their environment. */
export function markerOf(task: string, number: number): string {
  return `${task} ${number}`;
}

export interface ProcessTable {
  /** Every process, zombies included. Synchronous: signals must follow while it is still true. */
  scan(): readonly ProcessEntry[];
  /** One process; null if there is none. */
  read(pid: number): ProcessEntry | null;
  /**
   * Pid of the process (or thread) made last, where the system tells; null where not. Pids are given out in order, from
   * the lowest again after the highest.
   */
  lastPid(): number | null;
}

export function processTable(): ProcessTable {
  return existsSync('/proc/self/stat') ? new ProcTable() : new PsTable();
}

/** PF_KTHREAD of include/linux/sched.h: a thread of the kernel, which is nobody's child and has no environment. */
const KERNEL_THREAD_FLAG = 0x0020_0000;
/** AT_PAGESZ of the auxiliary vector. */
const AUXV_PAGE_SIZE = 6;
const EMPTY_LOOKS_MAX = 4;
/** Of processes that may be gone long since. */
const EMPTY_KEPT_MAX = 10_000;
const ENVIRON_BYTES_MAX = 4 * 1024 * 1024;

export class ProcTable implements ProcessTable {
  /** 0: not read yet. */
  #pageBytes = 0;
  #buffer = Buffer.allocUnsafe(64 * 1024);
  /**
   * Markers by pid and start time. A process keeps the environment it was started with, and one that begins without our
   * marker can't descend from an attempt, so the answer never changes (except before an exec is complete: not cached).
   */
  #markers = new Map<string, string | null>();
  /** How often the environment of a process was found empty; after EMPTY_LOOKS_MAX that is what it is. */
  #empty = new Map<string, number>();

  scan(): readonly ProcessEntry[] {
    const entries: ProcessEntry[] = [];
    const seen = new Map<string, string | null>();
    for (const name of readdirSync('/proc')) {
      const first = name.charCodeAt(0);
      if (first < 48 || first > 57) continue;
      const entry = this.#read(name, seen);
      if (entry !== null) entries.push(entry);
    }
    this.#markers = seen; // forgets those of processes that are gone
    if (this.#empty.size > EMPTY_KEPT_MAX) this.#empty = new Map();
    return entries;
  }

  read(pid: number): ProcessEntry | null {
    // Asking first is far cheaper than the exception of a failed open.
    if (!existsSync(`/proc/${pid}`)) return null;
    return this.#read(String(pid), this.#markers);
  }

  lastPid(): number | null {
    const last = Number(this.#text('/proc/loadavg')?.trim().split(' ').at(-1));
    return Number.isInteger(last) && last > 0 ? last : null;
  }

  #read(pid: string, markers: Map<string, string | null>): ProcessEntry | null {
    const stat = this.#text(`/proc/${pid}/stat`);
    if (stat === null) return null;
    // The command stands in parentheses and may itself hold parentheses and blanks.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const field = (number: number): string => fields[number - 3] ?? '';
    const state = field(3);
    if (this.#pageBytes === 0) this.#pageBytes = pageBytes();
    const isKernel = (Number(field(9)) & KERNEL_THREAD_FLAG) !== 0;
    const marker = isKernel || state === 'Z' ? null : this.#marker(pid, field(22), markers);
    const unsure = marker === undefined;
    return {
      pid: Number(pid),
      ppid: Number(field(4)),
      pgid: Number(field(5)),
      sid: Number(field(6)),
      state,
      rssBytes: Number(field(24)) * this.#pageBytes,
      marker: marker ?? null,
      unsure,
    };
  }

  /** undefined: it can't be told now. */
  #marker(pid: string, startTime: string, markers: Map<string, string | null>): string | null | undefined {
    const key = `${pid}:${startTime}`;
    const known = this.#markers.get(key);
    if (known !== undefined) {
      markers.set(key, known);
      return known;
    }
    const environ = this.#text(`/proc/${pid}/environ`);
    if (environ === null) return null; // not ours to read, so not ours; or gone
    if (environ === '') {
      const looks = (this.#empty.get(key) ?? 0) + 1;
      this.#empty.set(key, looks);
      return looks < EMPTY_LOOKS_MAX ? undefined : null;
    }
    const marker = markerIn(environ);
    markers.set(key, marker);
    return marker;
  }

  #text(path: string): string | null {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch {
      return null; // the process ended, or belongs to somebody else
    }
    try {
      let length = 0;
      for (;;) {
        const read = readSync(fd, this.#buffer, length, this.#buffer.byteLength - length, null);
        length += read;
        if (read === 0 || length >= ENVIRON_BYTES_MAX) return this.#buffer.toString('latin1', 0, length);
        if (length === this.#buffer.byteLength) {
          this.#buffer = Buffer.concat([this.#buffer, Buffer.allocUnsafe(this.#buffer.byteLength)]);
        }
      }
    } catch {
      return null;
    } finally {
      closeSync(fd);
    }
  }
}

function markerIn(environ: string): string | null {
  if (!environ.includes('CLB_TASK_ID=')) return null;
  let task: string | null = null;
  let number: string | null = null;
  for (const item of environ.split('\0')) {
    if (item.startsWith('CLB_TASK_ID=')) task = item.slice('CLB_TASK_ID='.length);
    else if (item.startsWith('CLB_ATTEMPT=')) number = item.slice('CLB_ATTEMPT='.length);
  }
  return task === null || number === null ? null : `${task} ${number}`;
}

function pageBytes(): number {
  const auxv = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= auxv.byteLength; at += 16) {
    if (auxv.readBigUInt64LE(at) === BigInt(AUXV_PAGE_SIZE)) return Number(auxv.readBigUInt64LE(at + 8));
  }
  return 4_096;
}

/** For macOS: `ps` of every POSIX system. */
export class PsTable implements ProcessTable {
  scan(): readonly ProcessEntry[] {
    return this.#run(['-ax']);
  }

  read(pid: number): ProcessEntry | null {
    return this.#run(['-p', String(pid)])[0] ?? null;
  }

  lastPid(): number | null {
    return null;
  }

  #run(selection: readonly string[]): readonly ProcessEntry[] {
    const columns = 'pid=,ppid=,pgid=,stat=,rss=';
    const { stdout } = spawnSync('ps', [...selection, '-o', columns], { encoding: 'utf8' });
    const entries: ProcessEntry[] = [];
    for (const line of stdout.split('\n')) {
      const [pid, ppid, pgid, stat, rssKib] = line.trim().split(/\s+/);
      if (pid === undefined || pid === '' || stat === undefined) continue;
      entries.push({
        pid: Number(pid),
        ppid: Number(ppid),
        pgid: Number(pgid),
        sid: 0,
        state: stat.charAt(0),
        rssBytes: Number(rssKib) * 1_024,
        marker: null,
        unsure: false,
      });
    }
    return entries;
  }
}
