import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import * as format from '../../src/web/ui/src/model/format.ts';

const NOW = 1_800_000_000_000;

describe('how the page writes times', () => {
  it('rounds down to one unit, so that it never claims more than has passed', () => {
    assert.equal(format.relativeTime(NOW - 1_500, NOW), 'now');
    assert.equal(format.relativeTime(NOW - 59_999, NOW), '59 s ago');
    assert.equal(format.relativeTime(NOW - 119_000, NOW), '1 min ago');
    assert.equal(format.relativeTime(NOW - 7_199_000, NOW), '1 h ago');
    assert.equal(format.relativeTime(NOW - 3 * 86_400_000, NOW), '3 d ago');
  });

  it('tells what is yet to come', () => {
    assert.equal(format.relativeTime(NOW + 10_000, NOW), 'in 10 s');
  });

  it('gives a length of time two units at most', () => {
    assert.equal(format.duration(340), '340 ms');
    assert.equal(format.duration(4_250), '4.2 s');
    assert.equal(format.duration(37_900), '37 s');
    assert.equal(format.duration(64_000), '1 min 04 s');
    assert.equal(format.duration(7_500_000), '2 h 05 min');
    assert.equal(format.duration(100 * 3_600_000), '4 d 4 h');
    assert.equal(format.duration(-5), '0 ms');
  });

  it('shows a running time in whole seconds', () => {
    assert.equal(format.elapsed(400), '0 s');
    assert.equal(format.elapsed(4_900), '4 s');
    assert.equal(format.elapsed(61_900), '1 min 01 s');
    assert.equal(format.elapsed(-3_000), '0 s');
  });

  it('takes what is not a time as none', () => {
    assert.equal(format.parseTime('yesterday'), null);
    assert.equal(format.parseTime(null), null);
    assert.equal(format.parseTime('2027-01-15T08:00:00.000Z'), NOW);
  });

  it('gives an absolute time to the second, with its zone', () => {
    assert.match(format.absoluteTime(NOW), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+$/);
    assert.match(format.clockTime(NOW + 7, { millis: true }), /:00\.007$/);
  });
});

describe('how the page writes ids and sizes', () => {
  it('shortens only ids that are much longer than what is shown', () => {
    assert.equal(format.shortId('0123456789ab'), '0123456789ab');
    assert.equal(format.shortId('0123456789abcdef'), '0123456789');
  });

  it('counts bytes in powers of 1024', () => {
    assert.equal(format.byteSize(812), '812 B');
    assert.equal(format.byteSize(64 * 1024), '64.0 KiB');
    assert.equal(format.byteSize(3 * 1024 * 1024), '3.0 MiB');
  });

  it('shows an unknown share as a dash and not as 0', () => {
    assert.equal(format.percent(null), '–');
    assert.equal(format.percent(0.4), '0%');
  });
});
