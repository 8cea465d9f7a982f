/**
 * The only loop: inputs → core → effects (src/raft/README.md). Everything that waits (disk, network, applying, snapshots)
 * is in node/, and comes back here as an input. Nothing here awaits between an input and its effects.
 */
import type { Consensus, ProposeResult, ReadBarrierResult, RoleChange } from './consensus.ts';
import { RaftCore } from './core/raft-core.ts';
import type {
  Configuration,
  Effect,
  Entry,
  Input,
  LogIndex,
  Message,
  NodeId,
  ProposalId,
  RaftStatus,
  RecoveredState,
  SnapshotMeta,
  Term,
} from './core/types.ts';
import { ConfigurationNews } from './node/configuration-news.ts';
import type { ConfigurationListener } from './node/configuration-news.ts';
import { DiskWatch } from './node/disk-watch.ts';
import { LeadershipTransfers } from './node/leadership-transfers.ts';
import { MembershipChanges } from './node/membership-changes.ts';
import type { AddMember, MembershipResult } from './node/membership-changes.ts';
import { createParts } from './node/parts.ts';
import type { Parts } from './node/parts.ts';
import { PeerFolders } from './node/peer-folders.ts';
import { isStopped } from './node/snapshot-writer.ts';
import { noMetrics } from './raft-metrics.ts';
import type { RaftMetrics } from './raft-metrics.ts';
import type { RaftNodeOptions } from './raft-node-options.ts';
import { coreConfig, RAFT_DEFAULTS } from './raft-settings.ts';
import type { RaftSettings } from './raft-settings.ts';
import type { StoredStretch } from './storage/log-packs.ts';
import { KvRaftStorage } from './storage/raft-storage.ts';
import type { ChunkTotals } from './storage/raft-storage.ts';
import { FolderReplacedError } from './storage/storage-errors.ts';
import { PROTOCOL_VERSIONS } from './transport/versions.ts';

type Life = 'new' | 'running' | 'over';

export class RaftNode<Result> implements Consensus<Result> {
  readonly #options: RaftNodeOptions<Result>;
  readonly #settings: RaftSettings;
  readonly #metrics: RaftMetrics;
  readonly #core: RaftCore;
  readonly #storage: KvRaftStorage;
  readonly #parts: Parts<Result>;
  readonly #diskWatch: DiskWatch | null;
  #life: Life = 'new';
  readonly #inputs: Input[] = [];
  #isStepping = false;
  #proposals: { readonly id: ProposalId; readonly payload: Uint8Array }[] = [];
  #nextProposalId = 1;
  #appliedTerm: Term;
  /** Between the write that puts a received snapshot in force and the state machine having it. */
  #isInstalling = false;
  readonly #leadership: LeadershipTransfers;
  readonly #membership: MembershipChanges;
  readonly #news: ConfigurationNews;
  readonly #folders: PeerFolders;
  #ending: Promise<void> | null = null;
  /** The commit index when followers were last told. */
  #toldCommit = 0;
  #cancelTellCommit: (() => void) | null = null;

