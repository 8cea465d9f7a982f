/** The ordered structures against plain models, with random operations. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeRows, encodeRows } from '../../../src/scheduler/state/candidate-rows.ts';
import { DueHeap } from '../../../src/scheduler/state/due-heap.ts';
import { HashPositions } from '../../../src/scheduler/state/hash-positions.ts';
import { IdIndex } from '../../../src/scheduler/state/id-index.ts';
import { SeqMap } from '../../../src/scheduler/state/seq-map.ts';
import { ShardedMap } from '../../../src/scheduler/state/sharded-map.ts';
import { SortedNumbers } from '../../../src/scheduler/state/sorted-numbers.ts';
import { TaskQueue } from '../../../src/scheduler/state/task-queue.ts';
import { Random } from './random.ts';

describe('SortedNumbers', () => {
  it('agrees with a sorted array through random additions and deletions', () => {
    const random = new Random(1);
    const numbers = new SortedNumbers();
    const model = new Set<number>();
    for (let step = 0; step < 20_000; step += 1) {
      const value = random.below(6_000);
      if (random.below(5) < 3) {
        assert.equal(numbers.add(value), !model.has(value));
        model.add(value);
      } else {
        assert.equal(numbers.delete(value), model.delete(value));
      }
      if (step % 1_000 !== 0) continue;
      const sorted = [...model].sort((a, b) => a - b);
      assert.deepEqual([...numbers.values()], sorted);
      assert.equal(numbers.size, sorted.length);
      assert.equal(numbers.first(), sorted[0]);
      assert.equal(numbers.last(), sorted.at(-1));
      const probe = random.below(6_000);
      assert.equal(numbers.has(probe), model.has(probe));
      assert.equal(numbers.rank(probe), sorted.filter((other) => other < probe).length);
      assert.equal(numbers.below(probe), sorted.filter((other) => other < probe).at(-1));
    }
  });

  it('holds a million numbers and takes them from the front', () => {
    const numbers = new SortedNumbers();
    for (let value = 1; value <= 1_000_000; value += 1) numbers.add(value);
    assert.equal(numbers.rank(999_999), 999_998);
    for (let value = 1; value <= 1_000_000; value += 1) {
      assert.equal(numbers.first(), value);
      numbers.delete(value);
    }
    assert.equal(numbers.size, 0);
  });
});

describe('TaskQueue', () => {
  it('orders by priority, then by submission, and knows everybody’s place', () => {
    const random = new Random(2);
    const queue = new TaskQueue();
    const model: { shape: string; priority: number; seq: number }[] = [];
    for (let seq = 1; seq <= 2_000; seq += 1) {
      const task = { shape: random.pick(['', 'gpu', 'big']) ?? '', priority: random.below(5) * 25, seq };
      model.push(task);
      queue.add(task.shape, task.priority, task.seq);
    }
    for (let removed = 0; removed < 700; removed += 1) {
      const [task] = model.splice(random.below(model.length), 1);
      assert.ok(task);
      queue.remove(task.shape, task.priority, task.seq);
    }
    model.sort((a, b) => b.priority - a.priority || a.seq - b.seq);
    assert.equal(queue.size, model.length);
    for (const [place, task] of model.entries()) assert.equal(queue.rank(task.priority, task.seq), place);
    for (const shape of queue.shapes()) {
      assert.deepEqual(
        [...shape.inOrder()].map(({ seq }) => seq),
        model.filter((task) => task.shape === shape.shape).map(({ seq }) => seq),
      );
    }
  });

  it('forgets a shape that nobody waits with', () => {
    const queue = new TaskQueue();
    queue.add('gpu', 50, 1);
    queue.remove('gpu', 50, 1);
    assert.deepEqual([...queue.shapes()], []);
    queue.remove('gpu', 50, 1);
    assert.equal(queue.size, 0);
  });
});

describe('DueHeap', () => {
  it('pops by time, then by submission, also after a cleaning', () => {
    const random = new Random(3);
    const heap = new DueHeap();
    const model: { at: number; seq: number }[] = [];
    for (let seq = 1; seq <= 1_000; seq += 1) {
      const due = { at: random.below(50), seq };
      model.push(due);
      heap.push(due.at, due.seq);
    }
    heap.compact((_at, seq) => seq % 3 !== 0);
    const kept = model.filter(({ seq }) => seq % 3 !== 0).sort((a, b) => a.at - b.at || a.seq - b.seq);
    const popped = [];
    for (let due = heap.pop(); due !== undefined; due = heap.pop()) popped.push({ at: due.at, seq: due.seq });
    assert.deepEqual(popped, kept);
  });
});

describe('IdIndex', () => {
  it('finds by prefix what was added and not deleted', () => {
    const index = new IdIndex();
    for (const id of ['abc111', 'abc222', 'abd333']) index.add(id);
    assert.deepEqual([...index.find('abc', 10)].sort(), ['abc111', 'abc222']);
    assert.equal(index.find('abc', 1).length, 1);
    index.delete('abc111');
    assert.deepEqual(index.find('abc', 10), ['abc222']);
    index.delete('abc222');
    index.delete('abc222');
    assert.deepEqual(index.find('abc', 10), []);
    assert.deepEqual(index.find('abd3', 10), ['abd333']);
  });
});

/** Does the same at random with a map of texts or numbers and with a Map. */
function compareWithMap<K extends string | number>(
  map: {
    readonly size?: number;
    get(key: K): number | undefined;
    set(key: K, value: number): void;
    delete(key: K): unknown;
  },
  keyOf: (number: number) => K,
): Map<K, number> {
  const random = new Random(5);
  const model = new Map<K, number>();
  for (let step = 0; step < 60_000; step += 1) {
    const key = keyOf(random.below(20_000));
    if (random.below(10) < 6) {
      map.set(key, step);
      model.set(key, step);
    } else {
      map.delete(key);
      model.delete(key);
    }
    if (map.size !== undefined) assert.equal(map.size, model.size);
  }
  for (let number = 0; number < 20_000; number += 1)
    assert.equal(map.get(keyOf(number)), model.get(keyOf(number)));
  return model;
}

