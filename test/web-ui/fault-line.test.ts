/** Goal: faults and what follows stand on one line, each once, in the order of time; everyday work does not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClusterEvent } from '../../src/api/views.ts';
import {
  FAULT_ITEMS_MAX,
  itemOfLine,
  itemsOfMessage,
  withItems,
} from '../../src/web/ui/src/model/fault-line.ts';

const line = (seq: number, text: string) => ({
  ...{ seq, node: 'server1', container: 1, text },
  at: new Date(1_000_000 + seq * 1_000).toISOString(),
});
const message = (index: number, ...events: ClusterEvent[]) => ({
  ...{ index, term: 2, events },
  time: new Date(1_000_000 + index * 1_000).toISOString(),
});
const task = (what: string, attempt: number | null): ClusterEvent => ({
  ...{ kind: 'task', id: 'a1b2c3d4e5f6a7b8', name: null, status: 'queued', what, node: 'server2' },
  ...{ attempt, exitCode: null },
});

describe('the line of faults', () => {
  it('tells injections, elections, lost nodes and tasks placed again', () => {
    const told = [
      itemOfLine(line(1, 'CRASH :(')),
      itemOfLine(line(2, 'Fault injected: cut-off for 5000 ms')),
      itemOfLine(line(3, 'Fault ended: cut-off')),
      itemOfLine(line(4, 'Leader has crashed')),
      itemOfLine(line(5, 'RECOVERED :)')),
      ...itemsOfMessage(message(6, { kind: 'leader', id: 'server3', term: 3 })),
      ...itemsOfMessage(message(7, { kind: 'node', id: 'server1', status: 'down' })),
      ...itemsOfMessage(message(8, task('lost', 1), task('assigned', 2))),
      ...itemsOfMessage(message(9, { kind: 'node', id: 'server1', status: 'ready' })),
    ];
    assert.deepEqual(
      told.map((item) => item?.kind),
      ['injected', 'injected', 'healed', 'noticed', 'healed', 'acted', 'noticed', 'acted', 'acted', 'healed'],
    );
    assert.equal(told[1]?.text, 'cut-off for 5000 ms');
    assert.match(told[8]?.text ?? '', /placed again, attempt 2/);
  });

  it('leaves out everyday work', () => {
    assert.equal(itemOfLine(line(1, 'Received payload: x')), null);
    assert.equal(itemOfLine(line(2, 'The CPU usage is: 0.2')), null);
    assert.deepEqual(
      itemsOfMessage(message(3, task('assigned', 1), task('started', 1), task('finished', 1))),
      [],
    );
  });

  it('keeps each once, by time, and a bounded number', () => {
    const first = itemsOfMessage(message(9, { kind: 'leader', id: 'server3', term: 3 }));
    const items = withItems(first, [itemOfLine(line(4, 'CRASH :('))!]);
    assert.deepEqual(
      items.map(({ text }) => text),
      ['stopped: silent as after a crash', 'elected master in term 3'],
    );
    assert.equal(withItems(items, first), items);
    const many = Array.from({ length: FAULT_ITEMS_MAX + 50 }, (_, at) =>
      itemOfLine(line(at + 100, 'CRASH :('))!,
    );
    assert.equal(withItems(items, many).length, FAULT_ITEMS_MAX);
  });
});
