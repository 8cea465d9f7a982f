/** Taking in new tasks: idempotency keys, dependencies, all or nothing. */
import { canceled, submitted, waitingFor } from './lifecycle.ts';
import type { NewTask, OpResult, SubmitItemResult } from './ops.ts';
import type { TaskRecord } from './records.ts';
import { doomedBy } from './task-state.ts';
import type { Changes, TaskState } from './task-state.ts';

/**
 * Adds the tasks in order. A key seen before, in the cluster or earlier in the same call, stands for the task that
 * was made then. If `atomic` and one is refused, none is added.
 */
export function submitTasks(
  state: TaskState,
  changes: Changes,
  tasks: readonly NewTask[],
  atomic: boolean,
): Extract<OpResult, { kind: 'submitted' }> {
  const batch: BatchSoFar = { ids: new Set(), keys: new Map() };
  const items: SubmitItemResult[] = [];
  let refused = false;
  for (const task of tasks) {
    const item = examine(state, task, batch);
    items.push(item);
    if (item.kind === 'refused') refused = true;
    if (item.kind !== 'created') continue;
    batch.ids.add(task.id);
    if (task.key !== undefined) batch.keys.set(task.key, task);
  }
  if (atomic && refused) return { kind: 'submitted', accepted: false, items };
  tasks.forEach((task, at) => {
    if (items[at]?.kind === 'created') create(state, changes, task);
  });
  return { kind: 'submitted', accepted: true, items };
}

/** Accepted earlier in the same call. */
interface BatchSoFar {
  readonly ids: Set<string>;
  readonly keys: Map<string, NewTask>;
}

function examine(state: TaskState, task: NewTask, batch: BatchSoFar): SubmitItemResult {
  const { archive } = state.tasks;
  if (task.key !== undefined) {
    const known: { readonly id: string; readonly content?: string | null } | null =
      batch.keys.get(task.key) ?? state.tasks.byKey(task.key) ?? archive.findKey(task.key);
    if (known !== null) {
      if (known.content === task.content) return { kind: 'existing', id: known.id };
      return refuse('CONFLICT', 'idempotencyKey', `was used for task ${known.id}, which has other content`);
    }
  }
  if (state.tasks.get(task.id) !== undefined || batch.ids.has(task.id) || archive.findId(task.id) !== 0) {
    return refuse('CONFLICT', 'id', `${task.id} is there already`);
  }
  const after = task.spec.after ?? [];
  for (const [at, on] of after.entries()) {
    const known = state.tasks.get(on) !== undefined || batch.ids.has(on) || archive.findId(on) !== 0;
    if (!known) return refuse('INVALID', `after[${at}]`, `there is no task ${JSON.stringify(on)}`);
  }
  return { kind: 'created', id: task.id };
}

function refuse(code: 'INVALID' | 'CONFLICT', field: string, message: string): SubmitItemResult {
  return { kind: 'refused', code, field, message };
}

function create(state: TaskState, changes: Changes, task: NewTask): void {
  const { tasks } = state;
  let waitsFor = 0;
  let failed: TaskRecord | null = null;
  for (const on of task.spec.after === undefined ? [] : new Set(task.spec.after)) {
    if (tasks.get(on) !== undefined) {
      tasks.addDependency(task.id, on);
      waitsFor += 1;
      continue;
    }
    const finishSeq = tasks.archive.findId(on);
    if (finishSeq === 0 || tasks.archive.statusOf(finishSeq) === 'succeeded') continue;
    failed ??= tasks.archive.read(finishSeq);
  }
  const reason = waitsFor > 0 ? waitingFor(waitsFor) : 'waiting for its time';
  const record = submitted(changes.ctx, task, tasks.lastSeq + 1, waitsFor, reason);
  state.change(changes, record);
  if (failed !== null) state.change(changes, canceled(changes.ctx, record, doomedBy(failed)));
}
