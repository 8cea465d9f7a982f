/** Finding tasks: by id or prefix, and the list, newest first. Live tasks and the archive look like one. */
import { ApiError } from '../api/errors.ts';
import { LIMITS } from '../api/limits.ts';
import { FINAL_STATUSES } from '../api/tasks.ts';
import type { FinalStatus, TaskListQuery, TaskStatus } from '../api/tasks.ts';
import type { TaskRecord } from './state/records.ts';
import { labelTag, nameTag } from './state/segment-tags.ts';
import type { TaskTable } from './state/task-table.ts';

/** Work that one call of the list does at most; what it did not get to is behind its cursor. */
export const SEARCH_LIMITS = {
  /** Tasks looked at. */
  steps: 200_000,
  /** Finished tasks read from the store. */
  reads: 5_000,
  /** Characters of scripts and output on one page (one task always fits): a page of the largest would be hundreds of MiB. */
  pageChars: 4 * 1024 * 1024,
  /** Characters searched for free text. */
  textChars: 16 * 1024 * 1024,
  /** Steps (a read counts for many) after which others get their turn. */
  stepsPerTurn: 4_000,
} as const;

/** A read from the store takes about as long as so many steps. */
const STEPS_PER_READ = 20;

/** @throws ApiError NOT_FOUND, or CONFLICT if the prefix is that of several tasks. */
export function findTask(tasks: TaskTable, idOrPrefix: string): TaskRecord {
  const exact = exactTask(tasks, idOrPrefix);
  if (exact !== null) return exact;
  const prefix = idOrPrefix.toLowerCase();
  if (prefix.length < LIMITS.idPrefixCharsMin) {
    throw new ApiError(
      'NOT_FOUND',
      `there is no task ${idOrPrefix} (a prefix needs at least ${LIMITS.idPrefixCharsMin} characters)`,
    );
  }
  const [first, second] = [...tasks.findPrefix(prefix, 2), ...tasks.archive.findPrefix(prefix, 2)];
  if (first === undefined) throw notThere(tasks, idOrPrefix);
  if (second !== undefined) {
    throw new ApiError('CONFLICT', `${idOrPrefix} may be task ${first} or ${second}: give more of the id`);
  }
  const found = exactTask(tasks, first);
  if (found === null) throw new Error(`task ${first} was found by its prefix and is not there`);
  return found;
}

/** Of a task that was removed nothing is left that would tell it from one that never was. */
function notThere(tasks: TaskTable, idOrPrefix: string): ApiError {
  const removed = tasks.archive.counters().retiredThrough;
  const why =
    removed === 0
      ? ''
      : `: it never was, or it has ended and is kept no longer (${removed} finished tasks were removed by --keep-for or --keep-tasks)`;
  return new ApiError('NOT_FOUND', `there is no task ${idOrPrefix}${why}`);
}

/** The task with this very id; null if there is none. */
export function exactTask(tasks: TaskTable, id: string): TaskRecord | null {
  const live = tasks.get(id);
  if (live !== undefined) return live;
  const finishSeq = tasks.archive.findId(id);
  return finishSeq === 0 ? null : tasks.archive.read(finishSeq);
}

export interface FoundTasks {
  readonly tasks: readonly TaskRecord[];
  /** Submission number below which to go on; null at the end. */
  readonly next: number | null;
}

/**
 * A page of tasks, newest submission first. `pause` gives others their turn; tasks that come or change meanwhile do
 * no harm, because the cursor is a submission number. A page may be short (or empty) and still have a cursor.
 * @throws ApiError INVALID
 */
export async function listTasks(
  tasks: TaskTable,
  query: TaskListQuery,
  pause: () => Promise<void>,
): Promise<FoundTasks> {
  const filter = new TaskFilter(query);
  const found: TaskRecord[] = [];
  let below = cursorOf(query.cursor, tasks.lastSeq + 1);
  let steps = 0;
  let reads = 0;
  let turn = 0;
  let pageChars = 0;
  const candidates = new Candidates(tasks, query.status);
  const lowest = query.since === undefined ? 1 : firstSeqAt(tasks, query.since);
  if (query.until !== undefined) below = Math.min(below, firstSeqAt(tasks, query.until));
  for (;;) {
    const next = candidates.below(below);
    if (next === null || next.seq < lowest) return { tasks: found, next: null };
    below = next.seq;
    steps += 1;
    turn += 1;
    let { task } = next;
    if (task === null && filter.mayMatchArchived(tasks, next.seq)) {
      task = readArchived(tasks, next.seq);
      reads += 1;
      turn += STEPS_PER_READ;
    }
    if (task !== null && filter.matches(task)) {
      found.push(task);
      pageChars += bulkOf(task);
    }
    if (found.length >= query.limit || pageChars >= SEARCH_LIMITS.pageChars) break;
    if (steps >= SEARCH_LIMITS.steps || reads >= SEARCH_LIMITS.reads || filter.exhausted) break;
    if (turn >= SEARCH_LIMITS.stepsPerTurn) {
      turn = 0;
      await pause();
    }
  }
  return { tasks: found, next: (candidates.below(below)?.seq ?? 0) < lowest ? null : below };
}

/**
 * The submission number from which on tasks were submitted at or after `atMs`. By bisection: the clock of the log does not
 * go back, so neither do times of submission.
 */