describe('ShardedMap', () => {
  it('holds what a Map holds', () => {
    const map = new ShardedMap<number>();
    compareWithMap(map, (number) => (number * 7_919).toString(32));
    assert.equal(map.has('no such text'), false);
    assert.equal(map.delete('no such text'), false);
    map.set('', 1);
    assert.equal(map.get(''), 1);
    assert.equal(map.delete(''), true);
  });
});

describe('SeqMap', () => {
  it('holds what a Map holds', () => {
    const map = new SeqMap<number>();
    const model = compareWithMap(map, (number) => number);
    assert.deepEqual(
      [...map.values()].sort((a, b) => a - b),
      [...model.values()].sort((a, b) => a - b),
    );
  });

  it('gives its values in the order of the numbers, if these came in order', () => {
    const map = new SeqMap<number>();
    for (let seq = 1; seq <= 10_000; seq += 1) {
      map.set(seq, seq);
      if (seq % 3 > 0) map.delete(seq - 1);
    }
    map.set(2, 2);
    const values = map.values();
    assert.deepEqual(
      values,
      [...values].sort((a, b) => a - b),
    );
    assert.equal(values.length, map.size);
  });
});

describe('HashPositions', () => {
  it('keeps all positions of a hash while it grows', () => {
    const table = new HashPositions();
    for (let position = 0; position < 20_000; position += 1) table.add(position % 5_000, position);
    const found: number[] = [];
    table.each(4_321, (position) => found.push(position));
    assert.deepEqual(
      found.sort((a, b) => a - b),
      [4_321, 9_321, 14_321, 19_321],
    );
    table.each(77_777, () => assert.fail('nothing was added under this hash'));
  });
});

describe('candidate rows', () => {
  it('come back as they were, but for tabs and line breaks in texts', () => {
    const rows = [
      ['server1', 12.5, 0, 1, 4, 95.6, null, 0.5, 256, 1.25],
      ['w\t2', null, null, 0, 0, null, 'has no label a=b\nc', 0, 0, null],
    ] as const;
    assert.deepEqual(decodeRows(encodeRows(rows)), [
      rows[0],
      ['w 2', null, null, 0, 0, null, 'has no label a=b c', 0, 0, null],
    ]);
    assert.deepEqual(decodeRows(encodeRows([])), []);
  });
});
