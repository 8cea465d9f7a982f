/** The checker of histories: what it must accept, and what it must not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isLinearizable, type Model, type Operation } from './linearizable.ts';
import { TASK_MODEL, type TaskAnswer, type TaskCall } from './task-model.ts';

type Call = { readonly write: number } | 'read';
const register: Model<number, Call, number> = {
  initial: 0,
  step: (state, call, answer) => {
    if (call !== 'read') return [call.write];
    return answer === null || answer === state ? [state] : [];
  },
  nameOf: String,
};

function op<C, A>(calledMs: number, returnedMs: number, call: C, answer: A | null): Operation<C, A> {
  return { calledMs, returnedMs, call, answer };
}

describe('a history of a register', () => {
  it('is linearizable if a read overlaps the write that it sees, or does not see', () => {
    const write = op<Call, number>(0, 10, { write: 1 }, null);
    assert.ok(isLinearizable([write, op<Call, number>(5, 6, 'read', 1)], register));
    assert.ok(isLinearizable([write, op<Call, number>(5, 6, 'read', 0)], register));
  });

  it('is not if a read misses a write that had returned, or two reads see it come and go', () => {
    const write = op<Call, number>(0, 10, { write: 1 }, null);
    assert.ok(!isLinearizable([write, op<Call, number>(11, 12, 'read', 0)], register));
    const reads = [op<Call, number>(1, 2, 'read', 1), op<Call, number>(3, 4, 'read', 0)];
    assert.ok(!isLinearizable([write, ...reads], register));
  });

  it('may have an unknown write take effect late, or never', () => {
    const unknown = op<Call, number>(0, Infinity, { write: 1 }, null);
    assert.ok(isLinearizable([unknown, op<Call, number>(50, 51, 'read', 0)], register));
    assert.ok(
      isLinearizable(
        [unknown, op<Call, number>(50, 51, 'read', 0), op<Call, number>(60, 61, 'read', 1)],
        register,
      ),
    );
    assert.ok(
      !isLinearizable(
        [unknown, op<Call, number>(50, 51, 'read', 1), op<Call, number>(60, 61, 'read', 0)],
        register,
      ),
    );
  });
});

describe('a history of a task', () => {
  const history = (...operations: readonly Operation<TaskCall, TaskAnswer>[]): boolean =>
    isLinearizable(operations, TASK_MODEL);
  const submitted = op<TaskCall, TaskAnswer>(0, 1, 'submit', { id: 'a', status: 'live' });

  it('is linearizable if a key always gives the same task, which ends once', () => {
    assert.ok(
      history(
        submitted,
        op<TaskCall, TaskAnswer>(2, 3, 'read', { id: 'a', status: 'live' }),
        op<TaskCall, TaskAnswer>(4, 5, 'read', { id: 'a', status: 'succeeded' }),
        op<TaskCall, TaskAnswer>(6, 7, 'cancel', 'conflict'),
        op<TaskCall, TaskAnswer>(8, 9, 'submit', { id: 'a', status: 'succeeded' }),
      ),
    );
  });

  it('is not if a key gives two tasks, or a task is not found, or not canceled, or lives again', () => {
    assert.ok(!history(submitted, op<TaskCall, TaskAnswer>(2, 3, 'submit', { id: 'b', status: 'live' })));
    assert.ok(!history(submitted, op<TaskCall, TaskAnswer>(2, 3, 'read', 'notFound')));
    const ended = op<TaskCall, TaskAnswer>(2, 3, 'read', { id: 'a', status: 'failed' });
    assert.ok(
      !history(submitted, ended, op<TaskCall, TaskAnswer>(4, 5, 'read', { id: 'a', status: 'live' })),
    );
    assert.ok(
      !history(submitted, ended, op<TaskCall, TaskAnswer>(4, 5, 'cancel', { id: 'a', status: 'canceled' })),
    );
  });
});
