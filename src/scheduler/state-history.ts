import { ApiError } from '../api/errors.ts';
import type { TaskStatus } from '../api/tasks.ts';
import type {
  ClusterEvent,
  EventMessage,
  NodeAtView,
  StateQuery,
  StateView,
  TaskAtView,
} from '../api/views.ts';
import type { EventRing } from './event-ring.ts';
import type { NodeRecord, TaskRecord } from './state/records.ts';
import type { TaskMachine } from './task-machine.ts';
import { taskAt } from './task-at.ts';
import { exactTask, listTasks } from './task-search.ts';
import { isoTime } from './task-view.ts';

/** Changes of nodes remembered; the oldest give way, and with them the indexes that can be asked for. */
const NODE_CHANGES_MAX = 20_000;
/** Tasks looked up before others get their turn. */
const LOOKUPS_PER_TURN = 200;

interface NodeChange {
  readonly index: number;
  readonly id: string;
  /** null: it was not known before. */
  readonly before: NodeRecord | null;
}

/** What the events say of a task. */
interface Told {
  readonly status: TaskStatus;
  readonly node: string | null;
  readonly attempt: number;
}

export interface StateHistoryOptions {
  readonly machine: TaskMachine;
  readonly ring: EventRing;
  /** Term of a kept entry of the log. */
  readonly termOf: (index: number) => number | null;
  /** Gives others their turn. */
  readonly pause: () => Promise<void>;
}

/**
 * The state as it was at an earlier index: what it is now, without what the entries since then have changed. Their events say
 * which tasks that are; what each was before is in its own timeline. So no second state is built, and the cost is that of
 * the entries between, which the ring bounds.
 */
export class StateHistory {
  readonly #options: StateHistoryOptions;
  #nodes = new Map<string, NodeRecord>();
  #nodeChanges: NodeChange[] = [];
  /** Changes of nodes after this index are all known. */
  #nodesSince = 0;

  constructor(options: StateHistoryOptions) {
    this.#options = options;
    this.restored();
  }

  /** To be told of every applied entry, after the ring. */
  applied(index: number, events: readonly ClusterEvent[]): void {
    for (const event of events) {
      if (event.kind !== 'node') continue;
      const before = this.#nodes.get(event.id) ?? null;
      const now = this.#options.machine.state.nodes.get(event.id);
      this.#nodeChanges.push({ index, id: event.id, before });
      if (now === undefined) this.#nodes.delete(event.id);
      else this.#nodes.set(event.id, now);
    }
    if (this.#nodeChanges.length > NODE_CHANGES_MAX) {
      const dropped = this.#nodeChanges.splice(0, NODE_CHANGES_MAX / 2);
      this.#nodesSince = dropped.at(-1)?.index ?? this.#nodesSince;
    }
  }

  /** The whole state was replaced: what led to it is not known. */
  restored(): void {
    const { state } = this.#options.machine;
    this.#nodes = new Map(state.nodes);
    this.#nodeChanges = [];
    this.#nodesSince = state.appliedIndex;
  }

  /** @throws ApiError NOT_FOUND where the index is not among those that can be asked for, INVALID */
  async view(query: StateQuery): Promise<StateView> {
    const { machine, ring, pause, termOf } = this.#options;
    const { state } = machine;
    const lastIndex = state.appliedIndex;
    const firstIndex = Math.max(ring.completeAfter, this.#nodesSince);
    const at = query.at ?? lastIndex;
    if (at < firstIndex || at > lastIndex) {
      throw new ApiError(
        'NOT_FOUND',
        `at: ${at} is not kept here, indexes ${firstIndex} to ${lastIndex} are`,
      );
    }
    // Everything that moves is read in this turn.
    const messages = ring.kept();
    const counts = { ...state.tasks.counts() };
    const running = new Map([...state.nodes.keys()].map((id) => [id, state.tasks.onNode(id).size]));
    const nodes = this.#nodesAt(at);
    const changed = lastTold(messages, at, lastIndex);
    const before = lastTold(messages, 0, at);
    let lookups = 0;
    for (const [id, told] of changed) {
      let then: Told | null | undefined = before.get(id);
      if (then === undefined) {
        lookups += 1;
        if (lookups % LOOKUPS_PER_TURN === 0) await pause();
        const task = exactTask(machine.state.tasks, id);
        // Removed by retention since: it is not in the counts of now either.
        if (task === null) continue;
        then = taskAt(task, at);
      }
      take(counts, running, told, -1);
      if (then !== null) take(counts, running, then, 1);
    }
    const page = await this.#tasksAt(at, query);
    const entry = messages.findLast((message) => message.index <= at);
    return {
      ...{ at, term: termOf(at) ?? entry?.term ?? null, time: entry?.time ?? null },
      leader: leaderAt(messages, at),
      ...{ firstIndex, lastIndex, counts },
      nodes: nodes.map((node) => nodeView(node, running.get(node.id) ?? 0)),
      ...page,
    };
  }

  #nodesAt(at: number): readonly NodeRecord[] {
    const nodes = new Map(this.#options.machine.state.nodes);
    for (const change of this.#nodeChanges.toReversed()) {
      if (change.index <= at) break;
      if (change.before === null) nodes.delete(change.id);
      else nodes.set(change.id, change.before);
    }
    return [...nodes.values()];
  }

  async #tasksAt(
    at: number,
    { limit, cursor }: StateQuery,
  ): Promise<{ readonly tasks: readonly TaskAtView[]; readonly nextCursor: string | null }> {
    const { machine, pause } = this.#options;
    const tasks: TaskAtView[] = [];
    let next = cursor;
    do {
      const wanted = { limit: limit - tasks.length, ...(next === undefined ? {} : { cursor: next }) };
      const page = await listTasks(machine.state.tasks, wanted, pause);
      for (const task of page.tasks) {
        const view = taskAtView(task, at);
        if (view !== null) tasks.push(view);
      }
      next = page.next === null ? undefined : String(page.next);
    } while (next !== undefined && tasks.length < limit);
    return { tasks, nextCursor: next ?? null };
  }
}

/** The last word of the messages after `after`, up to `to`, on each task. */
function lastTold(messages: readonly EventMessage[], after: number, to: number): Map<string, Told> {
  const told = new Map<string, Told>();
  for (const { index, events } of messages) {
    if (index <= after || index > to) continue;
    for (const event of events) {
      if (event.kind !== 'task') continue;
      told.set(event.id, { status: event.status, node: event.node, attempt: event.attempt ?? 0 });
    }
  }
  return told;
}

function take(
  counts: Record<TaskStatus, number>,
  running: Map<string, number>,
  { status, node }: Told,
  by: 1 | -1,
): void {
  counts[status] += by;
  if (node === null || (status !== 'assigned' && status !== 'running')) return;
  running.set(node, (running.get(node) ?? 0) + by);
}

function leaderAt(messages: readonly EventMessage[], at: number): string | null {
  for (const { index, events } of messages.toReversed()) {
    if (index > at) continue;
    const event = events.findLast((candidate) => candidate.kind === 'leader');
    if (event !== undefined) return event.id;
  }
  return null;
}

function nodeView(node: NodeRecord, running: number): NodeAtView {
  const { id, role, slots } = node;
  const status = !node.up ? 'down' : node.draining ? 'draining' : 'ready';
  return { id, role, status, slots, running };
}

function taskAtView(task: TaskRecord, at: number): TaskAtView | null {
  const then = taskAt(task, at);
  if (then === null) return null;
  const { id, spec, submittedAt } = task;
  return { id, name: spec.name ?? null, ...then, submittedAt: isoTime(submittedAt) };
}
