import type { FinalStatus } from '../../api/tasks.ts';
import { isFinal } from '../../api/tasks.ts';
import { ArchiveIndex } from './archive-index.ts';
import {
  AMENDMENT_PREFIX,
  INDEX_PREFIX,
  TAGS_PREFIX,
  amendmentKey,
  bodyKey,
  decodeAmendment,
  decodeSegmentIndex,
  decodeSegmentTags,
  encodeAmendment,
  encodeSegment,
  indexKey,
  recordOfSegment,
  roughBytes,
  tagsKey,
} from './archive-format.ts';
import type { Amendment, ArchiveWrite } from './archive-format.ts';
import { fnv1a } from './hash.ts';
import { superseded } from './lifecycle.ts';
import { STATE_LIMITS } from './limits.ts';
import { encodeTask } from './record-codec.ts';
import type { EntryContext, TaskRecord } from './records.ts';
import { mayHaveTag } from './segment-tags.ts';
import { SortedNumbers } from './sorted-numbers.ts';

/** What the archive reads from its store, synchronously. */
export interface ArchiveStore {
  get(key: string): Uint8Array | undefined;
}

/** Finished tasks wait in memory (and in snapshots) until so many make a segment worth writing … */
export const SEGMENT_TASKS = 256;
/** … or until they take so much, roughly. */
const UNSAVED_BYTES = 1024 * 1024;
/** A segment is read as a whole for one of its records, so it stays below this unless one record is larger. */
const SEGMENT_BYTES = 256 * 1024;
/** Segments deleted in one batch with a snapshot; the rest goes with the next one. */
const DROP_SEGMENTS_MAX = 2_000;

/** The part of the archive's state that follows from the commands alone. */
export interface ArchiveCounters {
  /** Tasks that have ever finished; the newest has this finish number. */
  readonly finishCount: number;
  /** Finish numbers up to this one are gone. */
  readonly retiredThrough: number;
  /** Of all finished tasks and amendments ever, in order: compares archives without reading them. */
  readonly digest: number;
}

/**
 * Finished tasks, numbered in the order in which they finished. The newest are in memory; the others lie in the store as
 * segments of consecutive finish numbers, written when enough have come together (one value per few hundred tasks: keys
 * are what LevelDB is slow at), with an index in memory (archive-index.ts).
 *
 * When the log is replayed after a crash the store may be ahead of it: it may hold tasks whose finishing has not been
 * applied yet. They are the ones with a finish number above `finishCount`, and invisible. Replay gives each task the same
 * finish number again, so what is already stored needs no second writing.
 */
export class Archive {
  readonly #segmentTasks: number;
  #store: ArchiveStore | null = null;
  #index = new ArchiveIndex();
  #segments = new SortedNumbers();
  /** Of stored segments, by their first finish number. */
  #tags = new Map<number, Uint8Array>();
  /** By finish number, ascending; those handed over stay until they are known to be written. */
  #unsaved = new Map<number, TaskRecord>();
  #unsavedBytes = 0;
  #handedOver: readonly number[] = [];
  #amendments = new Map<number, Amendment[]>();
  #unsavedAmendments: Amendment[] = [];
  #finishCount = 0;
  #retiredThrough = 0;
  #droppedThrough = 0;
  #digest = 0;
  #retirements: { readonly index: number; readonly through: number }[] = [];
  #lastRead: { readonly first: number; readonly body: Uint8Array } | null = null;

  constructor(segmentTasks: number = SEGMENT_TASKS) {
    this.#segmentTasks = segmentTasks;
  }

