/**
 * The tasks that were sent through this client node, in LevelDB and in memory:
 *
 *     open!SEQ!ID     its result has not come yet
 *     done!SEQ!ID     it has; kept for a while to know an id that is named again
 */
import { keyNumber, LevelBatches, prefixRange } from './level-batches.ts';
import type { LevelOp, StoreError } from './level-batches.ts';

/** Beyond it the oldest are forgotten: no `Received result` is written for them. */
export const OPEN_TASKS_MAX = 200_000;
export const DONE_TASKS_MAX = 10_000;

export interface SentTasksOptions {
  readonly onFatal: (error: StoreError) => void;
  readonly openMax?: number;
  readonly doneMax?: number;
}

export class SentTasks {
  readonly #batches: LevelBatches;
  readonly #openMax: number;
  readonly #doneMax: number;
  /** Id → number in its key; the oldest first. */
  readonly #open: Map<string, number>;
  readonly #done: Map<string, number>;
  #lastSeq: number;

  private constructor(
    batches: LevelBatches,
    options: SentTasksOptions,
    open: Map<string, number>,
    done: Map<string, number>,
  ) {
    this.#batches = batches;
    this.#openMax = options.openMax ?? OPEN_TASKS_MAX;
    this.#doneMax = options.doneMax ?? DONE_TASKS_MAX;
    this.#open = open;
    this.#done = done;
    this.#lastSeq = Math.max(0, ...[open, done].map((tasks) => [...tasks.values()].at(-1) ?? 0));
  }

  /** @throws StoreError */
  static async open(folder: string, options: SentTasksOptions): Promise<SentTasks> {
    const batches = await LevelBatches.open(folder, options.onFatal);
    return new SentTasks(
      batches,
      options,
      await readTasks(batches, 'open!'),
      await readTasks(batches, 'done!'),
    );
  }

  /** It was sent through here, not too long ago. */
  has(id: string): boolean {
    return this.#open.has(id) || this.#done.has(id);
  }

  isOpen(id: string): boolean {
    return this.#open.has(id);
  }

  /** Oldest first. */
  openIds(): readonly string[] {
    return [...this.#open.keys()];
  }

  /** Resolves when they are on the disk. @throws StoreError */
  add(ids: readonly string[]): Promise<void> {
    const ops: LevelOp[] = [];
    for (const id of ids) {
      if (this.has(id)) continue;
      this.#lastSeq += 1;
      this.#open.set(id, this.#lastSeq);
      ops.push({ type: 'put', key: key('open', this.#lastSeq, id), value: '' });
    }
    forgetOldest(this.#open, this.#openMax, 'open', ops);
    return this.#batches.add(ops);
  }

  /** Their result has come. @throws StoreError */
  finish(ids: readonly string[]): Promise<void> {
    const ops: LevelOp[] = [];
    for (const id of ids) {
      const seq = this.#open.get(id);
      if (seq === undefined) continue;
      this.#open.delete(id);
      this.#lastSeq += 1;
      this.#done.set(id, this.#lastSeq);
      ops.push({ type: 'del', key: key('open', seq, id) });
      ops.push({ type: 'put', key: key('done', this.#lastSeq, id), value: '' });
    }
    forgetOldest(this.#done, this.#doneMax, 'done', ops);
    return this.#batches.add(ops);
  }

  close(): Promise<void> {
    return this.#batches.close();
  }
}

function key(kind: 'open' | 'done', seq: number, id: string): string {
  return `${kind}!${keyNumber(seq)}!${id}`;
}

function forgetOldest(tasks: Map<string, number>, max: number, kind: 'open' | 'done', ops: LevelOp[]): void {
  for (const [id, seq] of tasks) {
    if (tasks.size <= max) return;
    tasks.delete(id);
    ops.push({ type: 'del', key: key(kind, seq, id) });
  }
}

async function readTasks(batches: LevelBatches, prefix: 'open!' | 'done!'): Promise<Map<string, number>> {
  const tasks = new Map<string, number>();
  for await (const [stored] of batches.iterate(prefixRange(prefix))) {
    const [, seq, id] = stored.split('!');
    if (seq !== undefined && id !== undefined) tasks.set(id, Number(seq));
  }
  return tasks;
}
