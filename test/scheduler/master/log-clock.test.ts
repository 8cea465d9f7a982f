/** The time of the log when wall clocks jump. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LogClock } from '../../../src/scheduler/master/log-clock.ts';

const HOUR_MS = 3_600_000;

function setUp(stateClock = 0) {
  let monotonicMs = 0;
  let offsetMs = 0;
  const clock = new LogClock(
    {
      nowMs: () => monotonicMs,
      wallMs: () => HOUR_MS + monotonicMs + offsetMs,
      after: () => () => undefined,
      soon: () => undefined,
    },
    () => stateClock,
  );
  return {
    clock,
    pass: (ms: number) => (monotonicMs += ms),
    jump: (ms: number) => (offsetMs += ms),
  };
}

describe('the clock of the log', () => {
  it('is the wall clock as long as that goes forward', () => {
    const { clock, pass, jump } = setUp();
    assert.equal(clock.wallMs(), HOUR_MS);
    pass(1000);
    assert.equal(clock.wallMs(), HOUR_MS + 1000);
    jump(5000);
    assert.equal(clock.wallMs(), HOUR_MS + 6000);
  });

  it('goes on at half speed after the wall clock was set back, until that has caught up', () => {
    const { clock, pass, jump } = setUp();
    jump(10_000);
    assert.equal(clock.wallMs(), HOUR_MS + 10_000);
    jump(-10_000);
    pass(1000);
    assert.equal(clock.wallMs(), HOUR_MS + 10_500);
    pass(19_000);
    assert.equal(clock.wallMs(), HOUR_MS + 20_000);
    pass(1000);
    assert.equal(clock.wallMs(), HOUR_MS + 21_000);
  });

  it('goes on from what the log says, though all wall clocks are an hour behind it', () => {
    const { clock, pass } = setUp(2 * HOUR_MS);
    assert.equal(clock.wallMs(), 2 * HOUR_MS);
    pass(60_000);
    assert.equal(clock.wallMs(), 2 * HOUR_MS + 30_000);
  });
});
