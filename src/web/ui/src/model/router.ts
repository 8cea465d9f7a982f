/** Addresses within the page (after #). Each view of the page is one kind; new views are added here. */
export type Route =
  | { readonly kind: 'home' }
  | { readonly kind: 'task'; readonly id: string }
  | { readonly kind: 'unknown'; readonly path: string };

export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#/, '').replace(/\/+$/, '');
  if (path === '' || path === '/') return { kind: 'home' };
  const id = /^\/tasks\/([^/]+)$/.exec(path)?.[1];
  if (id === undefined) return { kind: 'unknown', path };
  try {
    return { kind: 'task', id: decodeURIComponent(id) };
  } catch {
    return { kind: 'unknown', path };
  }
}

export const homeHash = '#/';

export function taskHash(id: string): string {
  return `#/tasks/${encodeURIComponent(id)}`;
}
