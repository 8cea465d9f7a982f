/** `clb submit --batch FILE`: very many tasks, each with a key of its own, so that the whole can be repeated. */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { TaskView } from '../api/tasks.ts';
import { LIMITS } from '../api/limits.ts';
import type { Clb } from '../sdk/client.ts';
import { ClbError, NoServerError } from '../sdk/errors.ts';
import { pause } from '../sdk/pause.ts';
import { batchLines, type BatchLine } from './batch-lines.ts';
import type { Context } from './context.ts';
import { CliError, EXIT, explain, exitCodeOfError, exitCodeOfTask, usageError } from './exit-code.ts';
import { interruptible } from './interrupt.ts';
import { grouped, type Progress } from './progress.ts';
import { batchDefaults, readText, type TaskFlags } from './task-flags.ts';
import { waitForTasks } from './waiting.ts';

/** Submits on their way at a time: the library joins them into batches of 512, four of them in flight. */
const AT_ONCE_MAX = 2_048;
const QUEUE_FULL_PAUSE_MS = 1_000;
/** Room for `:` and a line's number behind the batch's key. */
const KEY_CHARS_MAX = LIMITS.idempotencyKeyCharsMax - 8;

export interface BatchFlags extends TaskFlags {
  readonly batch?: string;
  readonly wait?: true;
}

export async function submitBatch(
  context: Context,
  flags: BatchFlags & { readonly batch: string },
  words: readonly string[],
): Promise<number> {
  const source = flags.batch === '-' ? 'stdin' : flags.batch;
  const key = flags.idempotencyKey ?? randomUUID();
  if (key.length > KEY_CHARS_MAX)
    throw usageError(
      `--idempotency-key: at most ${KEY_CHARS_MAX} characters with --batch, not ${key.length}`,
    );
  const lines = batchLines(readText(flags.batch === '-' ? 0 : flags.batch, source), {
    source,
    defaults: await batchDefaults(flags, context),
    words,
  });
  const work = new Batch(context, source, lines, key);
  return interruptible(
    async (signal) => {
      const refusedCode = await work.submit(signal);
      if (flags.wait !== true) return refusedCode;
      const finals = await waitForTasks(context, work.tasks, signal);
      return finals.map(exitCodeOfTask).find((code) => code !== 0) ?? refusedCode;
    },
    () => work.hint(),
  );
}

class Batch {
  readonly #context: Context;
  readonly #source: string;
  readonly #lines: readonly BatchLine[];
  readonly #key: string;
  readonly #tasks: (TaskView | null | undefined)[] = [];
  #told = 0;
  #next = 0;
  #refusedCode: number = EXIT.ok;
  #waitsForRoom = false;

  constructor(context: Context, source: string, lines: readonly BatchLine[], key: string) {
    this.#context = context;
    this.#source = source;
    this.#lines = lines;
    this.#key = key;
  }

  /** Those accepted, in the order of the lines. */
  get tasks(): readonly TaskView[] {
    return this.#tasks.filter((task) => task != null);
  }

  /** How to go on after an interruption. */
  hint(): string {
    const accepted = this.tasks.length;
    if (accepted === this.#lines.length)
      return 'detached, the tasks go on. `clb tasks` shows what becomes of them';
    return (
      `${grouped(accepted)} of ${grouped(this.#lines.length)} lines are accepted. Go on with the same command and ` +
      `--idempotency-key ${this.#key}: no line makes a second task`
    );
  }

  /** Resolves with the exit code of the first refused line (0: none). @throws CliError where it cannot go on. */
  async submit(signal: AbortSignal): Promise<number> {
    const clb = await this.#context.clb();
    const progress = this.#context.terminal.progress('accepted', this.#lines.length);
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    // Every line on its way listens to it.
    setMaxListeners(0, both);
    const lanes = Math.min(AT_ONCE_MAX, this.#lines.length);
    try {
      await Promise.all(Array.from({ length: lanes }, () => this.#lane(clb, progress, both)));
    } catch (error) {
      stop.abort();
      signal.throwIfAborted();
      throw new CliError(exitCodeOfError(error), `${explain(error).join('\n')}\n${this.hint()}`, {
        cause: error,
      });
    } finally {
      this.#context.terminal.endProgress();
    }
    this.#context.terminal.note(`clb: ${progress.summary()}`);
    if (this.#refusedCode !== EXIT.ok)
      this.#context.terminal.note(
        `clb: mend the refused lines and repeat with --idempotency-key ${this.#key}: accepted ones make no second task`,
      );
    return this.#refusedCode;
  }

  async #lane(clb: Clb, progress: Progress, signal: AbortSignal): Promise<void> {
    for (let at = this.#next++; at < this.#lines.length; at = this.#next++) {
      const line = this.#lines[at];
      if (line === undefined) return;
      const task = await this.#submitLine(clb, line, signal);
      this.#tasks[at] = task;
      progress.step(task === null);
      this.#tellInOrder();
    }
  }

  /** Null where it was refused for good. */
  async #submitLine(clb: Clb, line: BatchLine, signal: AbortSignal): Promise<TaskView | null> {
    for (;;) {
      try {
        const idempotencyKey = `${this.#key}:${line.number}`;
        return await clb.submit(line.request, { idempotencyKey, signal });
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ClbError) || (error instanceof NoServerError && error.code !== 'QUEUE_FULL'))
          throw error;
        if (error.code !== 'QUEUE_FULL') {
          if (!REFUSALS.has(error.code)) throw error;
          this.#context.terminal.warn(`${this.#source}:${line.number}: ${error.message}`);
          if (this.#refusedCode === EXIT.ok) this.#refusedCode = exitCodeOfError(error);
          return null;
        }
      }
      await this.#waitForRoom(signal);
    }
  }

  async #waitForRoom(signal: AbortSignal): Promise<void> {
    if (!this.#waitsForRoom) this.#context.terminal.note('clb: the queue is full; waiting for room');
    this.#waitsForRoom = true;
    await pause(QUEUE_FULL_PAUSE_MS, signal);
  }

  /** Ids stand in the order of the lines, each as soon as those before it are known. */
  #tellInOrder(): void {
    for (; this.#told < this.#lines.length; this.#told += 1) {
      const task = this.#tasks[this.#told];
      if (task === undefined) return;
      if (task === null) continue;
      const { terminal } = this.#context;
      if (terminal.format === 'table' || terminal.quiet) terminal.line(task.id);
      else
        terminal.line(
          JSON.stringify({ line: this.#lines[this.#told]?.number, id: task.id, status: task.status }),
        );
    }
  }
}

/** What the server says of the line itself. */
const REFUSALS: ReadonlySet<string> = new Set(['INVALID', 'TOO_LARGE', 'CONFLICT', 'NOT_FOUND']);
