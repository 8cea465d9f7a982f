import { next, plus } from './ids.ts';
import type { LogIndex, ProposalId } from './types.ts';

/**
 * The leader's proposals that are in its log and not known to be committed. The entry at `#first + i` is proposal
 * `#ids[#head + i]`; null for an entry nobody proposed (the no-op).
 */
export class PendingProposals {
  #ids: (ProposalId | null)[] = [];
  #head = 0;
  #first: LogIndex;

  /** `first`: where the leader's first entry will be. */
  constructor(first: LogIndex) {
    this.#first = first;
  }

  add(id: ProposalId | null): void {
    this.#ids.push(id);
  }

  committed(through: LogIndex): void {
    if (through < this.#first) return;
    this.#head += through - this.#first + 1;
    this.#first = next(through);
    // Shifting a long array for every commit would cost more than all else; half empty is soon enough.
    if (this.#head * 2 >= this.#ids.length) {
      this.#ids = this.#ids.slice(this.#head);
      this.#head = 0;
    }
  }

  takeAll(): readonly ProposalId[] {
    const ids = this.#ids.slice(this.#head).filter((id) => id !== null);
    this.#first = plus(this.#first, this.#ids.length - this.#head);
    this.#ids = [];
    this.#head = 0;
    return ids;
  }
}
