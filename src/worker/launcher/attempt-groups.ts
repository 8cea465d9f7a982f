/**
 * Control groups (version 2) for attempts, where the launcher may make some: on a machine where it is root, or in a service
 * whose group was delegated to it. A process can leave its session, its parent and its environment, but not its group, so
 * with them nothing of an attempt can be overlooked. Everything works without them, too (process-tree.ts).
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface GroupPlaces {
  /** Names the mounted file systems. */
  readonly mounts: string;
  /** Names this process's groups. */
  readonly membership: string;
}

const PLACES: GroupPlaces = { mounts: '/proc/self/mountinfo', membership: '/proc/self/cgroup' };
const MIB = 1024 * 1024;

export class AttemptGroups {
  /** The folder that holds one group for each attempt; no process is in it itself. */
  readonly folder: string;
  /** Whether the kernel keeps to a limit of memory by group. */
  readonly limitsMemory: boolean;

  private constructor(folder: string, limitsMemory: boolean) {
    this.folder = folder;
    this.limitsMemory = limitsMemory;
  }

  /**
   * `owner`: the launcher's folder; one launcher at a time has it, so what is left in its groups is an earlier one's, and is
   * killed. null where groups can't be used.
   */
  static open(owner: string, places: GroupPlaces = PLACES): AttemptGroups | null {
    try {
      const own = ownGroup(places);
      if (own === null) return null;
      const name = createHash('sha256').update(owner).digest('hex').slice(0, 16);
      const folder = join(own, `clb-${name}`);
      mkdirSync(folder, { recursive: true });
      if (!existsSync(join(folder, 'cgroup.kill'))) {
        rmdirSync(folder);
        return null;
      }
      for (const left of readdirSync(folder, { withFileTypes: true })) {
        if (left.isDirectory()) new AttemptGroup(join(folder, left.name), false).kill();
      }
      const groups = new AttemptGroups(folder, delegateMemory(own, folder));
      // Making groups may be allowed where moving a process into one is not.
      const trial = groups.create('trial', 0);
      if (trial === null) return null;
      trial.remove();
      return groups;
    } catch {
      return null;
    }
  }

  /** A new group; `memoryMb` 0: no limit. null if the system refuses. */
  create(name: string, memoryMb: number): AttemptGroup | null {
    const folder = join(this.folder, name);
    try {
      mkdirSync(folder);
      const isLimited = this.limitsMemory && memoryMb > 0;
      if (isLimited) {
        writeFileSync(join(folder, 'memory.max'), String(memoryMb * MIB));
        writeFileSync(join(folder, 'memory.oom.group'), '1');
      }
      return new AttemptGroup(folder, isLimited);
    } catch {
      return null;
    }
  }

  /** Nothing runs any more. */
  close(): void {
    try {
      for (const left of readdirSync(this.folder, { withFileTypes: true })) {
        if (left.isDirectory()) rmdirSync(join(this.folder, left.name));
      }
      rmdirSync(this.folder);
    } catch {
      // What is still dying keeps its group; the next launcher of this folder removes it.
    }
  }
}

export class AttemptGroup {
  readonly #folder: string;
  readonly #isLimited: boolean;

  constructor(folder: string, isLimited: boolean) {
    this.#folder = folder;
    this.#isLimited = isLimited;
  }

  /** False if the system refuses, or the process is gone already. What it forks from now on is in the group, too. */
  join(pid: number): boolean {
    try {
      writeFileSync(join(this.#folder, 'cgroup.procs'), String(pid));
      return true;
    } catch {
      return false;
    }
  }

  /** Processes in it, without the groups that it may have made below. */
  pids(): readonly number[] {
    try {
      const text = readFileSync(join(this.#folder, 'cgroup.procs'), 'utf8');
      return text === '' ? [] : text.trimEnd().split('\n').map(Number);
    } catch {
      return [];
    }
  }

  /** Whether nothing is alive in it or below. */
  isEmpty(): boolean {
    try {
      return /^populated 0$/m.test(readFileSync(join(this.#folder, 'cgroup.events'), 'utf8'));
    } catch {
      return true; // it was removed
    }
  }

  /** SIGKILL to all that is in it and below, in one step. */
  kill(): void {
    try {
      writeFileSync(join(this.#folder, 'cgroup.kill'), '1');
    } catch {
      // It was removed.
    }
  }

  /** Whether the kernel killed something in it because of the limit of memory. */
  ranOutOfMemory(): boolean {
    if (!this.#isLimited) return false;
    try {
      const events = readFileSync(join(this.#folder, 'memory.events'), 'utf8');
      return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0) > 0;
    } catch {
      return false;
    }
  }

  /** It must be empty. Groups that the payload made below go with it. */
  remove(): void {
    removeTree(this.#folder);
  }
}

function removeTree(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(folder, entry.name));
    }
    rmdirSync(folder);
  } catch {
    // Removed with the others when the next launcher starts.
  }
}

/** The folder of this process's group; null where there is none to be seen. */
function ownGroup(places: GroupPlaces): string | null {
  const path = /^0::(\/.*)$/m.exec(readFileSync(places.membership, 'utf8'))?.[1];
  // ID PARENT MAJOR:MINOR ROOT MOUNT OPTIONS … - TYPE SOURCE OPTIONS
  const mount = readFileSync(places.mounts, 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[fields.indexOf('-') + 1] === 'cgroup2');
  const [root, point] = [mount?.[3], mount?.[4]];
  if (path === undefined || root === undefined || point === undefined) return null;
  // In a container that sees a part of the tree only, the path may begin with that part.
  const inside = root !== '/' && path.startsWith(root) ? path.slice(root.length) : path;
  const folder = join(point, inside);
  return existsSync(join(folder, 'cgroup.procs')) ? folder : null;
}

/** Makes the memory controller available to the groups of attempts, if that is possible. */
function delegateMemory(own: string, folder: string): boolean {
  const has = (file: string): boolean => readFileSync(file, 'utf8').split(/\s+/).includes('memory');
  try {
    if (!has(join(folder, 'cgroup.controllers'))) {
      if (!has(join(own, 'cgroup.controllers'))) return false;
      writeFileSync(join(own, 'cgroup.subtree_control'), '+memory');
    }
    writeFileSync(join(folder, 'cgroup.subtree_control'), '+memory');
    return has(join(folder, 'cgroup.subtree_control'));
  } catch {
    return false; // processes are in the own group: then its controllers can't be handed on
  }
}
