import { ApiError } from '../api/errors.ts';
import type { AuditLine } from '../api/audit.ts';
import type { Cluster, SubmitItem } from '../api/cluster.ts';
import { LIMITS } from '../api/limits.ts';
import type { ScheduleRequest, ScheduleView } from '../api/schedules.ts';
import { isFinal } from '../api/tasks.ts';
import type { FileBytes, TaskFilesView } from '../api/task-files.ts';
import type { BatchResultItem, TaskEvent, TaskListQuery, TaskPage, TaskView } from '../api/tasks.ts';
import type {
  ClusterEvent,
  EventMessage,
  LeadView,
  NodeView,
  QueueView,
  RaftLogEntryView,
  RaftView,
  StateQuery,
  StateView,
} from '../api/views.ts';
import type { AddPeerRequest, PeersView, SnapshotView } from '../api/peers.ts';
import type { Consensus, RoleChange } from '../raft/consensus.ts';
import type { LogIndex } from '../raft/core/types.ts';
import { auditLines } from './audit.ts';
import type { MembershipChange } from '../raft/membership.ts';
import { EventRing } from './event-ring.ts';
import { IdMaker } from './ids.ts';
import type { MasterClock } from './master/clock.ts';
import type { Master } from './master/master.ts';
import { openFile, taskFilesView } from './master/files.ts';
import { readOutput } from './master/output.ts';
import type { OutputOptions } from './master/output.ts';
import { throwIfRefused } from './op-refusal.ts';
import { nodeView } from './node-view.ts';
import { noLeader, PeerBook, type LeadershipTransfer } from './peer-book.ts';
import { logEntryView, raftView } from './raft-view.ts';
import { ScheduleBook } from './schedule-book.ts';
import type { ApplyResult } from './state/ops.ts';
import type { TaskRecord } from './state/records.ts';
import type { AppliedEntry } from './state/task-state.ts';
import { StateHistory } from './state-history.ts';
import { Submitter } from './submitter.ts';
import type { TaskMachine } from './task-machine.ts';
import { exactTask, findTask, listTasks } from './task-search.ts';
import { isoTime, taskEvents, taskView, whatItIsScheduledFor } from './task-view.ts';
import { TaskWaiters } from './task-waiters.ts';

const RETRY_AFTER_SECONDS = 1;
export interface ServerClusterOptions {
  readonly nodeId: string;
  readonly consensus: Consensus<ApplyResult> & LeadershipTransfer & Partial<MembershipChange>;
  readonly machine: TaskMachine;
  readonly master: Master;
  readonly clock: MasterClock;
  readonly randomBytes: (count: number) => Uint8Array;
  /** host:port of a server's own routes, by its id. */
  readonly serverAddress: (id: string) => string | null;
}

/** One server as its own HTTP routes see it. */
export class ServerCluster implements Cluster {
  readonly nodeId: string;
  readonly #options: ServerClusterOptions;
  readonly #submitter: Submitter;
  readonly #schedules: ScheduleBook;
  readonly #peers: PeerBook;
  readonly #ring = new EventRing();
  readonly #history: StateHistory;
  readonly #waiters = new TaskWaiters();
  #unsubscribe: (() => void)[] = [];
  #leader: { readonly id: string; readonly term: number; readonly sinceMs: number } | null = null;
  /** What was committed when the leader became known. */
  #readyAt = 0;