function firstSeqAt(tasks: TaskTable, atMs: number): number {
  const all = new Candidates(tasks, undefined);
  let low = 1;
  let high = tasks.lastSeq + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const last = all.below(middle + 1);
    const task = last === null ? null : (last.task ?? readArchived(tasks, last.seq));
    if (task === null || task.submittedAt < atMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Characters of the parts of a task that can be large. */
function bulkOf(task: TaskRecord): number {
  const { spec, result } = task;
  const given = (spec.script?.length ?? 0) + (spec.stdin?.length ?? 0);
  return given + (result === null ? 0 : result.stdout.length + result.stderr.length);
}

function readArchived(tasks: TaskTable, seq: number): TaskRecord | null {
  const finishSeq = tasks.archive.finishSeqOf(seq);
  return finishSeq === 0 ? null : tasks.archive.read(finishSeq);
}

function cursorOf(cursor: string | undefined, otherwise: number): number {
  if (cursor === undefined) return otherwise;
  if (!/^\d{1,15}$/.test(cursor)) throw new ApiError('INVALID', 'cursor: is not one that this list gave');
  return Number(cursor);
}

interface Candidate {
  readonly seq: number;
  /** null: it is in the archive. */
  readonly task: TaskRecord | null;
}

/** Tasks of a status (or all) by descending submission number, from whichever table knows them without searching. */
class Candidates {
  readonly #tasks: TaskTable;
  readonly #status: TaskStatus | undefined;
  readonly #final: FinalStatus | undefined;
  /** Submission numbers of the tasks on nodes, descending: there are only as many as slots. */
  readonly #onNodes: readonly number[] | null;

  constructor(tasks: TaskTable, status: TaskStatus | undefined) {
    this.#tasks = tasks;
    this.#status = status;
    this.#final = FINAL_STATUSES.find((candidate) => candidate === status);
    this.#onNodes = status === 'assigned' || status === 'running' ? seqsOnNodes(tasks) : null;
  }

  below(seq: number): Candidate | null {
    if (this.#final !== undefined) return this.#archivedBelow(seq);
    if (this.#onNodes !== null) return this.#onNodeBelow(seq, this.#onNodes);
    const live = this.#liveBelow(seq);
    const archived = this.#status === undefined ? this.#archivedBelow(seq) : null;
    if (live === null || archived === null) return live ?? archived;
    return live.seq > archived.seq ? live : archived;
  }

  #liveBelow(seq: number): Candidate | null {
    const tasks = this.#tasks;
    let at = tasks.seqBelow(seq);
    for (let skipped = 0; at !== 0; at = tasks.seqBelow(at), skipped += 1) {
      const task = tasks.bySeq(at);
      // Tasks of another status are stepped over here, up to a point: the caller counts its steps.
      const wanted = this.#status === undefined || task?.status === this.#status;
      if (task !== undefined && (wanted || skipped >= SKIPPED_PER_STEP)) return { seq: at, task };
    }
    return null;
  }

  #onNodeBelow(seq: number, seqs: readonly number[]): Candidate | null {
    for (const at of seqs) {
      const task = at < seq ? this.#tasks.bySeq(at) : undefined;
      if (task !== undefined) return { seq: at, task };
    }
    return null;
  }

  #archivedBelow(seq: number): Candidate | null {
    const { archive } = this.#tasks;
    const at = archive.seqBelow(seq, this.#final ?? null);
    return at === 0 ? null : { seq: at, task: null };
  }
}

/** Live tasks of another status that count as one step. */
const SKIPPED_PER_STEP = 16;

function seqsOnNodes(tasks: TaskTable): readonly number[] {
  const seqs: number[] = [];
  for (const node of tasks.nodesWithTasks()) {
    for (const id of tasks.onNode(node)) {
      const task = tasks.get(id);
      if (task !== undefined) seqs.push(task.seq);
    }
  }
  return seqs.sort((a, b) => b - a);
}

class TaskFilter {
  readonly #query: TaskListQuery;
  readonly #label: { readonly key: string; readonly value: string | null } | null;
  readonly #text: string | null;
  /** What a segment of the archive must have to be worth reading. */
  readonly #tags: readonly number[];
  #textChars = 0;

  constructor(query: TaskListQuery) {
    this.#query = query;
    this.#label = query.label === undefined ? null : labelOf(query.label);
    this.#text = query.q === undefined || query.q === '' ? null : query.q.toLowerCase();
    this.#tags = [
      ...(query.name === undefined ? [] : [nameTag(query.name)]),
      ...(this.#label === null ? [] : [labelTag(this.#label.key, this.#label.value)]),
    ];
  }

  /** False where the archive knows without reading it that this task does not match. */
  mayMatchArchived(tasks: TaskTable, seq: number): boolean {
    if (this.#tags.length === 0) return true;
    const finishSeq = tasks.archive.finishSeqOf(seq);
    return finishSeq !== 0 && tasks.archive.mayHave(finishSeq, this.#tags);
  }

  /** So much text was searched that the rest has to wait for the next call. */
  get exhausted(): boolean {
    return this.#textChars > SEARCH_LIMITS.textChars;
  }

  matches(task: TaskRecord): boolean {
    const { status, name } = this.#query;
    if (status !== undefined && task.status !== status) return false;
    if (name !== undefined && task.spec.name !== name) return false;
    if (this.#label !== null) {
      const { labels } = task.spec;
      if (labels === undefined || !Object.hasOwn(labels, this.#label.key)) return false;
      if (this.#label.value !== null && labels[this.#label.key] !== this.#label.value) return false;
    }
    return this.#text === null || this.#containsText(task, this.#text);
  }

  #containsText(task: TaskRecord, text: string): boolean {
    const { name, command, script } = task.spec;
    if (task.id.startsWith(text)) return true;
    for (const field of [name, command?.join(' '), script]) {
      if (field === undefined) continue;
      this.#textChars += field.length;
      if (field.toLowerCase().includes(text)) return true;
    }
    return false;
  }
}

function labelOf(label: string): { readonly key: string; readonly value: string | null } {
  const equals = label.indexOf('=');
  if (equals < 0) return { key: label, value: null };
  return { key: label.slice(0, equals), value: label.slice(equals + 1) };
}
