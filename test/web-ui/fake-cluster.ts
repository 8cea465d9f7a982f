/**
 * A cluster that exists only for the page: it accepts payloads, "runs" those of the generator by their sleep and their
 * sum, elects another master when one is stopped, and tells it all as events. Time can be made to run faster.
 */
import { isFinal, TASK_STATUSES } from '../../src/api/tasks.ts';
import type {
  AttemptOutcome,
  AttemptView,
  FinalStatus,
  TaskEvent,
  TaskRequest,
  TaskResult,
  TaskStatus,
  TaskView,
} from '../../src/api/tasks.ts';
import type {
  ClusterEvent,
  EventMessage,
  NodeView,
  RaftLogEntryView,
  RaftView,
} from '../../src/api/views.ts';
import type { LogLine } from '../../src/web/ui/src/model/log-tail.ts';
import { BLANK_TASK, result } from './tasks.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface FakeNode {
  readonly id: string;
  readonly role: 'server' | 'worker';
  readonly port: number;
  stopped: boolean;
  /** What the master knows of it; follows `stopped` after the lease. */
  up: boolean;
}

const LEASE_MS = 1_500;
const ELECTION_MS = 500;
const PLACE_MS = 120;
const START_MS = 150;
const SLOTS = 2;

export class FakeCluster {
  readonly nodes: FakeNode[] = [
    { id: 'server1', role: 'server', port: 3002, stopped: false, up: true },
    { id: 'server2', role: 'server', port: 3004, stopped: false, up: true },
    { id: 'server3', role: 'server', port: 3005, stopped: false, up: true },
    { id: 'worker1', role: 'worker', port: 3006, stopped: false, up: true },
  ];
  leader: string | null = 'server1';
  term = 4;
  index = 100;
  readonly tasks = new Map<string, TaskView>();
  readonly timelines = new Map<string, TaskEvent[]>();
  readonly outputs = new Map<string, string>();
  readonly listeners = new Set<(message: EventMessage) => void>();
  readonly messages: EventMessage[] = [];
  readonly logLines: LogLine[] = [];
  readonly #keys = new Map<string, string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #speed: number;

  /** `speed`: how many seconds of a payload pass in one. */
  constructor(options: { readonly speed?: number } = {}) {
    this.#speed = options.speed ?? 1;
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.listeners.clear();
  }

  get quorum(): boolean {
    return this.nodes.filter((node) => node.role === 'server' && !node.stopped).length >= 2;
  }

  counts(): Record<TaskStatus, number> {
    const counts = Object.fromEntries(TASK_STATUSES.map((status) => [status, 0])) as Record<
      TaskStatus,
      number
    >;
    for (const task of this.tasks.values()) counts[task.status] += 1;
    return counts;
  }

  nodeViews(): NodeView[] {
    return this.nodes.map((node, at) => ({
      id: node.id,
      role: node.role,
      address: `127.0.0.1:${String(node.port)}`,
      status: node.up ? 'ready' : 'down',
      eligible: node.up && node.id !== this.leader,
      cpu: node.up ? 6 + at * 9 + this.runningOn(node.id) * 24 : null,
      memory: node.up ? 31 + at * 11 : null,
      slots: SLOTS,
      running: this.runningOn(node.id),
      labels: {},
      lastSeenAt: new Date().toISOString(),
      leader: node.id === this.leader,
    }));
  }

  log(node: string, text: string): void {
    const container = this.nodes.findIndex((each) => each.id === node) + 1;
    this.logLines.push({
      seq: this.logLines.length + 1,
      node,
      container,
      at: new Date().toISOString(),
      text,
    });
  }

  raftView(id: string): RaftView {
    const leads = id === this.leader;
    const voters = this.nodes.filter((node) => node.role === 'server').map((node) => node.id);
    const others = voters.filter((voter) => voter !== id);
    const position = { matchIndex: this.index, lag: 0, lastContactMs: 40 };
    return {
      id,
      role: leads ? 'leader' : 'follower',
      term: this.term,
      votedFor: this.leader,
      leader: this.leader,
      leaderSince: '2026-11-22T18:00:00.000Z',
      firstIndex: 1,
      lastIndex: this.index,
      commitIndex: this.index,
      appliedIndex: this.index,
      snapshotIndex: 0,
      voters,
      learners: [],
      peers: leads ? Object.fromEntries(others.map((other) => [other, position])) : {},
    };
  }

  /** What was told as events stands for the entries. */
  logEntries(): RaftLogEntryView[] {
    return this.messages.slice(-32).map(({ index, term, time, events }) => ({
      index,
      term,
      time,
      kind: 'command',
      data: events.map((event) => ({ op: event.kind, ...(event.kind === 'task' ? { task: event.id } : {}) })),
    }));
  }

  runningOn(id: string): number {
    return [...this.tasks.values()].filter(
      (task) =>
        (task.status === 'running' || task.status === 'assigned') && task.attempts.at(-1)?.node === id,
    ).length;
  }

