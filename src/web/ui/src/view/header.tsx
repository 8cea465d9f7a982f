import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { relativeTime } from '../model/format.ts';
import { linkState } from '../model/link-state.ts';
import type { LinkState } from '../model/link-state.ts';
import {
  clusterHash,
  dashboardHash,
  faultsHash,
  homeHash,
  logsHash,
  nodesHash,
  submitHash,
  tasksHash,
} from '../model/router.ts';
import type { Route } from '../model/router.ts';
import { unreachable } from '../model/unreachable.ts';
import type { AppState } from '../state/app-state.ts';
import { useSelect } from './context.ts';
import { Icon, Logo } from './icons.tsx';
import { Shortcuts } from './shortcuts.tsx';
import { useNow } from './use-now.ts';
import { useRoute } from './use-route.ts';

export function Header(): VNode {
  return (
    <header class="top">
      <div class="top-inner">
        <a class="brand" href={homeHash}>
          <Logo />
          <span class="brand-name">CLB</span>
          <span class="brand-long">Container Load Balancer</span>
        </a>
        <Master />
        <LinkBadge />
        <Shortcuts />
      </div>
      <Views />
    </header>
  );
}

/** The views by name; the page of one task belongs to their table. */
const VIEWS: readonly { readonly kind: Route['kind']; readonly label: string; readonly href: string }[] = [
  { kind: 'home', label: 'Payloads', href: homeHash },
  { kind: 'submit', label: 'Submit', href: submitHash },
  { kind: 'tasks', label: 'Tasks', href: tasksHash() },
  { kind: 'dashboard', label: 'Dashboard', href: dashboardHash },
  { kind: 'nodes', label: 'Nodes', href: nodesHash },
  { kind: 'cluster', label: 'Cluster', href: clusterHash },
  { kind: 'faults', label: 'Faults', href: faultsHash },
  { kind: 'logs', label: 'Log lines', href: logsHash() },
];

function Views(): VNode {
  const { kind } = useRoute();
  const current = kind === 'task' ? 'tasks' : kind;
  const nav = useRef<HTMLElement>(null);
  // Where there is no room for all of them, the one that is open is in sight.
  useEffect(() => {
    const link = nav.current?.querySelector<HTMLElement>('[aria-current]') ?? null;
    if (nav.current !== null && link !== null) nav.current.scrollLeft = link.offsetLeft - 60;
  }, [current]);
  return (
    <nav ref={nav} class="views" aria-label="Views">
      {VIEWS.map((view) => (
        <a
          key={view.kind}
          class="view-link"
          href={view.href}
          aria-current={view.kind === current ? 'page' : undefined}
        >
          {view.label}
        </a>
      ))}
    </nav>
  );
}

function Master(): VNode {
  const leader = useSelect((state) => state.leader);
  const term = useSelect((state) => state.term);
  const heard = useSelect((state) => state.lastContactMs !== null);
  return (
    <p class="master" data-testid="master" data-master={leader ?? ''} data-term={term ?? ''}>
      {leader === null ? (
        <span class={heard ? 'master-none' : 'muted'}>{heard ? 'no master' : '…'}</span>
      ) : (
        <>
          <Icon name="crown" />
          <span class="visually-hidden">Master: </span>
          <strong>{leader}</strong>
        </>
      )}
      {term === null ? null : <span class="muted term">term {term}</span>}
    </p>
  );
}

function isStale(state: AppState): boolean {
  return state.list.stale || state.board.stale || state.detail?.stale === true;
}

function useLinkState(): LinkState {
  const feed = useSelect((state) => state.feed);
  const behind = useSelect((state) => state.behind);
  const lastContactMs = useSelect((state) => state.lastContactMs);
  const startedMs = useSelect((state) => state.startedMs);
  const stale = useSelect(isStale);
  return linkState({ feed, behind, lastContactMs, stale }, useNow(), startedMs);
}

/** Says whether what the page shows is what the cluster knows. */
function LinkBadge(): VNode {
  const state = useLinkState();
  const now = useNow();
  const label = labelOf(state);
  const since = state.kind === 'reconnecting' || state.kind === 'cut-off' ? state.lastContactMs : null;
  return (
    <p class={`link link-${state.kind}`} data-testid="link-state" data-state={state.kind}>
      <span class="link-dot" aria-hidden="true" />
      <span role="status">{label}</span>
      {since === null ? null : <span class="link-since"> last update {relativeTime(since, now)}</span>}
    </p>
  );
}

function labelOf(state: LinkState): string {
  switch (state.kind) {
    case 'connecting':
      return 'connecting…';
    case 'live':
      return 'live';
    case 'behind':
      return 'catching up…';
    case 'stale':
      return 'may be old';
    case 'reconnecting':
      return 'reconnecting…';
    case 'cut-off':
      return 'cut off';
    default:
      return unreachable(state);
  }
}

/** What must be said across the whole page: that it may be wrong. */
export function Banners(): VNode | null {
  const stale = useSelect(isStale);
  const state = useLinkState();
  if (state.kind === 'cut-off') {
    return (
      <p class="banner tone-bad" role="alert" data-testid="banner-cut-off">
        <Icon name="warning" />
        <span>
          <strong>The client node does not answer.</strong> Accepted payloads go on running; this page will
          catch up by itself.
        </span>
      </p>
    );
  }
  if (!stale) return null;
  return (
    <p class="banner tone-warn" role="alert" data-testid="banner-stale">
      <Icon name="warning" />
      <span>
        <strong>What you see may be old.</strong> No majority of the servers can be reached, so nothing new is
        accepted until one returns. Start a stopped server.
      </span>
    </p>
  );
}
