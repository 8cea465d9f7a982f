/**
 * What the control group of this process may use, and uses. In a container the numbers of the machine say nothing: a node
 * limited to half a core of a large machine would look idle while it is throttled.
 *
 * Reads version 2 (one tree) and version 1 (a tree per controller). The limit in force is the tightest one on the way from
 * the own group up to the root that is visible here.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface CpuLimit {
  /** Cores' worth of time, may be a fraction. */
  readonly cores: number;
  /** CPU time used by the group since it exists, in milliseconds. */
  readonly usedMs: () => number;
}

export interface MemoryLimit {
  readonly bytes: number;
  /** Without the page cache that could be dropped at once. */
  readonly usedBytes: () => number;
}

export interface CgroupLimits {
  /** null: not limited. */
  readonly cpu: CpuLimit | null;
  readonly memory: MemoryLimit | null;
}

export interface CgroupPlaces {
  /** Where the trees are mounted. */
  readonly mount: string;
  /** The file that names this process's groups. */
  readonly membership: string;
}

const PLACES: CgroupPlaces = { mount: '/sys/fs/cgroup', membership: '/proc/self/cgroup' };

/** Version 1 says "no limit" with a number near 2^63. */
const NO_LIMIT_BYTES = 2 ** 60;

export function readCgroupLimits(places: CgroupPlaces = PLACES): CgroupLimits {
  const groups = memberships(places.membership);
  const unified = groups.get('') ?? '/';
  const inUnified = ownAndAbove(places.mount, unified);
  return {
    cpu: tightest(inUnified.map(cpuV2)) ?? cpuV1(places.mount, groups),
    memory: tightestMemory(inUnified.map(memoryV2)) ?? memoryV1(places.mount, groups),
  };
}

/** Group by controller; version 2's has the empty name. */
function memberships(file: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>();
  for (const line of (textOf(file) ?? '').split('\n')) {
    const [, controllers, ...path] = line.split(':');
    if (controllers === undefined) continue;
    for (const controller of controllers.split(',')) groups.set(controller, path.join(':'));
  }
  return groups;
}

/** Folders from the group up to the mount. A container often sees only its own group, mounted as the root. */
function ownAndAbove(mount: string, group: string): readonly string[] {
  const folders: string[] = [];
  for (let path = group; path !== '/' && path !== '.' && path !== ''; path = dirname(path)) {
    folders.push(join(mount, path));
  }
  folders.push(mount);
  return folders;
}

function cpuV2(folder: string): CpuLimit | null {
  const [quota = 'max', period = '100000'] = (textOf(join(folder, 'cpu.max')) ?? 'max').split(' ');
  if (quota === 'max') return null;
  return {
    cores: Number(quota) / Number(period),
    usedMs: () => field(join(folder, 'cpu.stat'), 'usage_usec') / 1_000,
  };
}

function memoryV2(folder: string): MemoryLimit | null {
  const max = textOf(join(folder, 'memory.max')) ?? 'max';
  if (max === 'max') return null;
  return {
    bytes: Number(max),
    usedBytes: () =>
      numberOf(join(folder, 'memory.current')) - field(join(folder, 'memory.stat'), 'inactive_file'),
  };
}

function cpuV1(mount: string, groups: ReadonlyMap<string, string>): CpuLimit | null {
  const folders = ownAndAbove(join(mount, 'cpu'), groups.get('cpu') ?? '/');
  const accounting = ownAndAbove(join(mount, 'cpuacct'), groups.get('cpuacct') ?? '/');
  return tightest(
    folders.map((folder, at) => {
      const quota = numberOf(join(folder, 'cpu.cfs_quota_us'));
      const period = numberOf(join(folder, 'cpu.cfs_period_us'));
      if (!(quota > 0) || !(period > 0)) return null;
      const usage = join(accounting[at] ?? mount, 'cpuacct.usage');
      return { cores: quota / period, usedMs: () => numberOf(usage) / 1e6 };
    }),
  );
}

function memoryV1(mount: string, groups: ReadonlyMap<string, string>): MemoryLimit | null {
  const folders = ownAndAbove(join(mount, 'memory'), groups.get('memory') ?? '/');
  return tightestMemory(
    folders.map((folder) => {
      const bytes = numberOf(join(folder, 'memory.limit_in_bytes'));
      if (!(bytes < NO_LIMIT_BYTES)) return null;
      return {
        bytes,
        usedBytes: () =>
          numberOf(join(folder, 'memory.usage_in_bytes')) -
          field(join(folder, 'memory.stat'), 'total_inactive_file'),
      };
    }),
  );
}

function tightest(limits: readonly (CpuLimit | null)[]): CpuLimit | null {
  let found: CpuLimit | null = null;
  for (const limit of limits) {
    if (limit !== null && limit.cores > 0 && (found === null || limit.cores < found.cores)) found = limit;
  }
  return found;
}

function tightestMemory(limits: readonly (MemoryLimit | null)[]): MemoryLimit | null {
  let found: MemoryLimit | null = null;
  for (const limit of limits) {
    if (limit !== null && limit.bytes > 0 && (found === null || limit.bytes < found.bytes)) found = limit;
  }
  return found;
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return null; // this version of control groups, or this controller, is not there
  }
}

/** NaN if the file is not there. */
function numberOf(file: string): number {
  return Number(textOf(file) ?? NaN);
}

/** A line `name value` of a file; 0 if it is not there. */
function field(file: string, name: string): number {
  for (const line of (textOf(file) ?? '').split('\n')) {
    const [key, value] = line.split(' ');
    if (key === name) return Number(value);
  }
  return 0;
}