  /** The task, and whether it is new. */
  submit(
    request: TaskRequest,
    options: { readonly key?: string | null; readonly retryOf?: string | null; readonly at?: Date } = {},
  ): { readonly task: TaskView; readonly created: boolean } {
    const known = options.key == null ? undefined : this.#keys.get(options.key);
    if (known !== undefined) return { task: this.tasks.get(known)!, created: false };
    const id = Array.from({ length: 4 }, () =>
      Math.floor(Math.random() * 2 ** 32)
        .toString(16)
        .padStart(8, '0'),
    )
      .join('')
      .slice(0, 26);
    if (options.key != null) this.#keys.set(options.key, id);
    const at = (options.at ?? new Date()).toISOString();
    const { name = null, script = null, command = null, interpreter = null, timeoutMs = null } = request;
    this.tasks.set(id, {
      ...BLANK_TASK,
      ...{ id, name, script, command, interpreter, timeoutMs },
      ...{ pendingReason: 'waits for a free slot', submittedAt: at, index: this.index },
      priority: request.priority ?? BLANK_TASK.priority,
      maxAttempts: request.maxAttempts ?? BLANK_TASK.maxAttempts,
      retryOf: options.retryOf ?? null,
    });
    this.#note(id, {}, 'submitted', null, null);
    this.#after(PLACE_MS, () => this.#place(id));
    return { task: this.tasks.get(id)!, created: true };
  }

  cancel(id: string): TaskView | null {
    const task = this.tasks.get(id);
    if (task === undefined || isFinal(task.status)) return null;
    this.#end(id, 'canceled', null);
    return this.tasks.get(id)!;
  }

  /** Ends a running task, as if its sleep were over. */
  finish(id: string): void {
    const task = this.tasks.get(id);
    if (task?.status !== 'running') return;
    const script = task.script ?? '';
    const status = script.includes('raise ') ? 'failed' : 'succeeded';
    this.#end(id, status, resultOf(script, this.outputs.get(id) ?? ''));
  }

