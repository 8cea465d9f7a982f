/** The follower's side of replication: appends, heartbeats, snapshots (§5.3, §7). */
import { invariantBroken, present } from './assert.ts';
import { bytesOf } from './entry-size.ts';
import { minIndex, plus } from './ids.ts';
import { heardFromLeader } from './roles.ts';
import type { Server } from './server.ts';
import type { Entry, LogIndex, Message, SnapshotMeta } from './types.ts';

type MessageOf<K extends Message['kind']> = Extract<Message, { kind: K }>;

/** Figure 2, "AppendEntries RPC". The message is of the current term. */
export function onAppend(server: Server, m: MessageOf<'append'>): void {
  heardFromLeader(server, m.from);
  const { entries } = m;
  const lastNew = plus(m.prevLogIndex, entries.length);
  if (m.prevLogIndex >= server.commitIndex) {
    if (!server.log.matches(m.prevLogIndex, m.prevLogTerm)) {
      refuse(server, m);
      return;
    }
  } else if (lastNew < server.commitIndex) {
    // Old: everything in it is committed here, and so it is in the leader's log (leader completeness).
    acknowledge(server, server.commitIndex);
    return;
  }
  mergeEntries(server, entries);
  server.commitThrough(minIndex(m.leaderCommit, lastNew));
  acknowledge(server, lastNew);
}

/**
 * Figure 2, points 3 and 4. What is here already stays, also what follows it: the append may be an old one, delayed,
 * and what follows may be acknowledged (raft.md item 14). Only a conflict removes anything.
 */
function mergeEntries(server: Server, entries: readonly Entry[]): void {
  const fresh = entries.findIndex((entry) => isFresh(server, entry));
  const first = entries[fresh];
  if (first === undefined) return;
  if (first.index <= server.log.lastIndex) server.truncateLog(first.index);
  const appended = fresh === 0 ? entries : entries.slice(fresh);
  server.appendToLog(appended);
  bePatient(server, appended);
}

/** The leader has these to apply, too: large ones hold up its heartbeats, which is no reason to replace it. */
function bePatient(server: Server, entries: readonly Entry[]): void {
  const { patienceBytes, patienceTicksMax } = server.config;
  const ticks = Math.floor(bytesOf(entries) / patienceBytes);
  server.patience = Math.min(server.patience + ticks, patienceTicksMax);
}

/** Not in the log, or in conflict with what is there. */
function isFresh(server: Server, entry: Entry): boolean {
  if (entry.index > server.commitIndex) return !server.log.matches(entry.index, entry.term);
  const committed = server.log.term(entry.index);
  if (committed !== null && committed !== entry.term) {
    invariantBroken(`entry ${entry.index} is committed with term ${committed}, a leader sends ${entry.term}`);
  }
  return false;
}

function refuse(server: Server, m: MessageOf<'append'>): void {
  const hintIndex = server.log.lastAtMost(m.prevLogIndex, m.prevLogTerm);
  // An append is only refused from the commit index on, and what is committed there has a term ≤ prevLogTerm: so the
  // place found is not before the commit index, and its term is known.
  const hintTerm = present(server.log.term(hintIndex), 'the term of the hint');
  server.out.send({
    kind: 'appendRejected',
    from: server.id,
    to: m.from,
    term: server.currentTerm,
    rejectedIndex: m.prevLogIndex,
    hintIndex,
    hintTerm,
  });
}

/** The log through `matchIndex` is the leader's; said when it is durable. */
function acknowledge(server: Server, matchIndex: LogIndex): void {
  const { leader } = server;
  if (leader === null || leader === server.id) return;
  server.out.sendWhenDurable({
    kind: 'appendAccepted',
    from: server.id,
    to: leader,
    term: server.currentTerm,
    matchIndex,
  });
}

export function onCommit(server: Server, m: MessageOf<'commit' | 'heartbeat'>): void {
  heardFromLeader(server, m.from);
  if (m.commit > server.log.lastIndex) {
    invariantBroken(
      `${m.kind} commits ${m.commit}, the log ends at ${server.log.lastIndex}: was acknowledged, is lost`,
    );
  }
  server.commitThrough(m.commit);
}

/** Answered at once, so that a slow disk causes no election: it says only that no newer term is known here. */
export function onHeartbeat(server: Server, m: MessageOf<'heartbeat'>): void {
  onCommit(server, m);
  server.out.send({
    kind: 'heartbeatAck',
    from: server.id,
    to: m.from,
    term: server.currentTerm,
    round: m.round,
  });
}

export function onSnapshotChunk(server: Server, m: MessageOf<'snapshotChunk'>): void {
  heardFromLeader(server, m.from);
  const { meta } = m;
  // A log that has the snapshot's last entry needs no snapshot (§7), and learns that much is committed.
  if (server.log.matches(meta.index, meta.term)) server.commitThrough(meta.index);
  if (meta.index > server.commitIndex) {
    server.out.effect({ kind: 'receiveSnapshotChunk', message: m });
    return;
  }
  acknowledge(server, server.commitIndex);
  server.out.send({
    kind: 'snapshotAck',
    from: server.id,
    to: m.from,
    term: server.currentTerm,
    index: meta.index,
    nextChunk: m.chunk + 1,
    installed: true,
  });
}

/** The driver has put a snapshot in force, in storage and state machine at once. */
export function onSnapshotInstalled(server: Server, meta: SnapshotMeta): void {
  server.installSnapshot(meta);
  acknowledge(server, server.commitIndex);
}
