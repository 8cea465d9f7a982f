/** What the data folders of stopped servers hold, as the servers would show it themselves (GET /v1/audit). */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditLine } from '../api/audit.ts';
import type { Entry, RecoveredState } from '../raft/core/types.ts';
import { LevelKv } from '../raft/storage/level-kv.ts';
import { KvRaftStorage } from '../raft/storage/raft-storage.ts';
import type { StorageIdentity } from '../raft/storage/raft-storage.ts';
import { storedIdentity } from '../raft/storage/stored-identity.ts';
import { StorageCorruptError, StorageError } from '../raft/storage/storage-errors.ts';
import { auditLines } from '../scheduler/audit.ts';
import { TaskMachine } from '../scheduler/task-machine.ts';
import { NodeFault } from './faults.ts';

/** One folder; reading its lines opens the database, and closes it at the end. */
export interface FolderSource {
  readonly name: string;
  lines(): AsyncIterable<AuditLine>;
}

/** See {@link auditFolders}. */
export type AuditFolders = (folders: readonly string[]) => Promise<readonly FolderSource[]>;

/**
 * Reads each log once, to see how far it is committed, and again when its lines are asked for.
 * @throws nothing for a folder that can't be read: its lines do
 */
export const auditFolders: AuditFolders = async (folders) => {
  const logs: FolderLog[] = [];
  for (const folder of folders) {
    const log = await readLog(folder).catch(() => null);
    if (log !== null) logs.push(log);
  }
  const commitIndex = committed(logs);
  return folders.map((name) => ({ name, lines: () => folderLines(name, commitIndex) }));
};

interface FolderLog {
  readonly voters: number;
  readonly snapshotIndex: number;
  /** Of each kept entry, the first of them at `firstIndex`. */
  readonly terms: readonly number[];
  readonly firstIndex: number;
}

async function readLog(folder: string): Promise<FolderLog> {
  return withFolder(folder, ({ recovered }) => {
    const { entries, snapshot } = recovered;
    const config = entries.findLast((entry) => entry.kind === 'config')?.config ?? snapshot.config;
    return Promise.resolve({
      voters: config.voters.length,
      snapshotIndex: snapshot.index,
      terms: entries.map(({ term }) => term),
      firstIndex: entries[0]?.index ?? snapshot.index + 1,
    });
  });
}

/**
 * The last index at which a majority of the voters (of the folders given, if they are fewer) has an entry of the same term. What
 * a snapshot covers is committed.
 */
function committed(logs: readonly FolderLog[]): number {
  const voters = Math.max(1, ...logs.map((log) => log.voters));
  const wanted = Math.min(logs.length, Math.floor(voters / 2) + 1);
  const snapshotIndex = Math.max(0, ...logs.map((log) => log.snapshotIndex));
  const lastIndex = Math.max(0, ...logs.map((log) => log.firstIndex + log.terms.length - 1));
  for (let index = lastIndex; index > snapshotIndex; index -= 1) {
    const counts = new Map<number, number>();
    for (const { terms, firstIndex } of logs) {
      const term = terms[index - firstIndex];
      if (term !== undefined) counts.set(term, (counts.get(term) ?? 0) + 1);
    }
    if ([...counts.values()].some((count) => count >= wanted)) return index;
  }
  return snapshotIndex;
}

async function* folderLines(folder: string, commitIndex: number): AsyncGenerator<AuditLine, void, undefined> {
  const opened = await openFolder(folder);
  try {
    const { storage, recovered, identity } = opened;
    const machine = await replayed(storage, recovered, commitIndex);
    yield* auditLines({
      server: {
        node: identity.nodeId,
        role: 'follower',
        term: recovered.hardState.currentTerm,
        leader: null,
        commitIndex,
      },
      state: machine.state,
      log: () => storage.readLog(),
      pause: () => nextTurn(),
    });
  } finally {
    await opened.storage.close();
  }
}

async function replayed(
  storage: KvRaftStorage,
  recovered: RecoveredState,
  commitIndex: number,
): Promise<TaskMachine> {
  const machine = new TaskMachine();
  try {
    await machine.restore(recovered.snapshot, storage.readSnapshot(), storage.machine);
    for (const entry of recovered.entries) {
      if (entry.index > recovered.snapshot.index && entry.index <= commitIndex) apply(machine, entry);
    }
  } catch (error) {
    if (error instanceof StorageError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new StorageCorruptError(`its tasks can't be read: ${message}`, { cause: error });
  }
  return machine;
}

function apply(machine: TaskMachine, entry: Entry): void {
  const { index, term } = entry;
  if (entry.kind === 'command') machine.apply({ index, term, payload: entry.payload });
  else if (entry.kind === 'noop') machine.applyTermStart(term, index);
}

interface OpenedFolder {
  readonly storage: KvRaftStorage;
  readonly recovered: RecoveredState;
  readonly identity: StorageIdentity;
}

async function openFolder(folder: string): Promise<OpenedFolder> {
  const path = await raftFolder(folder);
  const kv = await LevelKv.open(path);
  try {
    const identity = storedIdentity(kv);
    if (identity === null) throw new NodeFault('CONFIG', `${folder} holds no server's data`);
    return {
      identity,
      ...(await KvRaftStorage.open(kv, { identity, bootstrap: { voters: [], learners: [] } })),
    };
  } catch (error) {
    await kv.close();
    throw error;
  }
}

async function withFolder<T>(folder: string, use: (opened: OpenedFolder) => Promise<T>): Promise<T> {
  const opened = await openFolder(folder);
  try {
    return await use(opened);
  } finally {
    await opened.storage.close();
  }
}

/** The data folder of a server, or the database in it. Nothing is made where there is none. */
async function raftFolder(folder: string): Promise<string> {
  for (const path of [join(folder, 'raft'), folder]) {
    if (await exists(join(path, 'CURRENT'))) return path;
  }
  throw new NodeFault('CONFIG', `${folder} is not the data folder of a server`);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
