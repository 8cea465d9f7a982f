/**
 * Schedules in the replicated state. When a schedule's time comes is computed by the master (time zones are data that servers
 * may have in different versions) and travels in the op; here it only counts that each time is used once.
 */
import { clip } from './lifecycle.ts';
import { STATE_LIMITS } from './limits.ts';
import type { OpResult, ScheduleTick } from './ops.ts';
import type { EntryContext } from './records.ts';
import type { NewSchedule } from './schedule-table.ts';
import { submitTasks } from './submit.ts';
import type { Changes, TaskState } from './task-state.ts';

export function addSchedule(state: TaskState, ctx: EntryContext, schedule: NewSchedule): OpResult {
  const { schedules } = state;
  if (schedules.get(schedule.id) !== undefined)
    return refused('CONFLICT', `schedule ${schedule.id} is there already`);
  if (schedules.size >= STATE_LIMITS.schedulesMax) {
    return refused('CONFLICT', `there are ${STATE_LIMITS.schedulesMax} schedules, which is the limit`);
  }
  const { id, cron, tz, spec, nextAt } = schedule;
  schedules.put({
    ...{ id, cron, tz, spec, nextAt, createdAt: ctx.at, lastAt: null, lastTask: null },
    ...{ runs: 0, missed: 0, problem: null, index: ctx.index },
  });
  return { kind: 'done' };
}

export function removeSchedule(state: TaskState, id: string): OpResult {
  return state.schedules.delete(id) ? { kind: 'done' } : refused('NOT_FOUND', `there is no schedule ${id}`);
}

/** Makes the task of one time, once: a second master that proposes the same time finds that it is used. */
export function tickSchedule(state: TaskState, changes: Changes, tick: ScheduleTick): OpResult {
  const record = state.schedules.get(tick.schedule);
  if (record === undefined) return refused('NOT_FOUND', `there is no schedule ${tick.schedule}`);
  if (record.nextAt !== tick.time) return { kind: 'duplicate' };
  const [item] = submitTasks(state, changes, [tick.task], true).items;
  const made = item?.kind === 'created';
  state.schedules.put({
    ...record,
    nextAt: tick.nextAt,
    lastAt: tick.time,
    lastTask: made ? tick.task.id : record.lastTask,
    runs: record.runs + (made ? 1 : 0),
    missed: record.missed + tick.missed,
    problem: item?.kind === 'refused' ? clip(item.message) : null,
    index: changes.ctx.index,
  });
  return { kind: 'done' };
}

function refused(code: 'NOT_FOUND' | 'CONFLICT', message: string): OpResult {
  return { kind: 'refused', code, message };
}
