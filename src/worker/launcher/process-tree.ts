/**
 * All processes of an attempt, and signals to all of them. An attempt's processes are its process group and session, their
 * descendants, and whatever carries its marker in the environment (children that left the session and lost their parent:
 * a double fork). What also wiped its environment after that is found by its control group, where there is one, and else
 * can't be told from any other process of the machine.
 */
import type { AttemptGroup } from './attempt-groups.ts';
import { markerOf } from './process-table.ts';
import type { ProcessEntry, ProcessTable } from './process-table.ts';

/** Names the processes of one attempt. */
export interface TreeRoot {
  /** The main process: leader of its own session and process group. */
  readonly pid: number;
  readonly task: string;
  readonly number: number;
  /** Its control group; null where there are none. */
  readonly group: AttemptGroup | null;
}

export const TREE = {
  /** A tree that still grows after so many rounds of stopping forks faster than it can be stopped. */
  freezeRoundsMax: 200,
  /** Up to so many pids made since the attempt's are looked at one by one; beyond it all of /proc is read. */
  quickPidsMax: 64,
  /** Pids given out since an attempt began are only taken for a plain range while it is younger than this. */
  quickAgeMsMax: 1_000,
} as const;

export class ProcessTree {
  readonly #table: ProcessTable;

  constructor(table: ProcessTable) {
    this.#table = table;
  }

