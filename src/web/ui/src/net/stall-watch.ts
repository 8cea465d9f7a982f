/**
 * Notices a stream of events that is open and silent while the cluster goes on: the connection behind it may be cut
 * without anybody having closed it. Other answers tell how far the log is; what they show and the stream does not
 * bring within {@link GRACE_MS} is missing.
 */
export const GRACE_MS = 6_000;

/** `look`: fetch, to see whether anything was missed. `dead`: something was; the stream is to be opened anew. */
export type StallVerdict = 'fine' | 'behind' | 'look' | 'dead';

export class StallWatch {
  /** Newest index the stream brought, or that was fetched when it began. */
  #heard = 0;
  /** Newest index that a fetched task carries: proof that there was an event to bring. */
  #proven = 0;
  /** Log index of the latest answer; its newest entry may have had nothing to tell. */
  #applied = 0;
  /** The latest answer, younger than the latest message, had a shorter log than was heard. */
  #shorter = false;
  /** Up to here a look has been taken. */
  #looked = 0;
  #suspectSinceMs: number | null = null;

  /** The stream begins anew: nothing is known of it. */
  reset(): void {
    this.#heard = 0;
    this.#proven = 0;
    this.#applied = 0;
    this.#looked = 0;
    this.#shorter = false;
    this.#suspectSinceMs = null;
  }

  /** Everything has been fetched after the stream began: what is known by now counts as heard. */
  settle(): void {
    this.#heard = Math.max(this.#heard, this.#proven, this.#applied);
    this.#suspectSinceMs = null;
  }

  heard(index: number): void {
    this.#heard = Math.max(this.#heard, index);
    this.#shorter = false;
  }

  applied(index: number): void {
    this.#applied = index;
    this.#shorter = index < this.#heard;
  }

  proven(index: number): void {
    this.#proven = Math.max(this.#proven, index);
  }

  check(nowMs: number): StallVerdict {
    const missing = this.#proven > this.#heard;
    const unseen = this.#applied > Math.max(this.#heard, this.#looked);
    if (!missing && !this.#shorter && !unseen) {
      this.#suspectSinceMs = null;
      return 'fine';
    }
    this.#suspectSinceMs ??= nowMs;
    if (nowMs - this.#suspectSinceMs < GRACE_MS) return missing ? 'behind' : 'fine';
    this.#suspectSinceMs = null;
    // A log that stays shorter than what was heard is another log: the cluster was set up anew behind this page.
    if (missing || this.#shorter) return 'dead';
    this.#looked = this.#applied;
    return 'look';
  }
}
