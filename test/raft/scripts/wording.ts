/** How the interaction scripts write down messages, entries and effects: short, one line each, for a reader who knows Raft. */
import type { Configuration, Effect, Entry, Message } from '../../../src/raft/core/types.ts';

export function wordConfig({ voters, learners }: Configuration): string {
  return `voters ${voters.join(' ')}${learners.length > 0 ? ` learners ${learners.join(' ')}` : ''}`;
}

/** `index@term` and what it is. */
export function wordEntry(entry: Entry): string {
  const place = `${entry.index}@${entry.term}`;
  switch (entry.kind) {
    case 'noop':
      return `${place} no-op`;
    case 'command':
      return `${place} "${new TextDecoder().decode(entry.payload)}"`;
    case 'config':
      return `${place} ${wordConfig(entry.config)}`;
  }
}

export function wordEntries(entries: readonly Entry[]): string {
  return entries.map(wordEntry).join(', ');
}

export function wordMessage(m: Message): string {
  return `${m.from}→${m.to} t${m.term} ${wordBody(m)}`;
}

function wordBody(m: Message): string {
  switch (m.kind) {
    case 'voteRequest':
      return `${m.preVote ? 'pre-vote?' : 'vote?'} log ${m.lastLogIndex}@${m.lastLogTerm}${m.force ? ' (transfer)' : ''}`;
    case 'voteResponse':
      return `${m.preVote ? 'pre-vote' : 'vote'} ${m.granted ? 'granted' : 'refused'}`;
    case 'append': {
      const entries = m.entries.length === 0 ? 'nothing' : wordEntries(m.entries);
      return `append after ${m.prevLogIndex}@${m.prevLogTerm}: ${entries}; commit ${m.leaderCommit}`;
    }
    case 'appendAccepted':
      return `accepted through ${m.matchIndex}`;
    case 'appendRejected':
      return `rejected after ${m.rejectedIndex}, hint ${m.hintIndex}@${m.hintTerm}`;
    case 'heartbeat':
      return `heartbeat commit ${m.commit} round ${m.round}`;
    case 'commit':
      return `commit ${m.commit}`;
    case 'heartbeatAck':
      return `heartbeat answer round ${m.round}`;
    case 'snapshotChunk':
      return `snapshot of ${m.meta.index}@${m.meta.term}, ${wordConfig(m.meta.config)}`;
    case 'snapshotAck':
      return `snapshot of ${m.index} ${m.installed ? 'is here' : `wants chunk ${m.nextChunk}`}`;
    case 'readIndexRequest':
      return `read index?`;
    case 'readIndexResponse':
      return m.index === null ? 'read index unknown' : `read index ${m.index}`;
    case 'timeoutNow':
      return 'stand now';
  }
}

/** What a step made a node do, apart from what it sends. */
export function wordEffect(effect: Exclude<Effect, { kind: 'send' }>): string {
  switch (effect.kind) {
    case 'persist': {
      const { hardState, truncateFrom, append } = effect;
      const parts = [
        ...(truncateFrom === null ? [] : [`drop from ${truncateFrom}`]),
        ...(append.length === 0 ? [] : [wordEntries(append)]),
        ...(hardState === null
          ? []
          : [`term ${hardState.currentTerm}, vote ${hardState.votedFor ?? 'none'}`]),
      ];
      return `write #${effect.writeId}: ${parts.join('; ')}`;
    }
    case 'apply':
      return `apply ${wordEntries(effect.entries)}`;
    case 'sendSnapshot':
      return `snapshot wanted by ${effect.to}`;
    case 'receiveSnapshotChunk':
      return `snapshot of ${effect.message.meta.index} received`;
    case 'snapshotAcked':
      return `snapshot answer of ${effect.message.from} passed on`;
    case 'proposalOutcome': {
      const { outcome } = effect;
      if (outcome.kind === 'appended') return `proposal ${effect.id} at ${outcome.index}@${outcome.term}`;
      const why = outcome.kind === 'notLeader' ? `leader is ${outcome.leader ?? 'unknown'}` : outcome.limit;
      return `proposal ${effect.id} refused: ${why}`;
    }
    case 'proposalsUnknown':
      return `proposals ${effect.ids.join(', ')} unknown`;
    case 'readReady':
      return `read ${effect.readId} ready at ${effect.index}`;
    case 'readFailed':
      return `read ${effect.readId} failed, leader ${effect.leader ?? 'unknown'}`;
    case 'roleChanged':
      return `is ${effect.role} in term ${effect.term}, leader ${effect.leader ?? 'none'}`;
  }
}