  /** Processes of each attempt, dead ones not counted, in the order of `roots`. */
  members(roots: readonly TreeRoot[]): readonly (readonly ProcessEntry[])[] {
    return membersOf(this.#table.scan(), roots);
  }

  /** SIGSTOP to everything, until a look at the processes finds none that was not stopped. */
  freeze(roots: readonly TreeRoot[]): void {
    // The groups first: one call each, no look at /proc, so all attempts stand still within microseconds.
    for (const root of roots) signalGroup(root.pid, 'SIGSTOP');
    const stopped = new Set<number>();
    for (let round = 0; round < TREE.freezeRoundsMax; round += 1) {
      let found = false;
      for (const entry of this.members(roots).flat()) {
        if (stopped.has(entry.pid)) continue;
        stopped.add(entry.pid);
        if (isStopped(entry)) continue;
        found = true;
        signal(entry.pid, 'SIGSTOP');
      }
      if (!found) return;
    }
  }

  /** The signal to everything that can be found now. Returns how many processes there were. */
  signal(roots: readonly TreeRoot[], name: NodeJS.Signals): number {
    // Looked at before the signal: a parent that it ends leaves children that nothing may lead back to the attempt.
    const members = this.members(roots);
    for (const root of roots) signalGroup(root.pid, name);
    let count = 0;
    for (const [at, entries] of members.entries()) {
      count += entries.length;
      // The group has it already, and a handler must not run twice.
      for (const entry of entries) if (entry.pgid !== roots[at]?.pid) signal(entry.pid, name);
    }
    return count;
  }

  /**
   * SIGKILL to everything. Returns those of the roots of which something was still alive (it may take a moment to die,
   * or may have forked meanwhile), or may have been: call again for these.
   */
  kill(roots: readonly TreeRoot[]): readonly TreeRoot[] {
    const entries = this.#table.scan(); // before the signal, as above
    const members = membersOf(entries, roots);
    for (const root of roots) {
      signalGroup(root.pid, 'SIGKILL');
      root.group?.kill();
    }
    for (const entry of members.flat()) signal(entry.pid, 'SIGKILL');
    if (entries.some(({ unsure }) => unsure)) return roots;
    return roots.filter(({ group }, at) => (members[at]?.length ?? 0) > 0 || group?.isEmpty() === false);
  }

  /** Members of its session made since, as far as that can be told without reading all of /proc: right after the start. */
  early(root: TreeRoot): readonly number[] {
    const last = this.#table.lastPid();
    if (last === null || last - root.pid > TREE.quickPidsMax) return [];
    const found: number[] = [];
    for (let pid = root.pid + 1; pid <= last; pid += 1) {
      if (this.#table.read(pid)?.sid === root.pid) found.push(pid);
    }
    return found;
  }

  /**
   * Whether it is certain, without reading all of /proc, that nothing is left of an attempt whose main process was reaped:
   * its group is empty, and none of the few processes made after it is its own. `ageMs`: how long ago it
   * was started; after more than a moment pids may have gone round.
   */
  isSurelyGone(root: TreeRoot, ageMs: number): boolean {
    if (groupExists(root.pid) || root.group?.isEmpty() === false || ageMs > TREE.quickAgeMsMax) return false;
    const last = this.#table.lastPid();
    if (last === null || last < root.pid || last - root.pid > TREE.quickPidsMax) return false;
    const marker = markerOf(root.task, root.number);
    for (let pid = root.pid + 1; pid <= last; pid += 1) {
      const entry = this.#table.read(pid);
      if (entry === null || !isAlive(entry)) continue;
      // No marker may mean that it is in the middle of an exec: look again, thoroughly.
      if (entry.sid === root.pid || entry.marker === marker || entry.marker === null) return false;
    }
    return true;
  }
}

function membersOf(
  entries: readonly ProcessEntry[],
  roots: readonly TreeRoot[],
): readonly (readonly ProcessEntry[])[] {
  const ownerOf = owners(entries, roots);
  const members = new Map<TreeRoot, ProcessEntry[]>(roots.map((root) => [root, []]));
  for (const entry of entries) {
    const root = ownerOf.get(entry.pid);
    if (root !== undefined && isAlive(entry)) members.get(root)?.push(entry);
  }
  return roots.map((root) => members.get(root) ?? []);
}

/** Which attempt each process belongs to, by pid. */
function owners(entries: readonly ProcessEntry[], roots: readonly TreeRoot[]): ReadonlyMap<number, TreeRoot> {
  const byPid = new Map(roots.map((root) => [root.pid, root]));
  const byMarker = new Map(roots.map((root) => [markerOf(root.task, root.number), root]));
  const found = new Map<number, TreeRoot>();
  const children = new Map<number, number[]>();
  const toVisit: number[] = [];
  const byGroup = new Map(roots.flatMap((root) => (root.group?.pids() ?? []).map((pid) => [pid, root])));
  for (const { pid, ppid, pgid, sid, marker } of entries) {
    const siblings = children.get(ppid);
    if (siblings === undefined) children.set(ppid, [pid]);
    else siblings.push(pid);
    const root =
      byPid.get(pid) ??
      byPid.get(sid) ??
      byPid.get(pgid) ??
      byGroup.get(pid) ??
      (marker === null ? undefined : byMarker.get(marker));
    if (root === undefined) continue;
    found.set(pid, root);
    toVisit.push(pid);
  }
  for (let pid = toVisit.pop(); pid !== undefined; pid = toVisit.pop()) {
    const root = found.get(pid);
    if (root === undefined) continue;
    for (const child of children.get(pid) ?? []) {
      if (found.has(child)) continue;
      found.set(child, root);
      toVisit.push(child);
    }
  }
  return found;
}

/** Not a zombie that waits for its parent, nor one in the last moment after that. */
function isAlive(entry: ProcessEntry): boolean {
  return entry.state !== 'Z' && entry.state !== 'X';
}

function isStopped(entry: ProcessEntry): boolean {
  return entry.state === 'T' || entry.state === 't';
}

/** A process that is gone, or is not ours to signal, is no fault. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!isGoneOrForeign(error)) throw error;
  }
}

function signalGroup(pgid: number, name: NodeJS.Signals): void {
  signal(-pgid, name);
}

function groupExists(pgid: number): boolean {
  try {
    process.kill(-pgid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function isGoneOrForeign(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ESRCH' || code === 'EPERM';
}
