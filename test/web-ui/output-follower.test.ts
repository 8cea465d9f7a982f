import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { ApiFailure } from '../../src/web/ui/src/net/client.ts';
import { followOutput, OUTPUT_CHARS_MAX } from '../../src/web/ui/src/net/output-follower.ts';
import type { OutputSnapshot } from '../../src/web/ui/src/net/output-follower.ts';
import { FakeClock, settle } from './fake-clock.ts';

interface Connection {
  readonly offset: number;
  write(data: string | Uint8Array): Promise<void>;
  end(): Promise<void>;
  break(): Promise<void>;
}

/** Follows an output whose connections a test holds in its hand. */
function following(options: { readonly refuse?: ApiFailure } = {}) {
  const clock = new FakeClock();
  const connections: Connection[] = [];
  const stop = new AbortController();
  const facts = { over: false, ended: false };
  let last: OutputSnapshot | null = null;
  void followOutput({
    open: (offset) => {
      if (options.refuse !== undefined) return Promise.reject(options.refuse);
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const writer = writable.getWriter();
      connections.push({
        offset,
        write: async (data) => {
          await writer.write(typeof data === 'string' ? new TextEncoder().encode(data) : data);
          await settle();
        },
        end: async () => {
          await writer.close();
          await settle();
        },
        break: async () => {
          await writer.abort(new Error('broken'));
          await settle();
        },
      });
      return Promise.resolve(readable);
    },
    isOver: () => facts.over,
    clock,
    signal: stop.signal,
    onChange: (snapshot) => {
      last = snapshot;
    },
  }).then(() => {
    facts.ended = true;
  });
  const shown = (): OutputSnapshot => last ?? assert.fail('nothing shown');
  const connection = (): Connection => connections.at(-1) ?? assert.fail('not connected');
  return { clock, connections, connection, stop, facts, shown };
}

describe('output that is followed', () => {
  it('is shown as it comes', async () => {
    const { connection, shown } = following();
    await settle();
    await connection().write('one\n');
    assert.equal(shown().text, 'one\n');
    await connection().write('two\n');
    assert.deepEqual(shown(), { text: 'one\ntwo\n', clipped: false, bytes: 8, state: 'following' });
  });

  it('goes on at the byte where the connection broke', async () => {
    const { clock, connections, connection, shown } = following();
    await settle();
    await connection().write('äb');
    await connection().break();
    assert.equal(shown().state, 'waiting');
    await clock.pass(1_000);
    assert.deepEqual(
      connections.map(({ offset }) => offset),
      [0, 3],
    );
    await connection().write('c');
    assert.equal(shown().text, 'äbc');
  });

  it('puts characters together whose bytes come apart, even over a break', async () => {
    const { clock, connection, shown } = following();
    await settle();
    const [first, ...rest] = new TextEncoder().encode('€');
    await connection().write(Uint8Array.of(first ?? 0));
    await connection().break();
    await clock.pass(1_000);
    await connection().write(Uint8Array.from(rest));
    assert.equal(shown().text, '€');
  });

  it('is over when it ends after the task has', async () => {
    const { clock, connections, connection, facts, shown } = following();
    await settle();
    await connection().write('done');
    facts.over = true;
    await connection().end();
    await clock.pass(5_000);
    assert.equal(facts.ended, true);
    assert.equal(shown().state, 'ended');
    assert.equal(connections.length, 1);
  });

  it('is asked for again when it ends while the task still runs', async () => {
    const { clock, connections, connection } = following();
    await settle();
    await connection().end();
    await clock.pass(1_000);
    assert.equal(connections.length, 2);
  });

  it('is given up where it is refused for good', async () => {
    const refuse = new ApiFailure('UNAUTHORIZED', 'no', { status: 401 });
    const { clock, facts } = following({ refuse });
    await clock.pass(5_000);
    assert.equal(facts.ended, true);
  });

  it('keeps its end where it is long', async () => {
    const { connection, shown } = following();
    await settle();
    await connection().write('a'.repeat(OUTPUT_CHARS_MAX));
    await connection().write('the end');
    assert.equal(shown().clipped, true);
    assert.equal(shown().text.length, OUTPUT_CHARS_MAX);
    assert.match(shown().text, /the end$/);
    assert.equal(shown().bytes, OUTPUT_CHARS_MAX + 7);
  });

  it('is left alone once nobody looks any more', async () => {
    const { clock, connections, connection, stop, facts } = following();
    await settle();
    stop.abort();
    await connection().break();
    await clock.pass(10_000);
    assert.equal(connections.length, 1);
    assert.equal(facts.ended, true);
  });
});
