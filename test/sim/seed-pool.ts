import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { bundleSimulator } from './bundle.ts';
import { replayCommand } from './replay.ts';
import type { SeedOrder } from './seed-order.ts';
import type { SeedAnswer } from './seed-process.ts';

export const JOBS_DEFAULT = availableParallelism();

/** One process a core: helper threads of V8 would only take the processor from the other one. Most of what is allocated dies young. */
const SIMULATING_FLAGS = [
  '--enable-source-maps',
  '--single-threaded',
  '--max-semi-space-size=32',
  '--min-semi-space-size=32',
];

export interface PoolOptions {
  /** Processes at a time. */
  readonly jobs?: number;
  /** Sources that read otherwise than on the disk (bundle.ts). */
  readonly changed?: ReadonlyMap<string, string>;
  /** Told of each seed that is done, in no particular order. @returns false to begin no other */
  readonly onAnswer: (answer: SeedAnswer) => boolean;
  /** A seed that takes longer goes round in circles: its process is ended, and the seed counts as failed. */
  readonly seedMsMax?: number;
}

const SEED_MS_MAX = 300_000;

/** Simulates all seeds that are ordered, several at a time, each in a process of its own. */
export async function runSeeds(orders: Iterable<SeedOrder>, options: PoolOptions): Promise<void> {
  const { jobs = JOBS_DEFAULT, changed, onAnswer, seedMsMax = SEED_MS_MAX } = options;
  const bundle = await bundleSimulator(changed);
  const waiting = orders[Symbol.iterator]();
  let goesOn = true;
  const next = (): SeedOrder | null => {
    const result = goesOn ? waiting.next() : { done: true as const, value: undefined };
    return result.done === true ? null : result.value;
  };
  const work = async (): Promise<void> => {
    let process: SeedProcess | null = null;
    try {
      for (let order = next(); order !== null; order = next()) {
        process ??= new SeedProcess(bundle.path);
        const answer = await process.simulate(order, seedMsMax);
        if (process.isGone) process = null;
        if (!onAnswer(answer)) goesOn = false;
      }
    } finally {
      process?.end();
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    bundle.remove();
  }
}

class SeedProcess {
  readonly #child: ChildProcess;
  #errors = '';
  #isGone = false;

  constructor(path: string) {
    this.#child = fork(path, {
      execArgv: SIMULATING_FLAGS,
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()));
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  simulate(order: SeedOrder, msMax: number): Promise<SeedAnswer> {
    return new Promise((resolve) => {
      const settle = (answer: SeedAnswer): void => {
        clearTimeout(timer);
        this.#child.off('message', settle).off('exit', onExit);
        resolve(answer);
      };
      const onExit = (): void => {
        this.#isGone = true;
        settle(failed(order, `the simulating process ended: ${this.#errors}`));
      };
      const timer = setTimeout(() => {
        this.#isGone = true;
        this.#child.kill('SIGKILL');
        settle(failed(order, `took more than ${String(msMax)} ms`));
      }, msMax);
      this.#child.on('message', settle).on('exit', onExit);
      this.#child.send(order);
    });
  }

  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

function failed(order: SeedOrder, message: string): SeedAnswer {
  const text = `${message}\n${replayCommand(order)}`;
  return { order, report: null, failure: { invariant: null, message, text } };
}
