import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../../src/api/limits.ts';
import type { EventMessage } from '../../src/api/views.ts';
import { EventRing, EVENTS_MAX } from '../../src/scheduler/event-ring.ts';

const EVENT: EventMessage['events'][number] = { kind: 'leader', id: 'server1', term: 1 };
const entry = (index: number, events: number): EventMessage => ({
  ...{
    index,
    term: 1,
    time: '2026-01-01T00:00:00.000Z',
    events: Array.from({ length: events }, () => EVENT),
  },
});

describe('the events of the latest entries', () => {
  it('are bounded by number also where entries are large, in memory too', () => {
    const ring = new EventRing();
    const perEntry = 200;
    for (let index = 1; index <= (10 * EVENTS_MAX) / perEntry; index += 1) {
      ring.push(entry(index, perEntry));
      if (index % 100 === 0)
        assert.ok(ring.held <= 2 * EVENTS_MAX + perEntry, `${ring.held} events are held`);
    }
  });

  it('are given to who comes back as long as they are there, else it must begin anew', () => {
    const ring = new EventRing();
    const entries = LIMITS.eventEntriesMax + 10;
    for (let index = 1; index <= entries; index += 1) ring.push(entry(index, 1));
    const seen: number[] = [];
    const back = ring.subscribe(entries - 3, ({ index }) => seen.push(index));
    assert.equal(back.kind, 'ok');
    assert.deepEqual(seen, [entries - 2, entries - 1, entries]);
    assert.deepEqual(
      ring.subscribe(5, () => undefined),
      { kind: 'reset', index: entries },
    );
    assert.equal(ring.subscribe(10, () => undefined).kind, 'ok');
  });

  it('keep an entry that alone has more', () => {
    const ring = new EventRing();
    ring.push(entry(1, 1));
    ring.push(entry(2, EVENTS_MAX + 1));
    let got = 0;
    ring.subscribe(1, ({ events }) => (got += events.length));
    assert.equal(got, EVENTS_MAX + 1);
  });
});
