/** A cluster in memory, for the routes: it keeps tasks, never runs them, and does what a test tells it to. */
import { Readable } from 'node:stream';
import type { AuditLine } from '../../src/api/audit.ts';
import type { AddPeerRequest, PeersView, PeerView, SnapshotView } from '../../src/api/peers.ts';
import { ApiError } from '../../src/api/errors.ts';
import type { Cluster, SubmitItem } from '../../src/api/cluster.ts';
import type { ScheduleRequest, ScheduleView } from '../../src/api/schedules.ts';
import type { CollectedFile, FileBytes, TaskFilesView } from '../../src/api/task-files.ts';
import { isFinal, TASK_STATUSES } from '../../src/api/tasks.ts';
import type {
  BatchResultItem,
  TaskEvent,
  TaskListQuery,
  TaskPage,
  TaskStatus,
  TaskView,
} from '../../src/api/tasks.ts';
import type {
  EventMessage,
  LeadView,
  NodeView,
  QueueView,
  RaftLogEntryView,
  RaftView,
  StateQuery,
  StateView,
} from '../../src/api/views.ts';
import { BLANK_TASK } from './blank-task.ts';

const NOW = '2026-01-01T00:00:00.000Z';

type Listener = (message: EventMessage) => void;

export class FakeCluster implements Cluster {
  readonly nodeId: string;
  /** null: nobody; with the own id this node is the master. */
  leading: { id: string; address: string } | null;
  /** Thrown by readBarrier. */
  barrier: ApiError | null = null;
  /** Called by submit before anything else; may throw or wait. */
  onSubmit: (items: readonly SubmitItem[]) => Promise<void> | void = () => undefined;
  onGet: () => void = () => undefined;
  /** Called with each new task before submit answers. */
  onAdded: (task: TaskView) => void = () => undefined;
  readonly submitted: SubmitItem[] = [];
  readonly tasks = new Map<string, TaskView>();
  readonly drains: unknown[] = [];
  paused = false;
  readonly scheduled: ScheduleView[] = [];
  /** Called by transferLeadership; may throw or wait. */
  onTransfer: (to: string) => Promise<void> | void = () => undefined;
  output: Uint8Array[] = [];
  /** Kept of every task. */
  readonly files = new Map<string, Uint8Array>();
  outputEnds: Promise<void> = Promise.resolve();
  messages: EventMessage[] = [];
  auditLines: AuditLine[] = [];
  firstKept = 1;
  index = 0;
  barriers = 0;
  readonly #byKey = new Map<string, { id: string; content: string }>();
  readonly #listeners = new Set<Listener>();

