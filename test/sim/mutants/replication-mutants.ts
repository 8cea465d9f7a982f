import { edits, type Mutant } from './mutant.ts';

const CORE = ['core'] as const;
const replication = 'src/raft/core/replication.ts';
const following = 'src/raft/core/following.ts';
const server = 'src/raft/core/server.ts';
const writes = 'src/raft/core/writes.ts';
const log = 'src/raft/core/log.ts';

/** Bugs in the log's replication, its commitment, and snapshots (§5.3, §5.4.2, §7). */
export const REPLICATION_MUTANTS: readonly Mutant[] = [
  {
    name: 'old-term-committed-by-counting',
    rule: '§5.4.2, Figure 8: only entries of the own term are counted',
    kinds: CORE,
    edits: edits(replication, [`  if (server.log.term(index) !== server.currentTerm) return;\n`, '']),
  },
  {
    name: 'no-op-missing',
    rule: '§8: a leader begins with an entry of its term',
    kinds: CORE,
    edits: edits('src/raft/core/leading.ts', [
      `  leadership.proposals.add(null);\n  appendAsLeader(server, [noop(server, server.currentTerm)]);\n`,
      `  void noop;\n`,
    ]),
  },
  {
    name: 'matching-prefix-truncated',
    rule: 'Figure 2, AppendEntries 3: only a conflict removes anything',
    kinds: CORE,
    edits: edits(following, [
      `  const fresh = entries.findIndex((entry) => isFresh(server, entry));`,
      `  const fresh = entries.findIndex((entry) => isFresh(server, entry) || entry.index > server.commitIndex);`,
    ]),
  },
  {
    name: 'tail-truncated-by-any-append',
    rule: 'Figure 2, AppendEntries 3: a late, short append removes nothing',
    kinds: CORE,
    edits: edits(following, [
      `  mergeEntries(server, entries);\n`,
      `  mergeEntries(server, entries);\n  if (lastNew < server.log.lastIndex && lastNew >= server.commitIndex) server.truncateLog(plus(lastNew, 1));\n`,
    ]),
  },
  {
    name: 'no-consistency-check',
    rule: 'Figure 2, AppendEntries 2: prevLogIndex and prevLogTerm must fit',
    kinds: CORE,
    edits: edits(following, [
      `!server.log.matches(m.prevLogIndex, m.prevLogTerm)`,
      `m.prevLogIndex > server.log.lastIndex`,
    ]),
  },
  {
    name: 'append-acknowledged-before-fsync',
    rule: 'Figure 2: entries are durable before the answer',
    kinds: CORE,
    edits: edits(following, [
      `  server.out.sendWhenDurable({\n    kind: 'appendAccepted',`,
      `  server.out.send({\n    kind: 'appendAccepted',`,
    ]),
  },
  {
    name: 'own-log-counted-before-fsync',
    rule: 'Thesis §10.2.1: the leader counts itself when it has written',
    kinds: CORE,
    edits: edits(replication, [
      `majorityMatch(server.membership.current.voters, server.writes.durableIndex)`,
      `majorityMatch(server.membership.current.voters, server.log.lastIndex)`,
    ]),
  },
  {
    name: 'old-write-vouches-after-truncation',
    rule: 'A write from before a truncation says nothing of what came after',
    kinds: CORE,
    edits: edits(server, [`    this.writes.truncated(from);\n`, '']),
  },
  {
    name: 'gate-opened-by-any-write',
    rule: 'What waits for the disk goes when its own write is durable',
    kinds: CORE,
    edits: edits(writes, [`      if (behind > id) break;\n`, `      void behind;\n`]),
  },
  {
    name: 'outdated-append-acknowledged',
    rule: 'Figure 2, AppendEntries 1: an append of an older term is refused',
    kinds: CORE,
    edits: edits('src/raft/core/raft-core.ts', [
      `      case 'append':\n      case 'heartbeat':\n      case 'commit':\n      case 'snapshotChunk':\n      case 'voteRequest':`,
      `      case 'append': {\n        const matchIndex = (m.prevLogIndex + m.entries.length) as LogIndex;\n        out.send({ kind: 'appendAccepted', from, to, term, matchIndex });\n        break;\n      }\n      case 'heartbeat':\n      case 'commit':\n      case 'snapshotChunk':\n      case 'voteRequest':`,
    ]),
  },
  {
    name: 'stale-acknowledgement-counted',
    rule: 'Figure 2: answers of an older term are ignored',
    kinds: CORE,
    edits: edits('src/raft/core/raft-core.ts', [
      `    if (m.term < server.currentTerm) {`,
      `    if (m.term < server.currentTerm && m.kind !== 'appendAccepted') {`,
    ]),
  },
  {
    name: 'heartbeat-commits-beyond-the-match',
    rule: 'A heartbeat commits nothing that the follower may not have',
    kinds: CORE,
    edits: edits(replication, [
      `    const commit = minIndex(peer.matchIndex, server.commitIndex);\n    peer.toldCommit = commit;`,
      `    const commit = server.commitIndex;\n    peer.toldCommit = commit;`,
    ]),
  },
  {
    name: 'applied-before-durable',
    rule: 'The state machine is never ahead of the own durable log',
    kinds: CORE,
    edits: edits(server, [
      `const through = minIndex(this.commitIndex, this.writes.durableIndex);`,
      `const through = this.commitIndex;`,
    ]),
  },
  {
    name: 'conflicting-log-kept-at-install',
    rule: '§7: a log without the snapshot’s last entry goes',
    kinds: CORE,
    edits: edits(log, [
      `const keep = this.matches(snapshot.index, snapshot.term);`,
      `const keep = snapshot.index <= this.lastIndex;`,
    ]),
  },
  {
    name: 'log-compacted-beyond-the-snapshot',
    rule: '§7: only what a snapshot covers is dropped',
    kinds: ['node'],
    edits: edits('src/raft/storage/raft-storage.ts', [
      `ops.push(...this.#packs.composeCompaction(compactThrough));`,
      `ops.push(...this.#packs.composeCompaction(this.lastIndex));`,
    ]),
  },
];
