import type { TaskRequest } from '../../api/tasks.ts';
import { chooseNode } from '../placement/placement.ts';
import type { Choice, Demand, LeaderExecutes, PlacementRules } from '../placement/placement.ts';
import { encodeRows } from '../state/candidate-rows.ts';
import type { NewTask, Op } from '../state/ops.ts';
import type { TaskRecord } from '../state/records.ts';
import { priorityOf, shapeOf } from '../state/task-spec.ts';
import type { TaskMachine } from '../task-machine.ts';
import type { MasterClock } from './clock.ts';
import type { Fleet } from './fleet.ts';
import type { ExtraOp, OpOutcome } from './op-batcher.ts';

/** A worker writes the lines of the original about its load when it was weighed; not more often than this. */
const CONSIDERED_INTERVAL_MS = 500;

const NO_CONSTRAINTS: Readonly<Record<string, string>> = {};

/** A fault that an operator has armed: the master is to stop when a task has found its node. */
export interface AssignmentFault {
  /** While it is armed nothing is assigned. */
  readonly stopsAtAssignment: boolean;
  /** The moment has come. */
  assignmentReached(): void;
}

export interface PlacerOptions {
  readonly machine: TaskMachine;
  readonly fleet: Fleet;
  readonly clock: MasterClock;
  readonly leaderExecutes: LeaderExecutes;
  /** How long a new master waits for workers before it may run tasks itself. */
  readonly fallbackAfterMs: number;
  /** null: fault injection is off. */
  readonly fault?: AssignmentFault | null;
}

/** The state of one walk through the queue. */
interface Walk {
  readonly rules: PlacementRules;
  readonly held: Set<string>;
  /** Shapes that have no place now. */
  readonly blocked: Set<string>;
  readonly ops: ExtraOp[];
}

/** The queue of one shape, and whose turn it is in it. */
interface Lane {
  readonly shape: string;
  readonly turns: Iterator<{ readonly seq: number }>;
  next: TaskRecord | null;
}

/**
 * Turns the queue into assignments: in order of turn, each to the node with the lowest score. Assignments on their way
 * into the log count as made. Tasks that are only just being submitted may be placed in the same entry, if nobody
 * waits who comes before them.
 */
export class Placer {
  readonly #options: PlacerOptions;
  #activeSinceMs = 0;
  /** Tasks whose assignment is on its way into the log, with their node. */
  #assigning = new Map<string, string>();
  /** Tasks on their way into the log that were not placed with it: those that follow must not overtake them. */
  #unplaced = new Set<string>();
  /** What tasks wait for, by what they ask for, as of a moment. */
  #waits = { nowMs: -1, appliedIndex: -1, reasons: new Map<string, string>() };

  constructor(options: PlacerOptions) {
    this.#options = options;
  }

  /** A new lead began (fresh counts; the fleet was rebuilt from the log). */
  reset(nowMs: number): void {
    this.#activeSinceMs = nowMs;
    this.#assigning = new Map();
    this.#unplaced = new Set();
  }

  /** Assignments for an entry that holds `ops`, at most `max`. */
  assign(ops: readonly Op[], max: number): readonly ExtraOp[] {
    const { machine, fleet, clock } = this.#options;
    const { state } = machine;
    if (state.paused) return [];
    const submits = ops.filter((op) => op.op === 'submit');
    if (state.tasks.queue.size === 0 && submits.length === 0) return [];
    const nowMs = clock.nowMs();
    fleet.refresh(nowMs);
    const held = new Set<string>();
    const walk: Walk = { rules: this.#rules(nowMs, held), held, blocked: new Set(), ops: [] };
    const { fault = null } = this.#options;
    if (fault?.stopsAtAssignment === true) return this.#stopAtAssignment(fault, walk, submits);
    const complete = this.#placeQueued(walk, max);
    if (submits.length > 0) {
      const mayPlace = complete && this.#unplaced.size === 0;
      this.#placeSubmitted(walk, submits, mayPlace ? max : 0);
    }
    return walk.ops;
  }

  /** What is being submitted is accepted without a place; the first task that has been accepted and would get one ends it. */
  #stopAtAssignment(
    fault: AssignmentFault,
    walk: Walk,
    submits: readonly Extract<Op, { op: 'submit' }>[],
  ): readonly ExtraOp[] {
    this.#placeQueued(walk, 1);
    this.#placeSubmitted(walk, submits, 0);
    if (walk.ops.length > 0) fault.assignmentReached();
    return [];
  }

