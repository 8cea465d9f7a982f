/** Linearizable reads: asked here, forwarded to the leader, answered by a round of heartbeats (thesis §6.4). */
import { asLogIndex } from './ids.ts';
import type { Leadership } from './leadership.ts';
import type { Progress } from './progress.ts';
import type { PendingRead } from './read-rounds.ts';
import { broadcastHeartbeat, hasCommittedInTerm } from './replication.ts';
import type { Server } from './server.ts';
import type { LogIndex, Message, ReadId } from './types.ts';

type MessageOf<K extends Message['kind']> = Extract<Message, { kind: K }>;

/** A read asked of this server. */
export function onReadIndex(server: Server, readId: ReadId, lazy: boolean): void {
  const { leadership, leader } = server;
  if (leadership !== null) {
    addRead(server, leadership, { from: server.id, readId }, lazy);
    return;
  }
  if (leader === null || server.forwardedReads.count >= server.config.pendingReadsMax) {
    server.out.effect({ kind: 'readFailed', readId, leader });
    return;
  }
  server.out.send({
    kind: 'readIndexRequest',
    from: server.id,
    to: leader,
    term: server.currentTerm,
    readId: server.forwardedReads.add(readId, server.tick),
  });
}

/** A read a follower forwarded. */
export function onReadIndexRequest(server: Server, m: MessageOf<'readIndexRequest'>): void {
  const read = { from: m.from, readId: m.readId };
  if (server.leadership === null) answer(server, read, null);
  else addRead(server, server.leadership, read, false);
}

export function onReadIndexResponse(server: Server, m: MessageOf<'readIndexResponse'>): void {
  const readId = server.forwardedReads.take(m.readId);
  if (readId === null) return;
  if (m.index === null) server.out.effect({ kind: 'readFailed', readId, leader: server.leader });
  else server.out.effect({ kind: 'readReady', readId, index: m.index });
}

export function onHeartbeatAck(
  server: Server,
  leadership: Leadership,
  peer: Progress,
  m: MessageOf<'heartbeatAck'>,
): void {
  if (m.round > peer.ackedRound) peer.ackedRound = m.round;
  if (leadership.reads.isRunning) confirmReads(server);
}

/** Starts a round for the reads that wait, unless one is under way already (they would then share the next). */
export function startReadsIfWaiting(server: Server): void {
  const leadership = server.leading();
  const { reads } = leadership;
  // Before its first commit a leader can't know what is committed (§8).
  if (!reads.hasUrgent || reads.isRunning || !hasCommittedInTerm(server, leadership)) return;
  startRound(server);
}

/** At each heartbeat the waiting reads join, whether or not the answers to the last round were lost. */
export function joinHeartbeat(server: Server): void {
  const leadership = server.leading();
  if (leadership.reads.hasWaiting && hasCommittedInTerm(server, leadership)) startRound(server);
  else broadcastHeartbeat(server);
}

/** Forwarded reads whose question or answer was lost fail after an election timeout. */
export function expireForwardedReads(server: Server): void {
  if (server.forwardedReads.count === 0) return;
  for (const readId of server.forwardedReads.takeAskedBefore(server.tick - server.config.electionTicks)) {
    server.out.effect({ kind: 'readFailed', readId, leader: server.leader });
  }
}

/** Answers the reads whose round a majority has answered; then the next round may start. */
export function confirmReads(server: Server): void {
  const leadership = server.leading();
  const round = leadership.majorityRound(server.membership.current.voters);
  for (const { index, reads } of leadership.reads.confirm(round)) {
    for (const read of reads) answer(server, read, index);
  }
  startReadsIfWaiting(server);
}

function addRead(server: Server, leadership: Leadership, read: PendingRead, lazy: boolean): void {
  if (leadership.reads.count >= server.config.pendingReadsMax) {
    answer(server, read, null);
    return;
  }
  leadership.reads.add(read, lazy);
  startReadsIfWaiting(server);
}

function startRound(server: Server): void {
  const leadership = server.leading();
  leadership.reads.start(server.commitIndex);
  broadcastHeartbeat(server);
  // A single voter is its own majority.
  if (leadership.majorityRound(server.membership.current.voters) === leadership.reads.lastRound)
    confirmReads(server);
}

function answer(server: Server, read: PendingRead, index: LogIndex | null): void {
  if (read.from === server.id) {
    if (index === null) server.out.effect({ kind: 'readFailed', readId: read.readId, leader: server.leader });
    else server.out.effect({ kind: 'readReady', readId: read.readId, index: asLogIndex(index) });
    return;
  }
  server.out.send({
    kind: 'readIndexResponse',
    from: server.id,
    to: read.from,
    term: server.currentTerm,
    readId: read.readId,
    index,
  });
}
