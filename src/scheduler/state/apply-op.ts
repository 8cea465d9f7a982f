/** What each op does to the state. Refusals are results: an op that reached the log never throws, unless it is unknown. */
import {
  assigned,
  cancelRequested,
  canceled,
  clip,
  currentAttempt,
  finished,
  givenBack,
  lost,
  queued,
  started,
  superseded,
} from './lifecycle.ts';
import { STATE_LIMITS } from './limits.ts';
import { OP_VERSION_NEWEST, UnknownOpError } from './op-versions.ts';
import type { Op, OpResult } from './ops.ts';
import type { AttemptRecord, NodeRecord, NodeRegistration, TaskRecord } from './records.ts';
import { addSchedule, removeSchedule, tickSchedule } from './schedules.ts';
import { submitTasks } from './submit.ts';
import type { Changes, TaskState } from './task-state.ts';

const DONE: OpResult = { kind: 'done' };
const DUPLICATE: OpResult = { kind: 'duplicate' };
const SUPERSEDED: OpResult = { kind: 'superseded' };

export function applyOp(state: TaskState, changes: Changes, op: Op): OpResult {
  switch (op.op) {
    case 'submit':
      return submitTasks(state, changes, op.tasks, op.atomic);
    case 'stage':
      return stage(state, changes, op);
    case 'unstage':
      return state.staged.delete(op.batch) ? DONE : DUPLICATE;
    case 'assign':
      return assign(state, changes, op);
    case 'start':
      return start(state, changes, op.task, op.token);
    case 'finish':
      return finish(state, changes, op);
    case 'release':
      return giveBack(state, changes, op, op.fault === true);
    case 'lost':
      return giveBack(state, changes, op, true);
    case 'supersede':
      return cameBackLate(state, changes, op.task, op.token);
    case 'cancel':
      return cancel(state, changes, op.task);
    case 'due':
      return due(state, changes);
    case 'nodeUp':
      return nodeUp(state, changes, op.node);
    case 'nodeDown':
      return nodeDown(state, changes, op.node, op.reason);
    case 'drain':
      return drain(state, changes, op);
    case 'pause':
      state.paused = op.paused;
      return DONE;
    case 'scheduleAdd':
      return addSchedule(state, changes.ctx, op.schedule);
    case 'scheduleRemove':
      return removeSchedule(state, op.schedule);
    case 'scheduleTick':
      return tickSchedule(state, changes, op);
    case 'retire':
      state.tasks.retire(changes.ctx.index, op.through);
      return DONE;
    case 'version':
      return raiseVersion(state, changes, op.version);
    default:
      // To leave it out would make this server's state another than that of those who know it.
      throw new UnknownOpError(changes.ctx.index, `operation ${JSON.stringify((op as { op?: unknown }).op)}`);
  }
}

function refused(code: 'NOT_FOUND' | 'CONFLICT' | 'INVALID', message: string): OpResult {
  return { kind: 'refused', code, message };
}

function raiseVersion(state: TaskState, changes: Changes, version: number): OpResult {
  if (version > OP_VERSION_NEWEST) throw new UnknownOpError(changes.ctx.index, `version ${version}`);
  state.version = Math.max(state.version, version);
  return DONE;
}

function noTask(id: string): OpResult {
  return refused('NOT_FOUND', `there is no task ${id}`);
}

function stage(state: TaskState, changes: Changes, op: Extract<Op, { op: 'stage' }>): OpResult {
  const known = state.staged.get(op.batch) ?? { term: changes.ctx.term, parts: 0, tasks: [] };
  if (known.parts !== op.part) {
    state.staged.delete(op.batch);
    return refused('CONFLICT', `part ${op.part} of the batch came where part ${known.parts} was expected`);
  }
  const tasks = [...known.tasks, ...op.tasks];
  if (op.last) {
    state.staged.delete(op.batch);
    return submitTasks(state, changes, tasks, true);
  }
  if (op.part === 0 && state.staged.size >= STATE_LIMITS.stagedBatchesMax) {
    return refused('CONFLICT', `${STATE_LIMITS.stagedBatchesMax} batches are being handed in already`);
  }
  state.staged.set(op.batch, { term: known.term, parts: known.parts + 1, tasks });
  return DONE;
}