  #rules(nowMs: number, held: ReadonlySet<string>): PlacementRules {
    const { leaderExecutes, fallbackAfterMs } = this.#options;
    return { leaderExecutes, fallbackOpen: nowMs - this.#activeSinceMs >= fallbackAfterMs, held };
  }

  /** False if it stopped at `max` with places perhaps left. */
  #placeQueued(walk: Walk, max: number): boolean {
    const { state } = this.#options.machine;
    const lanes: Lane[] = [...state.tasks.queue.shapes()].map((shape) => {
      const turns = shape.inOrder();
      return { shape: shape.shape, turns, next: this.#nextTurn(turns) };
    });
    while (walk.ops.length < max) {
      const lane = firstLane(lanes, walk.blocked);
      if (lane === null || lane.next === null) return true;
      const task = lane.next;
      if (this.#place(walk, task.id, task.spec, avoidOf(task))) lane.next = this.#nextTurn(lane.turns);
      else walk.blocked.add(lane.shape);
    }
    return false;
  }

  #nextTurn(turns: Iterator<{ readonly seq: number }>): TaskRecord | null {
    const { state } = this.#options.machine;
    for (let turn = turns.next(); turn.done !== true; turn = turns.next()) {
      const task = state.tasks.bySeq(turn.value.seq);
      if (task !== undefined && !this.#assigning.has(task.id)) return task;
    }
    return null;
  }

  #placeSubmitted(walk: Walk, submits: readonly Extract<Op, { op: 'submit' }>[], max: number): void {
    const fresh = submits
      .flatMap((op) => op.tasks)
      .filter((task) => task.spec.after === undefined && (task.spec.delayMs ?? 0) === 0);
    const inTurn = fresh.some((task) => task.spec.priority !== undefined)
      ? [...fresh].sort((a, b) => priorityOf(b.spec) - priorityOf(a.spec))
      : fresh;
    for (const task of inTurn) {
      const placed = walk.ops.length < max && this.#placeNew(walk, task);
      if (!placed) this.#unplaced.add(task.id);
    }
  }

  #placeNew(walk: Walk, task: NewTask): boolean {
    const shape = shapeOf(task.spec);
    if (walk.blocked.has(shape)) return false;
    if (this.#place(walk, task.id, task.spec, null)) return true;
    walk.blocked.add(shape);
    return false;
  }

