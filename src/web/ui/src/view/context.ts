import { createContext } from 'preact';
import { useContext, useEffect, useRef, useState } from 'preact/hooks';
import type { Actions } from '../state/actions.ts';
import type { AppState } from '../state/app-state.ts';
import type { ClusterWatch } from '../state/cluster-watch.ts';
import type { Bulk } from '../state/bulk.ts';
import type { FaultWatch } from '../state/fault-watch.ts';
import type { Scenarios } from '../state/scenarios.ts';
import type { LogWatch } from '../state/log-watch.ts';
import type { Live } from '../state/live.ts';
import type { Store } from '../state/store.ts';
import type { Api } from '../net/api.ts';

/** What the components share: the state, what can be done, and what keeps the state true. */
export interface App {
  readonly store: Store<AppState>;
  readonly actions: Actions;
  readonly live: Live;
  readonly clusterWatch: ClusterWatch;
  readonly logWatch: LogWatch;
  readonly faultWatch: FaultWatch;
  readonly scenarios: Scenarios;
  readonly bulk: Bulk;
  readonly api: Api;
}

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error('used outside of the app');
  return app;
}

/** A part of the state; the component is drawn again only when that part is another object. */
export function useSelect<T>(select: (state: AppState) => T): T {
  const { store } = useApp();
  const [, draw] = useState(0);
  const selected = select(store.get());
  const latest = useRef({ select, selected });
  latest.current = { select, selected };
  useEffect(() => {
    const check = (): void => {
      const { select: now, selected: shown } = latest.current;
      if (!Object.is(now(store.get()), shown)) draw((count) => count + 1);
    };
    // The state may have changed between drawing and this effect.
    check();
    return store.subscribe(check);
  }, [store]);
  return selected;
}
