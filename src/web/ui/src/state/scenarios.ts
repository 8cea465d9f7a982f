import type { TaskView } from '../../../../api/tasks.ts';
import type { Clock } from '../model/clock.ts';
import { pause } from '../model/clock.ts';
import { shortId } from '../model/format.ts';
import type { ScenarioName, ScenarioStep } from '../model/scenario-run.ts';
import { isFinal } from '../model/status.ts';
import type { Api } from '../net/api.ts';
import { ApiFailure, isPassing } from '../net/client.ts';
import { newKey } from '../net/submission.ts';
import type { AppState } from './app-state.ts';
import type { Store } from './store.ts';

const POLL_MS = 200;
/** A step that takes longer has failed. */
const STEP_MS_MAX = 60_000;
const ARMED_MS = 30_000;

export interface ScenariosOptions {
  readonly store: Store<AppState>;
  readonly api: Api;
  readonly clock: Clock;
  readonly randomBytes: (length: number) => Uint8Array;
}

class StepFailed extends Error {}

/** Runs a scenario against the real cluster and tells each step. Whatever was stopped is started again in the end. */
export class Scenarios {
  readonly #options: ScenariosOptions;
  #stoppedNode: string | null = null;

  constructor(options: ScenariosOptions) {
    this.#options = options;
  }

  /** Does nothing while another runs. */
  async run(name: ScenarioName): Promise<void> {
    const { store } = this.#options;
    if (store.get().scenario?.state === 'running') return;
    store.set({ scenario: { name, steps: [], state: 'running' } });
    let passed = true;
    try {
      await this.#play(name);
    } catch (thrown) {
      if (!(thrown instanceof StepFailed)) throw thrown;
      passed = false;
    }
    const healed = await this.#heal();
    store.update((state) =>
      state.scenario === null
        ? state
        : { ...state, scenario: { ...state.scenario, state: passed && healed ? 'passed' : 'failed' } },
    );
  }

