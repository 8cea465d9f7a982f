import type { TaskStatus, TaskSummary, TaskView } from '../../../../api/tasks.ts';
import type { ClusterEvent } from '../../../../api/views.ts';
import { merged, toRow } from './task-row.ts';
import type { TaskRow } from './task-row.ts';

/** Rows the page keeps at most; older ones are reached by filter, search or the command line. */
export const ROWS_MAX = 500;
export const PAGE_ROWS = 50;
/** A list that grew beyond this by itself, and not because somebody asked for older rows, begins anew with its first page. */
export const GROWN_ROWS_MAX = 150;
/** Rows of a page of the table, which does not grow: older ones are on the next. */
export const TABLE_ROWS = 100;

/** An answer of GET /v1/tasks. */
export interface ListPage {
  readonly tasks: readonly TaskSummary[];
  readonly nextCursor: string | null;
  readonly counts: Counts;
}

/** What GET /v1/tasks can be narrowed down by besides; each is absent where it is not. */
export const NARROWINGS = ['label', 'name', 'since', 'until'] as const;
export type Narrowing = Readonly<Partial<Record<(typeof NARROWINGS)[number], string>>>;

export interface TaskFilter extends Narrowing {
  readonly status: TaskStatus | null;
  /** Free text; empty for none. */
  readonly q: string;
  /** Where the page begins that is shown; null for the newest. */
  readonly cursor: string | null;
}

export const NO_FILTER: TaskFilter = { status: null, q: '', cursor: null };

/** Which tasks belong to it, only the server can tell. */
export function isSearch(filter: TaskFilter): boolean {
  return filter.q !== '' || isNarrowed(filter);
}

export function isNarrowed(filter: Narrowing): boolean {
  return NARROWINGS.some((by) => filter[by] !== undefined);
}

/** The same status and search, narrowed down by these and nothing else, from its first page on. Empty texts count as absent. */
export function narrowed({ status, q }: TaskFilter, narrowing: Narrowing): TaskFilter {
  const kept = NARROWINGS.map((by) => [by, narrowing[by] ?? ''] as const).filter(([, text]) => text !== '');
  return { status, q, cursor: null, ...Object.fromEntries(kept) };
}

export function sameFilter(a: TaskFilter, b: TaskFilter): boolean {
  return (['status', 'q', 'cursor', ...NARROWINGS] as const).every((by) => a[by] === b[by]);
}

export type Counts = Readonly<Partial<Record<TaskStatus, number>>>;

/** The list as shown: newest first, without holes from its first row to its last. */
export interface TaskList {
  readonly filter: TaskFilter;
  /** Rows of a page. */
  readonly pageRows: number;
  readonly rows: readonly TaskRow[];
  /** Where the next older page begins; null when there is none, or when the page keeps no more. */
  readonly nextCursor: string | null;
  /** Older tasks exist that this page does not keep. */
  readonly full: boolean;
  /** Somebody asked for older rows than those of the first page. */
  readonly hasOlder: boolean;
  readonly counts: Counts;
  readonly loaded: boolean;
  /** The last answer came from a server that could not ask a majority. */
  readonly stale: boolean;
}

export function emptyList(
  filter: TaskFilter = NO_FILTER,
  counts: Counts = {},
  pageRows = PAGE_ROWS,
): TaskList {
  return {
    ...{ filter, pageRows, rows: [], nextCursor: null, full: false, hasOlder: false },
    ...{ counts, loaded: false, stale: false },
  };
}

/** The table shows one page, the list under the form grows. */
export function isPaged(list: TaskList): boolean {
  return list.pageRows === TABLE_ROWS;
}

function newer(known: TaskRow | undefined, row: TaskRow): TaskRow {
  return known === undefined ? row : merged(known, row);
}

function capped(list: TaskList, rows: readonly TaskRow[]): Pick<TaskList, 'rows' | 'full' | 'nextCursor'> {
  if (rows.length <= ROWS_MAX) return { rows, full: list.full, nextCursor: list.nextCursor };
  return { rows: rows.slice(0, ROWS_MAX), full: true, nextCursor: null };
}

/**
 * Takes in a fresh first page. What was known below it stays if the page reaches down to a known row; else there may
 * be a hole, and the older rows are dropped (they can be loaded again).
 */
