import { useEffect, useState } from 'preact/hooks';
import { parseRoute } from '../model/router.ts';
import type { Route } from '../model/router.ts';

/** The address after #, followed. */
export function useRoute(): Route {
  const [hash, setHash] = useState(() => window.location.hash);
  useEffect(() => {
    const follow = (): void => setHash(window.location.hash);
    window.addEventListener('hashchange', follow);
    return () => window.removeEventListener('hashchange', follow);
  }, []);
  return parseRoute(hash);
}
