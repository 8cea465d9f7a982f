/**
 * One attempt in the launcher, from the order to the moment when no process of it is left:
 *
 *   waiting → running ⇄ paused → (main process exits) closing → ended
 *
 * `waiting`: there is no valid lease, so nothing was started. The main process may exit by itself, or because a `cause` was
 * set: then it gets SIGTERM and, after a grace, SIGKILL, or SIGKILL at once. In `closing`, what it left behind is killed.
 */
import type { AttemptRef, RunSpec } from '../../link/protocol.ts';
import type { Ending, KillWhy } from '../executor.ts';
import { monotonicMs } from '../monotonic.ts';
import type { AttemptFolder, AttemptStore } from './attempt-store.ts';
import type { AttemptGroups } from './attempt-groups.ts';
import { collectFiles } from './collect.ts';
import type { FifoPool } from './fifo-pool.ts';
import type { Guard } from './guard.ts';
import type { MemoryKills } from './memory-kills.ts';
import { describeSpawnFailure } from './payload.ts';
import { spawnPayload } from './payload-process.ts';
import type { Payload } from './payload-process.ts';
import type { ProcessTree, TreeRoot } from './process-tree.ts';

export const ATTEMPT = {
  /** Between SIGTERM and SIGKILL. */
  termGraceMs: 5_000,
  /** The same when the node is being stopped, which has to be over in 8 s. */
  releaseGraceMs: 4_000,
  /** When all its processes are gone, output may be waited for this long. */
  outputGraceMs: 1_000,
  /** Longest time that one timer of Node can wait. */
  timerMsMax: 2 ** 31 - 1,
} as const;

/** Why an attempt is ended by force; the first one counts. */
type Cause =
  | { readonly kind: 'timeout' }
  | { readonly kind: 'canceled' }
  | { readonly kind: 'superseded' }
  | { readonly kind: 'released'; readonly reason: string }
  /** It went over a limit. */
  | { readonly kind: 'limit'; readonly reason: string };

export interface AttemptContext {
  /** For messages. */
  readonly node: string;
  readonly store: AttemptStore;
  readonly fifos: FifoPool;
  readonly guard: Guard;
  readonly tree: ProcessTree;
  /** null: there are none. */
  readonly groups: () => AttemptGroups | null;
  readonly memoryKills: MemoryKills;
  /** Calls back once no process of the tree is left (which it sees to). */
  readonly sweep: (root: TreeRoot, startedAtMs: number) => Promise<void>;
  readonly pausedMsMax: number;
  readonly onStarted: (attempt: Attempt) => void;
  readonly onEnded: (attempt: Attempt, ending: Ending) => void;
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly atMs: number;
}

interface Running extends Payload {
  readonly slot: number;
  readonly startedAtMs: number;
  /** What the kernel had killed for want of memory before it began. */
  readonly memoryKillsBefore: number;
}

export class Attempt {
  readonly ref: AttemptRef;
  readonly number: number;
  #spec: RunSpec;
  readonly #context: AttemptContext;
  #running: Running | null = null;
  #cause: Cause | null = null;
  #exit: Exit | null = null;
  #ended = false;
  #pausedAtMs: number | null = null;
  /** Finished pauses. */
  #pausedMs = 0;
  #timeoutTimer: NodeJS.Timeout | null = null;
  #killTimer: NodeJS.Timeout | null = null;
  #pauseLimitTimer: NodeJS.Timeout | null = null;

  constructor(ref: AttemptRef, number: number, spec: RunSpec, context: AttemptContext) {
    this.ref = { task: ref.task, token: ref.token };
    this.number = number;
    this.#spec = spec;
    this.#context = context;
  }

  /** Its texts are empty once it runs: they may be large, and are on the disk. */
  get spec(): RunSpec {
    return this.#spec;
  }

  get started(): boolean {
    return this.#running !== null;
  }

