/**
 * Everything a server keeps, in one {@link KvStore}: identity, hard state, log, snapshot, and the state machine's
 * stored part. docs/storage.md describes it key by key.
 *
 * Writes are *composed* here (which also updates what this class remembers, as if they were durable) and written by
 * {@link KvRaftStorage.write}, one at a time, in the order they were composed. A write that fails ends the process, so
 * composed and durable state never part.
 */
import type {
  Configuration,
  Entry,
  HardState,
  LogIndex,
  NodeId,
  RecoveredState,
  SnapshotMeta,
} from '../core/types.ts';
import { establish } from './establish.ts';
import {
  checkFolderRecords,
  decodeFolder,
  decodePeerFolders,
  firstFolderRecords,
  FOLDER_KEY,
  PEER_FOLDERS_KEY,
} from './folder-records.ts';
import type { KvOp, KvRange, KvStore } from './kv-store.ts';
import { LogPacks, NOTHING_NEEDED, readStoredLog } from './log-packs.ts';
import type { NeededLog, StoredStretch, TrailingLog } from './log-packs.ts';
import { MachineStore } from './machine-store.ts';
import {
  chunkKey,
  decodeHard,
  decodeLogStart,
  decodeSnapshot,
  decodeWrites,
  encodeHard,
  encodeSnapshot,
  encodeWrites,
  HARD_STATE_KEY,
  LOG_START_KEY,
  machinePrefix,
  prefixRange,
  SNAPSHOT_KEY,
  STORAGE_FORMAT,
  WRITES_KEY,
} from './records.ts';
import type { HardRecord, SnapshotRecord, StorageIdentity } from './records.ts';
import { sealBytes } from './sealed-record.ts';
import { StorageCorruptError } from './storage-errors.ts';
import { readChunks, SnapshotTransferView } from './stored-snapshot.ts';
import { checkAgainstSuperblock, Superblock } from './superblock.ts';
import type { SuperblockState } from './superblock.ts';

/** What one flush changes in log and hard state. */
export interface LogWrite {
  readonly hardState: HardState | null;
  /** First drop the log from here on. */
  readonly truncateFrom: LogIndex | null;
  /** Then append these, contiguous. */
  readonly append: readonly Entry[];
}

export interface StorageOptions {
  readonly identity: StorageIdentity;
  /** Written into an empty store; of no effect on any other. */
  readonly bootstrap: Configuration;
  /** Names the store where it has no name yet; left out: it stays without. */
  readonly newFolderId?: () => string;
}

/** What a finished run of snapshot chunks amounts to. */
export interface ChunkTotals {
  readonly chunks: number;
  readonly bytes: number;
  /** CRC32 over all chunks in order: start at 0, continue with `continueCrc` of stored-snapshot.ts. */
  readonly crc: number;
}

/** Deleted per batch when leftovers are cleared away. */
const CLEAR_KEYS_PER_BATCH = 1_000;

/** What is read at open. */
interface Loaded {
  readonly packs: LogPacks;
  readonly hard: HardRecord;
  readonly snapshot: SnapshotRecord;
  readonly writes: number;
}

export class KvRaftStorage {
  readonly #kv: KvStore;
  readonly #superblock: Superblock;
  #identity: StorageIdentity;
  readonly #packs: LogPacks;
  #writes: number;
  /** What is known to be durable: what the superblock may say. */
  #durable: SuperblockState;
  #hard: HardRecord;
  #snapshot: SnapshotRecord;
  #machine: MachineStore;
  #generationLast: number;

  private constructor(kv: KvStore, superblock: Superblock, identity: StorageIdentity, loaded: Loaded) {
    const { packs, hard, snapshot, writes } = loaded;
    this.#kv = kv;
    this.#superblock = superblock;
    this.#identity = identity;
    this.#packs = packs;
    this.#hard = hard;
    this.#snapshot = snapshot;
    this.#writes = writes;
    this.#generationLast = snapshot.generation;
    this.#machine = new MachineStore(kv, machinePrefix(snapshot.generation));
    this.#durable = this.#composedState();
  }

