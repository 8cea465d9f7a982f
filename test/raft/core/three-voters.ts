/**
 * Three voters: servers with given logs, the messages among them made by hand, and the situations in which several tests begin.
 * A message is from n2 to n1 and of term 1, and says as little as it can, unless a test says otherwise.
 */
import assert from 'node:assert/strict';
import { asLogIndex, asTerm } from '../../../src/raft/core/ids.ts';
import type {
  Configuration,
  Message,
  NodeId,
  RaftConfig,
  SnapshotMeta,
} from '../../../src/raft/core/types.ts';
import {
  ELECTION_TICKS,
  HEARTBEAT_TICKS,
  Network,
  TestNode,
  hardState,
  ids,
  logOfTerms,
  meta,
  voters,
} from './harness.ts';
import type { MessageOf } from './harness.ts';

/** The voters, and one that may join them. */
export const [n1, n2, n3, n4] = ids(4) as [NodeId, NodeId, NodeId, NodeId];
export const three = voters([n1, n2, n3]);

export interface ServerOptions {
  readonly id?: NodeId;
  /** The term of the last entry otherwise. */
  readonly currentTerm?: number;
  readonly votedFor?: NodeId | null;
  readonly members?: Configuration;
  readonly config?: Partial<RaftConfig>;
  readonly timeoutOffset?: number;
}

/** A server (n1) that starts with commands of these terms on its disk. */
export function serverWithLog(terms: readonly number[], options: ServerOptions = {}): TestNode {
  const { id = n1, members = three, config = {}, timeoutOffset = 0 } = options;
  const state = {
    hardState: hardState(options.currentTerm ?? terms.at(-1) ?? 0, options.votedFor),
    snapshot: meta(0, 0, members),
    entries: logOfTerms(terms),
  };
  return new TestNode({ id, state, config, timeoutOffset });
}

/** Lets n1 stand and win with the vote of n2. */
export function electedByN2(node: TestNode): TestNode {
  node.tick(ELECTION_TICKS);
  const term = asTerm(node.status.term + 1);
  node.receive(voteResponse({ term, preVote: true }));
  node.receive(voteResponse({ term }));
  assert.equal(node.status.role, 'leader');
  return node;
}

type Fields<K extends Message['kind']> = Partial<MessageOf<K>>;

export function voteRequest(fields: Fields<'voteRequest'> = {}): MessageOf<'voteRequest'> {
  return {
    ...{ kind: 'voteRequest', from: n2, to: n1, term: asTerm(1), preVote: false, force: false },
    ...{ lastLogIndex: asLogIndex(0), lastLogTerm: asTerm(0) },
    ...fields,
  };
}

/** Granted. */
export function voteResponse(fields: Fields<'voteResponse'> = {}): MessageOf<'voteResponse'> {
  return {
    ...{ kind: 'voteResponse', from: n2, to: n1, term: asTerm(1), preVote: false, granted: true },
    ...fields,
  };
}

export function append(fields: Fields<'append'> = {}): MessageOf<'append'> {
  return {
    ...{ kind: 'append', from: n2, to: n1, term: asTerm(1), entries: [] },
    ...{ prevLogIndex: asLogIndex(0), prevLogTerm: asTerm(0), leaderCommit: asLogIndex(0) },
    ...fields,
  };
}

export function accepted(from: NodeId, matchIndex: number, term = 1): MessageOf<'appendAccepted'> {
  return { kind: 'appendAccepted', from, to: n1, term: asTerm(term), matchIndex: asLogIndex(matchIndex) };
}

/** The hint: there is nothing in the log. */
export function rejected(
  from: NodeId,
  rejectedIndex: number,
  fields: Fields<'appendRejected'> = {},
): MessageOf<'appendRejected'> {
  return {
    ...{ kind: 'appendRejected', from, to: n1, term: asTerm(1), rejectedIndex: asLogIndex(rejectedIndex) },
    ...{ hintIndex: asLogIndex(0), hintTerm: asTerm(0) },
    ...fields,
  };
}

export function heartbeat(fields: Fields<'heartbeat'> = {}): MessageOf<'heartbeat'> {
  return {
    ...{ kind: 'heartbeat', from: n2, to: n1, term: asTerm(1), commit: asLogIndex(0), round: 0 },
    ...fields,
  };
}

export function heartbeatAck(from: NodeId, round: number, term = 1): MessageOf<'heartbeatAck'> {
  return { kind: 'heartbeatAck', from, to: n1, term: asTerm(term), round };
}

/** n1 leads; n3 is cut off, and lacks these commands, which n1 and n2 have committed since. */
export function n3Behind(...commands: readonly string[]): { net: Network; leader: TestNode } {
  const net = Network.ofVoters(3);
  const leader = net.elect('n1');
  net.isolate('n3');
  for (const command of commands) leader.propose(command);
  net.settle();
  return { net, leader };
}

export interface SnapshotNeeded {
  readonly net: Network;
  readonly leader: TestNode;
  /** n3, which is cut off. */
  readonly follower: TestNode;
  readonly snapshot: SnapshotMeta;
}

/** n3 was away while 20 entries were committed and compacted. For less than an election timeout: it comes back as it went. */
export function n3NeedsSnapshot(): SnapshotNeeded {
  const { net, leader } = n3Behind(...Array.from({ length: 20 }, (_, i) => String(i)));
  const snapshot = leader.compact();
  assert.equal(snapshot.index, 21);
  return { net, leader, follower: net.node('n3'), snapshot };
}

/** And n3 is back: the leader has asked its driver to send the snapshot. */
export function sendingSnapshot(): SnapshotNeeded {
  const needed = n3NeedsSnapshot();
  needed.net.heal();
  needed.net.tick(HEARTBEAT_TICKS);
  assert.equal(needed.leader.status.peers.get(n3)?.state, 'snapshot');
  return needed;
}
