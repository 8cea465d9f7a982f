import { options, render } from 'preact';
import { systemClock } from './model/clock.ts';
import { keptPart, parseDraft } from './model/draft.ts';
import type { Draft } from './model/draft.ts';
import { Api, eventsPath, linesPath } from './net/api.ts';
import { Client } from './net/client.ts';
import { Actions } from './state/actions.ts';
import type { PendingSend } from './state/actions.ts';
import { initialState } from './state/app-state.ts';
import type { AppState } from './state/app-state.ts';
import { Bulk } from './state/bulk.ts';
import { ClusterWatch } from './state/cluster-watch.ts';
import { FaultWatch } from './state/fault-watch.ts';
import { Live } from './state/live.ts';
import { LogWatch } from './state/log-watch.ts';
import { Scenarios } from './state/scenarios.ts';
import { Store } from './state/store.ts';
import { Root } from './view/app.tsx';
import { DrawBeat } from './view/draw-beat.ts';
import './styles/tokens.css';
import './styles/base.css';
import './styles/layout.css';
import './styles/controls.css';
import './styles/tasks.css';
import './styles/nodes.css';
import './styles/task-page.css';
import './styles/views.css';
import './styles/cluster.css';
import './styles/submit.css';
import './styles/dashboard.css';
import './styles/logs.css';
import './styles/table.css';
import './styles/lanes.css';
import './styles/travel.css';
import './styles/faults.css';
import './styles/dialog.css';

const READ_MS_MAX = 6_000;
const CHANGE_MS_MAX = 15_000;
/** A browser allows six connections to one host: hidden tabs give theirs back. */
const HIDDEN_MS_MAX = 5_000;
const KEPT_UNDER = 'clb.draft';

interface Kept {
  readonly draft: Draft | null;
  readonly pending: PendingSend | null;
}

/** What a person does, and wants to see the effect of. */
const TOUCHES = ['keydown', 'pointerdown', 'click', 'input', 'change', 'submit', 'hashchange'] as const;

/** Has the page drawn in beats while others change what it shows, at once where it is used. */
function keepBeat(): void {
  const beat = new DrawBeat({ clock: systemClock, soon: (draw) => queueMicrotask(draw) });
  options.debounceRendering = (draw) => beat.request(draw);
  for (const type of TOUCHES) addEventListener(type, () => beat.touched(), { capture: true });
}

/** What stood in the form before a reload, and the key of a send whose outcome is open. */
function readKept(): Kept {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT_UNDER) ?? 'null') as Partial<Kept> | null;
    const pending = kept?.pending ?? null;
    const whole = typeof pending?.body === 'string' && typeof pending.key === 'string';
    return { draft: parseDraft(kept?.draft), pending: whole ? pending : null };
  } catch {
    return { draft: null, pending: null };
  }
}

function saveKept(draft: Draft, pending: PendingSend | null): void {
  try {
    sessionStorage.setItem(KEPT_UNDER, JSON.stringify({ draft: keptPart(draft), pending }));
  } catch {
    // Storage is off or full: a reload then begins with an empty form.
  }
}

function start(root: HTMLElement): void {
  const kept = readKept();
  const store = new Store<AppState>(initialState(systemClock.now(), kept.draft ?? undefined));
  const client = new Client({
    fetch: (input, init) => fetch(input, init),
    onAnswer: (meta) => live.noteAnswer(meta),
    readMs: READ_MS_MAX,
    changeMs: CHANGE_MS_MAX,
  });
  const api = new Api(client);
  const actions = new Actions({
    store,
    api,
    clock: systemClock,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    keeper: { save: saveKept },
    pending: kept.pending,
  });
  const live = new Live({
    store,
    api,
    clock: systemClock,
    openEvents: (after) => new EventSource(eventsPath(after)),
    onTask: (task) => actions.noteTask(task),
  });
  actions.bind(live);
  const clusterWatch = new ClusterWatch({ store, api, clock: systemClock });
  const logWatch = new LogWatch({
    ...{ store, api, clock: systemClock },
    openLines: (filter, after) => new EventSource(linesPath(filter, after)),
  });
  const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
  const app = {
    ...{ store, actions, live, clusterWatch, logWatch, api },
    faultWatch: new FaultWatch({ store, api, live, clock: systemClock }),
    scenarios: new Scenarios({ store, api, clock: systemClock, randomBytes }),
    bulk: new Bulk(store, api),
  };
  keepBeat();
  render(<Root app={app} />, root);
  live.start();
  stopWhileHidden(live, store);
}

function stopWhileHidden(live: Live, store: Store<AppState>): void {
  let cancel: (() => void) | null = null;
  document.addEventListener('visibilitychange', () => {
    cancel?.();
    cancel = null;
    if (document.hidden) cancel = systemClock.after(HIDDEN_MS_MAX, () => live.stop());
    else if (store.get().session === 'in') live.start();
  });
}

const root = document.getElementById('app');
if (root === null) throw new Error('index.html has no #app');
start(root);
