import type { Clock } from '../model/clock.ts';
import { pause } from '../model/clock.ts';
import {
  leaderOf,
  missingEntries,
  withEntries,
  withProblem,
  withServers,
  withView,
} from '../model/raft-board.ts';
import type { RaftBoard } from '../model/raft-board.ts';
import type { Api } from '../net/api.ts';
import { ApiFailure } from '../net/client.ts';
import { Refresher } from '../net/refresher.ts';
import type { AppState } from './app-state.ts';
import type { Store } from './store.ts';

const INTERVAL_MS = 1_000;
/** A server that takes longer to answer is asked again when it has; the others are not kept waiting. */
const ROUND_MS_MAX = 1_000;

export interface ClusterWatchOptions {
  readonly store: Store<AppState>;
  readonly api: Api;
  readonly clock: Clock;
}

/** While the cluster's view is open: asks every server for its own state, and the leader for its newest entries. */
export class ClusterWatch {
  readonly #options: ClusterWatchOptions;
  readonly #refresher: Refresher;
  readonly #asked = new Set<string>();
  #abort = new AbortController();

  constructor(options: ClusterWatchOptions) {
    this.#options = options;
    const { clock } = options;
    this.#refresher = new Refresher({ run: () => this.#round(), intervalMs: INTERVAL_MS, clock });
  }

  /** Returns the function that ends it. */
  start(): () => void {
    this.#abort = new AbortController();
    this.#refresher.start();
    this.#refresher.repeat(INTERVAL_MS);
    return () => {
      this.#abort.abort();
      this.#refresher.stop();
    };
  }

  #change(change: (board: RaftBoard) => RaftBoard): void {
    this.#options.store.update((state) => {
      const raft = change(state.raft);
      return raft === state.raft ? state : { ...state, raft };
    });
  }

  async #round(): Promise<void> {
    const { store, clock } = this.#options;
    if (store.get().session === 'out') return;
    const { signal } = this.#abort;
    if (store.get().raft.servers.length === 0) await this.#meet();
    const asking = store
      .get()
      .raft.servers.filter(({ id }) => !this.#asked.has(id))
      .map(({ id }) => this.#ask(id));
    await Promise.race([Promise.all(asking), pause(clock, ROUND_MS_MAX, signal)]);
    const leader = leaderOf(store.get().raft);
    if (leader !== null) await this.#fetchEntries(leader.id);
  }

  /** Learns which servers there are, from whichever answers. */
  async #meet(): Promise<void> {
    await orFailure(async () => {
      const { voters, learners } = await this.#options.api.raft();
      this.#change((board) => withServers(board, [...voters, ...learners]));
    });
  }

  async #ask(id: string): Promise<void> {
    this.#asked.add(id);
    const failure = await orFailure(async () => {
      const view = await this.#options.api.raft(id);
      this.#change((board) => {
        const known = withView(board, view);
        // The leader's configuration is the one in force.
        return view.role === 'leader' ? withServers(known, [...view.voters, ...view.learners]) : known;
      });
    });
    if (failure !== null) this.#change((board) => withProblem(board, id, problemText(failure)));
    this.#asked.delete(id);
  }

  async #fetchEntries(leader: string): Promise<void> {
    const view = this.#options.store.get().raft.servers.find(({ id }) => id === leader)?.view;
    const range = view == null ? null : missingEntries(this.#options.store.get().raft, view);
    if (range === null) return;
    // Where this fails the next round asks again, perhaps another leader.
    await orFailure(async () => {
      const entries = await this.#options.api.raftLog(leader, range.from, range.to);
      this.#change((board) => withEntries(board, entries));
    });
  }
}

async function orFailure(call: () => Promise<void>): Promise<ApiFailure | null> {
  try {
    await call();
    return null;
  } catch (thrown) {
    if (thrown instanceof ApiFailure) return thrown;
    throw thrown;
  }
}

function problemText(failure: ApiFailure): string {
  return failure.code === 'STOPPED' ? 'stopped' : 'does not answer';
}
