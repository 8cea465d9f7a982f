import type { ProposeResult } from '../consensus.ts';
import type { LogIndex, ProposalId, ProposalOutcome, Term } from '../core/types.ts';

interface Waiter<Result> {
  readonly id: ProposalId;
  readonly resolve: (result: ProposeResult<Result>) => void;
  readonly sinceMs: number;
  readonly bytes: number;
  /** Set by `appended`. */
  term: Term | null;
}

/** Who waits for which proposal: from `propose` by its id, from `appended` on by its place in the log. */
export class Proposals<Result> {
  readonly #onCommitted: (seconds: number) => void;
  readonly #proposed = new Map<ProposalId, Waiter<Result>>();
  readonly #appended = new Map<LogIndex, Waiter<Result>>();
  #bytes = 0;

  constructor(onCommitted: (seconds: number) => void) {
    this.#onCommitted = onCommitted;
  }

  get count(): number {
    return this.#proposed.size + this.#appended.size;
  }

  /** Payload bytes of all that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  add(id: ProposalId, nowMs: number, bytes = 0): Promise<ProposeResult<Result>> {
    this.#bytes += bytes;
    return new Promise((resolve) => {
      this.#proposed.set(id, { id, resolve, sinceMs: nowMs, bytes, term: null });
    });
  }

  outcome(id: ProposalId, outcome: ProposalOutcome): void {
    const waiter = this.#proposed.get(id);
    if (waiter === undefined) return;
    this.#proposed.delete(id);
    if (outcome.kind !== 'appended') {
      this.#settle(waiter, outcome);
      return;
    }
    waiter.term = outcome.term;
    this.#appended.set(outcome.index, waiter);
  }

  /** These were appended, and what becomes of them will not be heard here. Rare, so the search may be slow. */
  unknown(ids: readonly ProposalId[], reason: string): void {
    const wanted = new Set(ids);
    for (const [index, waiter] of [...this.#appended]) {
      if (!wanted.has(waiter.id)) continue;
      this.#appended.delete(index);
      this.#settle(waiter, { kind: 'unknown', reason });
    }
  }

  applied(index: LogIndex, term: Term, result: Result, nowMs: number): void {
    const waiter = this.#appended.get(index);
    if (waiter === undefined) return;
    this.#appended.delete(index);
    if (waiter.term !== term) {
      this.#settle(waiter, { kind: 'unknown', reason: 'another entry took its place' });
      return;
    }
    this.#onCommitted((nowMs - waiter.sinceMs) / 1000);
    this.#settle(waiter, { kind: 'applied', index, term, result });
  }

  /** The state machine jumped over these places: what was decided there is not known here. */
  skipped(through: LogIndex): void {
    for (const [index, waiter] of [...this.#appended]) {
      if (index > through) continue;
      this.#appended.delete(index);
      this.#settle(waiter, {
        kind: 'unknown',
        reason: 'its entry is inside a snapshot that came from another server',
      });
    }
  }

  endAll(reason: string): void {
    for (const waiter of [...this.#proposed.values(), ...this.#appended.values()]) {
      this.#settle(waiter, { kind: 'unknown', reason });
    }
    this.#proposed.clear();
    this.#appended.clear();
  }

  #settle(waiter: Waiter<Result>, result: ProposeResult<Result>): void {
    this.#bytes -= waiter.bytes;
    waiter.resolve(result);
  }
}
