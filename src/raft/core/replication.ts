/** The leader's side of replication: what to send to whom, and what follows from the answers (§5.3, §5.4.2). */
import { assert } from './assert.ts';
import { bytesOf, entryBytes } from './entry-size.ts';
import { asLogIndex, maxIndex, minIndex, next, plus, previous } from './ids.ts';
import type { Leadership } from './leadership.ts';
import type { Progress } from './progress.ts';
import type { Server } from './server.ts';
import type { Entry, Message, NodeId, Term } from './types.ts';

type MessageOf<K extends Message['kind']> = Extract<Message, { kind: K }>;

/** Adds entries of the current term to the leader's own log and sends them, without waiting for its own disk. */
export function appendAsLeader(server: Server, entries: readonly Entry[]): void {
  const leadership = server.leading();
  for (const entry of entries) leadership.uncommittedBytes += entryBytes(entry);
  // A new follower's next entry is the first of these, not the one after.
  const first = next(server.log.lastIndex);
  const { configChanged } = server.appendToLog(entries);
  if (configChanged) leadership.trackMembers(server.membership.current, first);
  broadcastAppend(server);
}

/** Sends to every follower what it lacks and its window allows. */
export function broadcastAppend(server: Server): void {
  for (const [id, peer] of server.leading().peers) sendEntries(server, id, peer);
}

/** Everybody: "the leader lives", and the question of the newest read round. */
export function broadcastHeartbeat(server: Server): void {
  const leadership = server.leading();
  leadership.heartbeatElapsed = 0;
  for (const [id, peer] of leadership.peers) {
    // Not beyond what the follower is known to share with this log (raft.md item 15).
    const commit = minIndex(peer.matchIndex, server.commitIndex);
    peer.toldCommit = commit;
    server.out.send({
      kind: 'heartbeat',
      from: server.id,
      to: id,
      term: server.currentTerm,
      commit,
      round: leadership.reads.lastRound,
    });
  }
}

/** Sends the entries a follower lacks, as many messages as its state allows. */
export function sendEntries(server: Server, id: NodeId, peer: Progress): void {
  const last = server.log.lastIndex;
  if (peer.state === 'probe' && !peer.probeOutstanding) sendAppend(server, id, peer, 'entries');
  while (peer.state === 'replicate' && !peer.inflights.full && peer.nextIndex <= last) {
    sendAppend(server, id, peer, 'entries');
  }
}

/** One append. `empty`: without entries, to test the follower's log, or to tell the commit index. */
function sendAppend(server: Server, id: NodeId, peer: Progress, what: 'entries' | 'empty'): void {
  const { log } = server;
  assert(peer.state !== 'snapshot', 'nothing is appended while a snapshot is sent');
  assert(peer.nextIndex <= next(log.lastIndex), 'nextIndex is at most one beyond the log');
  const prevLogIndex = previous(peer.nextIndex);
  const prevLogTerm = log.term(prevLogIndex);
  if (prevLogTerm === null || peer.nextIndex < log.firstIndex) {
    startSnapshot(server, id, peer);
    return;
  }
  const entries =
    what === 'empty' ? [] : log.rangeBySize(peer.nextIndex, log.lastIndex, server.config.messageBytesMax);
  const lastSent = plus(prevLogIndex, entries.length);
  server.out.send({
    kind: 'append',
    from: server.id,
    to: id,
    term: server.currentTerm,
    prevLogIndex,
    prevLogTerm,
    entries,
    leaderCommit: server.commitIndex,
  });
  peer.toldCommit = maxIndex(peer.toldCommit, minIndex(server.commitIndex, lastSent));
  if (peer.state === 'probe') peer.probeOutstanding = true;
  else if (entries.length > 0) peer.sent(lastSent, bytesOf(entries));
}

/** The follower needs what is compacted. One that is silent gets nothing: it would not arrive. */
function startSnapshot(server: Server, id: NodeId, peer: Progress): void {
  assert(server.log.snapshotIndex > 0, 'a snapshot stands for what is compacted');
  if (peer.ticksSinceContact >= server.config.electionTicks) {
    peer.toProbe(peer.nextIndex);
    peer.probeOutstanding = true;
    return;
  }
  peer.toSnapshot();
  server.out.effect({ kind: 'sendSnapshot', to: id, term: server.currentTerm });
}

