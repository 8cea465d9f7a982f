import { TASK_STATUSES, isFinal } from '../../api/tasks.ts';
import type { TaskStatus } from '../../api/tasks.ts';
import { Archive } from './archive.ts';
import { DueHeap } from './due-heap.ts';
import { IdIndex } from './id-index.ts';
import { currentAttempt } from './lifecycle.ts';
import type { TaskRecord } from './records.ts';
import { SeqMap } from './seq-map.ts';
import { ShardedMap } from './sharded-map.ts';
import { SortedNumbers } from './sorted-numbers.ts';
import { TaskQueue } from './task-queue.ts';
import { priorityOf, shapeOf } from './task-spec.ts';

const NO_TASKS: ReadonlySet<string> = new Set();
/** Entries of the due heap that may be void before it is cleaned up. */
const DUE_VOID_MIN = 1_024;

/**
 * All tasks: the live ones in memory, the finished ones in the archive, and every table that follows from them.
 * {@link put} is the only way in, so the tables can't disagree with the records.
 *
 * Sets here keep the order in which things happened on this server, which a restored server does not share: nothing
 * that decides may depend on it (sort by submission number first).
 */
export class TaskTable {
  readonly archive: Archive;
  #live = new SeqMap<TaskRecord>();
  #seqs = new ShardedMap<number>();
  #liveSeqs = new SortedNumbers();
  #ids = new IdIndex();
  #keys = new ShardedMap<number>();
  #queue = new TaskQueue();
  #due = new DueHeap();
  #scheduled = 0;
  #byNode = new Map<string, Set<string>>();
  #dependents = new ShardedMap<Set<string>>();
  #counts = emptyCounts();
  #lastSeq = 0;

  /** `segmentTasks`: see {@link SEGMENT_TASKS}. */
  constructor(segmentTasks?: number) {
    this.archive = new Archive(segmentTasks);
  }

  /** The submission number of the newest task. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  get liveCount(): number {
    return this.#live.size;
  }

  get queue(): TaskQueue {
    return this.#queue;
  }

  /** Live tasks in the order of submission, as of now. */
  live(): readonly TaskRecord[] {
    return this.#live.values();
  }

  get(id: string): TaskRecord | undefined {
    const seq = this.#seqs.get(id);
    return seq === undefined ? undefined : this.#live.get(seq);
  }

  bySeq(seq: number): TaskRecord | undefined {
    return this.#live.get(seq);
  }

  /** The live task submitted under this key digest. */
  byKey(key: string): TaskRecord | undefined {
    const seq = this.#keys.get(key);
    return seq === undefined ? undefined : this.#live.get(seq);
  }

  /** The largest submission number below `seq` of a live task; 0 if there is none. */
  seqBelow(seq: number): number {
    return this.#liveSeqs.below(seq) ?? 0;
  }

  /** Up to `limit` live ids that begin with `prefix`. */
  findPrefix(prefix: string, limit: number): readonly string[] {
    return this.#ids.find(prefix, limit);
  }

  /** Ids of the tasks assigned to or running on a node, in no order that may decide anything. */
  onNode(node: string): ReadonlySet<string> {
    return this.#byNode.get(node) ?? NO_TASKS;
  }

  nodesWithTasks(): Iterable<string> {
    return this.#byNode.keys();
  }

  counts(): Readonly<Record<TaskStatus, number>> {
    return this.#counts;
  }

  countOf(status: TaskStatus): number {
    return this.#counts[status];
  }

  /** The earliest time at which a scheduled task is due; null if none has a time. */
  nextDueAt(): number | null {
    for (;;) {
      const due = this.#due.peek();
      if (due === undefined) return null;
      if (this.#holds(due.at, due.seq)) return due.at;
      this.#due.pop();
    }
  }

  /** Takes the next task due at or before `at`. The caller moves it on. */
  takeDue(at: number): TaskRecord | null {
    const next = this.nextDueAt();
    if (next === null || next > at) return null;
    const due = this.#due.pop();
    return due === undefined ? null : (this.bySeq(due.seq) ?? null);
  }

  #holds(at: number, seq: number): boolean {
    const task = this.bySeq(seq);
    return task !== undefined && task.status === 'scheduled' && task.runAt === at && task.waitsFor === 0;
  }

  /** Live tasks that wait for this one, in the order of submission. */
  dependentsOf(id: string): readonly TaskRecord[] {
    const waiting: TaskRecord[] = [];
    for (const dependent of this.#dependents.get(id) ?? NO_TASKS) {
      const task = this.get(dependent);
      if (task !== undefined) waiting.push(task);
    }
    return waiting.sort((a, b) => a.seq - b.seq);
  }

