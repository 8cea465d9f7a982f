/** Changes of role that need nothing but the server's own state. Becoming leader is in leading.ts. */
import { assert } from './assert.ts';
import { next } from './ids.ts';
import type { Server } from './server.ts';
import type { NodeId, Term } from './types.ts';
import { VoteTally } from './votes.ts';

/**
 * Follower (or learner, if not a voter) in `term`. The election timer is reset by whoever has a reason to (a leader was
 * heard, a vote granted): a mere newer term is none, or an outdated candidate could keep the others from ever standing.
 */
export function becomeFollower(server: Server, term: Term, leader: NodeId | null): void {
  const newTerm = term > server.currentTerm;
  const newLeader = leader !== server.leader;
  endLeadership(server, leader);
  if (newTerm) server.enterTerm(term, null);
  const role = server.restingRole();
  if (newTerm || role !== server.role) server.redrawElectionTimeout();
  server.role = role;
  server.leader = leader;
  if (newTerm || newLeader) failForwardedReads(server);
  server.writes.dropGated(server.currentTerm);
}

/** A message only a leader sends came in the current term. */
export function heardFromLeader(server: Server, from: NodeId): void {
  assert(server.role !== 'leader', 'two leaders in one term');
  assert(server.leader === null || server.leader === from, 'two leaders in one term, seen by a follower');
  const isCampaigning = server.role === 'candidate' || server.role === 'preCandidate';
  if (server.leader === null || isCampaigning) becomeFollower(server, server.currentTerm, from);
  server.electionElapsed = 0;
}

/** Asks whether an election could be won, without disturbing anybody (thesis §9.6). */
export function becomePreCandidate(server: Server): void {
  assert(server.role !== 'leader', 'a leader does not stand');
  server.role = 'preCandidate';
  // Forgotten, or two pre-candidates could refuse each other for the sake of a leader that is gone (etcd #8501).
  server.leader = null;
  server.votes = new VoteTally();
  server.electionElapsed = 0;
  server.redrawElectionTimeout();
  failForwardedReads(server);
}

export function becomeCandidate(server: Server): void {
  assert(server.role !== 'leader', 'a leader does not stand');
  assert(server.restingRole() === 'follower', 'only voters stand');
  server.enterTerm(next(server.currentTerm), server.id);
  server.writes.dropGated(server.currentTerm);
  server.role = 'candidate';
  server.leader = null;
  server.votes = new VoteTally();
  server.electionElapsed = 0;
  server.redrawElectionTimeout();
  failForwardedReads(server);
}

/** For all but leaders, whose end comes first. The configuration changed, or was committed: a voter may have become a learner, or the other way round. */
export function adoptRestingRole(server: Server): void {
  assert(server.role !== 'leader', 'a leader rests when it has stepped down');
  const resting = server.restingRole();
  const isCampaigning = server.role === 'candidate' || server.role === 'preCandidate';
  if (resting === 'learner' || !isCampaigning) server.role = resting;
}

/** What waits for this leader will not be answered by it. */
function endLeadership(server: Server, leader: NodeId | null): void {
  const leadership = server.leadership;
  if (leadership === null) return;
  server.leadership = null;
  server.electionElapsed = 0;
  const ids = leadership.proposals.takeAll();
  if (ids.length > 0) server.out.effect({ kind: 'proposalsUnknown', ids });
  for (const { from, readId } of leadership.reads.takeAll()) {
    if (from === server.id) {
      server.out.effect({ kind: 'readFailed', readId, leader });
    } else {
      server.out.send({
        kind: 'readIndexResponse',
        from: server.id,
        to: from,
        term: server.currentTerm,
        readId,
        index: null,
      });
    }
  }
}

function failForwardedReads(server: Server): void {
  for (const readId of server.forwardedReads.takeAll()) {
    server.out.effect({ kind: 'readFailed', readId, leader: server.leader });
  }
}
