/**
 * What the leader knows of one follower.
 *
 *                    accepted                       needs entries that are compacted
 *        probe ────────────────────▶ replicate ────────────────────────┐
 *          ▲ ▲                          │                               ▼
 *          │ └── rejected, unreachable ─┘                           snapshot
 *          └──────────── snapshot sent, or failed ──────────────────────┘
 *
 * probe:      the follower's log is not known; one append at a time, the next after an answer or a heartbeat's.
 * replicate:  nextIndex runs ahead of the answers, as far as the window allows.
 * snapshot:   nothing is appended until the snapshot is there.
 */
import { Inflights } from './inflights.ts';
import { INDEX_ZERO, maxIndex, minIndex, next } from './ids.ts';
import type { LogIndex, PeerStatus, RaftConfig } from './types.ts';

export class Progress {
  readonly inflights: Inflights;
  #state: PeerStatus['state'] = 'probe';
  #match: LogIndex = INDEX_ZERO;
  #next: LogIndex;
  /** In probe: an append is out; wait. */
  probeOutstanding = false;
  ticksSinceContact = 0;
  /** The newest read round it has answered. */
  ackedRound = 0;
  /** The newest commit index it was sent and could use; sent again with each heartbeat. */
  toldCommit: LogIndex = INDEX_ZERO;

  constructor(config: RaftConfig, nextIndex: LogIndex) {
    this.inflights = new Inflights(config.inflightMessagesMax, config.inflightBytesMax);
    this.#next = nextIndex;
  }

  get state(): PeerStatus['state'] {
    return this.#state;
  }
  get matchIndex(): LogIndex {
    return this.#match;
  }
  get nextIndex(): LogIndex {
    return this.#next;
  }

  toProbe(nextIndex: LogIndex): void {
    this.#state = 'probe';
    this.#next = maxIndex(nextIndex, next(this.#match));
    this.probeOutstanding = false;
    this.inflights.clear();
  }

  toReplicate(): void {
    this.#state = 'replicate';
    this.#next = next(this.#match);
    this.probeOutstanding = false;
    this.inflights.clear();
  }

  toSnapshot(): void {
    this.#state = 'snapshot';
    this.probeOutstanding = false;
    this.inflights.clear();
  }

  /** In replicate: entries through `lastIndex` are on their way. */
  sent(lastIndex: LogIndex, bytes: number): void {
    this.#next = next(lastIndex);
    this.inflights.add(lastIndex, bytes);
  }

  /** Its log is durable and equal through `index`. Monotone: an old answer changes nothing. @returns whether it is news */
  accepted(index: LogIndex): boolean {
    this.inflights.freeThrough(index);
    if (index <= this.#match) return false;
    this.#match = index;
    this.#next = maxIndex(this.#next, next(index));
    return true;
  }

  /**
   * It has no entry `rejected` that fits; `agreeing` is the last place where the logs can agree.
   * @returns false if the answer is old and says nothing
   */
  rejected(rejected: LogIndex, agreeing: LogIndex): boolean {
    if (this.#state === 'snapshot') return false;
    if (this.#state === 'replicate') {
      if (rejected <= this.#match) return false;
      this.toProbe(next(this.#match));
      return true;
    }
    if (this.#next !== next(rejected)) return false;
    this.toProbe(maxIndex(minIndex(rejected, next(agreeing)), next(this.#match)));
    return true;
  }

  status(): PeerStatus {
    return {
      state: this.#state,
      matchIndex: this.#match,
      nextIndex: this.#next,
      ticksSinceContact: this.ticksSinceContact,
    };
  }
}
