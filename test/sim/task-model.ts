import type { TaskStatus } from '../../src/api/tasks.ts';
import type { Model } from './linearizable.ts';

/** `live`: not final. What goes on among live statuses is the workers' affair, and checked elsewhere (T3, T6). */
export type TaskPhase = 'live' | 'succeeded' | 'failed' | 'timed_out' | 'canceled';

export type TaskCall = 'submit' | 'read' | 'cancel';
export type TaskAnswer = { readonly id: string; readonly status: TaskPhase } | 'notFound' | 'conflict';

/** null: there is no task under this key. */
type State = { readonly id: string; readonly phase: TaskPhase } | null;

export function phaseOf(status: TaskStatus): TaskPhase {
  switch (status) {
    case 'succeeded':
    case 'failed':
    case 'timed_out':
    case 'canceled':
      return status;
    case 'scheduled':
    case 'queued':
    case 'assigned':
    case 'running':
      return 'live';
  }
}

const UNKNOWN = '?';

/**
 * One key and the task that it stands for (T12). A task may end at any moment, once and for all, without anybody asking: a
 * worker has finished it.
 */
export const TASK_MODEL: Model<State, TaskCall, TaskAnswer> = {
  initial: null,
  step: (state, call, answer) => {
    switch (call) {
      case 'submit':
        return submitted(state, answer);
      case 'read':
        return seen(state, answer);
      case 'cancel':
        if (answer === null)
          return state === null ? [state] : [state, { ...state, phase: endedOr(state.phase, 'canceled') }];
        if (answer === 'conflict') return state === null ? [] : ended(state);
        return seen(state, answer);
    }
  },
  nameOf: (state) => (state === null ? '-' : `${state.id} ${state.phase}`),
};

function submitted(state: State, answer: TaskAnswer | null): readonly State[] {
  if (answer === null) return [state ?? { id: UNKNOWN, phase: 'live' }];
  if (typeof answer === 'string') return [];
  if (state === null) return [{ id: answer.id, phase: answer.status }];
  return seen(state, answer);
}

/** The task was found like this. */
function seen(state: State, answer: TaskAnswer | null): readonly State[] {
  if (answer === null) return [state];
  if (answer === 'notFound') return state === null ? [state] : [];
  if (answer === 'conflict' || state === null) return [];
  if (state.id !== UNKNOWN && state.id !== answer.id) return [];
  if (state.phase !== 'live' && state.phase !== answer.status) return [];
  return [{ id: answer.id, phase: answer.status }];
}

/** Too late to be canceled: it had ended, somehow. */
function ended(state: Exclude<State, null>): readonly State[] {
  if (state.phase !== 'live') return [state];
  return (['succeeded', 'failed', 'timed_out', 'canceled'] as const).map((phase) => ({ ...state, phase }));
}

function endedOr(phase: TaskPhase, end: TaskPhase): TaskPhase {
  return phase === 'live' ? end : phase;
}
