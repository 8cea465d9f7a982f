/**
 * The consensus core: pure and synchronous. Inputs in, effects out; no clock, no disk, no network, no randomness of its
 * own. types.ts says what each input and effect means.
 */
import { assert, unreachable } from './assert.ts';
import { isSticky, onTimeoutNow, onVoteRequest, onVoteResponse, tickElection } from './elections.ts';
import { onAppend, onCommit, onHeartbeat, onSnapshotChunk, onSnapshotInstalled } from './following.ts';
import { next } from './ids.ts';
import {
  onPropose,
  onProposeConfig,
  onTransferLeadership,
  settleLeader,
  tickLeader,
  transferIfCaughtUp,
} from './leading.ts';
import { sameConfiguration } from './membership.ts';
import {
  expireForwardedReads,
  onHeartbeatAck,
  onReadIndex,
  onReadIndexRequest,
  onReadIndexResponse,
} from './reads.ts';
import {
  advanceCommit,
  onAppendAccepted,
  onAppendRejected,
  resumeSending,
  sendEntries,
  tellCommits,
} from './replication.ts';
import { adoptRestingRole, becomeFollower } from './roles.ts';
import { Server } from './server.ts';
import type {
  Configuration,
  Effect,
  Entry,
  Input,
  LogIndex,
  Message,
  PeerStatus,
  NodeId,
  RaftConfig,
  RaftStatus,
  RecoveredState,
  Role,
  SnapshotMeta,
  Term,
  WriteId,
} from './types.ts';

type MessageOf<K extends Message['kind']> = Extract<Message, { kind: K }>;
type InputOf<K extends Input['kind']> = Extract<Input, { kind: K }>;

export class RaftCore {
  readonly #server: Server;
  #told: Pick<RaftStatus, 'role' | 'term' | 'leader'>;
  /** As last asked for; null since the last input. */
  #status: RaftStatus | null = null;

  /**
   * @param recovered what storage found; checked here (raft.md item 47)
   * @param random uniform whole numbers in [0, boundExclusive); the only source of chance
   * @throws RaftInvariantError if the configuration or the recovered state is impossible
   */
  constructor(config: RaftConfig, recovered: RecoveredState, random: (boundExclusive: number) => number) {
    this.#server = new Server(config, recovered, random);
    const { role, currentTerm: term, leader } = this.#server;
    this.#told = { role, term, leader };
  }

  /**
   * Takes one input.
   * @returns the effects, to be carried out in this order
   * @throws RaftInvariantError on a broken invariant; the core must not be used after that
   */
  step(input: Input): readonly Effect[] {
    this.#status = null;
    this.#take(input);
    return this.#settle();
  }

  /** What {@link status} says of it, for those who ask after each input. */
  get role(): Role {
    return this.#server.role;
  }
  get currentTerm(): Term {
    return this.#server.currentTerm;
  }
  get commitIndex(): LogIndex {
    return this.#server.commitIndex;
  }
  /** In force now; the same object as long as it does not change. */
  get configuration(): Configuration {
    return this.#server.membership.current;
  }
  /** Whether {@link configuration} can't be taken back any more. */
  get isConfigurationCommitted(): boolean {
    return this.#server.membership.currentIndex <= this.#server.commitIndex;
  }

  /** The same object until the next input. */
  status(): RaftStatus {
    this.#status ??= this.#statusNow();
    return this.#status;
  }