  #play(name: ScenarioName): Promise<void> {
    switch (name) {
      case 'master-before':
        return this.#beforehand(() => this.#master());
      case 'worker-before':
        return this.#beforehand(() => this.#worker());
      case 'master-after':
        return this.#whileRunning(() => this.#master());
      case 'worker-between':
        return this.#whileRunning((task) => Promise.resolve(nodeOf(task)));
      case 'master-between':
        return this.#atAssignment();
    }
  }

  async #beforehand(choose: () => Promise<string>): Promise<void> {
    const node = await this.#step('Choose the node', choose, (id) => id);
    await this.#stop(node);
    await this.#newMasterIf(node);
    const task = await this.#submit(1);
    await this.#finished(task);
  }

  async #whileRunning(choose: (task: TaskView) => Promise<string>): Promise<void> {
    const sent = await this.#submit(5);
    const task = await this.#step(
      'Wait until a worker runs it',
      () => this.#until(sent.id, ({ status }) => status === 'running'),
      (now) => `on ${nodeOf(now)}`,
    );
    const node = await choose(task);
    await this.#stop(node);
    await this.#newMasterIf(node);
    await this.#finished(task);
  }

  async #atAssignment(): Promise<void> {
    const { api } = this.#options;
    const node = await this.#step(
      'Find the master',
      () => this.#master(),
      (id) => id,
    );
    await this.#step('Arm it: it is to stop at its next assignment', () =>
      api.injectFault(node, 'stop-at-assignment', ARMED_MS),
    );
    this.#stoppedNode = node;
    const task = await this.#submit(1);
    await this.#newMasterIf(node);
    await this.#finished(task);
  }

  async #stop(node: string): Promise<void> {
    this.#stoppedNode = node;
    await this.#step(`Stop ${node}`, () => this.#options.api.setStopped(node, true));
  }

  /** Where `node` was the master another one has to take over. */
  async #newMasterIf(node: string): Promise<void> {
    if (this.#leaderBefore !== node) return;
    await this.#step(
      'Wait for another master',
      () =>
        this.#poll(async () => {
          const { leader, term } = await this.#options.api.raft();
          return leader === null || leader === node ? null : `${leader}, term ${term}`;
        }),
      (leader) => leader,
    );
  }

  #leaderBefore: string | null = null;

  async #master(): Promise<string> {
    const leader = await this.#poll(async () => (await this.#options.api.raft()).leader);
    this.#leaderBefore = leader;
    return leader;
  }

  /** One that runs tasks and is not the master. */
  async #worker(): Promise<string> {
    this.#leaderBefore = null;
    const nodes = (await this.#options.api.nodes()).value;
    const found = nodes.find(({ leader, status, eligible }) => !leader && status === 'ready' && eligible);
    if (found === undefined) throw new ApiFailure('CONFLICT', 'no worker is ready');
    return found.id;
  }

  #submit(seconds: number): Promise<TaskView> {
    const { api, randomBytes } = this.#options;
    const key = newKey(randomBytes);
    const script = `import time\ntime.sleep(${seconds})\nprint(20 + 22)\n`;
    const request = { script, name: 'scenario' };
    return this.#step(
      'Send a payload',
      () => this.#poll(() => api.submit(request, key)),
      (task) => shortId(task.id),
    );
  }

  #finished(task: TaskView): Promise<TaskView> {
    return this.#step(
      'Wait for its result',
      async () => {
        const done = await this.#until(task.id, ({ status }) => isFinal(status));
        if (done.status !== 'succeeded') throw new ApiFailure('CONFLICT', `it ended as ${done.status}`);
        return done;
      },
      (done) => {
        const tries = done.attempts.length;
        return `${done.result?.stdout.trim() ?? ''} from ${nodeOf(done)}, ${tries === 1 ? 'in its first attempt' : `after ${tries} attempts`}`;
      },
    );
  }

  /** True where everything is as before. */
  async #heal(): Promise<boolean> {
    const node = this.#stoppedNode;
    this.#stoppedNode = null;
    this.#leaderBefore = null;
    if (node === null) return true;
    const { api } = this.#options;
    try {
      await this.#step(`Start ${node} again`, () => api.setStopped(node, false));
      await this.#step(`Wait until ${node} takes tasks`, () =>
        this.#poll(async () => {
          const nodes = (await api.nodes()).value;
          return nodes.find(({ id, status }) => id === node && status === 'ready') ?? null;
        }),
      );
      return true;
    } catch (thrown) {
      if (!(thrown instanceof StepFailed)) throw thrown;
      return false;
    }
  }

  #until(id: string, holds: (task: TaskView) => boolean): Promise<TaskView> {
    return this.#poll(async () => {
      const { value } = await this.#options.api.task(id);
      return holds(value) ? value : null;
    });
  }

  /** Asks until there is something; what will pass (an election) is waited out. */
  async #poll<T>(ask: () => Promise<T | null>): Promise<T> {
    const { clock } = this.#options;
    const never = new AbortController().signal;
    const endMs = clock.now() + STEP_MS_MAX;
    for (;;) {
      try {
        const found = await ask();
        if (found !== null) return found;
      } catch (thrown) {
        if (!(thrown instanceof ApiFailure) || !isPassing(thrown)) throw thrown;
      }
      if (clock.now() > endMs) throw new ApiFailure('TIMEOUT', `not within ${STEP_MS_MAX / 1_000} s`);
      await pause(clock, POLL_MS, never);
    }
  }

  async #step<T>(text: string, run: () => Promise<T>, tell?: (value: T) => string): Promise<T> {
    const { clock } = this.#options;
    const begunMs = clock.now();
    this.#put({ text, state: 'running', tookMs: null, told: null }, false);
    const end = (state: 'done' | 'failed', told: string | null): void =>
      this.#put({ text, state, tookMs: clock.now() - begunMs, told }, true);
    try {
      const value = await run();
      end('done', tell?.(value) ?? null);
      return value;
    } catch (thrown) {
      if (!(thrown instanceof ApiFailure)) throw thrown;
      end('failed', thrown.message);
      throw new StepFailed(text);
    }
  }

  #put(step: ScenarioStep, inPlace: boolean): void {
    this.#options.store.update((state) => {
      if (state.scenario === null) return state;
      const before = inPlace ? state.scenario.steps.slice(0, -1) : state.scenario.steps;
      return { ...state, scenario: { ...state.scenario, steps: [...before, step] } };
    });
  }
}

function nodeOf(task: TaskView): string {
  return task.attempts.at(-1)?.node ?? '?';
}