function assign(state: TaskState, changes: Changes, op: Extract<Op, { op: 'assign' }>): OpResult {
  const task = state.tasks.get(op.task);
  if (task === undefined) return noTask(op.task);
  if (task.status !== 'queued') return refused('CONFLICT', `task ${op.task} is ${task.status}`);
  // The token must name one attempt, so an entry assigns a task at most once.
  if (task.attempts.at(-1)?.token === changes.ctx.index) {
    return refused('CONFLICT', `task ${op.task} was assigned by this entry before`);
  }
  const node = state.nodes.get(op.node);
  if (node === undefined || !node.up || node.draining) {
    return refused('CONFLICT', `node ${op.node} takes no tasks`);
  }
  state.change(changes, assigned(changes.ctx, task, op.node, op.placement));
  return DONE;
}

function start(state: TaskState, changes: Changes, id: string, token: number): OpResult {
  const task = state.tasks.get(id);
  if (task === undefined) return state.tasks.archive.findId(id) === 0 ? noTask(id) : SUPERSEDED;
  const attempt = currentAttempt(task);
  if (attempt?.token !== token) return SUPERSEDED;
  if (task.status === 'running') return DUPLICATE;
  state.change(changes, started(changes.ctx, task, attempt));
  return DONE;
}

function finish(state: TaskState, changes: Changes, op: Extract<Op, { op: 'finish' }>): OpResult {
  const { ctx } = changes;
  const task = state.tasks.get(op.task);
  const attempt = task === undefined ? null : currentAttempt(task);
  if (task === undefined || attempt?.token !== op.token) {
    return cameBackLate(state, changes, op.task, op.token);
  }
  state.change(changes, finished(ctx, task, attempt, op));
  return DONE;
}

/** An attempt that is not the current one: noted, if it was replaced, and nothing else. */
function cameBackLate(state: TaskState, changes: Changes, id: string, token: number): OpResult {
  const task = state.tasks.get(id);
  if (task === undefined) {
    const { archive } = state.tasks;
    const finishSeq = archive.findId(id);
    if (finishSeq === 0) return noTask(id);
    const late = lateAttempt(archive.readUnamended(finishSeq), token);
    if (late === 'recorded') return DUPLICATE;
    if (late !== null) archive.amend(changes.ctx, finishSeq, token);
    return SUPERSEDED;
  }
  if (currentAttempt(task)?.token === token) return refused('CONFLICT', 'it is the current attempt');
  const late = lateAttempt(task, token);
  if (late === 'recorded') return DUPLICATE;
  if (late !== null) state.change(changes, superseded(changes.ctx, task, late));
  return SUPERSEDED;
}

/** The replaced attempt that this token names; 'recorded' if its own result was accepted; null if there is nothing to note. */
function lateAttempt(task: TaskRecord, token: number): AttemptRecord | 'recorded' | null {
  const attempt = task.attempts.find((candidate) => candidate.token === token);
  if (attempt === undefined || attempt.outcome === 'superseded' || attempt.outcome === null) return null;
  return attempt.outcome === 'lost' ? attempt : 'recorded';
}

function giveBack(
  state: TaskState,
  changes: Changes,
  { task: id, token, reason }: { readonly task: string; readonly token: number; readonly reason: string },
  isLoss: boolean,
): OpResult {
  const task = state.tasks.get(id);
  if (task === undefined) return state.tasks.archive.findId(id) === 0 ? noTask(id) : SUPERSEDED;
  const attempt = currentAttempt(task);
  if (attempt?.token !== token) return SUPERSEDED;
  const next = isLoss
    ? lost(changes.ctx, task, attempt, reason)
    : givenBack(changes.ctx, task, attempt, reason);
  state.change(changes, next);
  return DONE;
}

