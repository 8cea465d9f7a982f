import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { BURST_MAX, Hydrator, PER_SECOND } from '../../src/web/ui/src/net/hydrator.ts';
import { FakeClock } from './fake-clock.ts';

function hydrator(options: { readonly fails?: boolean } = {}) {
  const clock = new FakeClock();
  const fetched: string[] = [];
  const have = new Set<string>();
  let open = 0;
  let openMax = 0;
  const made = new Hydrator({
    fetch: async (id) => {
      open += 1;
      openMax = Math.max(openMax, open);
      fetched.push(id);
      await new Promise<void>((resolve) => void clock.after(10, resolve));
      open -= 1;
      if (options.fails !== true) have.add(id);
      return options.fails !== true;
    },
    lacking: (id) => !have.has(id),
    clock,
  });
  made.start();
  return { made, clock, fetched, openMax: () => openMax };
}

describe('what the list leaves out', () => {
  it('is fetched for the rows in view, each once, a few at a time', async () => {
    const { made, clock, fetched, openMax } = hydrator();
    for (let row = 0; row < 12; row += 1) made.enter(`row${String(row)}`);
    await clock.pass(1_000);
    assert.equal(fetched.length, 12);
    assert.equal(new Set(fetched).size, 12);
    assert.equal(openMax(), 4);
  });

  it('is fetched first for the row that came into view last', async () => {
    const { made, clock, fetched } = hydrator();
    made.enter('first');
    made.enter('last');
    await clock.pass(1_000);
    assert.deepEqual(fetched, ['last', 'first']);
  });

  it('is not fetched for a row that has left the view', async () => {
    const { made, clock, fetched } = hydrator();
    made.enter('passing by');
    made.leave('passing by');
    await clock.pass(1_000);
    assert.deepEqual(fetched, []);
  });

  it(`costs ${String(PER_SECOND)} requests a second at most once the first ${String(BURST_MAX)} are spent`, async () => {
    const { made, clock, fetched } = hydrator();
    for (let row = 0; row < 400; row += 1) made.enter(`row${String(row)}`);
    await clock.pass(1_000);
    const first = fetched.length;
    assert.ok(first >= BURST_MAX && first <= BURST_MAX + PER_SECOND, String(first));
    await clock.pass(10_000);
    const then = fetched.length - first;
    assert.ok(then >= 9 * PER_SECOND && then <= 11 * PER_SECOND, String(then));
  });

  it('rests after a failure instead of asking again and again', async () => {
    const { made, clock, fetched } = hydrator({ fails: true });
    made.enter('row');
    await clock.pass(10_000);
    assert.ok(fetched.length >= 3 && fetched.length <= 6, String(fetched.length));
  });

  it('is not fetched any more after a stop', async () => {
    const { made, clock, fetched } = hydrator();
    made.stop();
    made.enter('row');
    await clock.pass(1_000);
    assert.deepEqual(fetched, []);
    made.start();
    await clock.pass(1_000);
    assert.deepEqual(fetched, ['row']);
  });
});
