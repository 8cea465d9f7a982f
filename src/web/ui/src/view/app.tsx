import type { VNode } from 'preact';
import { useEffect, useLayoutEffect } from 'preact/hooks';
import { shortId } from '../model/format.ts';
import { homeHash } from '../model/router.ts';
import type { Route } from '../model/router.ts';
import { unreachable } from '../model/unreachable.ts';
import { Cluster } from './cluster.tsx';
import { Compose } from './compose.tsx';
import { AppContext, useSelect } from './context.ts';
import type { App } from './context.ts';
import { Banners, Header } from './header.tsx';
import { Dashboard } from './dashboard.tsx';
import { Faults } from './faults.tsx';
import { Logs } from './logs.tsx';
import { Nodes, NodesView } from './nodes.tsx';
import { SignIn } from './sign-in.tsx';
import { Submit } from './submit.tsx';
import { TaskPage } from './task-page.tsx';
import { Tasks } from './task-list.tsx';
import { TaskTable } from './task-table.tsx';
import { useRoute } from './use-route.ts';

export function Root({ app }: { readonly app: App }): VNode {
  return (
    <AppContext.Provider value={app}>
      <Page />
    </AppContext.Provider>
  );
}

function Page(): VNode {
  const session = useSelect((state) => state.session);
  const announcement = useSelect((state) => state.announcement);
  const route = useRoute();
  if (session === 'out') return <SignIn />;
  return (
    <>
      <Header />
      <Banners />
      <main class={`page page-${route.kind} ${hasNodes(route) ? '' : 'page-wide'}`}>
        <View route={route} />
        {hasNodes(route) ? <Nodes /> : null}
        {route.kind === 'home' ? <Tasks filter={route.filter} /> : null}
      </main>
      <p class="visually-hidden" role="status" data-testid="announcement">
        {announcement}
      </p>
    </>
  );
}

/** The nodes stand beside the payloads; the other views need the width. */
function hasNodes(route: Route): boolean {
  return route.kind === 'home' || route.kind === 'task' || route.kind === 'unknown';
}

function View({ route }: { readonly route: Route }): VNode {
  useTitle(route);
  useScrollMemory(route);
  switch (route.kind) {
    case 'home':
      return <Compose />;
    case 'task':
      return <TaskPage id={route.id} />;
    case 'dashboard':
      return <Dashboard />;
    case 'tasks':
      return <TaskTable filter={route.filter} />;
    case 'nodes':
      return <NodesView />;
    case 'cluster':
      return <Cluster />;
    case 'faults':
      return <Faults />;
    case 'logs':
      return <Logs filter={route.filter} />;
    case 'submit':
      return <Submit />;
    case 'unknown':
      return (
        <div class="panel empty">
          <h1>There is nothing at this address.</h1>
          <p>
            <a href={homeHash}>To the start</a>
          </p>
        </div>
      );
    default:
      return unreachable(route);
  }
}

function titleOf(route: Route): string {
  switch (route.kind) {
    case 'task':
      return `${shortId(route.id)} · CLB`;
    case 'dashboard':
      return 'Dashboard · CLB';
    case 'submit':
      return 'Submit · CLB';
    case 'tasks':
      return 'Tasks · CLB';
    case 'nodes':
      return 'Nodes · CLB';
    case 'cluster':
      return 'Cluster · CLB';
    case 'faults':
      return 'Faults · CLB';
    case 'logs':
      return 'Log lines · CLB';
    case 'home':
    case 'unknown':
      return 'CLB';
    default:
      return unreachable(route);
  }
}

function useTitle(route: Route): void {
  const title = titleOf(route);
  useEffect(() => {
    document.title = title;
  }, [title]);
}

let homeScrollY = 0;

/** Coming back from a task, the list stands where it stood. */
function useScrollMemory(route: Route): void {
  useLayoutEffect(() => {
    if (route.kind !== 'home') return;
    window.scrollTo(0, homeScrollY);
    const remember = (): void => {
      homeScrollY = window.scrollY;
    };
    window.addEventListener('scroll', remember, { passive: true });
    return () => window.removeEventListener('scroll', remember);
  }, [route.kind]);
}