export function withFirstPage(list: TaskList, page: ListPage, stale: boolean): TaskList {
  const known = new Map(list.rows.map((row) => [row.id, row]));
  const fresh = page.tasks.map((task) => newer(known.get(task.id), toRow(task)));
  const freshIds = new Set(fresh.map((row) => row.id));
  const last = fresh.at(-1);
  const reaches = last !== undefined && list.rows.some((row) => freshIds.has(row.id));
  const tail = reaches
    ? list.rows.filter((row) => !freshIds.has(row.id) && row.submittedAt <= last.submittedAt)
    : [];
  const base: TaskList = {
    ...list,
    counts: page.counts,
    loaded: true,
    stale,
    full: tail.length > 0 && list.full,
    nextCursor: tail.length > 0 ? list.nextCursor : page.nextCursor,
  };
  if (isPaged(list)) return { ...base, rows: fresh, full: false, nextCursor: page.nextCursor };
  // Without an older page there is nothing below: rows that are not in it have been removed by retention.
  if (page.nextCursor === null) return { ...base, rows: fresh, full: false, nextCursor: null };
  return { ...base, ...capped(base, [...fresh, ...tail]) };
}

/**
 * Right after {@link withFirstPage}: without the rows below that page where they are only the older ones that new tasks have
 * pushed down, and very many by now. `isSeen`: rows that somebody looks at stay.
 */
export function withoutPushedDown(list: TaskList, page: ListPage, isSeen: (id: string) => boolean): TaskList {
  if (list.hasOlder || list.rows.length <= GROWN_ROWS_MAX) return list;
  const below = list.rows.slice(page.tasks.length);
  if (below.some(({ id }) => isSeen(id))) return list;
  const rows = list.rows.slice(0, page.tasks.length);
  return { ...list, rows, full: false, nextCursor: page.nextCursor };
}

/** Adds the page that follows the last row ("load more"). */
export function withOlderPage(list: TaskList, page: ListPage, stale: boolean): TaskList {
  const known = new Set(list.rows.map((row) => row.id));
  const older = page.tasks.filter((task) => !known.has(task.id)).map((task) => toRow(task));
  const base: TaskList = {
    ...list,
    ...{ counts: page.counts, stale, nextCursor: page.nextCursor, hasOlder: true },
  };
  return { ...base, ...capped(base, [...list.rows, ...older]) };
}

export function withCounts(list: TaskList, counts: Counts): TaskList {
  return { ...list, counts };
}

/**
 * Takes in one task fetched by itself. A new one goes where its time of submission puts it; one that is older than
 * the last row belongs to a page not loaded yet and is left out.
 */
export function withTask(list: TaskList, task: TaskView): TaskList {
  const at = list.rows.findIndex((row) => row.id === task.id);
  const known = list.rows[at];
  const row = newer(known, toRow(task));
  if (known !== undefined) {
    return row === known ? list : { ...list, rows: list.rows.with(at, row) };
  }
  // A page of the table does not grow: it is fetched again instead.
  if (isPaged(list) || !matches(list.filter, row)) return list;
  const place = list.rows.findIndex((other) => other.submittedAt <= row.submittedAt);
  if (place === -1 && (list.nextCursor !== null || list.full)) return list;
  const rows = list.rows.toSpliced(place === -1 ? list.rows.length : place, 0, row);
  return { ...list, ...capped(list, rows) };
}

/** A new row is never put into a search by guess. */
function matches(filter: TaskFilter, row: TaskRow): boolean {
  return (
    !isSearch(filter) && filter.cursor === null && (filter.status === null || filter.status === row.status)
  );
}

/** Rows of the list that (still) belong to its filter: a task that finished leaves "running" at once. */
export function visibleRows(list: TaskList): readonly TaskRow[] {
  const { status } = list.filter;
  return status === null ? list.rows : list.rows.filter((row) => row.status === status);
}

export type TaskChange = Extract<ClusterEvent, { readonly kind: 'task' }>;

/**
 * Shows at once what an event announces; the fetch that follows brings the rest. The row keeps its old index, so that
 * the fetched task counts as newer.
 */
export function withEvent(list: TaskList, change: TaskChange, index: number): TaskList {
  const at = list.rows.findIndex((row) => row.id === change.id);
  const row = list.rows[at];
  if (row === undefined || row.index >= index) return list;
  if (row.status === change.status && (change.node ?? row.node) === row.node) return list;
  const rows = list.rows.with(at, {
    ...row,
    status: change.status,
    node: change.node ?? row.node,
    attempts: Math.max(row.attempts, change.attempt ?? 0),
  });
  return { ...list, rows };
}

/** Number of all tasks, of every status. */
export function totalCount(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