  /**
   * Bootstraps an empty store; checks everything in any other and clears away what an interrupted snapshot left.
   * Does not close `kv` when it throws.
   * @throws StorageError; nothing is repaired or cut
   */
  static async open(
    kv: KvStore,
    options: StorageOptions,
  ): Promise<{
    readonly storage: KvRaftStorage;
    readonly recovered: RecoveredState;
    /** What an operator should know of though it is no reason to stop. */
    readonly warnings: readonly string[];
  }> {
    const superblock = await Superblock.open(kv.slots);
    await establish(kv, superblock, options.identity, options.bootstrap);

    const hard = decodeHard(required(kv, HARD_STATE_KEY));
    const snapshot = decodeSnapshot(required(kv, SNAPSHOT_KEY));
    const start = decodeLogStart(required(kv, LOG_START_KEY));
    const writes = decodeWrites(required(kv, WRITES_KEY));
    const { packs, entries } = await LogPacks.load(kv, start, hard.seq);
    checkTogether(hard, snapshot, packs);
    const isNamed = checkFolderRecords(kv);

    const storage = new KvRaftStorage(kv, superblock, options.identity, { packs, hard, snapshot, writes });
    const warnings = await storage.#checkSuperblock();
    for await (const ops of storage.leftovers()) await storage.write(ops);
    if (!isNamed && options.newFolderId !== undefined)
      await storage.write(firstFolderRecords(options.newFolderId()));
    return {
      storage,
      recovered: {
        hardState: { currentTerm: hard.currentTerm, votedFor: hard.votedFor },
        snapshot: { index: snapshot.index, term: snapshot.term, config: snapshot.config },
        entries,
      },
      warnings,
    };
  }

  /** The name of this store, drawn at its first start; null: it has none (folder-records.ts). */
  get folderId(): string | null {
    const record = this.#kv.get(FOLDER_KEY);
    return record === undefined ? null : decodeFolder(record);
  }

  /** Those by which other members are known here. */
  get peerFolders(): ReadonlyMap<NodeId, string> {
    const record = this.#kv.get(PEER_FOLDERS_KEY);
    return record === undefined ? new Map() : decodePeerFolders(record);
  }

  get snapshot(): SnapshotRecord {
    return this.#snapshot;
  }

  /** First index of the kept log. */
  get firstIndex(): LogIndex {
    return this.#packs.firstIndex as LogIndex;
  }

  get lastIndex(): LogIndex {
    return this.#packs.lastIndex as LogIndex;
  }

  /** The state machine's part, of the generation in force. */
  get machine(): MachineStore {
    return this.#machine;
  }

