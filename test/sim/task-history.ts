/**
 * The god's-eye history of tasks, fed with every entry once, when the first server applies it, and with what clients and
 * workers were told. T1 to T9 are those of docs/testing.md.
 */
import { crc32 } from 'node:zlib';
import { isFinal, type TaskStatus } from '../../src/api/tasks.ts';
import type { AttemptRef } from '../../src/link/protocol.ts';
import { currentAttempt } from '../../src/scheduler/state/lifecycle.ts';
import type { TaskRecord } from '../../src/scheduler/state/records.ts';
import { maxAttemptsOf } from '../../src/scheduler/state/task-spec.ts';
import type { AppliedEntry } from '../../src/scheduler/state/task-state.ts';
import type { TaskMachine } from '../../src/scheduler/task-machine.ts';
import { isLinearizable, type Operation } from './linearizable.ts';
import { check } from './sim-failure.ts';
import { TASK_MODEL, type TaskAnswer, type TaskCall } from './task-model.ts';
import { TaskOrder } from './task-order.ts';

/** From each status to the next. */
const STEPS: Readonly<Record<TaskStatus, readonly TaskStatus[]>> = {
  scheduled: ['scheduled', 'queued', 'canceled'],
  queued: ['queued', 'assigned', 'canceled'],
  assigned: ['assigned', 'running', 'queued', 'scheduled', 'succeeded', 'failed', 'timed_out', 'canceled'],
  running: ['running', 'queued', 'scheduled', 'succeeded', 'failed', 'timed_out', 'canceled'],
  succeeded: ['succeeded'],
  failed: ['failed'],
  timed_out: ['timed_out'],
  canceled: ['canceled'],
};

export class TaskHistory {
  readonly #latest = new Map<string, TaskRecord>();
  readonly #byKey = new Map<string, string>();
  readonly #live = new Set<string>();
  #appliedIndex = 0;
  /** Time in the log. */
  #at = 0;
  readonly #order = new TaskOrder();
  /** What clients asked of a key and its task, and were told. */
  readonly #operations = new Map<string, Operation<TaskCall, TaskAnswer>[]>();
  /** T11: of what each entry has changed. */
  readonly #effects: number[] = [];
  /** Attempts whose processes run now (not paused), by task. */
  readonly #active = new Map<string, string>();
  /** Until when, in true time, each worker may run its tasks, by its own clock. */
  readonly #leases = new Map<string, number>();
  #nowMs = (): number => 0;

  /** `nowMs`: true time. Before anything happens. */
  keepTime(nowMs: () => number): void {
    this.#nowMs = nowMs;
  }

  get tasks(): ReadonlyMap<string, TaskRecord> {
    return this.#latest;
  }

  /** Tasks that are not done. */
  get liveCount(): number {
    return this.#live.size;
  }

  /** An entry was applied on one of the servers. */
  applied(entry: AppliedEntry, machine: TaskMachine): void {
    this.#checkEffects(entry);
    if (entry.index <= this.#appliedIndex) return;
    this.#appliedIndex = entry.index;
    check(
      entry.at >= this.#at,
      'T7',
      () => `time goes back from ${String(this.#at)} to ${String(entry.at)} at ${String(entry.index)}`,
    );
    this.#at = entry.at;
    this.#checkLeases(entry);
    for (const record of entry.tasks) this.#changed(record, entry.index, machine);
    this.#checkCounts(entry.index, machine);
    this.#order.applied(entry, machine);
  }

  /** T7: nobody's tasks are taken from it while it may run them. */
  #checkLeases({ index, events }: AppliedEntry): void {
    for (const event of events) {
      if (event.kind !== 'node' || event.status !== 'down') continue;
      const leftMs = (this.#leases.get(event.id) ?? 0) - this.#nowMs();
      check(
        leftMs <= 0,
        'T7',
        () => `${event.id} is lost at ${String(index)}, its lease has ${String(leftMs)} ms left`,
      );
    }
  }

  /** T9: every task that was ever submitted is counted in one status, or has been retired. */
  #checkCounts(index: number, { state: { tasks } }: TaskMachine): void {
    let counted = tasks.archive.counters().retiredThrough;
    for (const count of Object.values(tasks.counts())) counted += count;
    check(
      counted === this.#latest.size,
      'T9',
      () =>
        `${String(this.#latest.size)} tasks were submitted, ${String(counted)} are counted at ${String(index)}`,
    );
  }

  /** A worker may run its tasks until then, in true time; 0: it runs none any more. */
  leased(worker: string, untilMs: number): void {
    this.#leases.set(worker, untilMs);
  }

