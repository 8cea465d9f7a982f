import type { LogIndex, NodeId, RaftStatus } from '../core/types.ts';

/**
 * After which entry a leader must keep its log so that no follower that is being brought up to date falls back to needing
 * a (further) snapshot: under a steady load the log that follows a snapshot would else be gone by the time it is in force, and
 * then that of the next one, for ever. Infinity: nobody needs more than is kept in any case. A follower that is silent holds nothing.
 *
 * @param sending index of the snapshot on its way to a follower; null: none is
 * @param silentTicksMax who was not heard of for longer counts as away
 */
export function neededAfter(
  { peers, firstIndex }: Pick<RaftStatus, 'peers' | 'firstIndex'>,
  sending: (to: NodeId) => LogIndex | null,
  silentTicksMax: number,
): number {
  let after = Infinity;
  for (const [id, peer] of peers) {
    if (peer.ticksSinceContact > silentTicksMax) continue;
    const has = sending(id) ?? (peer.state === 'replicate' ? peer.matchIndex : peer.nextIndex - 1);
    // What it lacks is gone already: it will be sent a snapshot, a newer one than this.
    if (has >= firstIndex - 1) after = Math.min(after, has);
  }
  return after;
}
