import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { AttemptView } from '../../src/api/tasks.ts';
import * as lists from '../../src/web/ui/src/model/task-list.ts';
import type { TaskChange, TaskList } from '../../src/web/ui/src/model/task-list.ts';
import { ROW_TEXT_CHARS_MAX, lacksBulk, resultPreview, toRow } from '../../src/web/ui/src/model/task-row.ts';
import { page, result, summary, task } from './tasks.ts';

function numbers(list: TaskList): number[] {
  return lists.visibleRows(list).map((row) => Number(row.id.slice(5, 9)));
}

function loaded(newest: number, oldest: number, nextCursor: string | null = null): TaskList {
  return lists.withFirstPage(lists.emptyList(), page(newest, oldest, { nextCursor }), false);
}

function change(number: number, status: TaskChange['status']): TaskChange {
  const { id } = task(number);
  return { kind: 'task', id, name: null, status, what: 'x', node: 'server2', attempt: 1, exitCode: null };
}

describe('the list of tasks', () => {
  it('takes in a fresh first page and keeps what it reaches down to', () => {
    const list = lists.withFirstPage(loaded(5, 1, 'older'), page(7, 4, { nextCursor: 'c' }), false);
    assert.deepEqual(numbers(list), [7, 6, 5, 4, 3, 2, 1]);
    assert.equal(list.nextCursor, 'older', 'more is loaded below the last row, not below the page');
  });

  it('drops older rows when there may be a hole between them and the fresh page', () => {
    const list = lists.withFirstPage(loaded(5, 1, 'older'), page(20, 10, { nextCursor: 'c' }), false);
    assert.deepEqual(numbers(list), [20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10]);
    assert.equal(list.nextCursor, 'c');
  });

  it('drops rows that a complete answer no longer has', () => {
    const list = lists.withFirstPage(loaded(5, 1), page(5, 3), false);
    assert.deepEqual(numbers(list), [5, 4, 3]);
  });

  it('puts a new task in its place, and leaves out one of a page that is not loaded', () => {
    const list = lists.withTask(loaded(9, 5, 'older'), task(10));
    assert.deepEqual(numbers(list), [10, 9, 8, 7, 6, 5]);
    assert.equal(lists.withTask(list, task(2)), list);
    assert.deepEqual(numbers(lists.withTask(loaded(9, 5), task(2))), [9, 8, 7, 6, 5, 2]);
  });

  it('never goes back to an older state of a task', () => {
    const done = task(5, { status: 'succeeded', index: 40, result: result('7\n') });
    const list = lists.withTask(loaded(5, 1), done);
    assert.equal(lists.withTask(list, task(5, { status: 'running', index: 30 })), list);
    const again = lists.withFirstPage(list, page(5, 1), false);
    assert.equal(again.rows[0]?.status, 'succeeded');
  });

  it('keeps payload and output of a task when the list comes without them', () => {
    const done = task(5, { status: 'succeeded', index: 40, result: result('7\n') });
    const whole = lists.withTask(loaded(5, 1), done);
    const fresh = { ...page(4, 1), tasks: [summary(done), ...page(4, 1).tasks] };
    const again = lists.withFirstPage(whole, fresh, false);
    assert.equal(again.rows[0], whole.rows[0], 'nothing new: not drawn again');
    assert.equal(again.rows[0]?.result?.streams?.stdout.text, '7\n');
  });

  it('knows which rows lack their payload or their output', () => {
    assert.equal(lacksBulk(toRow(summary(task(1)))), true);
    assert.equal(lacksBulk(toRow(task(1))), false);
    assert.equal(lacksBulk(toRow(summary(task(1, { script: null, command: ['ls'] })))), false);
    const ended = summary(task(1, { script: null, command: ['ls'], result: result('x') }));
    assert.equal(lacksBulk(toRow(ended)), true);
  });

  it('shows at once what an event announces, and lets the fetched task win', () => {
    const announced = lists.withEvent(loaded(5, 1), change(5, 'running'), 50);
    assert.equal(announced.rows[0]?.status, 'running');
    assert.equal(announced.rows[0].node, 'server2');
    const fetched = lists.withTask(announced, task(5, { status: 'failed', index: 51 }));
    assert.equal(fetched.rows[0]?.status, 'failed');
    assert.equal(lists.withEvent(fetched, change(5, 'running'), 50), fetched, 'a late event changes nothing');
  });

  it('shows under a status only what has it, as soon as it changes', () => {
    const filter = { status: 'queued', q: '', cursor: null } as const;
    const queued = lists.withFirstPage(lists.emptyList(filter), page(3, 1), false);
    assert.deepEqual(numbers(lists.withEvent(queued, change(2, 'running'), 50)), [3, 1]);
    assert.equal(lists.withTask(queued, task(9, { status: 'running' })), queued);
    assert.deepEqual(numbers(lists.withTask(queued, task(9))), [9, 3, 2, 1]);
  });

  it('does not guess whether a new task matches a search', () => {
    const found = lists.withFirstPage(
      lists.emptyList({ status: null, q: 'sum', cursor: null }),
      page(3, 1),
      false,
    );
    assert.equal(lists.withTask(found, task(9)), found);
    const filter = lists.narrowed(lists.NO_FILTER, { label: 'team=blue', name: '' });
    assert.deepEqual(filter, { ...lists.NO_FILTER, label: 'team=blue' }, 'what is empty narrows nothing');
    const blue = lists.withFirstPage(lists.emptyList(filter), page(3, 1), false);
    assert.equal(lists.withTask(blue, task(9)), blue);
    assert.equal(lists.sameFilter(filter, lists.NO_FILTER), false);
  });

  it('adds older pages without repeating a row', () => {
    const list = lists.withOlderPage(loaded(9, 6, 'a'), page(6, 3, { nextCursor: 'b' }), false);
    assert.deepEqual(numbers(list), [9, 8, 7, 6, 5, 4, 3]);
    assert.equal(list.nextCursor, 'b');
  });

  it('begins anew where new tasks alone have made it long, unless somebody looks at the older rows', () => {
    const grow = (list: TaskList, seen: readonly number[] = []): TaskList => {
      let grown = list;
      for (let newest = 60; newest <= 60 + lists.GROWN_ROWS_MAX; newest += 10) {
        const fresh = page(newest, newest - 49, { nextCursor: `after ${newest - 49}` });
        grown = lists.withFirstPage(grown, fresh, false);
        grown = lists.withoutPushedDown(grown, fresh, (id) => seen.some((number) => id === task(number).id));
      }
      return grown;
    };
    const first = loaded(50, 1, 'after 1');
    const long = grow(first);
    assert.ok(long.rows.length <= lists.GROWN_ROWS_MAX, String(long.rows.length));
    assert.equal(long.full, false);
    assert.ok(long.nextCursor === `after ${numbers(long).at(-1) ?? ''}` || numbers(long).at(-1) === 1);
    assert.equal(numbers(grow(first, [3])).at(-1), 1, 'row 3 is looked at');
    const asked = lists.withOlderPage(first, page(0, 0), false);
    assert.ok(grow(asked).rows.length > lists.GROWN_ROWS_MAX, 'somebody asked for older ones');
  });

  it(`keeps ${String(lists.ROWS_MAX)} rows at most, and says so`, () => {
    let list = loaded(1_000, 951, 'a');
    for (let newest = 950; newest > 400; newest -= 50) {
      list = lists.withOlderPage(list, page(newest, newest - 49, { nextCursor: 'b' }), false);
    }
    assert.equal(list.rows.length, lists.ROWS_MAX);
    assert.equal(list.full, true);
    assert.equal(list.nextCursor, null);
    const more = lists.withTask(list, task(1_001));
    assert.equal(more.rows.length, lists.ROWS_MAX);
    assert.equal(more.rows[0]?.id, task(1_001).id);
    assert.equal(lists.withTask(more, task(3)), more, 'what is older than the last row stays away');
  });
});

