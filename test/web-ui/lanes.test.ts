/** A task's life drawn as lanes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AttemptView, TaskEvent } from '../../src/api/tasks.ts';
import { laneBoard } from '../../src/web/ui/src/model/lanes.ts';
import { task } from './tasks.ts';

const BASE_MS = 1_800_000_001_000;
const at = (ms: number): string => new Date(BASE_MS + ms).toISOString();
const attempt = (number: number, node: string, times: readonly (number | null)[]): AttemptView => ({
  ...{ number, node, assignedAt: at(times[0]!), exitCode: null, signal: null, reason: null, placement: null },
  startedAt: times[1] == null ? null : at(times[1]),
  finishedAt: times[2] == null ? null : at(times[2]),
  outcome: times[2] == null ? null : number === 1 ? 'lost' : 'succeeded',
});

describe('where a task ran', () => {
  const lost = task(1, {
    ...{ status: 'succeeded', finishedAt: at(10_000) },
    attempts: [attempt(1, 'server2', [1_000, 1_000, 4_000]), attempt(2, 'worker1', [6_000, 7_000, 10_000])],
  });

  it('has a lane per node, and the time on no node between', () => {
    const board = laneBoard(lost, [], BASE_MS + 99_000);
    assert.deepEqual(
      board.lanes.map(({ node, bars }) => [node, bars.map(({ from, to }) => [from, to])]),
      [
        ['server2', [[0.1, 0.4]]],
        ['worker1', [[0.6, 1]]],
      ],
    );
    assert.deepEqual(board.gaps, [
      { from: 0, to: 0.1 },
      { from: 0.4, to: 0.6 },
    ]);
    assert.equal(board.totalMs, 10_000);
  });

  it('goes to now while it runs, and marks where another master took over', () => {
    const running = task(1, { status: 'running', attempts: [attempt(1, 'server2', [1_000, 2_000, null])] });
    const event = (ms: number, term: number): TaskEvent => ({
      ...{ index: ms, term, time: at(ms), node: null, what: 'assigned', why: null, attempt: 1 },
    });
    const board = laneBoard(running, [event(0, 2), event(2_500, 3)], BASE_MS + 5_000);
    assert.equal(board.lanes[0]?.bars[0]?.to, 1);
    assert.deepEqual(board.seams, [{ at: 0.5, term: 3 }]);
    assert.deepEqual(board.gaps, [{ from: 0, to: 0.2 }]);
  });
});
