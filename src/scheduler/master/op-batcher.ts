import type { Consensus, ProposeResult } from '../../raft/consensus.ts';
import { encodeEntry } from '../state/ops.ts';
import type { ApplyResult, Op, OpResult } from '../state/ops.ts';
import type { MasterClock } from './clock.ts';

export const BATCHER_LIMITS = {
  /** An entry is closed when its ops reach this much text, unless one op alone is larger. */
  entryBytesMax: 1024 * 1024,
  /** Entries proposed and not yet decided. More would only make them smaller. */
  entriesInFlightMax: 4,
  /** Ops waiting to be proposed; beyond it nothing from outside is taken in. */
  queuedBytesMax: 64 * 1024 * 1024,
  /** How long to wait after consensus refused an entry because it has too much to do. */
  overloadPauseMs: 20,
  /** How long an op without hurry waits for company. */
  lazyMs: 15,
} as const;

/** What became of an op. */
export type OpOutcome =
  | { readonly kind: 'applied'; readonly index: number; readonly result: OpResult }
  /** Certainly not in the log. */
  | { readonly kind: 'notLeader' }
  /** Certainly not in the log: too much is waiting. */
  | { readonly kind: 'overloaded'; readonly limit: string }
  /** Certainly not in the log: some server may not understand it. */
  | { readonly kind: 'notUnderstood' }
  /** May or may not come into force. */
  | { readonly kind: 'unknown'; readonly reason: string };

export type OnOutcome = (outcome: OpOutcome) => void;

interface QueuedOp {
  readonly number: number;
  readonly op: Op;
  readonly text: string;
  readonly bytes: number;
  /** Own duty: proposed again if consensus is overloaded. */
  readonly duty: boolean;
  readonly done: OnOutcome;
}

interface EntryInFlight {
  readonly ops: readonly QueuedOp[];
}

/** An op that was made because there is room in an entry, and who wants to hear of it. */
export interface ExtraOp {
  readonly op: Op;
  readonly done: OnOutcome;
}

export interface OpBatcherOptions {
  readonly consensus: Pick<Consensus<ApplyResult>, 'propose'>;
  readonly clock: MasterClock;
  /** The state machine's clock: stamps never lie before it. */
  readonly stateClock: () => number;
  /** Whether every server is known to understand the op: others are not proposed. */
  readonly isUnderstood: (op: Op) => boolean;
  /**
   * Asked whenever an entry is put together, with the ops that are in it: what else may go into it (assignments), at most
   * `max` ops. Called again for the next entry if it gives that many.
   */
  readonly extra: (ops: readonly Op[], max: number) => readonly ExtraOp[];
}

/** Rough size of an assign op. */
const EXTRA_OP_BYTES = 512;

/**
 * Joins ops into log entries: whatever comes in one turn of the event loop, or while enough entries are in flight, shares
 * one. An op is turned into JSON once, when it comes in.
 */
export class OpBatcher {
  readonly #options: OpBatcherOptions;
  #queue: QueuedOp[] = [];
  #queuedBytes = 0;
  #inFlight: EntryInFlight[] = [];
  #nextNumber = 1;
  #lastAt = 0;
  #flushScheduled = false;
  #cancelPause: (() => void) | null = null;
  #cancelLazy: (() => void) | null = null;
  #settledWaiters: { readonly through: number; readonly resolve: () => void }[] = [];
  #closed = false;

  constructor(options: OpBatcherOptions) {
    this.#options = options;
  }

  /** Whether so much is waiting that nothing more should be let in. */
  get full(): boolean {
    return this.#queuedBytes >= BATCHER_LIMITS.queuedBytesMax;
  }

  /** A wish of somebody else: it hears at once if consensus is overloaded. `text`: the op as JSON, if it is there already. */
  add(op: Op, done: OnOutcome, text: string = JSON.stringify(op)): void {
    this.#enqueue(op, done, text, false);
  }

  /** A duty of the master: tried again until it is in the log or the lead is lost. */
  addDuty(op: Op, done: OnOutcome): void {
    this.#enqueue(op, done, JSON.stringify(op), true);
  }

