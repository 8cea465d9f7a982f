/**
 * Every attempt this node holds, from the order to run it until the master has recorded its ending:
 *
 *   beginning → running → ending → ended → (recorded: forgotten)
 *
 * `beginning`: the begin record is being written; nothing was started. `running`: handed to the executor. `ending`: it is
 * over, and the ending is being written and sent at the same time: whichever of the two disks is the faster, the result is
 * then on one (the executor keeps it until it is on this one). `ended`: durable. It is sent again on every new connection.
 */
import type { AttemptRef, WorkerToMaster } from '../link/protocol.ts';
import { attemptKey } from '../link/messages.ts';
import { endingChars } from './executor.ts';
import type { Ending, Executor, ExecutorHoldings, KillWhy, LaunchOrder } from './executor.ts';
import { monotonicMs } from './monotonic.ts';
import { RecentKeys } from './recent-keys.ts';
import type { KeptEnding, Outbox, OutboxRecord } from './outbox.ts';

export const ATTEMPT_LIMITS = {
  /** Endings on their way to the master and not yet recorded; the next ones wait. Characters of output, roughly bytes. */
  inflightCharsMax: 8 * 1024 * 1024,
  /** Without an answer for this long (on a link that works), an ending is sent once more. */
  resendMs: 10_000,
  /** Recorded attempts remembered, so that a late order to run one of them is ignored. */
  recordedMin: 10_000,
} as const;

interface Attempt {
  readonly ref: AttemptRef;
  /** null if an earlier life of this node started it. */
  readonly order: LaunchOrder | null;
  phase: 'beginning' | 'running' | 'ending' | 'ended';
  started: boolean;
  /** Set by a kill that came in while `beginning`: it is never started then. */
  killed: KillWhy | null;
  ending: KeptEnding | null;
  /** The master has recorded the ending before it was durable here. */
  isRecorded: boolean;
}

/** What the book needs of the connection; null while there is none. */
export interface Reporter {
  readonly send: (message: WorkerToMaster) => void;
  /** The ending of this task was sent (for the log line). */
  readonly onResultSent: (task: string) => void;
}

export class Attempts {
  readonly #node: string;
  readonly #executor: Executor;
  readonly #outbox: Outbox;
  readonly #attempts = new Map<string, Attempt>();
  readonly #recorded = new RecentKeys(ATTEMPT_LIMITS.recordedMin);
  #reporter: Reporter | null = null;
  /** Over, and not yet sent on this connection. */
  #toSend: Attempt[] = [];
  /** Sent on this connection, oldest first. */
  #inflight = new Map<string, { readonly chars: number; readonly sentAtMs: number }>();
  #inflightChars = 0;
  #emptyWaiters: (() => void)[] = [];

  constructor(node: string, executor: Executor, outbox: Outbox) {
    this.#node = node;
    this.#executor = executor;
    this.#outbox = outbox;
  }

