import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { Refresher } from '../../src/web/ui/src/net/refresher.ts';
import { FakeClock } from './fake-clock.ts';

/** A refresher whose fetches take `tookMs`; `startedMs` are their times since the beginning. */
function refresher(tookMs: number, intervalMs = 500) {
  const clock = new FakeClock();
  const beganMs = clock.now();
  const startedMs: number[] = [];
  let open = 0;
  const run = async (): Promise<void> => {
    open += 1;
    assert.equal(open, 1, 'two at once');
    startedMs.push(clock.now() - beganMs);
    if (tookMs > 0) await new Promise<void>((resolve) => void clock.after(tookMs, resolve));
    open -= 1;
  };
  const made = new Refresher({ run, intervalMs, clock });
  made.start();
  return { made, clock, startedMs };
}

describe('fetches on request', () => {
  it('begin at once, and many requests make one fetch', async () => {
    const { made, clock, startedMs } = refresher(0);
    for (let request = 0; request < 50; request += 1) made.request();
    await clock.pass(10_000);
    assert.deepEqual(startedMs, [0]);
  });

  it('are two a second at most while 200 requests a second come in', async () => {
    const { made, clock, startedMs } = refresher(20);
    for (let at = 0; at < 5_000; at += 5) {
      made.request();
      await clock.pass(5);
    }
    assert.ok(startedMs.length >= 9 && startedMs.length <= 11, startedMs.join());
  });

  it('are repeated once when something was asked for while a fetch was under way', async () => {
    const { made, clock, startedMs } = refresher(100);
    made.request();
    await clock.pass(50);
    made.request();
    made.request();
    await clock.pass(10_000);
    assert.deepEqual(startedMs, [0, 600]);
  });

  it('leave a slow server as much time as it takes to answer', async () => {
    const { made, clock, startedMs } = refresher(3_000);
    made.request();
    await clock.pass(10);
    made.request();
    await clock.pass(20_000);
    assert.deepEqual(startedMs, [0, 6_000]);
  });

  it('can be put off, and come earlier when asked for earlier', async () => {
    const { made, clock, startedMs } = refresher(0);
    made.request(4_000);
    await clock.pass(1_000);
    assert.deepEqual(startedMs, []);
    made.request();
    await clock.pass(10_000);
    assert.deepEqual(startedMs, [1_000]);
  });
});

describe('fetches that repeat', () => {
  it('wait for the previous answer and then for the time asked for', async () => {
    const { made, clock, startedMs } = refresher(300);
    made.repeat(2_000);
    await clock.pass(5_000);
    assert.deepEqual(startedMs, [0, 2_300, 4_600]);
  });

  it('end when they are no longer wanted', async () => {
    const { made, clock, startedMs } = refresher(0);
    made.repeat(2_000);
    await clock.pass(100);
    made.repeat(null);
    await clock.pass(10_000);
    // One may have been planned already.
    assert.ok(startedMs.length <= 2, startedMs.join());
  });

  it('end with the refresher, the one under way included', async () => {
    const { made, clock, startedMs } = refresher(300);
    made.repeat(2_000);
    await clock.pass(100);
    made.stop();
    await clock.pass(10_000);
    assert.deepEqual(startedMs, [0]);
    assert.equal(clock.waiting, 0);
    made.request();
    assert.equal(clock.waiting, 0, 'stopped is stopped');
  });
});
