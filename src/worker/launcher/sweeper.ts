/**
 * Sees to it that nothing is left of attempts whose main process has ended. Those that end at about the same time share
 * each look at the machine's processes.
 */
import { monotonicMs } from '../monotonic.ts';
import type { ProcessTree, TreeRoot } from './process-tree.ts';

export const SWEEPER = {
  /** Between two looks, while something is still dying; doubles up to the maximum. */
  againMinMs: 2,
  againMaxMs: 200,
} as const;

/** No process has this id: for attempts of which only the marker is known. */
const NO_PID = 2 ** 31 - 1;

interface Job {
  readonly root: TreeRoot;
  readonly done: () => void;
}

export class Sweeper {
  readonly #tree: ProcessTree;
  #jobs: Job[] = [];
  #timer: NodeJS.Timeout | null = null;
  #againMs: number = SWEEPER.againMinMs;

  constructor(tree: ProcessTree) {
    this.#tree = tree;
  }

  /** Kills what the attempt left behind; resolves when nothing is left, however long something takes to die. */
  sweep(root: TreeRoot, startedAtMs: number): Promise<void> {
    if (this.#tree.isSurelyGone(root, monotonicMs() - startedAtMs)) return Promise.resolve();
    return new Promise((done) => {
      this.#jobs.push({ root, done });
      this.#againMs = SWEEPER.againMinMs;
      this.#schedule(0);
    });
  }

  /** The same for an attempt of an earlier launcher, of which only the marker is known. */
  sweepMarked(task: string, number: number): Promise<void> {
    return this.sweep({ pid: NO_PID, task, number, group: null }, 0);
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), delayMs);
  }

  #look(): void {
    this.#timer = null;
    const jobs = this.#jobs;
    const left = new Set(this.#tree.kill(jobs.map(({ root }) => root)));
    this.#jobs = jobs.filter(({ root }) => left.has(root));
    for (const { root, done } of jobs) if (!left.has(root)) done();
    if (this.#jobs.length === 0) return;
    this.#schedule(this.#againMs);
    this.#againMs = Math.min(SWEEPER.againMaxMs, this.#againMs * 2);
  }
}
