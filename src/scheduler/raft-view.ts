/** The consensus and its log, in the words of the API. */
import type { RaftLogEntryView, RaftView } from '../api/views.ts';
import type { Consensus } from '../raft/consensus.ts';
import type { Entry } from '../raft/core/types.ts';
import { decodeEntry } from './state/ops.ts';
import type { Op } from './state/ops.ts';
import { isoTime, placementRecord } from './task-view.ts';

/** @param leaderSinceMs wall clock; null: no leader is known */
export function raftView(
  consensus: Pick<Consensus<unknown>, 'status' | 'lastContactMs'>,
  leaderSinceMs: number | null,
): RaftView {
  const status = consensus.status();
  const contacts = consensus.lastContactMs();
  const peers: Record<string, RaftView['peers'][string]> = {};
  for (const [id, peer] of status.peers) {
    const lag = Math.max(0, status.lastIndex - peer.matchIndex);
    peers[id] = { matchIndex: peer.matchIndex, lag, lastContactMs: contacts.get(id) ?? null };
  }
  return {
    id: status.id,
    role: status.role === 'preCandidate' ? 'candidate' : status.role,
    term: status.term,
    votedFor: status.votedFor,
    leader: status.leader,
    leaderSince: leaderSinceMs === null ? null : isoTime(leaderSinceMs),
    firstIndex: status.firstIndex,
    lastIndex: status.lastIndex,
    commitIndex: status.commitIndex,
    appliedIndex: status.appliedIndex,
    snapshotIndex: status.snapshotIndex,
    voters: status.config.voters,
    learners: status.config.learners,
    peers,
  };
}

export function logEntryView(entry: Entry): RaftLogEntryView {
  const { index, term, kind } = entry;
  switch (kind) {
    case 'noop':
      return { index, term, kind, time: null, data: null };
    case 'config':
      return { index, term, kind, time: null, data: entry.config };
    case 'command': {
      const content = decodeEntry(entry.payload);
      if (content === null) return { index, term, kind, time: null, data: null };
      return { index, term, kind, time: isoTime(content.at), data: content.ops.map(opView) };
    }
  }
}

/** As it is in the log, but for what is packed there. */
function opView(op: Op): unknown {
  return op.op === 'assign' ? { ...op, placement: placementRecord(op.placement) } : op;
}
