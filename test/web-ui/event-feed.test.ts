import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { EventMessage } from '../../src/api/views.ts';
import { EventFeed } from '../../src/web/ui/src/net/event-feed.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeSource } from './fake-source.ts';

function message(index: number): EventMessage {
  return { index, term: 1, time: '2027-01-15T08:00:00.000Z', events: [] };
}

/** A started feed; `told` is what its listener heard, in order. */
function feed() {
  const clock = new FakeClock();
  const sources: FakeSource[] = [];
  const told: string[] = [];
  const afters: (number | null)[] = [];
  const made = new EventFeed({
    open: (after) => {
      const source = new FakeSource();
      sources.push(source);
      afters.push(after);
      return source;
    },
    listener: {
      onState: (state) => told.push(state),
      onMessage: ({ index }) => told.push(`message ${String(index)}`),
      onGap: () => told.push('gap'),
    },
    clock,
  });
  made.start();
  const source = (): FakeSource => sources.at(-1) ?? assert.fail('no source');
  return { made, clock, sources, source, told, afters };
}

describe('the stream of events', () => {
  it('begins with a gap: what happened before it opened did not come through it', () => {
    const { source, told } = feed();
    source().open();
    source().receive(message(7));
    assert.deepEqual(told, ['connecting', 'open', 'gap', 'message 7']);
  });

  it('has no gap when the browser resumes it from the last id', () => {
    const { source, sources, told } = feed();
    source().open();
    source().receive(message(7));
    source().drop();
    source().open();
    source().receive(message(8));
    assert.deepEqual(told.slice(3), ['message 7', 'down', 'open', 'message 8']);
    assert.equal(sources.length, 1, 'the browser reconnects, not the page');
  });

  it('has a gap when it broke before its first message: there was no id to resume from', () => {
    const { source, told } = feed();
    source().open();
    source().drop();
    source().open();
    assert.deepEqual(told, ['connecting', 'open', 'gap', 'down', 'open', 'gap']);
  });

  it('begins behind what other answers told when it broke before its first message', async () => {
    const { made, source, sources, clock, afters } = feed();
    made.noteIndex(39);
    source().open();
    made.noteIndex(40);
    // By now the stream should have told more.
    made.noteIndex(44);
    source().drop();
    made.noteIndex(45);
    assert.equal(sources[0]?.readyState, 2, 'the browser would begin from now');
    await clock.pass(1_000);
    assert.deepEqual(afters, [null, 40]);
    source().open();
    source().receive(message(41));
    source().drop();
    assert.equal(sources.length, 2, 'from here on the browser resumes it');
  });

  it('begins behind its last message where the browser has given up, from now after a pause or a reset', async () => {
    const { made, source, clock, afters } = feed();
    source().open();
    source().receive(message(7));
    source().refuse();
    await clock.pass(1_000);
    made.restart();
    assert.deepEqual(afters, [null, 7, 7]);
    made.stop();
    made.start();
    source().open();
    made.noteIndex(9);
    source().reset();
    source().refuse();
    await clock.pass(1_000);
    assert.deepEqual(afters.slice(3), [null, null]);
  });

  it('drops what a server sends a second time', () => {
    const { source, told } = feed();
    source().open();
    for (const index of [7, 8, 7, 8, 9]) source().receive(message(index));
    assert.deepEqual(told.slice(3), ['message 7', 'message 8', 'message 9']);
  });

  it('has a gap after a reset, and goes on from any index after it', () => {
    const { source, told } = feed();
    source().open();
    source().receive(message(700));
    source().reset();
    source().receive(message(12));
    assert.deepEqual(told.slice(3), ['message 700', 'gap', 'message 12']);
  });

  it('has a gap where a message cannot be read', () => {
    const { source, told } = feed();
    source().open();
    source().receiveText('{"index":');
    source().receiveText('{"index":"x"}');
    source().receiveText('null');
    assert.deepEqual(told.slice(3), ['gap', 'gap', 'gap']);
  });

  it('is opened anew, ever more seldom, where the browser has given up', async () => {
    const { sources, source, clock, told } = feed();
    const waits: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const before = sources.length;
      source().refuse();
      let waitedMs = 0;
      while (sources.length === before) {
        await clock.pass(500);
        waitedMs += 500;
      }
      waits.push(waitedMs);
    }
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 5_000, 5_000]);
    source().open();
    assert.deepEqual(told.slice(-2), ['open', 'gap']);
  });

  it('does not listen to a source it has left', () => {
    const { made, sources, told } = feed();
    const [old] = sources;
    made.restart();
    assert.equal(old?.readyState, 2, 'closed');
    const before = told.length;
    old.open();
    old.receive(message(3));
    assert.equal(told.length, before);
    assert.equal(sources.length, 2);
  });

  it('is silent after a stop', async () => {
    const { made, sources, source, clock } = feed();
    source().refuse();
    made.stop();
    await clock.pass(60_000);
    assert.equal(sources.length, 1);
  });
});
