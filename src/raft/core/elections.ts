/** Elections: the timer, pre-votes, votes (§5.2, §5.4.1, thesis §9.6, §4.2.3). */
import { becomeLeader, isDiskStalled } from './leading.ts';
import { next } from './ids.ts';
import { becomeCandidate, becomeFollower, becomePreCandidate } from './roles.ts';
import type { Server } from './server.ts';
import type { Message, Term } from './types.ts';

type MessageOf<K extends Message['kind']> = Extract<Message, { kind: K }>;

/** For everybody but the leader. */
export function tickElection(server: Server): void {
  if (server.patience > 0) {
    server.patience--;
    return;
  }
  server.electionElapsed++;
  if (server.role === 'learner' || server.electionElapsed < server.electionTimeout) return;
  // Who can't write can't win; to stand would only disturb those who can.
  if (isDiskStalled(server)) return;
  becomePreCandidate(server);
  server.votes.record(server.id, true);
  if (server.votes.result(server.membership.current.voters) === 'won') {
    campaign(server, false);
    return;
  }
  // A pre-vote promises nothing, so it needs no write.
  for (const to of server.otherVoters()) {
    server.out.send(voteRequest(server, to, next(server.currentTerm), true, false));
  }
}

/** Stands for election in the next term. The own vote counts only if the newest configuration says so. `force`: asked to by the leader, so nobody's stickiness counts. */
function campaign(server: Server, force: boolean): void {
  becomeCandidate(server);
  // The own vote and the requests wait for the disk. Else votes won for a log that a crash shortens could arrive
  // after the restart and make a leader of a server that lacks committed entries.
  server.out.sendWhenDurable({
    kind: 'voteResponse',
    from: server.id,
    to: server.id,
    term: server.currentTerm,
    preVote: false,
    granted: true,
  });
  for (const to of server.otherVoters()) {
    server.out.sendWhenDurable(voteRequest(server, to, server.currentTerm, false, force));
  }
}

function voteRequest(
  server: Server,
  to: Message['to'],
  term: Term,
  preVote: boolean,
  force: boolean,
): Message {
  const { lastIndex: lastLogIndex, lastTerm: lastLogTerm } = server.log;
  return { kind: 'voteRequest', from: server.id, to, term, preVote, lastLogIndex, lastLogTerm, force };
}

/**
 * Leader stickiness (thesis §4.2.3): whoever heard a leader within an election timeout (and what patience adds to it) does not
 * help to replace it.
 * A leader hears itself: it steps down by check-quorum.
 */
export function isSticky(server: Server): boolean {
  if (server.role === 'leader') return true;
  return server.leader !== null && server.electionElapsed < server.config.electionTicks;
}

/** The request's term is this server's, or (pre-vote) a later one that it has not entered. */
export function onVoteRequest(server: Server, m: MessageOf<'voteRequest'>): void {
  const { preVote } = m;
  const isFree = preVote
    ? m.term > server.currentTerm
    : server.votedFor === m.from || (server.votedFor === null && server.leader === null);
  const granted = isFree && server.log.isUpToDate(m.lastLogIndex, m.lastLogTerm);
  const { id: from, currentTerm } = server;
  if (!granted) {
    // With the own term, which may be news to a candidate that was away.
    server.out.send({ kind: 'voteResponse', from, to: m.from, term: currentTerm, preVote, granted });
    return;
  }
  if (preVote) {
    // With the term it would be: the own term would look outdated to the pre-candidate.
    server.out.send({ kind: 'voteResponse', from, to: m.from, term: m.term, preVote, granted });
    return;
  }
  server.voteFor(m.from);
  server.electionElapsed = 0;
  server.out.sendWhenDurable({ kind: 'voteResponse', from, to: m.from, term: currentTerm, preVote, granted });
}

export function onVoteResponse(server: Server, m: MessageOf<'voteResponse'>): void {
  if (m.preVote) {
    if (server.role !== 'preCandidate') return;
    // A grant carries the term asked for; a grant of an earlier pre-campaign is void.
    if (m.granted && m.term !== next(server.currentTerm)) return;
  } else if (server.role !== 'candidate') {
    return;
  }
  server.votes.record(m.from, m.granted);
  switch (server.votes.result(server.membership.current.voters)) {
    case 'won':
      if (m.preVote) campaign(server, false);
      else becomeLeader(server);
      break;
    case 'lost':
      becomeFollower(server, server.currentTerm, null);
      break;
    case 'open':
      break;
  }
}

/** Leadership transfer: the old leader says that this log is complete and the moment good (thesis §3.10). */
export function onTimeoutNow(server: Server): void {
  if (server.role === 'leader' || server.role === 'learner') return;
  campaign(server, true);
}