  /** Notes that a scheduled task waits for `on`, which is live. */
  addDependency(task: string, on: string): void {
    const dependents = this.#dependents.get(on);
    if (dependents === undefined) this.#dependents.set(on, new Set([task]));
    else dependents.add(task);
  }

  /** Forgets who waited for a task that is final now. */
  dropDependents(id: string): void {
    this.#dependents.delete(id);
  }

  /** A new task, or the next record of a live one. A final one moves to the archive. */
  put(next: TaskRecord): void {
    const previous = this.get(next.id);
    if (previous === undefined) this.#enter(next);
    else this.#leaveTables(previous, next);
    this.#counts[next.status] += 1;
    if (isFinal(next.status)) {
      this.#exit(next);
      return;
    }
    this.#live.set(next.seq, next);
    this.#enterTables(previous, next);
  }

  #enter(task: TaskRecord): void {
    this.#lastSeq = Math.max(this.#lastSeq, task.seq);
    this.#seqs.set(task.id, task.seq);
    this.#liveSeqs.add(task.seq);
    this.#ids.add(task.id);
    if (task.key !== null) this.#keys.set(task.key, task.seq);
  }

  #leaveTables(previous: TaskRecord, next: TaskRecord): void {
    this.#counts[previous.status] -= 1;
    if (previous.status === 'queued' && next.status !== 'queued') {
      this.#queue.remove(shapeOf(previous.spec), priorityOf(previous.spec), previous.seq);
    }
    if (previous.status === 'scheduled') this.#scheduled -= 1;
    const held = currentAttempt(previous);
    if (held !== null && currentAttempt(next)?.token !== held.token) {
      const onNode = this.#byNode.get(held.node);
      onNode?.delete(previous.id);
      if (onNode?.size === 0) this.#byNode.delete(held.node);
    }
  }

  #enterTables(previous: TaskRecord | undefined, next: TaskRecord): void {
    if (next.status === 'queued') {
      if (previous?.status !== 'queued') {
        this.#queue.add(shapeOf(next.spec), priorityOf(next.spec), next.seq);
      }
      return;
    }
    if (next.status === 'scheduled') {
      this.#scheduled += 1;
      if (next.runAt !== null && next.waitsFor === 0) this.#pushDue(next.runAt, next.seq);
      return;
    }
    const held = currentAttempt(next);
    if (held === null) return;
    const onNode = this.#byNode.get(held.node);
    if (onNode === undefined) this.#byNode.set(held.node, new Set([next.id]));
    else onNode.add(next.id);
  }

  #pushDue(at: number, seq: number): void {
    this.#due.push(at, seq);
    if (this.#due.size > 2 * this.#scheduled + DUE_VOID_MIN) {
      this.#due.compact((dueAt, dueSeq) => this.#holds(dueAt, dueSeq));
    }
  }

  #exit(task: TaskRecord): void {
    this.#live.delete(task.seq);
    this.#seqs.delete(task.id);
    this.#liveSeqs.delete(task.seq);
    this.#ids.delete(task.id);
    if (task.key !== null && this.#keys.get(task.key) === task.seq) this.#keys.delete(task.key);
    this.archive.add(task);
  }

  /** Drops finished tasks from the oldest on. */
  retire(index: number, through: number): void {
    for (const [status, count] of this.archive.retire(index, through)) this.#counts[status] -= count;
  }

  /** Empties it; live tasks follow by {@link put}, in the order of submission, then {@link restored}. */
  reset(lastSeq: number): void {
    this.#live = new SeqMap();
    this.#seqs = new ShardedMap();
    this.#liveSeqs = new SortedNumbers();
    this.#ids = new IdIndex();
    this.#keys = new ShardedMap();
    this.#queue = new TaskQueue();
    this.#due = new DueHeap();
    this.#scheduled = 0;
    this.#byNode = new Map();
    this.#dependents = new ShardedMap();
    this.#counts = emptyCounts();
    this.#lastSeq = lastSeq;
  }

  /** Rebuilds what follows from all tasks together: who waits for whom, and how many have finished. */
  restored(): void {
    for (const task of this.live()) {
      if (task.status !== 'scheduled' || task.waitsFor === 0) continue;
      for (const on of task.spec.after ?? []) if (this.#seqs.has(on)) this.addDependency(task.id, on);
    }
    for (const [status, count] of this.archive.countByStatus()) this.#counts[status] = count;
  }
}

function emptyCounts(): Record<TaskStatus, number> {
  return Object.fromEntries(TASK_STATUSES.map((status) => [status, 0])) as Record<TaskStatus, number>;
}