/** Figure 2: "If successful: update nextIndex and matchIndex". */
export function onAppendAccepted(server: Server, peer: Progress, m: MessageOf<'appendAccepted'>): void {
  assert(m.matchIndex <= server.log.lastIndex, 'a follower acknowledged what the leader does not have');
  const isNews = peer.accepted(m.matchIndex);
  if (peer.state === 'probe' && m.matchIndex === peer.matchIndex) peer.toReplicate();
  // It may have caught up otherwise than by the snapshot that is on its way.
  if (peer.state === 'snapshot' && canAppendTo(server, peer)) peer.toReplicate();
  if (isNews) advanceCommit(server);
  sendEntries(server, m.from, peer);
}

function canAppendTo(server: Server, peer: Progress): boolean {
  return server.log.term(peer.matchIndex) !== null && next(peer.matchIndex) >= server.log.firstIndex;
}

/**
 * Figure 2: "If AppendEntries fails because of log inconsistency". The follower has named its last entry with a term
 * ≤ prevLogTerm; beyond this leader's own last entry with a term ≤ THAT term, the logs can't agree either, since terms
 * never fall along a log. So each answer skips a whole term on both sides.
 */
export function onAppendRejected(server: Server, peer: Progress, m: MessageOf<'appendRejected'>): void {
  const agreeing = server.log.lastAtMost(m.hintIndex, m.hintTerm);
  if (peer.rejected(m.rejectedIndex, agreeing)) sendEntries(server, m.from, peer);
}

/** A follower that answers heartbeats can be asked again: what was sent to it may be lost. */
export function resumeSending(server: Server, id: NodeId, peer: Progress): void {
  if (peer.state === 'snapshot') return;
  if (peer.state === 'probe') {
    peer.probeOutstanding = false;
    sendEntries(server, id, peer);
    return;
  }
  // In replicate either all was sent or the window is full. An empty append is refused if an earlier one was lost.
  if (peer.matchIndex < server.log.lastIndex) sendAppend(server, id, peer, 'empty');
}

/**
 * Followers learn with the next entries what is committed. To those with nothing on their way it is told, but not for each
 * commit: under load entries follow at once, and each message wakes a machine.
 */
export function tellCommits(server: Server): void {
  for (const [id, peer] of server.leading().peers) {
    // Not beyond what the follower is known to share with this log (raft.md item 15).
    const commit = minIndex(peer.matchIndex, server.commitIndex);
    if (peer.toldCommit >= commit) continue;
    peer.toldCommit = commit;
    server.out.send({ kind: 'commit', from: server.id, to: id, term: server.currentTerm, commit });
  }
}

/**
 * Figure 2: "If there exists an N > commitIndex, a majority of matchIndex[i] ≥ N, and log[N].term == currentTerm: set
 * commitIndex = N". Entries of earlier terms are never committed by counting (Figure 8). The own log counts as far as
 * it is durable.
 */
export function advanceCommit(server: Server): void {
  const leadership = server.leading();
  const reached = leadership.majorityMatch(server.membership.current.voters, server.writes.durableIndex);
  if (reached <= server.commitIndex) return;
  const index = asLogIndex(reached);
  if (server.log.term(index) !== server.currentTerm) return;
  for (const entry of server.log.range(next(server.commitIndex), index)) {
    if (entry.term === server.currentTerm) leadership.uncommittedBytes -= entryBytes(entry);
  }
  assert(leadership.uncommittedBytes >= 0, 'uncommitted bytes counted wrong');
  server.commitThrough(index);
  leadership.proposals.committed(index);
}

/** Whether this leader has committed an entry of its own term: only then it knows everything committed (§8). */
export function hasCommittedInTerm(server: Server, leadership: Leadership): boolean {
  return server.commitIndex >= leadership.startIndex;
}

/** The entry a new leader begins with. */
export function noop(server: Server, term: Term): Entry {
  return { kind: 'noop', index: next(server.log.lastIndex), term };
}