  counters(): ArchiveCounters {
    return { finishCount: this.#finishCount, retiredThrough: this.#retiredThrough, digest: this.#digest };
  }

  /** Tasks kept. */
  get size(): number {
    return this.#finishCount - this.#retiredThrough;
  }

  /** Takes a task that has just become final. */
  add(task: TaskRecord): void {
    if (!isFinal(task.status) || task.finishedAt === null) throw new Error(`task ${task.id} is not finished`);
    const finishSeq = this.#finishCount + 1;
    this.#finishCount = finishSeq;
    this.#digest = fnv1a(`${task.id} ${task.seq} ${task.status} ${task.index}`, this.#digest);
    if (this.#index.has(finishSeq)) return;
    this.#addUnsaved(finishSeq, task, task.status, task.finishedAt);
  }

  #addUnsaved(finishSeq: number, task: TaskRecord, status: FinalStatus, finishedAt: number): void {
    this.#index.add({ finishSeq, seq: task.seq, id: task.id, status, finishedAt, key: task.key });
    this.#unsaved.set(finishSeq, task);
    this.#unsavedBytes += roughBytes(task);
  }

  /** Notes at a finished task that a replaced attempt of it came back late. */
  amend(ctx: EntryContext, finishSeq: number, token: number): void {
    const present = this.#amendments.get(finishSeq) ?? [];
    const known = present.find((amendment) => amendment.token === token);
    if (known !== undefined && known.index < ctx.index) return;
    this.#digest = fnv1a(`${finishSeq} ${token} ${ctx.index}`, this.#digest);
    // A store that is ahead of the log being replayed has it already.
    if (known !== undefined) return;
    const amendment: Amendment = { finishSeq, token, ...ctx };
    this.#amendments.set(finishSeq, [...present, amendment]);
    this.#unsavedAmendments.push(amendment);
  }

  /** Finish number of the task with exactly this id; 0 if it is not (or not any more) here. */
  findId(id: string): number {
    for (const finishSeq of this.#index.candidatesById(id)) {
      if (this.#visible(finishSeq) && this.read(finishSeq).id === id) return finishSeq;
    }
    return 0;
  }

  /** Up to `limit` ids that begin with `prefix`. */
  findPrefix(prefix: string, limit: number): readonly string[] {
    const found: string[] = [];
    for (const finishSeq of this.#index.candidatesById(prefix)) {
      if (!this.#visible(finishSeq)) continue;
      const { id } = this.read(finishSeq);
      if (id.startsWith(prefix)) found.push(id);
      if (found.length === limit) break;
    }
    return found;
  }

  /** The task submitted under this key digest. */
  findKey(key: string): TaskRecord | null {
    for (const finishSeq of this.#index.candidatesByKey(key)) {
      if (!this.#visible(finishSeq)) continue;
      const task = this.read(finishSeq);
      if (task.key === key) return task;
    }
    return null;
  }

  /** Finish number of the task submitted as `seq`; 0 if it is not here. */
  finishSeqOf(seq: number): number {
    const finishSeq = this.#index.finishSeqOf(seq);
    return this.#visible(finishSeq) ? finishSeq : 0;
  }

  /** The largest submission number below `seq` whose task is here (and ended like this); 0 if there is none. */
  seqBelow(seq: number, status: FinalStatus | null = null): number {
    let at = seq;
    do at = status === null ? this.#index.seqBelow(at, 1) : this.#index.seqOfStatusBelow(at, status);
    while (at !== 0 && !this.#visible(this.#index.finishSeqOf(at)));
    return at;
  }

  /** False: this task certainly lacks one of these tags (segment-tags.ts). Tells without reading it. */
  mayHave(finishSeq: number, tags: readonly number[]): boolean {
    if (this.#unsaved.has(finishSeq)) return true;
    const first = this.#segments.below(finishSeq + 1);
    const filter = first === undefined ? undefined : this.#tags.get(first);
    return filter === undefined || tags.every((tag) => mayHaveTag(filter, tag));
  }

  /** From the index alone. */
  statusOf(finishSeq: number): FinalStatus {
    return this.#index.statusOf(finishSeq);
  }

  /** @throws Error if it is not in the store: then the store does not belong to this state. */
  read(finishSeq: number): TaskRecord {
    let task = this.readUnamended(finishSeq);
    for (const amendment of this.#amendments.get(finishSeq) ?? []) {
      const attempt = task.attempts.find((candidate) => candidate.token === amendment.token);
      if (attempt !== undefined) task = superseded(amendment, task, attempt);
    }
    return task;
  }

  /** As it was when it finished: the same on every server, however far its store is. */
  readUnamended(finishSeq: number): TaskRecord {
    return this.#unsaved.get(finishSeq) ?? this.#readStored(finishSeq);
  }

  #readStored(finishSeq: number): TaskRecord {
    const first = this.#segments.below(finishSeq + 1);
    if (first === undefined) throw new Error(`the archive has no segment for finish number ${finishSeq}`);
    if (this.#lastRead?.first !== first) {
      const body = this.#store?.get(bodyKey(first));
      if (body === undefined) throw new Error(`the archive's segment ${first} is not in the store`);
      this.#lastRead = { first, body };
    }
    return recordOfSegment(this.#lastRead.body, finishSeq - first);
  }

  #visible(finishSeq: number): boolean {
    return finishSeq > this.#retiredThrough && finishSeq <= this.#finishCount;
  }

  /** Drops the oldest through this finish number; returns how many of each status went. */
  retire(index: number, through: number): ReadonlyMap<FinalStatus, number> {
    const last = Math.min(through, this.#finishCount, this.#retiredThrough + STATE_LIMITS.retirePerOpMax);
    const counts = new Map<FinalStatus, number>();
    for (let finishSeq = this.#retiredThrough + 1; finishSeq <= last; finishSeq += 1) {
      const status = this.#index.statusOf(finishSeq);
      counts.set(status, (counts.get(status) ?? 0) + 1);
      this.#index.hide(finishSeq);
    }
    if (last > this.#retiredThrough) {
      this.#retiredThrough = last;
      this.#retirements.push({ index, through: last });
    }
    return counts;
  }

  /** The finish number through which `retire` is due: older than the age, or beyond the number to be kept. 0: none. */
  retireThrough(before: number, tasksMax: number): number {
    let low = this.#retiredThrough;
    let high = this.#finishCount;
    // Finish times do not decrease with the finish number: the clock of the state machine never goes back.
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#index.finishedAtOf(middle) < before) low = middle;
      else high = middle - 1;
    }
    const through = Math.max(low, this.#finishCount - tasksMax);
    return through > this.#retiredThrough ? through : 0;
  }

  /**
   * What is to be written now. What the previous call gave is taken as written: flushes are serialized, so the next one
   * is composed only after the previous one is durable.
   */
  takeDirty(): readonly ArchiveWrite[] {
    for (const finishSeq of this.#handedOver) {
      const task = this.#unsaved.get(finishSeq);
      if (task === undefined) continue;
      this.#unsaved.delete(finishSeq);
      this.#unsavedBytes -= roughBytes(task);
    }
    this.#handedOver = [];
    const writes: ArchiveWrite[] = this.#unsavedAmendments.map((amendment) => ({
      kind: 'put',
      key: amendmentKey(amendment),
      value: encodeAmendment(amendment),
    }));
    this.#unsavedAmendments = [];
    if (this.#unsaved.size >= this.#segmentTasks || this.#unsavedBytes >= UNSAVED_BYTES)
      this.#writeSegments(writes);
    return writes;
  }

  #writeSegments(writes: ArchiveWrite[]): void {
    let first = 0;
    let tasks: TaskRecord[] = [];
    let lines: string[] = [];
    let length = 0;
    const close = (): void => {
      if (tasks.length === 0) return;
      const segment = encodeSegment(tasks, lines);
      writes.push({ kind: 'put', key: bodyKey(first), value: segment.body });
      writes.push({ kind: 'put', key: indexKey(first), value: segment.index });
      writes.push({ kind: 'put', key: tagsKey(first), value: segment.tags });
      this.#tags.set(first, decodeSegmentTags(segment.tags));
      this.#segments.add(first);
      tasks = [];
      lines = [];
      length = 0;
    };
    for (const [finishSeq, task] of this.#unsaved) {
      const line = encodeTask(task);
      const follows = finishSeq === first + tasks.length;
      if (!follows || tasks.length === this.#segmentTasks || length + line.length > SEGMENT_BYTES) close();
      if (tasks.length === 0) first = finishSeq;
      tasks.push(task);
      lines.push(line);
      length += line.length;
    }
    close();
    this.#handedOver = [...this.#unsaved.keys()];
  }

  /** Deletes what was retired at or before `index`, as whole segments. */
  dropBefore(index: number): readonly ArchiveWrite[] {
    let through = this.#droppedThrough;
    for (const retirement of this.#retirements) {
      if (retirement.index <= index) through = Math.max(through, retirement.through);
    }
    const writes: ArchiveWrite[] = [];
    let droppedThrough = this.#droppedThrough;
    for (let count = 0; count < DROP_SEGMENTS_MAX; count += 1) {
      const first = this.#segments.first();
      if (first === undefined || first > through) break;
      const next = this.#nextSegment(first);
      // The segment's end is only known from what follows it; the last one stays until then.
      if (next === undefined || next - 1 > through) break;
      for (const key of [bodyKey(first), indexKey(first), tagsKey(first)]) writes.push({ kind: 'del', key });
      this.#tags.delete(first);
      this.#segments.delete(first);
      droppedThrough = next - 1;
    }
    if (droppedThrough === this.#droppedThrough) return writes;
    for (const [finishSeq, amendments] of this.#amendments) {
      if (finishSeq > droppedThrough) continue;
      for (const amendment of amendments) writes.push({ kind: 'del', key: amendmentKey(amendment) });
      this.#amendments.delete(finishSeq);
    }
    this.#index.drop(droppedThrough);
    this.#droppedThrough = droppedThrough;
    this.#retirements = this.#retirements.filter((retirement) => retirement.through > droppedThrough);
    this.#lastRead = null;
    return writes;
  }

  #nextSegment(first: number): number | undefined {
    for (const candidate of this.#segments.values()) if (candidate > first) return candidate;
    return undefined;
  }

  /** What a snapshot has to carry because it may not be in the store yet. */
  unsaved(): readonly (readonly [finishSeq: number, task: TaskRecord])[] {
    return [...this.#unsaved];
  }

  unsavedAmendments(): readonly Amendment[] {
    return [...this.#amendments.values()].flat();
  }

  /** Empties it and sets what a snapshot as of `index` says; the store's part follows by {@link load}. */
  reset(store: ArchiveStore | null, index: number, counters: ArchiveCounters): void {
    this.#store = store;
    this.#index = new ArchiveIndex();
    this.#segments = new SortedNumbers();
    this.#tags = new Map();
    this.#unsaved = new Map();
    this.#unsavedBytes = 0;
    this.#handedOver = [];
    this.#amendments = new Map();
    this.#unsavedAmendments = [];
    this.#finishCount = counters.finishCount;
    this.#retiredThrough = counters.retiredThrough;
    this.#droppedThrough = 0;
    this.#digest = counters.digest;
    this.#retirements = counters.retiredThrough > 0 ? [{ index, through: counters.retiredThrough }] : [];
    this.#lastRead = null;
  }

  /** Takes one of the store's records, of {@link ARCHIVE_PREFIXES_LOADED}, in the order of keys. */
  load(key: string, value: Uint8Array): void {
    if (key.startsWith(INDEX_PREFIX)) {
      const first = Number(key.slice(INDEX_PREFIX.length));
      this.#segments.add(first);
      let finishSeq = first;
      for (const entry of decodeSegmentIndex(value)) {
        this.#index.add({ finishSeq, ...entry });
        finishSeq += 1;
      }
    } else if (key.startsWith(TAGS_PREFIX)) {
      this.#tags.set(Number(key.slice(TAGS_PREFIX.length)), decodeSegmentTags(value));
    } else if (key.startsWith(AMENDMENT_PREFIX)) {
      this.#restoreAmendment(decodeAmendment(value));
    }
  }

  /** Takes a finished task of a snapshot; ignored if the store has it. After all of the store was loaded. */
  restoreTask(finishSeq: number, task: TaskRecord): void {
    if (this.#index.has(finishSeq)) return;
    if (!isFinal(task.status) || task.finishedAt === null) throw new Error(`task ${task.id} is not finished`);
    this.#addUnsaved(finishSeq, task, task.status, task.finishedAt);
  }

  restoreAmendment(amendment: Amendment): void {
    if (this.#restoreAmendment(amendment)) this.#unsavedAmendments.push(amendment);
  }

  #restoreAmendment(amendment: Amendment): boolean {
    const present = this.#amendments.get(amendment.finishSeq) ?? [];
    if (present.some((known) => known.token === amendment.token)) return false;
    this.#amendments.set(amendment.finishSeq, [...present, amendment]);
    return true;
  }

  /**
   * After everything was loaded and restored.
   * @throws Error if a finished task that must be here is not: the store does not belong to the snapshot.
   */
  loaded(): void {
    this.#droppedThrough = Math.min(this.#retiredThrough, (this.#segments.first() ?? Infinity) - 1);
    for (let gone = this.#droppedThrough + 1; gone <= this.#retiredThrough; gone += 1) this.#index.hide(gone);
    for (let finishSeq = this.#retiredThrough + 1; finishSeq <= this.#finishCount; finishSeq += 1) {
      if (!this.#index.has(finishSeq)) {
        throw new Error(`the archive lacks finish number ${finishSeq} of ${this.#finishCount}`);
      }
    }
  }

  countByStatus(): ReadonlyMap<FinalStatus, number> {
    const counts = new Map<FinalStatus, number>();
    for (let finishSeq = this.#retiredThrough + 1; finishSeq <= this.#finishCount; finishSeq += 1) {
      const status = this.#index.statusOf(finishSeq);
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    return counts;
  }
}
