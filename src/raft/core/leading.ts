/** A leader's life: its beginning, its ticks, proposals, the transfer of the lead, its end. */
import { assert, present } from './assert.ts';
import { ENTRY_OVERHEAD_BYTES } from './entry-size.ts';
import { next, plus } from './ids.ts';
import { Leadership } from './leadership.ts';
import { addedVoter, changeRefusal } from './membership.ts';
import type { Progress } from './progress.ts';
import { confirmReads, joinHeartbeat, startReadsIfWaiting } from './reads.ts';
import { advanceCommit, appendAsLeader, hasCommittedInTerm, noop, tellCommits } from './replication.ts';
import { becomeFollower } from './roles.ts';
import type { Server } from './server.ts';
import type { Configuration, Entry, Input, NodeId, ProposalId, ProposalOutcome } from './types.ts';

/** A leader whose own disk is silent for this many election timeouts gives up (etcd#13527). */
const DISK_STALL_ELECTION_TIMEOUTS = 3;
/** The limit that an `overloaded` outcome names while the lead is on its way to another server: a matter of a moment. */
export const TRANSFERRING = 'leadership is being transferred';
/** A learner may lack at most this many entries to be made a voter (thesis §4.2.1). */
const PROMOTION_LAG_ENTRIES_MAX = 1000;

/** §5.2: the election is won. */
export function becomeLeader(server: Server): void {
  assert(server.role === 'candidate', 'only candidates become leaders');
  assert(server.leadership === null, 'leads already');
  server.role = 'leader';
  server.leader = server.id;
  const startIndex = next(server.log.lastIndex);
  const leadership = new Leadership(server.config, startIndex);
  server.leadership = leadership;
  leadership.trackMembers(server.membership.current, startIndex);
  leadership.proposals.add(null);
  appendAsLeader(server, [noop(server, server.currentTerm)]);
}

export function tickLeader(server: Server): void {
  const leadership = server.leading();
  for (const peer of leadership.peers.values()) peer.ticksSinceContact++;
  const { voters } = server.membership.current;
  if (!leadership.hasQuorumContact(voters) || (voters.length > 1 && isDiskStalled(server))) {
    // Check-quorum: a leader cut off must not keep others sticky nor accept work for ever (raft.md items 6, 7, 9).
    becomeFollower(server, server.currentTerm, null);
    return;
  }
  const { transfer } = leadership;
  if (transfer !== null && server.tick - transfer.startedAtTick >= server.config.electionTicks) {
    leadership.transfer = null;
  }
  leadership.heartbeatElapsed++;
  if (leadership.heartbeatElapsed >= server.config.heartbeatTicks) joinHeartbeat(server);
}

export function isDiskStalled(server: Server): boolean {
  return (
    server.writes.stalledTicks(server.tick) >= DISK_STALL_ELECTION_TIMEOUTS * server.config.electionTicks
  );
}

/** Commands for the log. Each gets its outcome at once; the accepted ones get consecutive indexes. */
export function onPropose(server: Server, proposals: Extract<Input, { kind: 'propose' }>['proposals']): void {
  const { leadership } = server;
  if (leadership === null) {
    for (const { id } of proposals) refused(server, id, { kind: 'notLeader', leader: server.leader });
    return;
  }
  const entries: Entry[] = [];
  let bytes = 0;
  for (const { id, payload } of proposals) {
    const size = ENTRY_OVERHEAD_BYTES + payload.length;
    const limit = limitReached(server, leadership, payload, bytes + size, size);
    if (limit !== null) {
      refused(server, id, { kind: 'overloaded', limit });
      continue;
    }
    bytes += size;
    const index = plus(server.log.lastIndex, entries.length + 1);
    entries.push({ kind: 'command', index, term: server.currentTerm, payload });
    leadership.proposals.add(id);
    appended(server, id, index);
  }
  if (entries.length > 0) appendAsLeader(server, entries);
}

/** @returns which limit refuses a proposal of `size` bytes, `bytes` together with those of this step before it; or null */
function limitReached(
  server: Server,
  leadership: Leadership,
  payload: Uint8Array,
  bytes: number,
  size: number,
): string | null {
  const { config } = server;
  if (payload.length > config.proposalBytesMax) return 'proposalBytesMax';
  if (leadership.transfer !== null) return TRANSFERRING;
  const total = leadership.uncommittedBytes + bytes;
  // One is always allowed, or a proposal larger than the limit could never pass.
  const isOnly = total === size;
  return !isOnly && total > config.uncommittedBytesMax ? 'uncommittedBytesMax' : null;
}