  /**
   * A duty without hurry: it goes with the next entry, or alone after `lazyMs`. (That a short task has started need not
   * cost an entry of its own: its end comes at once.)
   */
  addLazyDuty(op: Op, done: OnOutcome): void {
    this.#enqueue(op, done, JSON.stringify(op), true, false);
    this.#cancelLazy ??= this.#options.clock.after(BATCHER_LIMITS.lazyMs, () => {
      this.#cancelLazy = null;
      this.kick();
    });
  }

  #enqueue(op: Op, done: OnOutcome, text: string, duty: boolean, isUrgent = true): void {
    if (this.#closed) {
      done({ kind: 'notLeader' });
      return;
    }
    if (!this.#options.isUnderstood(op)) {
      done({ kind: 'notUnderstood' });
      return;
    }
    const bytes = Buffer.byteLength(text);
    this.#queue.push({ number: this.#nextNumber, op, text, bytes, duty, done });
    this.#nextNumber += 1;
    this.#queuedBytes += bytes;
    if (isUrgent) this.kick();
  }

  /** There may be something to place: puts an entry together at the end of this turn. */
  kick(): void {
    if (this.#flushScheduled || this.#closed) return;
    this.#flushScheduled = true;
    this.#options.clock.soon(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  /** Resolves when everything added before has had its outcome. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settledWaiters.push({ through: this.#nextNumber - 1, resolve });
      this.#notifySettled();
    });
  }

  /** The lead is lost: what was not proposed never will be. What is in flight is decided by consensus. */
  close(): void {
    this.#closed = true;
    this.#cancelPause?.();
    this.#cancelPause = null;
    this.#cancelLazy?.();
    this.#cancelLazy = null;
    const dropped = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const { done } of dropped) done({ kind: 'notLeader' });
    this.#notifySettled();
  }

  #flush(): void {
    while (!this.#closed && this.#cancelPause === null) {
      if (this.#inFlight.length >= BATCHER_LIMITS.entriesInFlightMax) return;
      const { ops, bytes } = this.#takeQueued();
      const max = Math.max(1, Math.floor((BATCHER_LIMITS.entryBytesMax - bytes) / EXTRA_OP_BYTES));
      const extra = this.#options.extra(
        ops.map((queued) => queued.op),
        max,
      );
      for (const { op, done } of extra) {
        const number = this.#nextNumber++;
        ops.push({ number, op, text: JSON.stringify(op), bytes: 0, duty: false, done });
      }
      if (ops.length === 0) return;
      this.#propose(ops);
      if (this.#queue.length === 0 && extra.length < max) return;
    }
  }

  #takeQueued(): { readonly ops: QueuedOp[]; readonly bytes: number } {
    let count = 0;
    let bytes = 0;
    for (const queued of this.#queue) {
      if (count > 0 && bytes + queued.bytes > BATCHER_LIMITS.entryBytesMax) break;
      count += 1;
      bytes += queued.bytes;
    }
    this.#queuedBytes -= bytes;
    this.#cancelLazy?.();
    this.#cancelLazy = null;
    return { ops: this.#queue.splice(0, count), bytes };
  }

  #propose(ops: readonly QueuedOp[]): void {
    const { clock, stateClock, consensus } = this.#options;
    this.#lastAt = Math.max(this.#lastAt, Math.round(clock.wallMs()), stateClock());
    const payload = encodeEntry(
      this.#lastAt,
      ops.map((queued) => queued.text),
    );
    const entry: EntryInFlight = { ops };
    this.#inFlight.push(entry);
    consensus.propose(payload).then(
      (result) => this.#decided(entry, result),
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        this.#decided(entry, { kind: 'unknown', reason });
      },
    );
  }

  #decided(entry: EntryInFlight, result: ProposeResult<ApplyResult>): void {
    this.#inFlight = this.#inFlight.filter((other) => other !== entry);
    if (result.kind === 'overloaded' && !this.#closed) this.#overloaded(entry.ops, result.limit);
    else entry.ops.forEach((queued, at) => queued.done(outcomeOf(result, at)));
    this.#notifySettled();
    this.kick();
  }

  #overloaded(ops: readonly QueuedOp[], limit: string): void {
    const again = ops.filter((queued) => queued.duty);
    this.#queue = [...again, ...this.#queue];
    for (const queued of again) this.#queuedBytes += queued.bytes;
    this.#cancelPause ??= this.#options.clock.after(BATCHER_LIMITS.overloadPauseMs, () => {
      this.#cancelPause = null;
      this.kick();
    });
    for (const queued of ops) if (!queued.duty) queued.done({ kind: 'overloaded', limit });
  }

  #notifySettled(): void {
    if (this.#settledWaiters.length === 0) return;
    let oldest = this.#queue[0]?.number ?? Infinity;
    for (const entry of this.#inFlight) {
      for (const { number } of entry.ops) oldest = Math.min(oldest, number);
    }
    const reached = this.#settledWaiters.filter((waiter) => waiter.through < oldest);
    if (reached.length === 0) return;
    this.#settledWaiters = this.#settledWaiters.filter((waiter) => waiter.through >= oldest);
    for (const { resolve } of reached) resolve();
  }
}

function outcomeOf(result: ProposeResult<ApplyResult>, at: number): OpOutcome {
  switch (result.kind) {
    case 'applied': {
      const own = result.result.results[at];
      if (own === undefined) throw new Error(`entry ${result.index} has no result for its op ${at}`);
      return { kind: 'applied', index: result.index, result: own };
    }
    case 'notLeader':
      return { kind: 'notLeader' };
    case 'overloaded':
      return { kind: 'overloaded', limit: result.limit };
    case 'unknown':
      return { kind: 'unknown', reason: result.reason };
  }
}