  #statusNow(): RaftStatus {
    const server = this.#server;
    const peers = new Map<NodeId, PeerStatus>();
    for (const [id, peer] of server.leadership?.peers ?? []) peers.set(id, peer.status());
    return {
      id: server.id,
      role: server.role,
      term: server.currentTerm,
      votedFor: server.votedFor,
      leader: server.leader,
      firstIndex: server.log.firstIndex,
      lastIndex: server.log.lastIndex,
      lastTerm: server.log.lastTerm,
      durableIndex: server.writes.durableIndex,
      commitIndex: server.commitIndex,
      appliedIndex: server.appliedIndex,
      snapshotIndex: server.log.snapshotIndex,
      config: server.membership.current,
      peers,
    };
  }

  /**
   * How many ticks from now the first one is that can have an effect, at least 1; whoever drives this core may give it the
   * ticks before that one late, but before the next input. (What a leader finds out about itself, it finds out
   * with its next heartbeat.)
   */
  ticksUntilDue(): number {
    const server = this.#server;
    const { electionTicks, heartbeatTicks } = server.config;
    const { leadership } = server;
    if (leadership !== null) return Math.max(1, heartbeatTicks - leadership.heartbeatElapsed);
    const election =
      server.role === 'learner'
        ? electionTicks
        : server.electionTimeout - server.electionElapsed + server.patience;
    const due = server.forwardedReads.count > 0 ? Math.min(election, electionTicks) : election;
    return Math.max(1, due);
  }

  /** Entries still in the log, both ends inclusive, clipped to what is there. The entries are not to be changed. */
  entries(from: LogIndex, to: LogIndex): readonly Entry[] {
    return this.#server.log.range(from, to);
  }

  /** The configuration as of `index` (at least the snapshot's): what a snapshot at `index` must carry. */
  configAt(index: LogIndex): Configuration {
    return this.#server.membership.at(index);
  }

  #take(input: Input): void {
    const server = this.#server;
    switch (input.kind) {
      case 'tick':
        server.tick++;
        expireForwardedReads(server);
        if (server.role === 'leader') tickLeader(server);
        else tickElection(server);
        break;
      case 'message':
        this.#receive(input.message);
        break;
      case 'propose':
        onPropose(server, input.proposals);
        break;
      case 'proposeConfig':
        onProposeConfig(server, input.id, input.config);
        break;
      case 'readIndex':
        onReadIndex(server, input.readId, input.lazy ?? false);
        break;
      case 'tellCommit':
        if (server.leadership !== null) tellCommits(server);
        break;
      case 'transferLeadership':
        onTransferLeadership(server, input.to);
        break;
      case 'persisted':
        this.#persisted(input.writeId);
        break;
      case 'applied':
        server.applied(input.index);
        break;
      case 'snapshotTaken':
        this.#snapshotTaken(input.meta, input.compactThrough);
        break;
      case 'snapshotInstalled':
        onSnapshotInstalled(server, input.meta);
        break;
      case 'snapshotSent':
        this.#snapshotSent(input);
        break;
      case 'peerUnreachable':
        this.#peerUnreachable(input.peer);
        break;
      default:
        unreachable(input);
    }
  }

  /** Figure 2, "rules for all servers": terms first, then the message itself. */
  #receive(m: Message): void {
    const server = this.#server;
    // Misrouted: what it says of the log is not about this one.
    if (m.to !== server.id || m.from === server.id) return;
    if (m.term < server.currentTerm) {
      this.#answerOutdated(m);
      return;
    }
    if (m.term > server.currentTerm) {
      if (m.kind === 'voteRequest' && !m.force && isSticky(server)) return;
      const isHypothetical =
        (m.kind === 'voteRequest' && m.preVote) || (m.kind === 'voteResponse' && m.preVote && m.granted);
      if (!isHypothetical) becomeFollower(server, m.term, null);
    }
    this.#dispatch(m);
  }

  /**
   * Somebody lives in an older term. A leader there must learn of the newer one, or this server, which can't follow it
   * any more and may be too outdated to win, would stay alone for ever (raft.md item 8). The answer carries the newer term
   * and must say nothing else: by the time it arrives, whoever asked may lead that very term, and an answer to its old
   * question must not be taken for one to a new question. So it is a heartbeat's answer to no round at all.
   */
  #answerOutdated(m: Message): void {
    const { id: from, currentTerm: term, out } = this.#server;
    const to = m.from;
    switch (m.kind) {
      case 'append':
      case 'heartbeat':
      case 'commit':
      case 'snapshotChunk':
      case 'voteRequest':
        out.send({ kind: 'heartbeatAck', from, to, term, round: 0 });
        break;
      case 'readIndexRequest':
        // Its id is never used again.
        out.send({ kind: 'readIndexResponse', from, to, term, readId: m.readId, index: null });
        break;
      case 'voteResponse':
      case 'appendAccepted':
      case 'appendRejected':
      case 'heartbeatAck':
      case 'snapshotAck':
      case 'readIndexResponse':
      case 'timeoutNow':
        break;
      default:
        unreachable(m);
    }
  }

  #dispatch(m: Message): void {
    const server = this.#server;
    switch (m.kind) {
      case 'voteRequest':
        onVoteRequest(server, m);
        break;
      case 'voteResponse':
        onVoteResponse(server, m);
        break;
      case 'append':
        onAppend(server, m);
        break;
      case 'heartbeat':
        onHeartbeat(server, m);
        break;
      case 'commit':
        onCommit(server, m);
        break;
      case 'snapshotChunk':
        onSnapshotChunk(server, m);
        break;
      case 'readIndexResponse':
        onReadIndexResponse(server, m);
        break;
      case 'readIndexRequest':
        this.#noteContact(m.from);
        onReadIndexRequest(server, m);
        break;
      case 'timeoutNow':
        onTimeoutNow(server);
        break;
      case 'appendAccepted':
      case 'appendRejected':
      case 'heartbeatAck':
      case 'snapshotAck':
        this.#answered(m);
        break;
      default:
        unreachable(m);
    }
  }

  /** Answers to a leader, in its term. */
  #answered(m: MessageOf<'appendAccepted' | 'appendRejected' | 'heartbeatAck' | 'snapshotAck'>): void {
    const server = this.#server;
    const { leadership } = server;
    if (leadership === null) return;
    const peer = leadership.peers.get(m.from);
    if (peer === undefined) return;
    peer.ticksSinceContact = 0;
    switch (m.kind) {
      case 'appendAccepted':
        onAppendAccepted(server, peer, m);
        break;
      case 'appendRejected':
        onAppendRejected(server, peer, m);
        break;
      case 'heartbeatAck':
        onHeartbeatAck(server, leadership, peer, m);
        resumeSending(server, m.from, peer);
        break;
      case 'snapshotAck':
        server.out.effect({ kind: 'snapshotAcked', message: m });
        break;
    }
    transferIfCaughtUp(server, m.from, peer);
  }

  #noteContact(from: NodeId): void {
    const peer = this.#server.leadership?.peers.get(from);
    if (peer !== undefined) peer.ticksSinceContact = 0;
  }

  #persisted(writeId: WriteId): void {
    const server = this.#server;
    for (const message of server.writes.persisted(writeId)) {
      // The own vote counts like any other, now that it can't be forgotten (raft.md item 3).
      if (message.to !== server.id) server.out.send(message);
      else if (message.kind === 'voteResponse') onVoteResponse(server, message);
    }
    if (server.leadership !== null) advanceCommit(server);
  }

  #snapshotTaken(meta: SnapshotMeta, compactThrough: LogIndex): void {
    const server = this.#server;
    // A newer one was installed from the leader while this one was being written.
    if (meta.index < server.log.snapshotIndex) return;
    assert(meta.index <= server.appliedIndex, 'a snapshot of what is not applied');
    assert(
      sameConfiguration(meta.config, server.membership.at(meta.index)),
      'a snapshot with another configuration',
    );
    server.log.compact(meta, compactThrough);
    server.membership.rebase(meta);
  }

  #snapshotSent({ to, meta, ok }: InputOf<'snapshotSent'>): void {
    const server = this.#server;
    const peer = server.leadership?.peers.get(to);
    if (peer?.state !== 'snapshot') return;
    peer.toProbe(
      ok ? next(meta.index) : peer.matchIndex === 0 ? server.log.firstIndex : next(peer.matchIndex),
    );
    // After a failure the next heartbeat's answer tries again: that bounds the rate.
    if (ok) sendEntries(server, to, peer);
    else peer.probeOutstanding = true;
  }

  #peerUnreachable(id: NodeId): void {
    const peer = this.#server.leadership?.peers.get(id);
    if (peer?.state === 'replicate') peer.toProbe(next(peer.matchIndex));
  }

  /** What follows from every input: writes, gated messages, entries to apply, the change of role. */
  #settle(): readonly Effect[] {
    const server = this.#server;
    if (server.leadership !== null) settleLeader(server);
    if (server.leadership === null) adoptRestingRole(server);
    const { out } = server;
    const dirty = out.takeDirty();
    const persist: Effect | null =
      dirty === null
        ? null
        : { kind: 'persist', writeId: server.writes.issue(server.log.lastIndex, server.tick), ...dirty };
    for (const message of out.takeGated()) {
      if (server.writes.gate(message)) continue;
      assert(message.to !== server.id, 'the own vote waits for a write');
      out.send(message);
    }
    const entries = server.takeApplicable();
    if (entries.length > 0) out.effect({ kind: 'apply', entries });
    const { role, currentTerm: term, leader } = server;
    if (role !== this.#told.role || term !== this.#told.term || leader !== this.#told.leader) {
      this.#told = { role, term, leader };
      out.effect({ kind: 'roleChanged', role, term, leader });
    }
    const effects = out.takeEffects();
    if (persist !== null) effects.unshift(persist);
    return effects;
  }
}