/** A change of membership, in force as soon as it is in the log (thesis §4.1). */
export function onProposeConfig(server: Server, id: ProposalId, config: Configuration): void {
  const { leadership } = server;
  if (leadership === null) {
    refused(server, id, { kind: 'notLeader', leader: server.leader });
    return;
  }
  const refusal = configRefusal(server, leadership, config);
  if (refusal !== null) {
    refused(server, id, { kind: 'overloaded', limit: refusal });
    return;
  }
  const index = next(server.log.lastIndex);
  leadership.proposals.add(id);
  appended(server, id, index);
  appendAsLeader(server, [{ kind: 'config', index, term: server.currentTerm, config }]);
  // With fewer voters what is there already may be a majority: of copies, and of answers to a round of reads.
  advanceCommit(server);
  if (leadership.reads.isRunning) confirmReads(server);
}

function configRefusal(server: Server, leadership: Leadership, config: Configuration): string | null {
  // Both rules together close the hole of the single-server algorithm (raft.md item 34).
  if (!hasCommittedInTerm(server, leadership)) return 'the leader has not committed in its term yet';
  if (server.membership.currentIndex > server.commitIndex) return 'one membership change at a time';
  if (leadership.transfer !== null) return TRANSFERRING;
  const current = server.membership.current;
  const refusal = changeRefusal(current, config);
  if (refusal !== null) return refusal;
  const added = addedVoter(current, config);
  if (added === null) return null;
  const peer = leadership.peers.get(added);
  if (peer?.state !== 'replicate' || peer.matchIndex + PROMOTION_LAG_ENTRIES_MAX < server.log.lastIndex) {
    return 'a new voter must be a learner that has caught up';
  }
  return null;
}

function refused(server: Server, id: ProposalId, outcome: ProposalOutcome): void {
  server.out.effect({ kind: 'proposalOutcome', id, outcome });
}

function appended(server: Server, id: ProposalId, index: Entry['index']): void {
  const outcome = { kind: 'appended', index, term: server.currentTerm } as const;
  server.out.effect({ kind: 'proposalOutcome', id, outcome });
}

/** Hands the lead to a voter as soon as its log is complete (thesis §3.10). Others' wishes are ignored. */
export function onTransferLeadership(server: Server, to: NodeId): void {
  const { leadership } = server;
  if (leadership === null || to === server.id || !server.membership.isVoter(to)) return;
  if (leadership.transfer?.to === to) return;
  const peer = present(leadership.peers.get(to), 'a voter that is not tracked');
  leadership.transfer = { to, startedAtTick: server.tick };
  transferIfCaughtUp(server, to, peer);
}

export function transferIfCaughtUp(server: Server, id: NodeId, peer: Progress): void {
  if (server.leading().transfer?.to !== id || peer.matchIndex < server.log.lastIndex) return;
  server.out.send({ kind: 'timeoutNow', from: server.id, to: id, term: server.currentTerm });
}

function mostAdvancedVoter(server: Server): NodeId | null {
  let best: NodeId | null = null;
  let bestMatch = -1;
  for (const id of server.membership.current.voters) {
    const { matchIndex } = present(server.leading().peers.get(id), 'a voter that is not tracked');
    if (matchIndex <= bestMatch) continue;
    best = id;
    bestMatch = matchIndex;
  }
  return best;
}

/** After each input: what a grown commit index means for a leader. */
export function settleLeader(server: Server): void {
  startReadsIfWaiting(server);
  const isMember = server.membership.isVoter(server.id);
  if (!isMember && server.membership.currentIndex <= server.commitIndex) {
    // Thesis §4.2.2: a leader that removed itself steps down once that is committed. Nobody else knows it yet. So that the
    // cluster is not without a leader for an election timeout, it asks the voter whose log is the longest to stand (§3.10).
    tellCommits(server);
    const successor = mostAdvancedVoter(server);
    if (successor !== null) {
      server.out.send({ kind: 'timeoutNow', from: server.id, to: successor, term: server.currentTerm });
    }
    becomeFollower(server, server.currentTerm, null);
  }
}
