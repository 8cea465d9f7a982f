/** Speeds are learned from what finished, and from nothing else. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  LEARNED_RUN_MS_MIN,
  SPEED_KINDS_MAX,
  SPEED_RUNS_MIN,
  SpeedBook,
  kindOf,
} from '../../../src/scheduler/placement/speed.ts';
import { Random } from '../state/random.ts';

/** Ratio of the speeds of two nodes as learned. */
function ratio(book: SpeedBook, a: string, b: string): number {
  return book.speedOf(a) / book.speedOf(b);
}

function assertNear(actual: number, expected: number, tolerance: number): void {
  assert.ok(
    Math.abs(actual / expected - 1) <= tolerance,
    `${actual} is not ${expected} ± ${100 * tolerance} %`,
  );
}

describe('the speed of nodes', () => {
  it('is learned from tasks of one kind to within a few percent', () => {
    const book = new SpeedBook();
    for (let run = 0; run < 40; run += 1) {
      book.learn('fast', 7, 10_000);
      book.learn('slow', 7, 25_000);
    }
    assertNear(ratio(book, 'fast', 'slow'), 2.5, 0.05);
    assert.ok(book.isKnown('fast'));
  });

  it('is learned from the original’s payloads, none of which is like another', () => {
    const random = new Random(11);
    const book = new SpeedBook();
    const speeds = { a: 0.5, b: 1, c: 2 };
    for (let run = 0; run < 300; run += 1) {
      for (const [node, speed] of Object.entries(speeds)) {
        book.learn(node, run * 4 + random.below(1_000_000), (1_000 * (10 + random.below(51))) / speed);
      }
    }
    assertNear(ratio(book, 'c', 'a'), 4, 0.2);
    assertNear(ratio(book, 'b', 'a'), 2, 0.2);
  });

  it('is told apart from the length of what happened to run there', () => {
    const book = new SpeedBook();
    // One node mostly gets the long kind, the other the short one, and both are equally fast.
    for (let run = 0; run < 200; run += 1) {
      book.learn('a', run % 5 === 0 ? 1 : 2, run % 5 === 0 ? 1_000 : 60_000);
      book.learn('b', run % 5 === 0 ? 2 : 1, run % 5 === 0 ? 60_000 : 1_000);
    }
    assertNear(ratio(book, 'a', 'b'), 1, 0.1);
  });

  it('follows a node that becomes slower', () => {
    const book = new SpeedBook();
    for (let run = 0; run < 200; run += 1) for (const node of ['a', 'b']) book.learn(node, 1, 5_000);
    assertNear(ratio(book, 'a', 'b'), 1, 0.02);
    for (let run = 0; run < 100; run += 1) {
      book.learn('a', 1, 5_000);
      book.learn('b', 1, 10_000);
    }
    assertNear(ratio(book, 'a', 'b'), 2, 0.1);
  });

  it('is that of the average while nothing is known, and is not judged by one run', () => {
    const book = new SpeedBook();
    assert.equal(book.speedOf('a'), 1);
    for (let run = 0; run < SPEED_RUNS_MIN; run += 1) book.learn('a', 1, 4_000);
    book.learn('b', 1, 60_000);
    assert.ok(!book.isKnown('b'));
    assert.ok(ratio(book, 'a', 'b') < 2, 'one run, fifteen times longer, may have been paused');
    assertNear(book.speedOf('never seen'), Math.sqrt(book.speedOf('a') * book.speedOf('b')), 0.001);
  });

  it('is not learned from tasks too short to tell', () => {
    const book = new SpeedBook();
    for (let run = 0; run < 100; run += 1) {
      book.learn('a', 1, LEARNED_RUN_MS_MIN - 1);
      book.learn('b', 1, 1);
    }
    assert.equal(ratio(book, 'a', 'b'), 1);
    assert.equal(book.workMs(1), null);
  });

  it('is kept of a bounded number of kinds', () => {
    const book = new SpeedBook();
    for (let kind = 0; kind < 2 * SPEED_KINDS_MAX; kind += 1) {
      book.learn('a', kind, 1_000);
      book.learn('a', kind, 1_000);
      // The one used all the time stays.
      book.learn('a', -1, 90_000);
    }
    assertNear(book.workMs(-1) ?? 0, 90 * (book.workMs(2 * SPEED_KINDS_MAX - 1) ?? 0), 0.3);
  });
});

describe('the kind of a task', () => {
  it('is its name, else its command or script', () => {
    const kind = kindOf({ command: ['sort', 'a'] });
    assert.equal(kindOf({ command: ['sort', 'a'], priority: 9 }), kind);
    assert.notEqual(kindOf({ command: ['sort', 'b'] }), kind);
    assert.equal(kindOf({ command: ['sort', 'a'], name: 'x' }), kindOf({ script: 'print(1)', name: 'x' }));
    assert.notEqual(kindOf({ script: 'print(1)' }), kindOf({ script: 'print(2)' }));
  });
});