  get paused(): boolean {
    return this.#pausedAtMs !== null;
  }

  /** Its processes, as long as there is something to be done about them. */
  get root(): TreeRoot | null {
    return this.#exit === null ? (this.#running?.root ?? null) : null;
  }

  /** Makes the process. What goes wrong with that is reported as the attempt's end. */
  start(): void {
    if (this.#running !== null || this.#ended) return;
    try {
      if (!this.#spawn(this.#context.store.prepare(this.ref, this.number, this.#spec))) return;
    } catch (error) {
      const { node } = this.#context;
      this.#neverStarted(describeSpawnFailure(error as NodeJS.ErrnoException, this.#spec, node));
      return;
    }
    this.#armTimeout();
    this.#context.onStarted(this);
  }

  /** The tree was frozen (by the launcher, for all attempts at once). */
  pause(): void {
    if (this.#pausedAtMs !== null || this.#running === null || this.#exit !== null) return;
    this.#pausedAtMs = monotonicMs();
    this.#disarm();
    const { pausedMsMax } = this.#context;
    this.#pauseLimitTimer = setTimeout(() => {
      const minutes = Math.round(pausedMsMax / 60_000);
      this.#killNow({
        kind: 'released',
        reason: `paused for ${minutes} minutes without contact to a master`,
      });
    }, pausedMsMax);
  }

  /** The tree goes on (the launcher sends SIGCONT to all at once). */
  resume(): void {
    if (this.#pausedAtMs === null) return;
    this.#pausedMs += monotonicMs() - this.#pausedAtMs;
    this.#pausedAtMs = null;
    this.#disarm();
    if (this.#cause === null) this.#armTimeout();
  }

  /** True while a gentle end is under way; nothing of that may go on without a lease. */
  get stopping(): boolean {
    return this.#cause !== null;
  }

  kill(why: KillWhy): void {
    switch (why) {
      case 'canceled':
        this.#end({ kind: 'canceled' }, ATTEMPT.termGraceMs);
        return;
      case 'released':
        this.#end(
          { kind: 'released', reason: `given back: ${this.#context.node} is being stopped` },
          ATTEMPT.releaseGraceMs,
        );
        return;
      case 'superseded':
        this.#killNow({ kind: 'superseded' });
        return;
    }
  }

  /** The lease is gone: nothing of this attempt may run on. */
  killWithoutLease(): void {
    this.#killNow({ kind: 'released', reason: `${this.#context.node} lost the master (onDisconnect: stop)` });
  }

  /** The launcher ends. */
  killAtShutdown(): void {
    this.#killNow({ kind: 'released', reason: `given back: ${this.#context.node} is being stopped` });
  }

  /** `rssBytes`: memory used by the whole tree. */
  checkMemory(rssBytes: number): void {
    const usedMib = Math.ceil(rssBytes / 1024 / 1024);
    if (usedMib <= this.#spec.memoryMb) return;
    const reason = `out of memory: used ${usedMib} of ${this.#spec.memoryMb} MiB`;
    this.#killNow({ kind: 'limit', reason });
  }

  /** It keeps more than it may in its scratch folder. */
  endForDisk(reason: string): void {
    this.#killNow({ kind: 'limit', reason });
  }

  get scratch(): string {
    return this.#context.store.folder(this.ref, this.number).scratch;
  }

  /** Returns false if the system refused; the end is reported then. @throws what Node throws instead of reporting. */
  #spawn(folder: AttemptFolder): boolean {
    const { guard, node } = this.#context;
    const memoryKillsBefore = this.#context.memoryKills.count();
    const slot = guard.announce(this.ref.task, this.number);
    let payload: Payload | null;
    try {
      payload = spawnPayload(
        this.ref.task,
        this.number,
        this.#spec,
        folder,
        { ...this.#context, groups: this.#context.groups() },
        {
          onFailed: (error) => this.#neverStarted(describeSpawnFailure(error, this.#spec, node)),
          onExit: (code, signal) => void this.#exited({ code, signal, atMs: monotonicMs() }),
        },
      );
    } catch (error) {
      guard.gone(slot);
      throw error;
    }
    if (payload === null) {
      guard.gone(slot);
      return false;
    }
    guard.started(slot, payload.root.pid);
    this.#running = { ...payload, slot, startedAtMs: monotonicMs(), memoryKillsBefore };
    this.#spec = { ...this.#spec, script: null, stdin: null, command: [], env: {}, files: [] };
    return true;
  }

  #neverStarted(reason: string): void {
    this.#report({
      kind: 'finished',
      outcome: 'failed',
      reason,
      runMs: 0,
      result: EMPTY_RESULT,
    });
  }

  #armTimeout(): void {
    const { timeoutMs } = this.#spec;
    if (timeoutMs === null || this.#running === null || this.#exit !== null) return;
    const leftMs = timeoutMs - this.#ranMs(monotonicMs());
    this.#timeoutTimer = setTimeout(
      () => {
        if (leftMs > ATTEMPT.timerMsMax) this.#armTimeout();
        else this.#end({ kind: 'timeout' }, ATTEMPT.termGraceMs);
      },
      Math.min(Math.max(0, leftMs), ATTEMPT.timerMsMax),
    );
  }

  #disarm(): void {
    for (const timer of [this.#timeoutTimer, this.#killTimer, this.#pauseLimitTimer]) {
      if (timer !== null) clearTimeout(timer);
    }
  }

  #ranMs(nowMs: number): number {
    if (this.#running === null) return 0;
    const pausedMs = this.#pausedMs + (this.#pausedAtMs === null ? 0 : nowMs - this.#pausedAtMs);
    return Math.max(0, nowMs - this.#running.startedAtMs - pausedMs);
  }

  /** SIGTERM, and SIGKILL after the grace; at once if paused, because without a lease nothing may go on, not even to end. */
  #end(cause: Cause, graceMs: number): void {
    if (this.#running === null || this.#pausedAtMs !== null) {
      this.#killNow(cause);
      return;
    }
    if (this.#exit !== null || this.#cause !== null) return;
    this.#cause = cause;
    this.#disarm();
    const roots = [this.#running.root];
    this.#context.tree.signal(roots, 'SIGTERM');
    // Somebody else may have stopped it (a debugger, the payload itself), and then SIGTERM stays pending.
    this.#context.tree.signal(roots, 'SIGCONT');
    this.#killTimer = setTimeout(() => this.#killTree(), graceMs);
  }

  /** SIGKILL at once. */
  #killNow(cause: Cause): void {
    if (this.#running === null) {
      this.#endUnstarted(cause);
      return;
    }
    // It came to its own end: that counts.
    if (this.#exit !== null) return;
    if (this.#cause === null || cause.kind === 'superseded') this.#cause = cause;
    this.#disarm();
    this.#killTree();
  }

  #killTree(): void {
    if (this.#running === null) return;
    const { tree } = this.#context;
    tree.freeze([this.#running.root]); // so that nothing is forked between the looks
    tree.kill([this.#running.root]);
  }

  #endUnstarted(cause: Cause): void {
    switch (cause.kind) {
      case 'canceled':
        this.#report({
          kind: 'finished',
          outcome: 'canceled',
          reason: 'canceled before it was started',
          runMs: 0,
          result: EMPTY_RESULT,
        });
        return;
      case 'superseded':
        this.#report({ kind: 'dropped' });
        return;
      case 'released':
        this.#report({ kind: 'released', reason: cause.reason });
        return;
      case 'timeout':
      case 'limit':
        return; // only a process can run into these
    }
  }

  /** The main process is gone. What it left must be gone too before its end is reported. */
  async #exited(exit: Exit): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    this.#exit = exit;
    this.#disarm();
    const runMs = Math.round(this.#ranMs(exit.atMs));
    await this.#context.sweep(running.root, running.startedAtMs);
    this.#context.guard.gone(running.slot);
    for (const { fifo, capture } of Object.values(running.streams)) {
      if (await capture.finish(ATTEMPT.outputGraceMs)) this.#context.fifos.giveBack(fifo.path);
      else this.#context.fifos.discard(fifo.path);
    }
    const ending = this.#ending(exit, runMs, running);
    running.root.group?.remove();
    this.#report(await this.#withFiles(ending));
  }

  #ending(exit: Exit, runMs: number, running: Running): Ending {
    const stdout = running.streams.stdout.capture.kept;
    const stderr = running.streams.stderr.capture.kept;
    const finished = (
      outcome: Extract<Ending, { kind: 'finished' }>['outcome'],
      reason: string | null,
    ): Ending => ({
      kind: 'finished',
      outcome,
      reason,
      runMs,
      result: {
        exitCode: exit.code,
        signal: exit.signal,
        stdout: stdout.text(),
        stderr: stderr.text(),
        stdoutBytes: stdout.bytes,
        stderrBytes: stderr.bytes,
        truncated: stdout.truncated || stderr.truncated,
      },
    });
    const cause = this.#cause;
    switch (cause?.kind) {
      case undefined:
        if (exit.signal === null) {
          const isHit = exit.code === KILLED_CHILD_CODE && this.#ranOutOfMemory(running);
          return finished(exit.code === 0 ? 'succeeded' : 'failed', isHit ? KILLED_CHILD : null);
        }
        return finished('failed', exit.signal === 'SIGKILL' ? this.#whyKilled(running) : null);
      case 'timeout':
        return finished('timed_out', `ran longer than its timeout of ${this.#spec.timeoutMs ?? 0} ms`);
      case 'canceled':
        return finished('canceled', null);
      case 'limit':
        return finished('failed', cause.reason);
      case 'released':
        return { kind: 'released', reason: cause.reason };
      case 'superseded':
        return { kind: 'dropped' };
    }
  }

  /** Nobody here did it. */
  #whyKilled(running: Running): string {
    if (running.root.group?.ranOutOfMemory() === true) {
      return `out of memory: used more than ${this.#spec.memoryMb} MiB, and the kernel ended it`;
    }
    return this.#ranOutOfMemory(running) ? KILLED_FOR_MEMORY : KILLED_FROM_OUTSIDE;
  }

  #ranOutOfMemory({ root, memoryKillsBefore }: Running): boolean {
    return root.group?.ranOutOfMemory() === true || this.#context.memoryKills.count() > memoryKillsBefore;
  }

  /** With what the task wants to be kept of its scratch folder. */
  async #withFiles(ending: Ending): Promise<Ending> {
    if (ending.kind !== 'finished' || this.#spec.collect.length === 0) return ending;
    const { scratch, files } = this.#context.store.folder(this.ref, this.number);
    const { collected, contents } = await collectFiles(scratch, this.#spec.collect, files);
    return { ...ending, result: { ...ending.result, collected }, contents };
  }

  #report(ending: Ending): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#context.store.cleanScratch(this.ref, this.number);
    this.#context.onEnded(this, ending);
  }
}

const KILLED_FROM_OUTSIDE =
  'killed by SIGKILL from outside; not for want of memory, as far as the kernel tells';
const KILLED_FOR_MEMORY = 'out of memory: the kernel ended it (memory of the node ran out)';
/** What a shell ends with when SIGKILL ended its child. */
const KILLED_CHILD_CODE = 137;
const KILLED_CHILD = 'out of memory: the kernel ended a process of it';

const EMPTY_RESULT = {
  exitCode: null,
  signal: null,
  stdout: '',
  stderr: '',
  stdoutBytes: 0,
  stderrBytes: 0,
  truncated: false,
} as const;
