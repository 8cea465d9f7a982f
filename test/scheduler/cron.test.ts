import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { afterTime, MISSED_COUNTED_MAX, nextTime } from '../../src/scheduler/cron.ts';

const at = (iso: string): number => Date.parse(iso);
const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

describe('cron expressions', () => {
  it('have five fields, six with seconds in front, or a nickname', () => {
    const from = at('2026-03-01T10:00:00Z');
    assert.equal(iso(nextTime('*/15 * * * *', 'UTC', from)), '2026-03-01T10:15:00.000Z');
    assert.equal(iso(nextTime('30 * * * * *', 'UTC', from)), '2026-03-01T10:00:30.000Z');
    assert.equal(iso(nextTime('@daily', 'UTC', from)), '2026-03-02T00:00:00.000Z');
    assert.equal(iso(nextTime('0 10 * * *', 'UTC', from)), '2026-03-02T10:00:00.000Z', 'strictly after');
  });

  it('are read in their time zone, across its changes', () => {
    // Berlin is one hour ahead in winter and two in summer; on 29 March 2026 there is no 02:30.
    assert.equal(
      iso(nextTime('0 9 * * *', 'Europe/Berlin', at('2026-03-28T12:00:00Z'))),
      '2026-03-29T07:00:00.000Z',
    );
    assert.equal(
      iso(nextTime('0 9 * * *', 'Europe/Berlin', at('2026-03-27T12:00:00Z'))),
      '2026-03-28T08:00:00.000Z',
    );
  });

  it('that make no sense are refused by name', () => {
    assert.throws(() => nextTime('every day', 'UTC', 0), {
      code: 'INVALID',
      message: /^cron: "every day" is no/,
    });
    assert.throws(() => nextTime('61 * * * *', 'UTC', 0), { code: 'INVALID', message: /^cron: / });
    assert.throws(() => nextTime('* * * * *', 'Mars/Base', 0), {
      code: 'INVALID',
      message: /^tz: "Mars\/Base"/,
    });
  });

  it('may have no time to come', () => {
    assert.equal(nextTime('0 0 30 2 *', 'UTC', at('2026-01-01T00:00:00Z')), null);
  });

  it('count what passed without being used, up to a limit', () => {
    const time = at('2026-03-01T10:00:00Z');
    const minute = (n: number): number => time + n * 60_000;
    assert.deepEqual(afterTime('* * * * *', 'UTC', time, minute(0.5)), { nextAt: minute(1), missed: 0 });
    assert.deepEqual(afterTime('* * * * *', 'UTC', time, minute(5.5)), { nextAt: minute(6), missed: 5 });
    const long = afterTime('* * * * * *', 'UTC', time, minute(600));
    assert.deepEqual(long, { nextAt: minute(600) + 1_000, missed: MISSED_COUNTED_MAX });
  });
});