  private constructor(options: RaftNodeOptions<Result>, storage: KvRaftStorage, recovered: RecoveredState) {
    this.#options = options;
    this.#settings = { ...RAFT_DEFAULTS, ...options.settings };
    this.#metrics = options.metrics ?? noMetrics;
    this.#storage = storage;
    this.#core = new RaftCore(coreConfig(options.id, this.#settings), recovered, options.random);
    this.#appliedTerm = recovered.snapshot.term;
    this.#parts = createParts<Result>(
      { ...options, settings: this.#settings, metrics: this.#metrics, storage, recovered },
      {
        input: (input) => this.#input(input),
        tick: () => this.#step({ kind: 'tick' }),
        ticksUntilDue: () => this.#core.ticksUntilDue(),
        applied: (through, entries, bytes) => this.#applied(through, entries, bytes),
        install: (meta, totals, generation) => this.#install(meta, totals, generation),
        currentTerm: () => this.#core.status().term,
        status: () => this.#core.status(),
        fail: (error) => this.#fail(error),
      },
    );
    this.#leadership = new LeadershipTransfers({
      timers: options.timers,
      transferMs: this.#settings.transferMs,
      isRunning: () => this.#life === 'running',
      status: () => this.#core.status(),
      input: (input) => this.#input(input),
    });
    this.#membership = this.#createMembership();
    this.#news = new ConfigurationNews({
      self: options.id,
      core: this.#core,
      transport: options.transport,
      log: options.log,
      addresses: options.addresses,
      isRunning: () => this.#life === 'running',
      propose: (config) => this.proposeConfig(config),
      onRemoved: options.onRemoved,
    });
    const { flusher } = this.#parts;
    this.#folders = new PeerFolders({ storage, flusher, members: () => this.#core.configuration });
    this.#diskWatch = options.diskFreeBytes === undefined ? null : this.#watchDisk(options.diskFreeBytes);
  }

  /**
   * Checks and reads what is stored and gives the state machine its state. Starts nothing.
   * @throws StorageError if the stored state is damaged, foreign or too new; `kv` is closed then
   */
  static async open<Result>(options: RaftNodeOptions<Result>): Promise<RaftNode<Result>> {
    const { kv, clusterId, id, bootstrap, machine } = options;
    try {
      const { storage, recovered, warnings } = await KvRaftStorage.open(kv, {
        identity: { clusterId, nodeId: id },
        bootstrap,
        ...(options.newFolderId === undefined ? {} : { newFolderId: options.newFolderId }),
      });
      for (const warning of warnings) options.log.warn(`raft: ${warning}`);
      await machine.restore(recovered.snapshot, storage.readSnapshot(), storage.machine);
      return new RaftNode(options, storage, recovered);
    } catch (error) {
      await kv.close();
      throw error;
    }
  }

  get clusterId(): string {
    return this.#options.clusterId;
  }

  /** Begins to talk and to tick. */
  start(): void {
    if (this.#life !== 'new') throw new Error('a node is started once');
    this.#life = 'running';
    const { transport } = this.#options;
    transport.onMessage = (message) => this.#receive(message);
    transport.onPeerLost = (peer) => this.#input({ kind: 'peerUnreachable', peer });
    transport.onRemoved = (by) => this.#options.onRemoved?.(by);
    transport.folder = this.#storage.folderId;
    transport.folderOf = (peer) => this.#folders.of(peer);
    transport.onFolder = (peer, folder) => this.#folders.isKnownOrNew(peer, folder);
    transport.onFolderRefused = (by) => this.#fail(new FolderReplacedError(this.#options.id, by));
    this.#news.tell();
    transport.start();
    this.#parts.ticker.start();
    this.#diskWatch?.start();
  }

  /** Orderly end: hands over the lead if it has it, writes what is due, closes store and transport. */
  async stop(): Promise<void> {
    if (this.#life === 'running') {
      await this.handOver();
      await this.#parts.flusher.drain();
    }
    await this.#end('the server was stopped');
  }

  /**
   * Ends as a crash does: nothing more is written, sent or handed over. When it resolves, the store is closed and a new node
   * can be opened on it.
   */
  crash(): Promise<void> {
    return this.#end('the server crashed');
  }

  propose(payload: Uint8Array): Promise<ProposeResult<Result>> {
    const refusal = this.#refusal(payload.byteLength);
    if (refusal !== null) return Promise.resolve(refusal);
    const id = this.#nextProposalId++ as ProposalId;
    if (this.#proposals.length === 0) this.#options.timers.soon(() => this.#proposeGathered());
    this.#proposals.push({ id, payload });
    return this.#parts.commands.add(id, this.#options.timers.nowMs(), payload.byteLength);
  }

  /** A membership change: one server added, removed, promoted or demoted. `applied` once it is committed. */
  proposeConfig(config: Configuration): Promise<ProposeResult<null>> {
    const refusal = this.#refusal(0);
    if (refusal !== null) return Promise.resolve(refusal);
    const id = this.#nextProposalId++ as ProposalId;
    const result = this.#parts.configs.add(id, this.#options.timers.nowMs());
    this.#input({ kind: 'proposeConfig', id, config });
    return result;
  }

  /**
   * Adds a server: it receives the log without a vote, and gets one as soon as it has caught up. Resolves when that is
   * committed. Repeating it is harmless, and goes on where it was left.
   */
  addMember(member: AddMember): Promise<MembershipResult> {
    return this.#membership.add(member);
  }

  /** Removes a server, this one too; resolves when it is committed. Its id can't be used again. */
  removeMember(id: NodeId): Promise<MembershipResult> {
    return this.#membership.remove(id);
  }

  readBarrier({ lazy = false }: { readonly lazy?: boolean } = {}): Promise<ReadBarrierResult> {
    if (this.#life !== 'running') return Promise.resolve({ kind: 'notLeader', leader: null });
    return this.#parts.barriers.wait(lazy);
  }

  /** Asks the leader (only it obeys) to hand over to `to`. Resolves true once `to` is known to lead. */
  transferLeadership(to: NodeId): Promise<boolean> {
    return this.#leadership.transfer(to);
  }

  /** If it leads: asks the most complete voter to take over, and waits a bounded time for it. */
  handOver(): Promise<void> {
    return this.#leadership.handOver();
  }

  /** Takes a snapshot now. @returns null if it could not be finished (one from the leader came, or the node ended) */
  async takeSnapshot(): Promise<SnapshotMeta | null> {
    if (this.#life !== 'running' || this.#parts.receiver.isActive) return null;
    const index = this.#parts.applier.appliedIndex;
    if (index <= this.#storage.snapshot.index) {
      const { term, config } = this.#storage.snapshot;
      return { index, term, config };
    }
    const config = this.#core.configAt(index);
    // One that joins is sent the log from its beginning, and learns of the members by an entry in it: before that entry it
    // can't say who they were.
    if (config.voters.length === 0) return null;
    try {
      return await this.#parts.snapshots.take({ index, term: this.#appliedTerm, config });
    } catch (error) {
      if (!isStopped(error)) this.#fail(error);
      return null;
    }
  }

  status(): RaftStatus {
    return this.#core.status();
  }

  quorumReachable(): boolean {
    const { voters } = this.#core.status().config;
    const reachable = voters.filter((voter) => this.#isReachable(voter)).length;
    return this.#life === 'running' && reachable * 2 > voters.length;
  }

  #isReachable(id: NodeId): boolean {
    if (id === this.#options.id) return true;
    const silentMs = this.#options.transport.lastContactMs().get(id) ?? Infinity;
    return silentMs <= this.#settings.contactMs;
  }

  lastContactMs(): ReadonlyMap<NodeId, number | null> {
    return this.#options.transport.lastContactMs();
  }

  commonVersion(): number {
    const { voters, learners } = this.#core.configuration;
    const newest = this.#options.transport.newestVersions?.();
    if (newest === undefined) return PROTOCOL_VERSIONS.newest;
    const versions = [...voters, ...learners].map((id) => newest.get(id) ?? PROTOCOL_VERSIONS.oldest);
    return Math.min(PROTOCOL_VERSIONS.newest, ...versions);
  }

  entries(from: LogIndex, to: LogIndex): readonly Entry[] {
    return this.#core.entries(from, to);
  }

  storedLog(): AsyncIterable<StoredStretch> {
    return this.#storage.readLog();
  }

  onRoleChanged(listener: (change: RoleChange) => void): () => void {
    return this.#leadership.onRoleChanged(listener);
  }

  /** Called when another configuration is in force, and again when it is committed; returns the unsubscriber. */
  onConfigured(listener: ConfigurationListener): () => void {
    return this.#news.onConfigured(listener);
  }

  /** Why a proposal of so many bytes can't even be put to the core. */
  #refusal(bytes: number): Exclude<ProposeResult<never>, { kind: 'applied' }> | null {
    if (this.#life !== 'running') return { kind: 'notLeader', leader: null };
    if (this.#diskWatch?.isLow === true) return { kind: 'overloaded', limit: 'diskFreeBytesMin' };
    const { commands, configs } = this.#parts;
    const { waitingProposalsMax, uncommittedBytesMax, unappliedBytesMax } = this.#settings;
    if (commands.count + configs.count >= waitingProposalsMax)
      return { kind: 'overloaded', limit: 'waitingProposalsMax' };
    // One is always allowed, or one larger than the limit could never pass.
    const isOver = commands.bytes > 0 && commands.bytes + bytes > uncommittedBytesMax + unappliedBytesMax;
    return isOver ? { kind: 'overloaded', limit: 'unappliedBytesMax' } : null;
  }

  #createMembership(): MembershipChanges {
    const { id, timers, log, transport } = this.#options;
    const { catchUpMs, contactMs, electionMs, configCommitMs } = this.#settings;
    return new MembershipChanges({
      ...{ self: id, timers, log, catchUpMs, contactMs, roundMs: electionMs, commitMs: configCommitMs },
      status: () => this.#core.status(),
      silentMs: (member) => transport.lastContactMs().get(member) ?? null,
      propose: (config) => this.proposeConfig(config),
      probe: (member, address) => transport.probe?.(member, address) ?? Promise.resolve(null),
    });
  }

  #watchDisk(freeBytes: () => Promise<number>): DiskWatch {
    const { timers, log } = this.#options;
    return new DiskWatch({
      timers,
      freeBytes,
      minBytes: this.#settings.diskFreeBytesMin,
      everyMs: this.#settings.diskCheckMs,
      log,
      onLow: () => void this.handOver(),
    });
  }

  #proposeGathered(): void {
    const proposals = this.#proposals;
    this.#proposals = [];
    this.#input({ kind: 'propose', proposals });
  }

  #receive(message: Message): void {
    if (!this.#isInstalling) {
      this.#input({ kind: 'message', message });
      return;
    }
    // What the state machine has applied must not pass the snapshot it is being given. Dropped messages are repeated.
    if (message.kind === 'append' || message.kind === 'snapshotChunk' || message.kind === 'commit') return;
    if (message.kind === 'heartbeat') {
      const { commitIndex } = this.#core.status();
      this.#input({
        kind: 'message',
        message: { ...message, commit: Math.min(message.commit, commitIndex) as LogIndex },
      });
      return;
    }
    this.#input({ kind: 'message', message });
  }

  #input(input: Input): void {
    if (this.#life !== 'running') return;
    const { ticker } = this.#parts;
    if (!this.#isStepping) ticker.catchUp();
    this.#step(input);
    if (this.#isStepping) return;
    ticker.reconsider();
    this.#tellCommitSoon();
  }

  #tellCommitSoon(): void {
    const { role, commitIndex } = this.#core;
    if (role !== 'leader' || commitIndex === this.#toldCommit || this.#cancelTellCommit !== null) return;
    this.#cancelTellCommit = this.#options.timers.after(this.#settings.tellCommitMs, () => {
      this.#cancelTellCommit = null;
      this.#toldCommit = this.#core.commitIndex;
      this.#input({ kind: 'tellCommit' });
    });
  }

  /** Effects may lead to further inputs at once; those wait for their turn, so that effects keep their order. */
  #step(input: Input): void {
    if (this.#life !== 'running') return;
    this.#inputs.push(input);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        for (const effect of this.#core.step(next)) this.#perform(effect);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isStepping = false;
    }
    this.#news.tell();
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'persist':
        this.#parts.flusher.persist(effect);
        break;
      case 'send':
        this.#options.transport.send(effect.message.to, effect.message);
        break;
      case 'apply':
        this.#parts.applier.enqueue(effect.entries);
        break;
      case 'sendSnapshot':
        this.#parts.sender.send(effect.to, effect.term);
        break;
      case 'receiveSnapshotChunk':
        this.#parts.receiver.receive(effect.message);
        break;
      case 'snapshotAcked':
        this.#parts.sender.acked(effect.message);
        break;
      case 'proposalOutcome':
        this.#parts.commands.outcome(effect.id, effect.outcome);
        this.#parts.configs.outcome(effect.id, effect.outcome);
        break;
      case 'proposalsUnknown':
        this.#parts.commands.unknown(effect.ids, 'the lead was lost before it was committed');
        this.#parts.configs.unknown(effect.ids, 'the lead was lost before it was committed');
        break;
      case 'readReady':
        this.#parts.barriers.ready(effect.readId, effect.index);
        break;
      case 'readFailed':
        this.#parts.barriers.failed(effect.readId, effect.leader);
        break;
      case 'roleChanged':
        this.#roleChanged({ role: effect.role, term: effect.term, leader: effect.leader });
        break;
    }
  }

  #roleChanged(change: RoleChange): void {
    if (change.role === 'candidate') this.#metrics.electionStarted();
    if (change.role !== 'leader') this.#parts.sender.cancelAll();
    this.#options.log.info(
      `raft: ${change.role} in term ${change.term}, leader ${change.leader ?? 'unknown'}`,
    );
    this.#leadership.roleChanged(change);
  }

  #applied(through: LogIndex, entries: number, bytes: number): void {
    this.#appliedTerm = this.#core.entries(through, through)[0]?.term ?? this.#appliedTerm;
    this.#parts.barriers.applied(through);
    const isSnapshotDue = this.#parts.snapshots.applied(entries, bytes);
    this.#input({ kind: 'applied', index: through });
    if (isSnapshotDue) void this.takeSnapshot();
    this.#news.keepAddresses(this.#appliedTerm);
  }

  /** Puts a received snapshot in force. @returns false if it is not newer than what is committed here by now */
  async #install(meta: SnapshotMeta, totals: ChunkTotals, generation: number): Promise<boolean> {
    if (this.#core.status().commitIndex >= meta.index) return false;
    this.#isInstalling = true;
    this.#parts.applier.freeze();
    await this.#parts.flusher.background(() => this.#storage.composeInstall(meta, totals, generation));
    await this.#options.machine.restore(meta, this.#storage.readSnapshot(), this.#storage.machine);
    if (this.#life !== 'running') return false;
    this.#parts.commands.skipped(meta.index);
    this.#parts.configs.skipped(meta.index);
    this.#appliedTerm = meta.term;
    // Until the core knows, it may hand out (after a tick made up for) entries that the snapshot stands for.
    this.#input({ kind: 'snapshotInstalled', meta });
    this.#parts.applier.resumeAfter(meta.index);
    this.#parts.barriers.applied(meta.index);
    this.#isInstalling = false;
    return true;
  }

  #fail(error: unknown): void {
    if (this.#life === 'over') return;
    const { log, onFatal } = this.#options;
    log.error(
      `raft: cannot go on: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    void this.#end('the server failed').catch(() => undefined);
    onFatal(error);
  }

  #end(reason: string): Promise<void> {
    this.#ending ??= this.#endOnce(reason);
    return this.#ending;
  }

  async #endOnce(reason: string): Promise<void> {
    this.#life = 'over';
    this.#parts.ticker.stop();
    this.#cancelTellCommit?.();
    this.#diskWatch?.stop();
    this.#parts.applier.freeze();
    this.#parts.snapshots.abort();
    this.#parts.sender.cancelAll();
    this.#parts.commands.endAll(reason);
    this.#parts.configs.endAll(reason);
    this.#parts.barriers.endAll(reason);
    const closing = this.#options.transport.close();
    await this.#parts.flusher.stop();
    await closing;
    await this.#storage.close();
  }
}
