/** Addresses within the page (after #). Each view of the page is one kind; new views are added here. */
export type Route =
  | { readonly kind: 'home' }
  | { readonly kind: 'task'; readonly id: string }
  | { readonly kind: 'dashboard' }
  | { readonly kind: 'submit' }
  | { readonly kind: 'cluster' }
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
  switch (path) {
    case '':
      return { kind: 'home' };
    case '/dashboard':
      return { kind: 'dashboard' };
    case '/submit':
      return { kind: 'submit' };
    case '/cluster':
      return { kind: 'cluster' };
    case '/logs': {
      const given = new URLSearchParams(query);
      return { kind: 'logs', filter: { node: given.get('node') ?? '', q: given.get('q') ?? '' } };
    }
    default:
      return parseTask(path);
  }
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
export const clusterHash = '#/cluster';

export function taskHash(id: string): string {
  return `#/tasks/${encodeURIComponent(id)}`;
}

export function logsHash(filter: LogFilter = NO_LOG_FILTER): string {
  const query = new URLSearchParams();
  if (filter.node !== '') query.set('node', filter.node);
  if (filter.q !== '') query.set('q', filter.q);
  return query.size === 0 ? '#/logs' : `#/logs?${query.toString()}`;
}