  /** The outcome of their submission is known. */
  submitDecided(tasks: readonly NewTask[]): void {
    if (this.#unplaced.size > 0) for (const task of tasks) this.#unplaced.delete(task.id);
  }

  #place(walk: Walk, id: string, spec: TaskRequest, avoid: string | null): boolean {
    const { fleet, clock } = this.#options;
    const demand = demandOf(spec, avoid);
    const choice = chooseNode(fleet.all(), demand, walk.rules);
    if (choice.kind === 'blocked') {
      if (choice.hold !== null) walk.held.add(choice.hold);
      return false;
    }
    const node = fleet.get(choice.node);
    if (node === undefined) throw new Error(`placement chose ${choice.node}, which is not in the fleet`);
    const nowMs = clock.nowMs();
    node.occupy(id, null, demand.cpu, demand.memoryMb, nowMs);
    fleet.placed(node);
    this.#assigning.set(id, node.id);
    this.#tellConsidered(choice, nowMs);
    const placement = { reason: choice.reason, rows: encodeRows(choice.rows) };
    const op: Op = { op: 'assign', task: id, node: node.id, placement };
    walk.ops.push({ op, done: (outcome) => this.#assigned(id, node.id, outcome) });
    return true;
  }

  #assigned(id: string, node: string, outcome: OpOutcome): void {
    if (this.#assigning.get(id) === node) this.#assigning.delete(id);
    if (outcome.kind === 'applied' && outcome.result.kind === 'done') return;
    this.#options.fleet.get(node)?.vacate(id, null);
  }

  /** The assignment is in force (also if somebody else's entry made it). */
  inForce(id: string): void {
    this.#assigning.delete(id);
  }

  #tellConsidered(choice: Extract<Choice, { kind: 'placed' }>, nowMs: number): void {
    for (const [id, cpu, memory, , , score] of choice.rows) {
      if (score === null || cpu === null || memory === null) continue;
      const node = this.#options.fleet.get(id);
      if (node === undefined || nowMs - node.lastConsideredMs < CONSIDERED_INTERVAL_MS) continue;
      node.lastConsideredMs = nowMs;
      node.session?.send({ kind: 'considered', cpu, memory });
    }
  }

  /** One sentence: what a queued task waits for, and its place in the queue. */
  pendingReason(task: TaskRecord): string {
    const { state } = this.#options.machine;
    const position = state.tasks.queue.rank(priorityOf(task.spec), task.seq) + 1;
    const place = `position ${position} in the queue`;
    if (state.paused) return `waits until the queue is resumed; ${place}`;
    return `${this.#whatItWaitsFor(task)}; ${place}`;
  }

  /** Said once for all tasks of a page that ask for the same. */
  #whatItWaitsFor(task: TaskRecord): string {
    const { machine, fleet, clock } = this.#options;
    const nowMs = clock.nowMs();
    const { appliedIndex } = machine.state;
    const known = this.#waits;
    if (known.nowMs !== nowMs || known.appliedIndex !== appliedIndex) {
      this.#waits = { nowMs, appliedIndex, reasons: new Map() };
      fleet.refresh(nowMs);
    }
    const { reasons } = this.#waits;
    const avoid = avoidOf(task);
    const key = `${avoid ?? ''} ${shapeOf(task.spec)}`;
    const present = reasons.get(key);
    if (present !== undefined) return present;
    const choice = chooseNode(fleet.all(), demandOf(task.spec, avoid), this.#rules(nowMs, new Set()));
    const reason = choice.kind === 'blocked' ? choice.reason : 'waits for its turn';
    reasons.set(key, reason);
    return reason;
  }
}

function demandOf(spec: TaskRequest, avoid: string | null): Demand {
  return {
    constraints: spec.constraints ?? NO_CONSTRAINTS,
    cpu: spec.cpu ?? 0,
    memoryMb: spec.memoryMb ?? 0,
    avoid,
  };
}

/** The node on which the task has just failed. */
function avoidOf(task: TaskRecord): string | null {
  const last = task.attempts.at(-1);
  return last?.outcome === 'failed' || last?.outcome === 'timed_out' ? last.node : null;
}

function firstLane(lanes: readonly Lane[], blocked: ReadonlySet<string>): Lane | null {
  let first: Lane | null = null;
  let firstTask: TaskRecord | null = null;
  for (const lane of lanes) {
    if (lane.next === null || blocked.has(lane.shape)) continue;
    if (firstTask !== null && !isBefore(lane.next, firstTask)) continue;
    first = lane;
    firstTask = lane.next;
  }
  return first;
}

function isBefore(a: TaskRecord, b: TaskRecord): boolean {
  const byPriority = priorityOf(b.spec) - priorityOf(a.spec);
  return byPriority < 0 || (byPriority === 0 && a.seq < b.seq);
}