  /**
   * Takes over what an earlier life left: what still runs, what ended; and gives back what was begun and of which no
   * process is left.
   */
  adopt(records: readonly OutboxRecord[], holdings: ExecutorHoldings): void {
    for (const { ref, ending } of records) {
      const attempt = this.#add(ref, null);
      attempt.phase = ending === null ? 'running' : 'ended';
      attempt.ending = ending;
    }
    for (const { task, token, started } of holdings.running) {
      const ref = { task, token };
      const attempt = this.#attempts.get(attemptKey(ref)) ?? this.#add(ref, null);
      attempt.phase = 'running';
      attempt.started = started;
    }
    for (const { task, token, ending } of holdings.ended) this.onEnded({ task, token }, ending);
    const running = new Set(holdings.running.map(attemptKey));
    for (const [key, attempt] of this.#attempts) {
      if (attempt.phase !== 'running' || running.has(key)) continue;
      this.#end(attempt, {
        kind: 'released',
        reason: `${this.#node} crashed while it ran the task`,
        fault: true,
      });
    }
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** Attempts that are not over. */
  get runningCount(): number {
    let count = 0;
    for (const { phase } of this.#attempts.values())
      if (phase === 'beginning' || phase === 'running') count += 1;
    return count;
  }

  /** For the hello. */
  held(): (AttemptRef & { readonly state: 'running' | 'ended' })[] {
    return [...this.#attempts.values()].map(({ ref, phase }) => ({
      task: ref.task,
      token: ref.token,
      state: phase === 'ended' || phase === 'ending' ? 'ended' : 'running',
    }));
  }

  /** A master welcomed this node: everything it may not have heard is sent (again). */
  connected(reporter: Reporter): void {
    this.disconnected();
    this.#reporter = reporter;
    for (const attempt of this.#attempts.values()) {
      if (isOver(attempt)) this.#toSend.push(attempt);
      else if (attempt.phase === 'running' && attempt.started) this.#sendStarted(attempt);
    }
    this.#pump();
  }

  disconnected(): void {
    this.#reporter = null;
    this.#toSend = [];
    this.#inflight.clear();
    this.#inflightChars = 0;
  }

  /** Returns false if this attempt is known already (the order was repeated). */
  run(order: LaunchOrder): boolean {
    const key = attemptKey(order);
    if (this.#attempts.has(key) || this.#recorded.has(key)) return false;
    const attempt = this.#add({ task: order.task, token: order.token }, order);
    if (this.#executor.beginBeforeLaunch) {
      this.#outbox.begin(attempt.ref, () => this.#launch(attempt));
    } else {
      this.#outbox.begin(attempt.ref, null);
      this.#launch(attempt);
    }
    return true;
  }

  /** Gives an order back at once: this node takes no more work. */
  refuse(order: LaunchOrder, reason: string): void {
    const key = attemptKey(order);
    if (this.#attempts.has(key) || this.#recorded.has(key)) return;
    this.#end(this.#add({ task: order.task, token: order.token }, null), { kind: 'released', reason });
  }

  kill(ref: AttemptRef, why: KillWhy): void {
    const attempt = this.#attempts.get(attemptKey(ref));
    if (attempt === undefined) return;
    if (attempt.phase === 'beginning') attempt.killed ??= why;
    else if (attempt.phase === 'running') this.#executor.kill(attempt.ref, why);
  }

  /** Ends everything that runs and gives it back. */
  releaseAll(): void {
    for (const { ref } of this.#attempts.values()) this.kill(ref, 'released');
  }

  recorded(ref: AttemptRef): void {
    const key = attemptKey(ref);
    const attempt = this.#attempts.get(key);
    if (attempt === undefined || !isOver(attempt)) return;
    this.#inflightChars -= this.#inflight.get(key)?.chars ?? 0;
    this.#inflight.delete(key);
    attempt.isRecorded = true;
    if (attempt.phase === 'ended') this.#forgetRecorded(attempt);
    this.#pump();
  }

  #forgetRecorded(attempt: Attempt): void {
    this.#forget(attempt);
    this.#recorded.add(attemptKey(attempt.ref));
  }

  /** The master may have failed to record an ending and yet be the master: asks again after a while. */
  resendStale(nowMs: number): void {
    for (const [key, { chars, sentAtMs }] of this.#inflight) {
      if (nowMs - sentAtMs < ATTEMPT_LIMITS.resendMs) break;
      this.#inflight.delete(key);
      this.#inflightChars -= chars;
      const attempt = this.#attempts.get(key);
      if (attempt !== undefined && isOver(attempt)) this.#toSend.push(attempt);
    }
    this.#pump();
  }

  onStarted(ref: AttemptRef): void {
    const attempt = this.#attempts.get(attemptKey(ref));
    if (attempt?.phase !== 'running') return;
    attempt.started = true;
    this.#sendStarted(attempt);
  }

  onEnded(ref: AttemptRef, ending: Ending): void {
    if (this.#recorded.has(attemptKey(ref))) {
      this.#executor.acknowledge(ref); // again: it has not heard of it
      return;
    }
    // Unknown: this folder's outbox was lost, but not what the executor keeps. The master knows what to make of it.
    const attempt = this.#attempts.get(attemptKey(ref)) ?? this.#add(ref, null);
    if (attempt.phase === 'ended') this.#executor.acknowledge(ref);
    if (attempt.phase === 'ended' || attempt.phase === 'ending') return;
    if (ending.kind === 'dropped') {
      this.#executor.acknowledge(ref);
      this.#forget(attempt);
    } else {
      this.#end(attempt, ending);
    }
  }

  /** Whether it was ordered but not handed to the executor yet. */
  isBeginning(ref: AttemptRef): boolean {
    return this.#attempts.get(attemptKey(ref))?.phase === 'beginning';
  }

  /** Resolves when nothing is held any more. */
  empty(): Promise<void> {
    if (this.#attempts.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#emptyWaiters.push(resolve));
  }

  #add(ref: AttemptRef, order: LaunchOrder | null): Attempt {
    const attempt: Attempt = {
      ref,
      order,
      phase: 'beginning',
      started: false,
      killed: null,
      ending: null,
      isRecorded: false,
    };
    this.#attempts.set(attemptKey(ref), attempt);
    return attempt;
  }

  /** The begin record is durable. */
  #launch(attempt: Attempt): void {
    if (attempt.order === null || attempt.phase !== 'beginning') return;
    switch (attempt.killed) {
      case null:
        attempt.phase = 'running';
        this.#executor.launch(attempt.order);
        return;
      case 'superseded':
        this.#forget(attempt);
        return;
      case 'released':
        this.#end(attempt, { kind: 'released', reason: 'it had not been started yet' });
        return;
      case 'canceled':
        this.#end(attempt, CANCELED_BEFORE_START);
        return;
    }
  }

  #end(attempt: Attempt, ending: KeptEnding): void {
    attempt.phase = 'ending';
    attempt.ending = ending;
    this.#outbox.end(attempt.ref, ending, () => {
      attempt.phase = 'ended';
      this.#executor.acknowledge(attempt.ref);
      if (attempt.isRecorded) this.#forgetRecorded(attempt);
    });
    if (this.#reporter === null) return;
    this.#toSend.push(attempt);
    this.#pump();
  }

  #forget(attempt: Attempt): void {
    this.#attempts.delete(attemptKey(attempt.ref));
    this.#outbox.drop(attempt.ref);
    if (this.#attempts.size > 0) return;
    const waiters = this.#emptyWaiters;
    this.#emptyWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #sendStarted(attempt: Attempt): void {
    this.#reporter?.send({ kind: 'started', task: attempt.ref.task, token: attempt.ref.token });
  }

  #pump(): void {
    const reporter = this.#reporter;
    if (reporter === null) return;
    let at = 0;
    for (; at < this.#toSend.length; at += 1) {
      const attempt = this.#toSend[at];
      if (attempt === undefined || attempt.ending === null) continue;
      if (this.#inflightChars > ATTEMPT_LIMITS.inflightCharsMax) break;
      const chars = endingChars(attempt.ending);
      this.#inflight.set(attemptKey(attempt.ref), { chars, sentAtMs: monotonicMs() });
      this.#inflightChars += chars;
      reporter.send({ ...attempt.ending, task: attempt.ref.task, token: attempt.ref.token });
      if (attempt.ending.kind === 'finished') reporter.onResultSent(attempt.ref.task);
    }
    if (at > 0) this.#toSend.splice(0, at);
  }
}

/** Its ending is known and not yet recorded. */
function isOver({ phase, isRecorded }: Attempt): boolean {
  return (phase === 'ending' || phase === 'ended') && !isRecorded;
}

const CANCELED_BEFORE_START: KeptEnding = {
  kind: 'finished',
  outcome: 'canceled',
  reason: 'canceled before it was started',
  runMs: 0,
  result: {
    exitCode: null,
    signal: null,
    stdout: '',
    stderr: '',
    stdoutBytes: 0,
    stderrBytes: 0,
    truncated: false,
  },
};
