/** When the page is drawn while everything changes all the time, and when somebody uses it. */
import { beforeEach, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { BEAT_MS, DrawBeat, TOUCHED_MS } from '../../src/web/ui/src/view/draw-beat.ts';
import { FakeClock } from './fake-clock.ts';

describe('the beat in which the page is drawn', () => {
  let clock: FakeClock;
  let beat: DrawBeat;
  /** Times of draws, from the start of the test on. */
  let drawn: number[];
  let startMs: number;

  beforeEach(() => {
    clock = new FakeClock();
    startMs = clock.now();
    beat = new DrawBeat({ clock, soon: (draw) => draw() });
    drawn = [];
  });

  const change = (): void => beat.request(() => drawn.push(clock.now() - startMs));

  it('draws the first change at once, and those that follow with the next beat', async () => {
    change();
    assert.deepEqual(drawn, [0]);
    await clock.pass(30);
    change();
    assert.deepEqual(drawn, [0]);
    await clock.pass(BEAT_MS);
    assert.deepEqual(drawn, [0, BEAT_MS]);
  });

  it('draws at once again after a pause', async () => {
    change();
    await clock.pass(BEAT_MS);
    change();
    assert.deepEqual(drawn, [0, BEAT_MS]);
    assert.equal(clock.waiting, 0);
  });

  it('draws what somebody waits for at once, also what was put off', async () => {
    change();
    await clock.pass(30);
    change();
    beat.touched();
    assert.deepEqual(drawn, [0, 30]);
    await clock.pass(30);
    change();
    assert.deepEqual(drawn, [0, 30, 60]);
    assert.equal(clock.waiting, 0);
    await clock.pass(TOUCHED_MS);
    change();
    await clock.pass(1);
    change();
    assert.deepEqual(drawn, [0, 30, 60, 60 + TOUCHED_MS], 'and then the beat is kept again');
  });

  it('is not held up by a clock that was put back', () => {
    change();
    clock.putBack(3_600_000);
    change();
    assert.equal(drawn.length, 2);
  });
});