  constructor(options: ServerClusterOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    const ids = new IdMaker(options.randomBytes);
    const { machine, consensus, master } = options;
    const pause = (): Promise<void> => this.#pause();
    this.#submitter = new Submitter({
      ...{ master, ids, pause },
      find: (id) => exactTask(machine.state.tasks, id),
      view: (task) => this.#viewOf(task),
    });
    this.#schedules = new ScheduleBook({ ...options, ids });
    this.#history = new StateHistory({
      ...{ machine, ring: this.#ring },
      termOf: (index) => consensus.entries(index as LogIndex, index as LogIndex)[0]?.term ?? null,
      pause,
    });
    this.#peers = new PeerBook(options);
  }

  /** Begins to follow the consensus and the state machine; before {@link Master.start}, so that events come in order. */
  start(): void {
    const { consensus, machine } = this.#options;
    this.#ring.reset(machine.state.appliedIndex);
    this.#history.restored();
    this.#unsubscribe = [
      machine.observe({
        applied: (entry) => this.#applied(entry),
        termStarted: (term, index) => this.#termStarted(term, index),
        restored: (index) => {
          this.#ring.reset(index);
          this.#history.restored();
          this.#waiters.notifyAll();
        },
      }),
      consensus.onRoleChanged((change) => this.#roleChanged(change)),
    ];
    const { role, term, leader } = consensus.status();
    this.#roleChanged({ role, term, leader });
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
    this.#waiters.notifyAll();
  }

  #applied(entry: AppliedEntry): void {
    const { index, term, at, events } = entry;
    this.#ring.push({ index, term, time: isoTime(at), events });
    this.#history.applied(index, events);
    this.#waiters.notify(entry.tasks);
  }

  #termStarted(term: number, index: number): void {
    const { leader, term: current } = this.#options.consensus.status();
    const events: readonly ClusterEvent[] =
      leader !== null && current === term ? [{ kind: 'leader', id: leader, term }] : [];
    this.#ring.push({ index, term, time: isoTime(this.#options.clock.wallMs()), events });
  }

  #roleChanged({ leader, term }: RoleChange): void {
    if (leader === null) {
      this.#leader = null;
      return;
    }
    if (this.#leader?.id === leader && this.#leader.term === term) return;
    this.#leader = { id: leader, term, sinceMs: this.#options.clock.wallMs() };
    this.#readyAt = this.#options.consensus.status().commitIndex;
  }

  leader(): { readonly id: string; readonly address: string } | null {
    const id = this.#leader?.id;
    const address = id === undefined ? null : this.#options.serverAddress(id);
    return id === undefined || address === null ? null : { id, address };
  }

  isLeader(): boolean {
    return this.#options.master.leading;
  }

  appliedIndex(): number {
    return this.#options.machine.state.appliedIndex;
  }

  ready(): { readonly ready: boolean; readonly reason: string } {
    if (this.#leader === null) return { ready: false, reason: 'no leader is known' };
    const applied = this.#options.consensus.status().appliedIndex;
    if (applied < this.#readyAt) {
      return { ready: false, reason: `entry ${this.#readyAt} is committed, ${applied} is applied` };
    }
    if (this.#leader.id === this.nodeId && !this.isLeader()) {
      return { ready: false, reason: 'the lead has just begun' };
    }
    return { ready: true, reason: `${this.#leader.id} leads` };
  }

  submit(
    items: readonly SubmitItem[],
    options: { readonly atomic: boolean },
  ): Promise<readonly BatchResultItem[]> {
    return this.#submitter.submit(items, options.atomic);
  }

  async cancel(idOrPrefix: string): Promise<TaskView> {
    const { id } = this.#find(idOrPrefix);
    throwIfRefused(await this.#options.master.propose({ op: 'cancel', task: id }));
    return this.getTask(id);
  }

  async retry(idOrPrefix: string): Promise<TaskView> {
    const { id, status, spec } = this.#find(idOrPrefix);
    if (!isFinal(status)) {
      throw new ApiError('CONFLICT', `task ${id} is ${status}: only one that has ended can be repeated`);
    }
    const item: SubmitItem = { request: spec, idempotencyKey: null, retryOf: id, clientPort: null };
    const [result] = await this.#submitter.submit([item], true);
    if (result?.task === undefined) throw new Error(`task ${id} was repeated without a result`);
    return result.task;
  }

  /** (master) Stops or resumes placing; what runs goes on. */
  async pauseQueue(paused: boolean): Promise<void> {
    throwIfRefused(await this.#options.master.propose({ op: 'pause', paused }));
  }

  addSchedule(request: ScheduleRequest): Promise<ScheduleView> {
    return this.#schedules.add(request);
  }

  removeSchedule(idOrPrefix: string): Promise<string> {
    return this.#schedules.remove(idOrPrefix);
  }

  schedules(): readonly ScheduleView[] {
    return this.#schedules.list();
  }

  queue(): QueueView {
    const { paused, tasks } = this.#options.machine.state;
    const { scheduled, queued, assigned, running } = tasks.counts();
    return { paused, lengths: { scheduled, queued, assigned, running } };
  }

  transferLeadership(to: string): Promise<LeadView> {
    return this.#peers.transferLeadership(to);
  }

  peers(): PeersView {
    return this.#peers.view();
  }

  addPeer(id: string, request: AddPeerRequest): Promise<PeersView> {
    return this.#peers.add(id, request);
  }

  removePeer(id: string): Promise<PeersView> {
    return this.#peers.remove(id);
  }

  takeSnapshot(): Promise<SnapshotView> {
    return this.#peers.takeSnapshot();
  }

  async readBarrier(): Promise<void> {
    const result = await this.#options.consensus.readBarrier();
    if (result.kind === 'ready') return;
    if (!this.#options.consensus.quorumReachable()) {
      throw new ApiError('NO_QUORUM', 'no majority of the servers can be reached', {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    throw new ApiError('NO_LEADER', 'no master is known at the moment', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }

  getTask(idOrPrefix: string): TaskView {
    return this.#viewOf(this.#find(idOrPrefix));
  }

  #find(idOrPrefix: string): TaskRecord {
    return findTask(this.#options.machine.state.tasks, idOrPrefix);
  }

  #viewOf(task: TaskRecord): TaskView {
    const { master, machine } = this.#options;
    switch (task.status) {
      case 'queued':
        return taskView(task, master.pendingReason(task));
      case 'scheduled':
        return taskView(task, whatItIsScheduledFor(task, machine.state.tasks));
      default:
        return taskView(task, null);
    }
  }

  async waitTask(id: string, waitMs: number, signal: AbortSignal): Promise<TaskView> {
    const { clock } = this.#options;
    const untilMs = clock.nowMs() + waitMs;
    for (;;) {
      const task = this.#find(id);
      const leftMs = untilMs - clock.nowMs();
      if (isFinal(task.status) || leftMs <= 0 || signal.aborted) return this.#viewOf(task);
      await this.#changed(task.id, leftMs, signal);
    }
  }

  #changed(id: string, waitMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    return this.#waiters.changed(id, waitMs, signal, (delayMs, action) => clock.after(delayMs, action));
  }

  /** Others get their turn. */
  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.soon(resolve));
  }

  async listTasks(query: TaskListQuery): Promise<TaskPage> {
    const { tasks } = this.#options.machine.state;
    const page = await listTasks(tasks, query, () => this.#pause());
    return {
      tasks: page.tasks.map((task) => this.#viewOf(task)),
      nextCursor: page.next === null ? null : String(page.next),
      counts: { ...tasks.counts() },
    };
  }

  taskEvents(idOrPrefix: string): readonly TaskEvent[] {
    return taskEvents(this.#find(idOrPrefix));
  }

  readOutput(idOrPrefix: string, options: OutputOptions): AsyncIterable<Uint8Array> {
    const { master, machine } = this.#options;
    if (!master.leading) throw noLeader();
    const { id } = this.#find(idOrPrefix);
    return readOutput(
      {
        fleet: master.fleet,
        task: (task) => exactTask(machine.state.tasks, task),
        changed: (task, waitMs, signal) => this.#changed(task, waitMs, signal),
        leading: () => master.leading,
      },
      id,
      options,
    );
  }

  taskFiles(idOrPrefix: string): TaskFilesView {
    return taskFilesView(this.#find(idOrPrefix));
  }

  openFile(idOrPrefix: string, path: string, signal: AbortSignal): Promise<FileBytes> {
    const { master } = this.#options;
    if (!master.leading) throw noLeader();
    return openFile(this.#find(idOrPrefix), path, master.fleet, signal);
  }

  nodes(): readonly NodeView[] {
    const { machine, master } = this.#options;
    const eligible = master.eligibleNodes();
    // A server that was removed is of no interest once it is gone.
    const removed = new Set<string>(this.#options.consensus.status().config.removed);
    return [...machine.state.nodes.values()]
      .filter(({ id, role, up }) => up || role !== 'server' || !removed.has(id))
      .map((record) => nodeView(record, { master, machine, eligible, leader: this.#leader?.id ?? null }));
  }

  async drain(node: string, drain: boolean, deadlineMs: number | null): Promise<void> {
    throwIfRefused(await this.#options.master.propose({ op: 'drain', node, drain, deadlineMs }));
  }

  raft(): RaftView {
    return raftView(this.#options.consensus, this.#leader?.sinceMs ?? null);
  }

  raftLog(from: number, to: number): readonly RaftLogEntryView[] {
    const last = Math.min(to, from + LIMITS.raftLogEntriesPerCallMax - 1);
    return this.#options.consensus.entries(from as LogIndex, last as LogIndex).map(logEntryView);
  }

  audit(): AsyncIterable<AuditLine> {
    const { clock, consensus, machine } = this.#options;
    const { role, term, leader, commitIndex } = consensus.status();
    return auditLines({
      server: {
        node: this.nodeId,
        role: role === 'preCandidate' ? 'candidate' : role,
        term,
        leader,
        commitIndex,
      },
      state: machine.state,
      log: () => consensus.storedLog(),
      pause: () => new Promise((resolve) => clock.soon(resolve)),
    });
  }

  stateAt(query: StateQuery): Promise<StateView> {
    return this.#history.view(query);
  }

  subscribe(afterIndex: number | null, onMessage: (message: EventMessage) => void) {
    return this.#ring.subscribe(afterIndex, onMessage);
  }
}
