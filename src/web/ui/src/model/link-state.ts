/** How well the page hears the cluster, in the words of the indicator in the header. */

/** The stream of events: its own state, without regard to the other calls. */
export type FeedState = 'connecting' | 'open' | 'down';

export interface LinkFacts {
  readonly feed: FeedState;
  /** Time of the last good answer or event; null before the first. */
  readonly lastContactMs: number | null;
  /** The stream is open, yet other answers are ahead of it. */
  readonly behind: boolean;
  /** What is shown comes from a server that could not ask a majority. */
  readonly stale: boolean;
}

export type LinkState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  | { readonly kind: 'behind' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'reconnecting'; readonly lastContactMs: number }
  | { readonly kind: 'cut-off'; readonly lastContactMs: number | null };

/** Nodes are asked every 2 s: without any answer for this long the page does not call itself live. */
export const QUIET_MS = 6_000;
export const CUT_OFF_MS = 12_000;

/** `startedMs`: when the page began to try. */
export function linkState(facts: LinkFacts, nowMs: number, startedMs: number): LinkState {
  const { lastContactMs } = facts;
  if (lastContactMs === null) {
    return nowMs - startedMs > CUT_OFF_MS ? { kind: 'cut-off', lastContactMs: null } : { kind: 'connecting' };
  }
  const quietMs = nowMs - lastContactMs;
  if (quietMs > CUT_OFF_MS) return { kind: 'cut-off', lastContactMs };
  if (facts.feed !== 'open' || quietMs > QUIET_MS) return { kind: 'reconnecting', lastContactMs };
  if (facts.stale) return { kind: 'stale' };
  return facts.behind ? { kind: 'behind' } : { kind: 'live' };
}
