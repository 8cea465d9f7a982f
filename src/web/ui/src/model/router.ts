import type { TaskFilter } from './task-list.ts';
import { NARROWINGS, narrowed, NO_FILTER } from './task-list.ts';
import { STATUSES } from './status.ts';

/** Addresses within the page (after #). Each view of the page is one kind; new views are added here. */
export type Route =
  | { readonly kind: 'home'; readonly filter: TaskFilter }
  | { readonly kind: 'tasks'; readonly filter: TaskFilter }
  | { readonly kind: 'task'; readonly id: string }
  | { readonly kind: 'dashboard' }
  | { readonly kind: 'submit' }
  | { readonly kind: 'nodes' }
  | { readonly kind: 'cluster' }
  | { readonly kind: 'faults' }
  | { readonly kind: 'logs'; readonly filter: LogFilter }
  | { readonly kind: 'unknown'; readonly path: string };

/** Which lines are shown: empty text for all. */
export interface LogFilter {
  readonly node: string;
  /** Text the line contains; a task's id finds what was said of that task. */
  readonly q: string;
}

export const NO_LOG_FILTER: LogFilter = { node: '', q: '' };

export function parseRoute(hash: string): Route {
  const [address = '', query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s, 2);
  const path = address.replace(/\/+$/, '');
  const given = new URLSearchParams(query);
  switch (path) {
    case '':
      return { kind: 'home', filter: taskFilter(given) };
    case '/tasks':
      return { kind: 'tasks', filter: taskFilter(given) };
    case '/dashboard':
      return { kind: 'dashboard' };
    case '/submit':
      return { kind: 'submit' };
    case '/nodes':
      return { kind: 'nodes' };
    case '/cluster':
      return { kind: 'cluster' };
    case '/faults':
      return { kind: 'faults' };
    case '/logs':
      return { kind: 'logs', filter: { node: given.get('node') ?? '', q: given.get('q') ?? '' } };
    default:
      return parseTask(path);
  }
}

const TEXT_CHARS_MAX = 200;

/** What an address does not say, or says wrong, counts as not filtered. */
function taskFilter(given: URLSearchParams): TaskFilter {
  const status = STATUSES.find((known) => known === given.get('status')) ?? null;
  const cursor = given.get('cursor');
  const q = (given.get('q') ?? '').slice(0, TEXT_CHARS_MAX);
  const narrowing = Object.fromEntries(
    NARROWINGS.map((by) => [by, (given.get(by) ?? '').slice(0, TEXT_CHARS_MAX)] as const).filter(
      ([by, text]) => (by !== 'since' && by !== 'until') || !Number.isNaN(Date.parse(text)),
    ),
  );
  return {
    ...narrowed({ ...NO_FILTER, status, q }, narrowing),
    cursor: cursor !== null && /^\d{1,15}$/.test(cursor) ? cursor : null,
  };
}

function parseTask(path: string): Route {
  const id = /^\/tasks\/([^/]+)$/.exec(path)?.[1];
  if (id === undefined) return { kind: 'unknown', path };
  try {
    return { kind: 'task', id: decodeURIComponent(id) };
  } catch {
    return { kind: 'unknown', path };
  }
}

export const homeHash = '#/';
export const dashboardHash = '#/dashboard';
export const submitHash = '#/submit';
export const nodesHash = '#/nodes';
export const clusterHash = '#/cluster';
export const faultsHash = '#/faults';

export function taskHash(id: string): string {
  return `#/tasks/${encodeURIComponent(id)}`;
}

/** The list of payloads under this filter, on the view with the form (`home`) or on the one of the table alone. */
export function tasksHash(filter: TaskFilter = NO_FILTER, view: 'home' | 'tasks' = 'tasks'): string {
  const query = new URLSearchParams();
  if (filter.status !== null) query.set('status', filter.status);
  if (filter.q !== '') query.set('q', filter.q);
  for (const by of NARROWINGS) if (filter[by] !== undefined) query.set(by, filter[by]);
  if (filter.cursor !== null) query.set('cursor', filter.cursor);
  const path = view === 'home' ? '#/' : '#/tasks';
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

export function logsHash(filter: LogFilter = NO_LOG_FILTER): string {
  const query = new URLSearchParams();
  if (filter.node !== '') query.set('node', filter.node);
  if (filter.q !== '') query.set('q', filter.q);
  return query.size === 0 ? '#/logs' : `#/logs?${query.toString()}`;
}
