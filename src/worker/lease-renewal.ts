/** What an acknowledgement of a heartbeat means. */
export type Renewal =
  /** Of a heartbeat that an earlier acknowledgement has covered, or of none of this link. */
  | { readonly kind: 'stale' }
  /** Too late to be believed: the master may have given the tasks to others meanwhile. The link is of no use any more. */
  | { readonly kind: 'late' }
  /** Tasks may run until then, by the clock that the other times are of. */
  | { readonly kind: 'renewed'; readonly untilMs: number };

/**
 * The worker's side of its lease, on one link (docs/architecture.md, "Leases"). A lease counts from when the heartbeat was SENT:
 * the master counts from when it received it, which is later, whatever the network does. All times are of the worker's
 * monotonic clock, in milliseconds. Pure, so that the simulator can break the world around it.
 */
export class LeaseRenewal {
  readonly #pauseAfterMs: number;
  readonly #sentAtMs = new Map<number, number>();
  #renewByMs: number;

  /** @param pauseAfterMs length of a lease */
  constructor(pauseAfterMs: number, welcomedAtMs: number) {
    this.#pauseAfterMs = pauseAfterMs;
    this.#renewByMs = welcomedAtMs + pauseAfterMs;
  }

  /** Nothing was acknowledged for the length of a lease: another link may be better. */
  isOverdue(nowMs: number): boolean {
    return nowMs > this.#renewByMs;
  }

  sent(seq: number, nowMs: number): void {
    this.#sentAtMs.set(seq, nowMs);
  }

  acknowledged(seq: number, nowMs: number): Renewal {
    const sentAtMs = this.#sentAtMs.get(seq);
    if (sentAtMs === undefined) return { kind: 'stale' };
    for (const other of this.#sentAtMs.keys()) if (other <= seq) this.#sentAtMs.delete(other);
    const untilMs = sentAtMs + this.#pauseAfterMs;
    if (this.isOverdue(nowMs) || nowMs > untilMs) return { kind: 'late' };
    this.#renewByMs = untilMs;
    return { kind: 'renewed', untilMs };
  }
}