  constructor(nodeId: string, leading: { id: string; address: string } | null = { id: nodeId, address: '' }) {
    this.nodeId = nodeId;
    this.leading = leading;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  leader(): { id: string; address: string } | null {
    return this.leading;
  }

  isLeader(): boolean {
    return this.leading?.id === this.nodeId;
  }

  appliedIndex(): number {
    return this.index;
  }

  ready(): { ready: boolean; reason: string } {
    return this.leading === null ? { ready: false, reason: 'no master' } : { ready: true, reason: 'ok' };
  }

  async submit(items: readonly SubmitItem[]): Promise<readonly BatchResultItem[]> {
    await this.onSubmit(items);
    this.#master();
    return items.map((item) => this.#submitOne(item));
  }

  cancel(id: string): Promise<TaskView> {
    this.#master();
    const task = this.getTask(id);
    if (isFinal(task.status))
      return Promise.reject(new ApiError('CONFLICT', `task ${id} is ${task.status} already`));
    return Promise.resolve(this.change(task.id, { status: 'canceled' }));
  }

  retry(id: string): Promise<TaskView> {
    this.#master();
    const task = this.getTask(id);
    if (!isFinal(task.status)) return Promise.reject(new ApiError('CONFLICT', `task ${id} is not finished`));
    return Promise.resolve(this.add({ ...task, status: 'queued', retryOf: task.id }));
  }

  readBarrier(): Promise<void> {
    this.barriers += 1;
    if (this.barrier !== null) return Promise.reject(this.barrier);
    if (!this.isLeader()) return Promise.reject(new ApiError('NO_LEADER', 'not the master'));
    return Promise.resolve();
  }

  getTask(idOrPrefix: string): TaskView {
    this.onGet();
    const matches = [...this.tasks.values()].filter((task) => task.id.startsWith(idOrPrefix));
    const [task] = matches;
    if (task === undefined) throw new ApiError('NOT_FOUND', `no task ${idOrPrefix}`);
    if (matches.length > 1) throw new ApiError('CONFLICT', `${idOrPrefix} is ambiguous`);
    return task;
  }

  async waitTask(id: string, waitMs: number, signal: AbortSignal): Promise<TaskView> {
    const endMs = performance.now() + waitMs;
    while (!isFinal(this.getTask(id).status) && performance.now() < endMs && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.getTask(id);
  }

  listTasks(query: TaskListQuery): Promise<TaskPage> {
    const all = [...this.tasks.values()].reverse();
    const tasks = all.filter((task) => query.status === undefined || task.status === query.status);
    const counts = Object.fromEntries(
      TASK_STATUSES.map((status) => [status, all.filter((task) => task.status === status).length]),
    ) as Record<TaskStatus, number>;
    const from = Number(query.cursor ?? 0);
    const to = from + query.limit;
    return Promise.resolve({
      tasks: tasks.slice(from, to),
      nextCursor: to < tasks.length ? String(to) : null,
      counts,
    });
  }

  taskEvents(idOrPrefix: string): readonly TaskEvent[] {
    const { index, submittedAt } = this.getTask(idOrPrefix);
    return [{ index, term: 1, time: submittedAt, node: null, what: 'submitted', why: null, attempt: null }];
  }

  async *readOutput(
    idOrPrefix: string,
    options: { readonly offset: number; readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array> {
    this.getTask(idOrPrefix);
    const [first, ...rest] = this.output;
    if (first !== undefined) yield first.subarray(options.offset);
    if (options.follow) await this.outputEnds;
    yield* rest;
  }

  taskFiles(idOrPrefix: string): TaskFilesView {
    const { id } = this.getTask(idOrPrefix);
    const files = [...this.files].map(([path, content]): CollectedFile => {
      return { path, bytes: content.byteLength, kept: 'cluster' };
    });
    return { task: id, attempt: files.length === 0 ? null : 1, node: 'worker1', files, leftOut: null };
  }

  openFile(idOrPrefix: string, path: string): Promise<FileBytes> {
    this.getTask(idOrPrefix);
    const content = this.files.get(path);
    if (content === undefined) throw new ApiError('NOT_FOUND', `no file ${path}`);
    return Promise.resolve({ path, bytes: content.byteLength, chunks: Readable.from([content]) });
  }

  nodes(): readonly NodeView[] {
    return ['server1', 'worker1'].map((id) => ({
      id,
      role: id === 'worker1' ? 'worker' : 'server',
      address: '127.0.0.1:1',
      status: 'ready',
      eligible: true,
      cpu: 1.5,
      memory: 20,
      slots: 2,
      running: 0,
      labels: {},
      lastSeenAt: null,
      leader: id === this.leading?.id,
    }));
  }

  drain(node: string, drain: boolean, deadlineMs: number | null): Promise<void> {
    this.#master();
    this.drains.push({ node, drain, deadlineMs });
    return Promise.resolve();
  }

  addSchedule({ cron, tz = 'UTC', task }: ScheduleRequest): Promise<ScheduleView> {
    this.index += 1;
    const view: ScheduleView = {
      ...{ id: `schedule${String(this.index).padStart(8, '0')}`, cron, tz, task, runs: 0, missed: 0 },
      ...{ createdAt: NOW, nextAt: NOW, lastAt: null, lastTask: null, index: this.index },
    };
    this.scheduled.push(view);
    return Promise.resolve(view);
  }

  removeSchedule(id: string): Promise<string> {
    const at = this.scheduled.findIndex((schedule) => schedule.id === id);
    if (at === -1) return Promise.reject(new ApiError('NOT_FOUND', `there is no schedule ${id}`));
    this.scheduled.splice(at, 1);
    return Promise.resolve(id);
  }

  schedules(): readonly ScheduleView[] {
    return this.scheduled;
  }

  queue(): QueueView {
    const count = (status: TaskStatus): number =>
      [...this.tasks.values()].filter((task) => task.status === status).length;
    const lengths = {
      scheduled: count('scheduled'),
      queued: count('queued'),
      assigned: count('assigned'),
      running: count('running'),
    };
    return { paused: this.paused, lengths };
  }

  pauseQueue(paused: boolean): Promise<void> {
    this.#master();
    this.paused = paused;
    return Promise.resolve();
  }

  async transferLeadership(to: string): Promise<LeadView> {
    this.#master();
    if (!this.raft().voters.includes(to)) throw new ApiError('NOT_FOUND', `no voter ${to}`);
    if (to !== this.nodeId) await this.onTransfer(to);
    return { leader: to, term: to === this.nodeId ? 3 : 4 };
  }

  /** Those that were added besides the three there are. */
  readonly added = new Map<string, PeerView>();
  readonly removedPeers: string[] = [];
  /** Called by addPeer and removePeer; may throw. */
  onPeerChange: (id: string) => void = () => undefined;

  peers(): PeersView {
    const first = ['server1', 'server2', 'server3'].map((id, n): PeerView => ({
      id,
      address: `127.0.0.1:${3002 + n}`,
      role: 'voter',
    }));
    const peers = [...first, ...this.added.values()].filter(({ id }) => !this.removedPeers.includes(id));
    return { clusterId: 'c1', peers, removed: this.removedPeers };
  }

  async addPeer(id: string, { address, learner }: AddPeerRequest): Promise<PeersView> {
    this.#master();
    await Promise.resolve();
    this.onPeerChange(id);
    this.added.set(id, { id, address, role: learner === true ? 'learner' : 'voter' });
    return this.peers();
  }

  async removePeer(id: string): Promise<PeersView> {
    this.#master();
    await Promise.resolve();
    this.onPeerChange(id);
    if (!this.peers().peers.some((peer) => peer.id === id))
      throw new ApiError('NOT_FOUND', `no server ${id}`);
    this.removedPeers.push(id);
    return this.peers();
  }

  takeSnapshot(): Promise<SnapshotView> {
    return Promise.resolve({ id: this.nodeId, index: this.index, term: 3, firstIndex: this.firstKept });
  }

  raft(): RaftView {
    return {
      id: this.nodeId,
      role: this.isLeader() ? 'leader' : 'follower',
      term: 3,
      votedFor: null,
      leader: this.leading?.id ?? null,
      leaderSince: null,
      firstIndex: this.firstKept,
      lastIndex: this.index,
      commitIndex: this.index,
      appliedIndex: this.index,
      snapshotIndex: 0,
      voters: ['server1', 'server2', 'server3'],
      learners: [],
      peers: { server2: { matchIndex: this.index, lag: 0, lastContactMs: 3 } },
    };
  }

  async *audit(): AsyncIterable<AuditLine> {
    await Promise.resolve();
    yield* this.auditLines;
  }

  raftLog(from: number, to: number): readonly RaftLogEntryView[] {
    return Array.from({ length: to - from + 1 }, (_, i) => ({
      index: from + i,
      term: 1,
      kind: 'noop',
      time: null,
      data: null,
    }));
  }

  stateAt({ at }: StateQuery): Promise<StateView> {
    const { firstKept, index } = this;
    const shown = at ?? index;
    if (shown < firstKept - 1 || shown > index) {
      return Promise.reject(new ApiError('NOT_FOUND', `at: ${shown} is not kept here`));
    }
    const counts = Object.fromEntries(TASK_STATUSES.map((status) => [status, 0])) as Record<
      TaskStatus,
      number
    >;
    const range = { firstIndex: firstKept, lastIndex: index };
    const page = { nodes: [], tasks: [], nextCursor: null };
    return Promise.resolve({ at: shown, term: 3, time: null, leader: null, ...range, counts, ...page });
  }

  subscribe(
    afterIndex: number | null,
    onMessage: Listener,
  ): { kind: 'ok'; unsubscribe: () => void } | { kind: 'reset'; index: number } {
    if (afterIndex !== null && afterIndex + 1 < this.firstKept) return { kind: 'reset', index: this.index };
    const listener: Listener = (message) => {
      if (afterIndex === null || message.index > afterIndex) onMessage(message);
    };
    this.#listeners.add(listener);
    if (afterIndex !== null) {
      for (const message of this.messages.filter(({ index }) => index >= this.firstKept)) listener(message);
    }
    return { kind: 'ok', unsubscribe: () => this.#listeners.delete(listener) };
  }

  /** Applies an entry that changed these tasks. */
  emit(...ids: readonly string[]): EventMessage {
    this.index += 1;
    const message: EventMessage = {
      index: this.index,
      term: 3,
      time: new Date().toISOString(),
      events: ids.map((id) => ({
        kind: 'task',
        id,
        name: null,
        status: this.tasks.get(id)?.status ?? 'queued',
        what: 'changed',
        node: null,
        attempt: null,
        exitCode: null,
      })),
    };
    this.messages.push(message);
    for (const listener of [...this.#listeners]) listener(message);
    return message;
  }

  /** Applies an entry with these events. */
  tell(events: EventMessage['events']): void {
    this.index += 1;
    const message: EventMessage = { index: this.index, term: 3, time: new Date().toISOString(), events };
    this.messages.push(message);
    for (const listener of [...this.#listeners]) listener(message);
  }

  change(id: string, change: Partial<TaskView>): TaskView {
    const task = { ...this.getTask(id), ...change, index: this.index + 1 };
    this.tasks.set(id, task);
    this.emit(id);
    return task;
  }

  add(change: Partial<TaskView>): TaskView {
    const id = `task${String(this.tasks.size + 1).padStart(6, '0')}${this.nodeId}`;
    const task: TaskView = { ...BLANK_TASK, ...change, id, index: this.index + 1 };
    this.tasks.set(id, task);
    this.emit(id);
    return task;
  }

  #submitOne(item: SubmitItem): BatchResultItem {
    this.submitted.push(item);
    const content = JSON.stringify(item.request);
    const known = item.idempotencyKey === null ? undefined : this.#byKey.get(item.idempotencyKey);
    if (known !== undefined) {
      if (known.content !== content)
        return { status: 409, error: { code: 'CONFLICT', message: 'other content under this key' } };
      return { status: 200, task: this.getTask(known.id) };
    }
    const { script = null, command = null, name = null } = item.request;
    const task = this.add({ script, command, name });
    if (item.idempotencyKey !== null) this.#byKey.set(item.idempotencyKey, { id: task.id, content });
    this.onAdded(task);
    return { status: 201, task };
  }

  #master(): void {
    if (!this.isLeader()) throw new ApiError('NO_LEADER', 'not the master');
  }
}