  /** T11: on every server an entry changes the same, in the same way. */
  #checkEffects({ index, at, tasks, events }: AppliedEntry): void {
    let hash = crc32(`${String(at)} ${String(events.length)}`);
    for (const { id, status, attemptsUsed, timeline, attempts, seq } of tasks)
      hash = crc32(`${id} ${status} ${[attemptsUsed, timeline.length, attempts.length, seq].join()}`, hash);
    const known = this.#effects[index] ?? hash;
    check(known === hash, 'T11', () => `entry ${String(index)} has not the same effects everywhere`);
    this.#effects[index] = hash;
  }

  /** Something a client asked of a key and its task. */
  operated(key: string, operation: Operation<TaskCall, TaskAnswer>): void {
    const known = this.#operations.get(key);
    if (known === undefined) this.#operations.set(key, [operation]);
    else known.push(operation);
  }

  /** T12: for each key there is an order in which everything asked of it could have been done, one after another. */
  checkOperations(): void {
    for (const [key, operations] of this.#operations) {
      check(
        isLinearizable(operations, TASK_MODEL),
        'T12',
        () => `what was answered of ${key} has no order: ${JSON.stringify(operations)}`,
      );
    }
  }

  /** T1: what a client is told of is in the log. */
  acknowledged(id: string): void {
    check(this.#latest.has(id), 'T1', () => `task ${id} was acknowledged and is in no log`);
  }

  /** T1: an acknowledged task is found by every linearizable read, unless retention has dropped it. */
  found(id: string, isFound: boolean, machine: TaskMachine): void {
    const { archive } = machine.state.tasks;
    const isRetired = archive.counters().retiredThrough > 0 && this.#isFinal(id);
    check(isFound || isRetired, 'T1', () => `a read does not find the acknowledged task ${id}`);
  }

  /** A worker was told that its result counts: so it does. */
  recorded(ref: AttemptRef): void {
    const attempt = this.#latest.get(ref.task)?.attempts.find((candidate) => candidate.token === ref.token);
    check(
      attempt !== undefined && attempt.outcome !== null,
      'T1',
      () => `the result of ${nameOf(ref)} is lost`,
    );
  }

  /** T3: the process of an attempt runs (or goes on). */
  activated(ref: AttemptRef, where: string): void {
    const name = `${String(ref.token)} on ${where}`;
    const other = this.#active.get(ref.task) ?? name;
    check(
      other === name,
      'T3',
      () => `task ${ref.task} runs twice at once: attempt ${other} and attempt ${name}`,
    );
    this.#active.set(ref.task, name);
  }

  /** It is paused, or over. */
  deactivated(ref: AttemptRef, where: string): void {
    if (this.#active.get(ref.task) === `${String(ref.token)} on ${where}`) this.#active.delete(ref.task);
  }

  /** Everything is at rest: every server has every task as it was last seen, and all are done. */
  checkAtRest(server: string, machine: TaskMachine): void {
    const { tasks } = machine.state;
    check(
      tasks.liveCount === 0,
      'T9',
      () => `${server} has ${String(tasks.liveCount)} tasks that are not done`,
    );
    const { retiredThrough } = tasks.archive.counters();
    for (const record of this.#latest.values()) {
      const finishSeq = tasks.archive.findId(record.id);
      if (finishSeq === 0) {
        check(retiredThrough > 0, 'T1', () => `${server} lacks task ${record.id}`);
        continue;
      }
      const status = tasks.archive.statusOf(finishSeq);
      check(
        status === record.status,
        'T5',
        () => `${server} has ${record.id} as ${status}, it is ${record.status}`,
      );
    }
  }

  #isFinal(id: string): boolean {
    const record = this.#latest.get(id);
    return record !== undefined && isFinal(record.status);
  }

  #changed(record: TaskRecord, index: number, machine: TaskMachine): void {
    const before = this.#latest.get(record.id);
    if (before === undefined) this.#created(record, machine);
    else this.#stepped(before, record, index);
    check(
      record.attemptsUsed <= maxAttemptsOf(record.spec),
      'T8',
      () => `${record.id} has used up too many attempts`,
    );
    this.#latest.set(record.id, record);
    if (isFinal(record.status)) this.#live.delete(record.id);
    else this.#live.add(record.id);
  }

  /** T2: one task per key, as long as it is remembered. */
  #created(record: TaskRecord, machine: TaskMachine): void {
    if (record.key === null) return;
    const known = this.#byKey.get(record.key);
    if (known !== undefined && known !== record.id) {
      const { tasks } = machine.state;
      const isKept = tasks.get(known) !== undefined || tasks.archive.findId(known) !== 0;
      check(!isKept, 'T2', () => `tasks ${known} and ${record.id} have the same key`);
    }
    this.#byKey.set(record.key, record.id);
  }

  #stepped(before: TaskRecord, now: TaskRecord, index: number): void {
    const step = `${now.id} at ${String(index)}: ${before.status} → ${now.status}`;
    check(STEPS[before.status].includes(now.status), isFinal(before.status) ? 'T5' : 'T6', () => step);
    if (isFinal(before.status)) {
      check(
        JSON.stringify(now.result) === JSON.stringify(before.result),
        'T5',
        () => `${now.id} has another result`,
      );
      return;
    }
    const held = currentAttempt(before);
    const holds = currentAttempt(now);
    if (holds !== null && holds.token !== held?.token) {
      // At most one attempt at every index: the one before must have been given up in an entry of its own.
      check(
        held === null && holds.token === index,
        'T3',
        () => `${step} gives it away while ${String(held?.token)} holds it`,
      );
    }
    if (now.result !== null && now.result !== before.result) {
      check(
        now.result.stdout === String(held?.token),
        'T4',
        () => `${step} with the result of ${String(now.result?.stdout)}`,
      );
    }
  }
}

function nameOf(ref: AttemptRef): string {
  return `${ref.task} ${String(ref.token)}`;
}
