/** What a leader keeps of its log for those that are being brought up to date. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LogIndex, NodeId, PeerStatus } from '../../../src/raft/core/types.ts';
import { neededAfter } from '../../../src/raft/node/log-needs.ts';

const SILENT_TICKS_MAX = 80;
const FIRST_INDEX = 101 as LogIndex;

function peer(
  state: PeerStatus['state'],
  matchIndex: number,
  nextIndex: number,
  silentTicks = 0,
): PeerStatus {
  return {
    state,
    matchIndex: matchIndex as LogIndex,
    nextIndex: nextIndex as LogIndex,
    ticksSinceContact: silentTicks,
  };
}

function after(peers: readonly PeerStatus[], sending: Readonly<Record<string, number>> = {}): number {
  const named = new Map(peers.map((status, at) => [`n${at + 2}` as NodeId, status]));
  const sendingTo = (id: NodeId): LogIndex | null => (sending[id] ?? null) as LogIndex | null;
  return neededAfter({ peers: named, firstIndex: FIRST_INDEX }, sendingTo, SILENT_TICKS_MAX);
}

describe('what a leader keeps for others', () => {
  it('is what comes after the snapshot that is being sent', () => {
    assert.equal(after([peer('snapshot', 0, 1), peer('replicate', 500, 501)], { n2: 300 }), 300);
  });

  it('is what a follower lacks that is behind, whether it is known how far or only guessed', () => {
    assert.equal(after([peer('replicate', 200, 450), peer('replicate', 500, 501)]), 200);
    assert.equal(after([peer('probe', 0, 301), peer('replicate', 500, 501)]), 300);
  });

  it('is nothing for who is silent, even if a snapshot is on its way', () => {
    const silent = SILENT_TICKS_MAX + 1;
    assert.equal(after([peer('replicate', 200, 450, silent)]), Infinity);
    assert.equal(after([peer('snapshot', 0, 1, silent)], { n2: 300 }), Infinity);
  });

  it('is nothing for who needs a snapshot in any case, nor where there is nobody', () => {
    assert.equal(after([peer('probe', 0, 50)]), Infinity);
    assert.equal(after([]), Infinity);
  });
});