describe('a row', () => {
  it('keeps a bounded part of payload and output: the head of one, the tail of errors', () => {
    const long = 'x'.repeat(ROW_TEXT_CHARS_MAX);
    const ended = result(`first${long}`, { stderr: `${long}last` });
    const row = toRow(task(1, { script: `head${long}`, result: ended }));
    assert.equal(row.payload?.text.length, ROW_TEXT_CHARS_MAX);
    assert.equal(row.payload.clipped, true);
    assert.match(row.result?.streams?.stdout.text ?? '', /^first/);
    assert.match(row.result?.streams?.stderr.text ?? '', /last$/);
  });

  it('tells the result in one line: the output, the last words of an error, or why it ended', () => {
    const told = (
      exitCode: number | null,
      stdout: string,
      stderr: string,
      reason: string | null = null,
    ): string => resultPreview({ exitCode, stdout, stderr }, reason);
    assert.equal(told(0, '\n7\n8\n', 'warning'), '7');
    assert.equal(
      told(1, 'half\n', 'Traceback\nValueError: no rows\n', 'said elsewhere'),
      'ValueError: no rows',
    );
    assert.equal(told(1, 'half\n', ''), 'half');
    assert.equal(told(0, '', ' \n'), '');
    assert.equal(told(null, '', '', 'ruby not found on server2'), 'ruby not found on server2');
  });

  it('knows why its latest attempt ended', () => {
    const attempt = (number: number, reason: string | null): AttemptView => ({
      number,
      node: 'server2',
      assignedAt: '2027-01-15T08:00:01.000Z',
      startedAt: null,
      finishedAt: '2027-01-15T08:00:02.000Z',
      outcome: 'failed',
      exitCode: null,
      signal: null,
      reason,
      placement: null,
    });
    const row = toRow(task(1, { attempts: [attempt(1, 'first'), attempt(2, 'ruby not found')] }));
    assert.equal(row.reason, 'ruby not found');
    assert.equal(toRow(task(2)).reason, null);
  });
});
