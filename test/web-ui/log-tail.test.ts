/** The tail of the log lines: what is kept of them, and what is asked for. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { FakeClock } from './fake-clock.ts';
import { FakeSource } from './fake-source.ts';
import * as tails from '../../src/web/ui/src/model/log-tail.ts';
import type { LogLine, LogPage } from '../../src/web/ui/src/model/log-tail.ts';
import { Api } from '../../src/web/ui/src/net/api.ts';
import { Client } from '../../src/web/ui/src/net/client.ts';
import { initialState } from '../../src/web/ui/src/state/app-state.ts';
import type { AppState } from '../../src/web/ui/src/state/app-state.ts';
import { LogWatch } from '../../src/web/ui/src/state/log-watch.ts';
import { Store } from '../../src/web/ui/src/state/store.ts';

function lines(from: number, to: number): readonly LogLine[] {
  return Array.from({ length: to - from + 1 }, (_, at) => ({
    seq: from + at,
    node: 'server1',
    container: 1,
    at: '2026-11-22T18:00:00.000Z',
    text: `line ${from + at}`,
  }));
}

function page(from: number, to: number, more = false): LogPage {
  return { lines: lines(from, to), next: to, more };
}

describe('the tail of the log lines', () => {
  it('grows by what came, and keeps no more than it may', () => {
    const first = tails.withLines(tails.emptyTail(), page(1, 900));
    const second = tails.withLines(first, page(901, 1_500));
    assert.equal(second.lines.length, tails.LINES_MAX);
    assert.equal(second.lines.at(-1)?.seq, 1_500);
    assert.equal(second.after, 1_500);
  });

  it('begins anew when the numbers do: it is another database', () => {
    const before = tails.withLines(tails.emptyTail(), page(1, 900));
    assert.deepEqual(tails.withLines(before, page(1, 3)).lines, lines(1, 3));
  });

  it('leads from a line to the payload that it names', () => {
    assert.deepEqual(tails.linked('Sent payload: abc for execution to port: 3002'), {
      before: 'Sent payload: ',
      id: 'abc',
      after: ' for execution to port: 3002',
    });
    assert.equal(tails.linked('Is master container').id, null);
  });
});

/** `until`: what an answer waits for. */
function watch(
  answer: (query: URLSearchParams) => LogPage | null,
  until: (query: URLSearchParams) => Promise<void> = () => Promise.resolve(),
) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const store = new Store<AppState>(initialState(clock.now()));
  const client = new Client({
    fetch: async (input) => {
      const { searchParams } = new URL(input as string, 'http://page');
      asked.push(searchParams.toString());
      await until(searchParams);
      const body = answer(searchParams);
      const refused = { error: { code: 'UNAVAILABLE', message: 'the database does not answer' } };
      return Response.json(body ?? refused, { status: body === null ? 503 : 200 });
    },
    onAnswer: () => undefined,
    readMs: 6_000,
    changeMs: 6_000,
  });
  const sources: { readonly source: FakeSource; readonly after: number; readonly node: string }[] = [];
  const logWatch = new LogWatch({
    ...{ store, api: new Api(client), clock },
    openLines: ({ node }, after) => {
      const source = new FakeSource();
      sources.push({ source, after, node });
      return source;
    },
  });
  return { clock, asked, store, logWatch, sources };
}

describe('the watch over the log lines', () => {
  it('asks for what came after the last line, with the filter, until it is closed', async () => {
    const { clock, asked, store, logWatch } = watch((query) =>
      query.has('after') ? page(6, 6) : page(1, 5),
    );
    const end = logWatch.start({ node: 'server1', q: 'abc' });
    await clock.pass(1_100);
    assert.deepEqual(asked, ['limit=200&node=server1&q=abc', 'limit=1000&node=server1&q=abc&after=5']);
    assert.equal(store.get().logs.lines.length, 6);
    end();
    await clock.pass(5_000);
    assert.equal(asked.length, 2);
  });

  it('takes the lines from the stream while there is one, each once, and asks for them where it is away', async () => {
    let known = 5;
    const { clock, asked, store, logWatch, sources } = watch((query) =>
      page(query.has('after') ? Number(query.get('after')) + 1 : 1, known),
    );
    const end = logWatch.start({ node: '', q: '' });
    await clock.pass(100);
    const { source, after } = sources[0]!;
    assert.equal(after, 5);
    source.open();
    for (const line of page(5, 7).lines) source.receiveText(JSON.stringify(line));
    await clock.pass(3_000);
    const numbers = (): number[] => store.get().logs.lines.map(({ seq }) => seq);
    assert.deepEqual(numbers(), [1, 2, 3, 4, 5, 6, 7]);
    assert.equal(asked.length, 1, 'nothing is asked for while the stream is open');

    source.drop();
    known = 8;
    await clock.pass(1_100);
    assert.deepEqual(numbers(), [1, 2, 3, 4, 5, 6, 7, 8]);
    source.open();
    for (const line of page(8, 9).lines) source.receiveText(JSON.stringify(line));
    await clock.pass(200);
    assert.deepEqual(numbers(), [1, 2, 3, 4, 5, 6, 7, 8, 9], 'resumed, without the one that was asked for');

    source.refuse();
    known = 9;
    await clock.pass(5_000);
    assert.equal(sources.length, 1);
    await clock.pass(7_000);
    assert.equal(sources.length, 2, 'another one is opened after a while');
    assert.equal(sources[1]?.after, 9);
    end();
  });

  it('shows the lines of the new filter when the old one is answered after the change', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((done) => (release = done));
    const { clock, store, logWatch, sources } = watch(
      (query) => page(Number(query.get('after') ?? 0) + 1, query.get('node') === 'server1' ? 5 : 9),
      (query) => (query.get('node') === 'server1' ? held : Promise.resolve()),
    );
    const endFirst = logWatch.start({ node: 'server1', q: '' });
    await clock.pass(300);
    endFirst();
    const end = logWatch.start({ node: 'server2', q: '' });
    release();
    await clock.pass(2_000);
    assert.deepEqual(
      sources.map(({ node }) => node),
      ['server2'],
    );
    assert.equal(store.get().logs.lines.length, 9);
    end();
  });

  it('opens no stream for a view that was closed while its lines were asked for', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((done) => (release = done));
    const { clock, logWatch, sources } = watch(
      () => page(1, 5),
      () => held,
    );
    const end = logWatch.start({ node: '', q: '' });
    await clock.pass(300);
    end();
    release();
    await clock.pass(2_000);
    assert.equal(sources.length, 0);
  });

  it('goes on from the newest, and says so, when more come than it can read', async () => {
    let next = 0;
    const { clock, store, logWatch } = watch((query) => {
      next += 1_000;
      return page(next - 999, next, query.has('after'));
    });
    const end = logWatch.start({ node: '', q: '' });
    await clock.pass(1_100);
    assert.equal(store.get().logs.skipped, true);
    assert.equal(store.get().logs.after, null);
    end();
  });

  it('says why there are none, keeps what it has, and recovers', async () => {
    let away = false;
    const { clock, store, logWatch } = watch(() => (away ? null : page(1, 5)));
    const end = logWatch.start({ node: '', q: '' });
    await clock.pass(100);
    away = true;
    await clock.pass(1_500);
    assert.match(store.get().logs.problem ?? '', /does not answer/);
    assert.equal(store.get().logs.lines.length, 5);
    away = false;
    await clock.pass(1_500);
    assert.equal(store.get().logs.problem, null);
    end();
  });
});