function cancel(state: TaskState, changes: Changes, id: string): OpResult {
  const task = state.tasks.get(id);
  if (task === undefined) {
    const finishSeq = state.tasks.archive.findId(id);
    if (finishSeq === 0) return noTask(id);
    return refused('CONFLICT', `task ${id} has ended already (${state.tasks.archive.statusOf(finishSeq)})`);
  }
  const attempt = currentAttempt(task);
  if (attempt === null) {
    state.change(changes, canceled(changes.ctx, task, 'canceled before it was started'));
    return DONE;
  }
  if (task.cancelRequested) return DUPLICATE;
  state.change(changes, cancelRequested(changes.ctx, task, attempt.node));
  return DONE;
}

function due(state: TaskState, changes: Changes): OpResult {
  for (let moved = 0; moved < STATE_LIMITS.duePerOpMax; moved += 1) {
    const task = state.tasks.takeDue(changes.ctx.at);
    if (task === null) return { kind: 'more', more: false };
    state.change(changes, queued(changes.ctx, task, 'its time has come'));
  }
  const next = state.tasks.nextDueAt();
  return { kind: 'more', more: next !== null && next <= changes.ctx.at };
}

function nodeUp(state: TaskState, changes: Changes, registration: NodeRegistration): OpResult {
  const known = state.nodes.get(registration.id);
  if (known === undefined && state.nodes.size >= STATE_LIMITS.nodesMax && !forgetOldestDown(state)) {
    return refused('CONFLICT', `${STATE_LIMITS.nodesMax} nodes are registered and none of them is down`);
  }
  const { id, role, address, slots, cpus, memoryMb, labels, instance } = registration;
  const node: NodeRecord = {
    ...{ id, role, address, slots, cpus, memoryMb, labels, instance },
    up: true,
    draining: known?.draining ?? false,
    drainUntil: known?.drainUntil ?? null,
    since: known?.up === true ? known.since : changes.ctx.at,
    reason: null,
    index: changes.ctx.index,
  };
  state.putNode(changes, node);
  return DONE;
}

function forgetOldestDown(state: TaskState): boolean {
  let oldest: NodeRecord | null = null;
  for (const node of state.nodes.values()) {
    if (node.up || state.tasks.onNode(node.id).size > 0) continue;
    if (oldest === null || node.since < oldest.since) oldest = node;
  }
  return oldest !== null && state.nodes.delete(oldest.id);
}

function nodeDown(state: TaskState, changes: Changes, id: string, reason: string): OpResult {
  const node = state.nodes.get(id);
  const held = [...state.tasks.onNode(id)]
    .map((task) => state.tasks.get(task))
    .filter((task) => task !== undefined)
    .sort((a, b) => a.seq - b.seq);
  if (node === undefined && held.length === 0) return refused('NOT_FOUND', `there is no node ${id}`);
  if (node?.up === false && held.length === 0) return DUPLICATE;
  const { ctx } = changes;
  if (node?.up === true) {
    state.putNode(changes, { ...node, up: false, since: ctx.at, reason: clip(reason), index: ctx.index });
  }
  for (const task of held) {
    const attempt = currentAttempt(task);
    if (attempt !== null) state.change(changes, lost(ctx, task, attempt, `node ${id} was lost: ${reason}`));
  }
  return DONE;
}

function drain(state: TaskState, changes: Changes, op: Extract<Op, { op: 'drain' }>): OpResult {
  const node = state.nodes.get(op.node);
  if (node === undefined) return refused('NOT_FOUND', `there is no node ${op.node}`);
  const { ctx } = changes;
  const drainUntil = op.drain && op.deadlineMs !== null ? ctx.at + op.deadlineMs : null;
  state.putNode(changes, { ...node, draining: op.drain, drainUntil, index: ctx.index });
  return DONE;
}