  setStopped(id: string, stopped: boolean): boolean {
    const node = this.nodes.find((candidate) => candidate.id === id);
    if (node === undefined) return false;
    node.stopped = stopped;
    if (stopped && this.leader === id) {
      this.leader = null;
      this.#after(ELECTION_MS, () => this.#elect());
    }
    this.#after(stopped ? LEASE_MS : ELECTION_MS, () => {
      if (node.stopped !== stopped) return;
      if (this.leader === null) this.#elect();
      if (node.up === !stopped) return;
      node.up = !stopped;
      this.#emit([{ kind: 'node', id, status: stopped ? 'down' : 'ready' }]);
      if (stopped) this.#loseTasksOf(id);
    });
    return true;
  }

  /** Puts a finished task into the past, with what it wrote. */
  addFinished(
    request: TaskRequest,
    end: {
      readonly status: FinalStatus;
      readonly result: TaskResult;
      readonly agoMs: number;
    },
  ): TaskView {
    const at = new Date(Date.now() - end.agoMs);
    const { task } = this.submit(request, { at });
    const startedAt = new Date(at.getTime() + 240).toISOString();
    const node = this.nodes[1 + (this.index % 3)]!.id;
    this.#set(task.id, { attempts: [attempt(1, node, startedAt)], startedAt });
    this.#end(task.id, end.status, end.result, new Date(at.getTime() + 12_400));
    return this.tasks.get(task.id)!;
  }

  #elect(): void {
    if (!this.quorum || this.leader !== null) return;
    this.leader = this.nodes.find((node) => node.role === 'server' && !node.stopped)!.id;
    this.term += 1;
    this.#emit([{ kind: 'leader', id: this.leader, term: this.term }]);
    for (const task of this.tasks.values()) {
      if (task.status === 'queued') this.#after(PLACE_MS, () => this.#place(task.id));
    }
  }

  #place(id: string): void {
    if (this.tasks.get(id)?.status !== 'queued' || this.leader === null) return;
    const free = this.nodes
      .filter((node) => node.up && node.id !== this.leader && this.runningOn(node.id) < SLOTS)
      .sort((a, b) => this.runningOn(a.id) - this.runningOn(b.id))[0];
    if (free === undefined) {
      this.#after(500, () => this.#place(id));
      return;
    }
    const task = this.tasks.get(id)!;
    const next = attempt(task.attempts.length + 1, free.id, null, this.nodeViews());
    const why = `lowest score of ${String(this.nodes.length - 1)} candidates`;
    this.#note(
      id,
      { status: 'assigned', pendingReason: null, attempts: [...task.attempts, next] },
      'assigned',
      free.id,
      why,
    );
    this.#after(START_MS, () => this.#begin(id, next.number));
  }

  #begin(id: string, number: number): void {
    const task = this.tasks.get(id);
    const last = task?.attempts.at(-1);
    if (task?.status !== 'assigned' || last?.number !== number) return;
    const startedAt = new Date().toISOString();
    const attempts = [...task.attempts.slice(0, -1), { ...last, startedAt }];
    this.outputs.set(id, '');
    this.#note(id, { status: 'running', startedAt, attempts }, 'started', last.node, null);
    const script = task.script ?? '';
    const seconds = Number(/sleep\((\d+(?:\.\d+)?)\)/.exec(script)?.[1] ?? 0.3);
    const runMs = (seconds * 1_000) / this.#speed;
    if (script.includes('chatty')) this.#chat(id, number, 1);
    this.#after(runMs, () => {
      if (this.tasks.get(id)?.attempts.at(-1)?.number === number) this.finish(id);
    });
  }

  #chat(id: string, number: number, line: number): void {
    const task = this.tasks.get(id);
    if (task?.status !== 'running' || task.attempts.at(-1)?.number !== number) return;
    this.outputs.set(id, `${this.outputs.get(id) ?? ''}line ${String(line)}\n`);
    this.#after(250, () => this.#chat(id, number, line + 1));
  }

  #loseTasksOf(node: string): void {
    for (const task of this.tasks.values()) {
      const last = task.attempts.at(-1);
      if (isFinal(task.status) || last?.node !== node) continue;
      const lost = { ...last, outcome: 'lost' as const, reason: `${node} went away` };
      const attempts = [...task.attempts.slice(0, -1), lost];
      const pendingReason = `its node ${node} was lost; waits for another`;
      this.#note(task.id, { status: 'queued', pendingReason, attempts }, 'lost', node, pendingReason);
      this.#after(PLACE_MS, () => this.#place(task.id));
    }
  }

  #end(id: string, outcome: AttemptOutcome & TaskStatus, result: TaskResult | null, at = new Date()): void {
    const task = this.tasks.get(id)!;
    const finishedAt = at.toISOString();
    const attempts = task.attempts.map((each, position) =>
      position === task.attempts.length - 1 && each.outcome === null
        ? { ...each, outcome, finishedAt, exitCode: result?.exitCode ?? null, signal: result?.signal ?? null }
        : each,
    );
    const change = { status: outcome, pendingReason: null, finishedAt, attempts, result };
    this.#note(
      id,
      change,
      outcome === 'canceled' ? 'canceled' : 'finished',
      attempts.at(-1)?.node ?? null,
      null,
    );
  }

  #set(id: string, change: Partial<Mutable<TaskView>>): TaskView {
    const task = { ...this.tasks.get(id)!, ...change };
    this.tasks.set(id, task);
    return task;
  }

  #note(
    id: string,
    change: Partial<Mutable<TaskView>>,
    what: TaskEvent['what'],
    node: string | null,
    why: string | null,
  ): void {
    const task = this.#set(id, { ...change, index: this.index + 1 });
    const last = task.attempts.at(-1) ?? null;
    this.#emit([
      {
        kind: 'task',
        id,
        name: task.name,
        status: task.status,
        what,
        node: last?.node ?? null,
        attempt: last?.number ?? null,
        exitCode: task.result?.exitCode ?? null,
      },
    ]);
    const timeline = this.timelines.get(id) ?? [];
    const time = new Date().toISOString();
    timeline.push({
      index: this.index,
      term: this.term,
      time,
      node,
      what,
      why,
      attempt: last?.number ?? null,
    });
    this.timelines.set(id, timeline);
  }

  #emit(events: readonly ClusterEvent[]): void {
    this.index += 1;
    const message = { index: this.index, term: this.term, time: new Date().toISOString(), events };
    this.messages.push(message);
    for (const listener of [...this.listeners]) listener(message);
  }

  #after(ms: number, callback: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, ms);
    this.#timers.add(timer);
  }
}

function attempt(
  number: number,
  node: string,
  startedAt: string | null,
  nodes: readonly NodeView[] = [],
): AttemptView {
  return {
    number,
    node,
    assignedAt: new Date().toISOString(),
    startedAt,
    finishedAt: null,
    outcome: null,
    exitCode: null,
    signal: null,
    reason: null,
    placement: {
      reason: 'the most room',
      candidates: nodes.map((view) => ({
        node: view.id,
        cpu: view.cpu,
        memory: view.memory,
        running: view.running,
        slots: view.slots,
        score: view.eligible ? (view.cpu ?? 0) + (view.memory ?? 0) + 5 * view.running : null,
        why: view.eligible ? null : view.leader ? 'master, runs tasks only in need' : 'down',
        ...{ cpuReserved: 0, memoryReservedMb: 0, speed: 1 },
      })),
    },
  };
}

function resultOf(script: string, output: string): TaskResult {
  const sum = /print\((\d+) \+ (\d+)\)/.exec(script);
  const failed = script.includes('raise ');
  const stdout = sum === null ? output : `${output}${String(Number(sum[1]) + Number(sum[2]))}\n`;
  const stderr = failed
    ? 'Traceback (most recent call last):\n  File "main.py", line 3, in <module>\nValueError: the input has no rows\n'
    : '';
  return result(stdout, { exitCode: failed ? 1 : 0, stderr, stderrBytes: Buffer.byteLength(stderr) });
}