  /** Atomic and durable. At most one at a time. A rejection is fatal and must never be retried. */
  async write(ops: readonly KvOp[]): Promise<void> {
    this.#writes += 1;
    // Nothing else is composed before this write is over.
    const state = this.#composedState();
    await this.#kv.batch([...ops, { kind: 'put', key: WRITES_KEY, value: encodeWrites(this.#writes) }], {
      sync: true,
    });
    this.#durable = state;
  }

  /**
   * Makes the superblock say what is durable now. At most one at a time; may run beside {@link write}. A rejection is fatal.
   */
  writeSuperblock(): Promise<void> {
    return this.#superblock.write(this.#durable);
  }

  /** Makes the superblock anew under another cluster's id, after the write that put that into the identity (recover-alone.ts). */
  async renameCluster(clusterId: string): Promise<void> {
    this.#identity = { ...this.#identity, clusterId };
    this.#durable = this.#composedState();
    await this.#superblock.create(this.#durable);
  }

  close(): Promise<void> {
    return this.#kv.close();
  }

  composeLog(write: LogWrite): readonly KvOp[] {
    const ops: KvOp[] = [];
    if (write.hardState !== null) {
      const { currentTerm, votedFor } = write.hardState;
      if (currentTerm < this.#hard.currentTerm)
        throw new Error(`term ${currentTerm} is below ${this.#hard.currentTerm}`);
      this.#hard = { seq: this.#hard.seq + 1, currentTerm, votedFor };
      ops.push({ kind: 'put', key: HARD_STATE_KEY, value: encodeHard(this.#hard) });
    }
    if (write.truncateFrom !== null || write.append.length > 0) {
      for (const op of this.#packs.compose(write.truncateFrom, write.append, this.#hard.seq)) ops.push(op);
    }
    return ops;
  }

  composeChunk(index: LogIndex, chunk: number, data: Uint8Array): KvOp {
    const key = chunkKey(index, chunk);
    return { kind: 'put', key, value: sealBytes(key, data) };
  }

  composeChunkDeletion(index: LogIndex, chunk: number): KvOp {
    return { kind: 'del', key: chunkKey(index, chunk) };
  }

  /**
   * Makes the chunks written under `meta.index` the snapshot in force: the commit point. The old snapshot's chunks and the
   * log up to the returned index go in the same write.
   */
  composeSnapshotCommit(
    meta: SnapshotMeta,
    totals: ChunkTotals,
    trailing: TrailingLog,
    needed: NeededLog = NOTHING_NEEDED,
  ): { readonly ops: readonly KvOp[]; readonly compactThrough: LogIndex } {
    const ops = this.#composeSnapshotRecord(meta, totals, this.#snapshot.generation);
    const compactThrough = this.#packs.compactionPoint(meta.index, trailing, needed);
    ops.push(...this.#packs.composeCompaction(compactThrough));
    return { ops, compactThrough };
  }

  /** A number no `sm!` prefix has; records of a snapshot being installed go there. */
  newGeneration(): number {
    this.#generationLast += 1;
    return this.#generationLast;
  }

  composeMachineRecord(generation: number, relativeKey: string, value: Uint8Array): KvOp {
    const key = machinePrefix(generation) + relativeKey;
    return { kind: 'put', key, value: sealBytes(key, value) };
  }

  /**
   * Puts a snapshot from the leader in force: chunks, machine records and log change over in one write. The log after it
   * is kept if the log has the snapshot's last entry, else the log begins anew (Figure 13, steps 6 and 7).
   */
  composeInstall(meta: SnapshotMeta, totals: ChunkTotals, generation: number): readonly KvOp[] {
    const ops = this.#composeSnapshotRecord(meta, totals, generation);
    if (this.#packs.termAt(meta.index) === meta.term) ops.push(...this.#packs.composeCompaction(meta.index));
    else ops.push(...this.#packs.composeReset(meta.index));
    this.#machine = new MachineStore(this.#kv, machinePrefix(generation));
    return ops;
  }

  /**
   * The chunks of the snapshot in force, checked one by one; the total is checked at the end.
   * @throws StorageCorruptError while iterating
   */
  readSnapshot(): AsyncIterable<Uint8Array> {
    return readChunks(this.#kv, this.#snapshot);
  }

  /**
   * The log as it lies in the store now; what is written later does not show.
   * @throws StorageCorruptError while iterating
   */
  async *readLog(): AsyncIterable<StoredStretch> {
    const view = this.#kv.view();
    try {
      yield* readStoredLog(view);
    } finally {
      await view.close();
    }
  }

  /** A frozen view of snapshot and machine records, for sending them to a peer. Must be closed. */
  openTransfer(): SnapshotTransferView {
    return new SnapshotTransferView(this.#kv.view(), this.#snapshot);
  }

  /**
   * Deletes of everything that belongs to no snapshot in force: chunks of abandoned snapshots, records of other
   * generations. In batches; each may be written at any later time, as long as no snapshot was begun in between.
   */
  async *leftovers(): AsyncIterable<readonly KvOp[]> {
    const { index, chunks, generation } = this.#snapshot;
    const chunkAll = prefixRange('snap!');
    const machineAll = prefixRange('sm!');
    const machineOwn = prefixRange(machinePrefix(generation));
    const ranges: readonly KvRange[] = [
      { gte: chunkAll.gte, lt: chunkKey(index, 0) },
      { gte: chunkKey(index, chunks), lt: chunkAll.lt },
      { gte: machineAll.gte, lt: machineOwn.gte },
      { gte: machineOwn.lt, lt: machineAll.lt },
    ];
    for (const range of ranges) yield* deletions(this.#kv, range);
  }

  #composedState(): SuperblockState {
    const { seq, currentTerm, votedFor } = this.#hard;
    return {
      format: STORAGE_FORMAT,
      clusterId: this.#identity.clusterId,
      nodeId: this.#identity.nodeId,
      writes: this.#writes,
      hardSeq: seq,
      currentTerm,
      votedFor,
      lastIndex: this.#packs.lastIndex,
      chain: this.#packs.chainTip,
      snapshotIndex: this.#snapshot.index,
    };
  }

  /** Compares with the superblock, and brings that up to date. */
  async #checkSuperblock(): Promise<readonly string[]> {
    const { state, name, damagedSlots } = this.#superblock;
    if (state !== null) checkAgainstSuperblock(this.#durable, state, name);
    if (state?.writes !== this.#writes || damagedSlots > 0) await this.writeSuperblock();
    if (damagedSlots === 0) return [];
    return [`one of the two slots of ${name} was damaged and has been written anew: is the disk failing?`];
  }

  #composeSnapshotRecord(meta: SnapshotMeta, totals: ChunkTotals, generation: number): KvOp[] {
    const old = this.#snapshot;
    if (meta.index <= old.index) throw new Error(`snapshot ${meta.index} is not newer than ${old.index}`);
    this.#snapshot = {
      index: meta.index,
      term: meta.term,
      config: meta.config,
      chunks: totals.chunks,
      bytes: totals.bytes,
      crc: totals.crc,
      generation,
    };
    const ops: KvOp[] = [{ kind: 'put', key: SNAPSHOT_KEY, value: encodeSnapshot(this.#snapshot) }];
    for (let chunk = 0; chunk < old.chunks; chunk++)
      ops.push({ kind: 'del', key: chunkKey(old.index, chunk) });
    return ops;
  }
}

async function* deletions(kv: KvStore, range: KvRange): AsyncIterable<readonly KvOp[]> {
  let ops: KvOp[] = [];
  for await (const [key] of kv.iterate(range)) {
    ops.push({ kind: 'del', key });
    if (ops.length < CLEAR_KEYS_PER_BATCH) continue;
    yield ops;
    ops = [];
  }
  if (ops.length > 0) yield ops;
}

function required(kv: KvStore, key: string): Uint8Array {
  const record = kv.get(key);
  if (record === undefined) throw new StorageCorruptError(`record ${key} is missing`);
  return record;
}

/** What must hold between the records (raft.md item 47). */
function checkTogether(hard: HardRecord, snapshot: SnapshotRecord, packs: LogPacks): void {
  const { firstIndex, lastIndex } = packs;
  const lastTerm = packs.termAt(lastIndex) ?? snapshot.term;
  if (hard.currentTerm < lastTerm || hard.currentTerm < snapshot.term) {
    throw new StorageCorruptError(
      `the stored term ${hard.currentTerm} is below the log's (${Math.max(lastTerm, snapshot.term)})`,
    );
  }
  if (firstIndex > snapshot.index + 1) {
    throw new StorageCorruptError(
      `the log begins at ${firstIndex}, but the snapshot ends at ${snapshot.index}`,
    );
  }
  if (lastIndex < snapshot.index) {
    throw new StorageCorruptError(`the log ends at ${lastIndex}, before the snapshot at ${snapshot.index}`);
  }
  const termThere = packs.termAt(snapshot.index);
  if (termThere !== null && termThere !== snapshot.term) {
    throw new StorageCorruptError(
      `entry ${snapshot.index} has term ${termThere}, the snapshot there has ${snapshot.term}`,
    );
  }
}

export type { HardRecord, SnapshotRecord, StorageIdentity } from './records.ts';
