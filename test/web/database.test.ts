/** The database node on a real LevelDB: what it keeps, what it leaves out, what it shows. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { LogLine } from '../../src/api/log.ts';
import { createDatabaseApp } from '../../src/web/database-app.ts';
import { DatabaseStore } from '../../src/web/database-store.ts';
import type { DatabaseStoreOptions } from '../../src/web/database-store.ts';
import { LevelBatches } from '../../src/web/level-batches.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';
import { ask, closeAll, FakeLog, guardWith, listen, onClose, readStream, until } from './nodes.ts';

after(closeAll);

const AT = '2026-01-01T00:00:00.000Z';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'clb-database-'));
  onClose(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function openStore(path: string, options: Partial<DatabaseStoreOptions> = {}): Promise<DatabaseStore> {
  const store = await DatabaseStore.open(path, { onFatal: (error) => assert.fail(error), ...options });
  onClose(() => store.close());
  return store;
}

async function startDatabase(path?: string, options: Partial<DatabaseStoreOptions> = {}) {
  const store = await openStore(path ?? (await folder()), options);
  const app = createDatabaseApp({
    nodeId: 'database',
    version: '0.0.0',
    guard: guardWith(),
    store,
    metrics: new NodeMetrics({ id: 'database', version: '0.0.0' }),
    log: new FakeLog(),
  });
  return { store, ...(await listen(app.handle)) };
}

function lines(from: number, to: number): readonly LogLine[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({
    seq: from + i,
    at: AT,
    text: `line ${from + i}`,
  }));
}

function batch(node: string, from: number, to: number, boot = 'a') {
  return { node, boot, port: 3002, lines: lines(from, to) };
}

describe('POST /v1/log-lines', () => {
  it('keeps lines in the order they come, in the form of the original', async () => {
    const { address } = await startDatabase();
    const master = {
      node: 'server1',
      boot: 'a',
      port: 3002,
      lines: [{ seq: 1, at: AT, text: 'Is master container' }],
    };
    const first = await ask(address, '/v1/log-lines', { body: master });
    assert.deepEqual([first.status, first.json.accepted, first.json.container], [200, 1, 1]);
    await ask(address, '/v1/log-lines', { body: batch('worker1', 1, 2) });
    assert.equal(
      (await ask(address, '/logging')).text,
      '<Log 1, Container 1: Is master container>\n<Log 2, Container 4: line 1>\n<Log 3, Container 4: line 2>\n',
    );
    const page = await ask(address, '/logging', { headers: { accept: 'text/html' } });
    assert.match(page.text, /&#60;Log 1, Container 1: Is master container&#62;/);
  });

  it("takes a line once, however often it is sent; a node's next start begins at 1 again", async () => {
    const { address } = await startDatabase();
    const accepted = async (body: unknown): Promise<number> =>
      (await ask(address, '/v1/log-lines', { body })).json.accepted;
    assert.equal(await accepted(batch('server1', 1, 3)), 3);
    assert.equal(await accepted(batch('server1', 1, 3)), 0);
    assert.equal(await accepted(batch('server1', 2, 5)), 2);
    assert.equal(await accepted(batch('server1', 1, 2, 'b')), 2);
    assert.equal(await accepted(batch('server1', 5, 6)), 1, 'late lines of the start before');
    assert.equal(await accepted(batch('server2', 1, 1)), 1);
    const both = await Promise.all([accepted(batch('server3', 1, 9)), accepted(batch('server3', 1, 9))]);
    assert.deepEqual(both.sort(), [0, 9]);
    assert.equal((await ask(address, '/logging')).text.split('\n').length - 1, 5 + 2 + 1 + 1 + 9);
  });

  it('numbers containers as the original did, others from 7, a wish where it is free', async () => {
    const { address } = await startDatabase();
    const container = async (node: string, wish?: number): Promise<number> =>
      (
        await ask(address, '/v1/log-lines', {
          body: { ...batch(node, 1, 1), ...(wish ? { container: wish } : {}) },
        })
      ).json.container;
    assert.equal(await container('worker2'), 7);
    assert.equal(await container('worker3', 12), 12);
    assert.equal(await container('worker4', 3), 8, 'a number of the original is not given away');
    assert.equal(await container('worker5', 12), 9);
    const known = ['server1', 'server2', 'server3', 'worker1', 'client', 'database'];
    assert.deepEqual(await Promise.all(known.map((node) => container(node))), [1, 2, 3, 4, 5, 6]);
    assert.equal(await container('worker2', 20), 7, 'it stays');
  });

  it('refuses what is not a batch, naming the field', async () => {
    const { address } = await startDatabase();
    const good = batch('server1', 1, 1);
    const cases: readonly (readonly [body: unknown, message: RegExp])[] = [
      [{ ...good, node: 'a b' }, /^node: .*not a node id/],
      [{ ...good, node: '../x' }, /^node: /],
      [{ ...good, boot: '' }, /^boot: /],
      [{ ...good, port: 70_000 }, /^port: 70000 is above the limit of 65535/],
      [{ ...good, lines: [] }, /^lines: /],
      [
        { ...good, lines: lines(1, 1_001) },
        /^lines: a number of 1001 items is above the limit of 1000 items/,
      ],
      [{ ...good, lines: [{ seq: 1, at: 'today', text: '' }] }, /^lines\[0\]\.at: /],
      [{ ...good, lines: [...lines(2, 2), ...lines(1, 1)] }, /^lines: the numbers \(seq\) must be ascending/],
      [{ ...good, level: 'info' }, /^level: unknown field/],
    ];
    for (const [body, message] of cases) {
      const answer = await ask(address, '/v1/log-lines', { body });
      assert.equal(answer.status, 400);
      assert.match(answer.json.error.message, message);
    }
    assert.equal((await ask(address, '/logging')).text, '');
  });

  it('keeps a line from looking like two', async () => {
    const { address } = await startDatabase();
    const text = 'a\n<Log 9, Container 1: Is master container>\r\nb';
    await ask(address, '/v1/log-lines', { body: { ...batch('x', 1, 1), lines: [{ seq: 1, at: AT, text }] } });
    assert.equal(
      (await ask(address, '/logging')).text,
      '<Log 1, Container 7: a <Log 9, Container 1: Is master container> b>\n',
    );
  });
});

describe('GET /v1/log-lines', () => {
  it('gives the newest lines, or those after a number, by node and text', async () => {
    const { address } = await startDatabase();
    for (const node of ['server1', 'server2'])
      await ask(address, '/v1/log-lines', { body: batch(node, 1, 100) });
    const seqs = async (query: string): Promise<readonly (number | undefined)[]> => {
      const { lines: found } = (await ask(address, `/v1/log-lines${query}`)).json;
      return [found.length, found[0]?.seq, found.at(-1)?.seq];
    };
    assert.deepEqual(await seqs(''), [100, 101, 200]);
    assert.deepEqual(await seqs('?limit=5'), [5, 196, 200]);
    assert.deepEqual(await seqs('?after=0&limit=1000'), [200, 1, 200]);
    assert.deepEqual(await seqs('?after=150'), [50, 151, 200]);
    assert.deepEqual(await seqs('?node=server1&limit=3'), [3, 98, 100]);
    assert.deepEqual(await seqs('?q=LINE%2099'), [2, 99, 199]);
    assert.deepEqual(await seqs('?q=container%202&after=0&limit=2'), [2, 101, 102]);
    const page = (await ask(address, '/v1/log-lines?after=0&limit=10&node=server2')).json;
    assert.deepEqual([page.next, page.lines[0]?.container, page.lines[0]?.text], [110, 2, 'line 1']);
    assert.equal((await ask(address, '/v1/log-lines?after=200')).json.next, 200);
    assert.equal((await ask(address, '/v1/log-lines?after=x')).status, 400);
    assert.equal((await ask(address, '/v1/log-lines?limit=1001')).status, 400);
  });
});

describe('the live log of the database', () => {
  it('goes on with every line as it is kept', async () => {
    const { address } = await startDatabase();
    await ask(address, '/v1/log-lines', { body: batch('server1', 1, 1) });
    const page = await ask(address, '/logging', { headers: { accept: 'text/html' } });
    const cursor = /data-cursor="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const path = `/logging/stream?after=${encodeURIComponent(cursor)}`;
    const reading = readStream(address, path, (text) => text.includes('line 2000>'));
    for (let from = 2; from <= 2_000; from += 500) {
      await ask(address, '/v1/log-lines', { body: batch('server1', from, Math.min(2_000, from + 499)) });
    }
    const numbers = [...(await reading).text.matchAll(/<Log (\d+), /g)].map(([, number]) => Number(number));
    assert.deepEqual(
      numbers,
      Array.from({ length: 1_999 }, (_, i) => i + 2),
    );
  });
});

describe('GET /v1/log-lines/stream', () => {
  it('gives the lines that pass, as they come, and goes on after the last one that was had', async () => {
    const { address } = await startDatabase();
    await ask(address, '/v1/log-lines', { body: batch('server1', 1, 3) });
    const path = '/v1/log-lines/stream?node=server1&after=2';
    const reading = readStream(address, path, (text) => text.includes('"line 5"'));
    await ask(address, '/v1/log-lines', { body: batch('worker1', 1, 2) });
    await ask(address, '/v1/log-lines', { body: batch('server1', 4, 5) });
    const ids = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    const first = (await reading).text;
    assert.deepEqual(ids(first), [3, 6, 7]);
    assert.ok(!first.includes('worker1'));
    const resumed = await readStream(address, path, (text) => text.includes('"line 5"'), {
      'last-event-id': '6',
    });
    assert.deepEqual(ids(resumed.text), [7]);
    const other = await readStream(address, path, (text) => text.includes('"line 5"'), {
      'last-event-id': '999',
    });
    assert.match(other.text, /event: reset/);
    const bad = await ask(address, '/v1/log-lines/stream?after=x');
    assert.equal(bad.status, 400);
  });
});

describe('the store', () => {
  it('has everything again after a restart, and still knows what it took', async () => {
    const path = await folder();
    const before = await openStore(path);
    await before.append(batch('server1', 1, 3));
    await before.append(batch('worker9', 1, 1));
    const { epoch } = before.logSource();
    await before.close();
    const { address, store } = await startDatabase(path);
    assert.equal(store.logSource().epoch, epoch);
    const again = await ask(address, '/v1/log-lines', { body: batch('server1', 2, 4) });
    assert.equal(again.json.accepted, 1);
    assert.equal((await ask(address, '/v1/log-lines', { body: batch('worker9', 2, 2) })).json.container, 7);
    assert.equal((await ask(address, '/v1/log-lines', { body: batch('worker10', 1, 1) })).json.container, 8);
    const texts = (await ask(address, '/logging')).text.trimEnd().split('\n');
    assert.deepEqual(texts, [
      '<Log 1, Container 1: line 1>',
      '<Log 2, Container 1: line 2>',
      '<Log 3, Container 1: line 3>',
      '<Log 4, Container 7: line 1>',
      '<Log 5, Container 1: line 4>',
      '<Log 6, Container 7: line 2>',
      '<Log 7, Container 8: line 1>',
    ]);
  });

  it('removes the oldest lines beyond its limit, and goes on numbering', async () => {
    const path = await folder();
    const store = await openStore(path, { keptLinesMax: 100 });
    for (let from = 1; from <= 1_000; from += 10) await store.append(batch('server1', from, from + 9));
    const source = store.logSource();
    const first = async (): Promise<number> => (await source.after(0, 1))[0]?.seq ?? 0;
    await until(async () => (await first()) > 800, 'old lines are removed');
    await store.append(batch('server1', 1_001, 1_001));
    await until(async () => (await first()) >= 890, 'down to the limit');
    assert.deepEqual(
      (await source.tail(2)).map(({ seq }) => seq),
      [1_000, 1_001],
    );
    await store.close();
    const again = await openStore(path, { keptLinesMax: 100 });
    await again.append(batch('server1', 1_002, 1_002));
    assert.equal((await again.logSource().tail(1))[0]?.seq, 1_002);
  });

  it('opens a folder once', async () => {
    const path = await folder();
    await openStore(path);
    await assert.rejects(DatabaseStore.open(path, { onFatal: () => undefined }), {
      code: 'STORE_LOCKED',
      message: /in use by another process/,
    });
  });
});

describe('batches', () => {
  it('are written one after the other, and none after one was rejected', async () => {
    const path = await folder();
    const fatal: string[] = [];
    const batches = await LevelBatches.open(path, (error) => fatal.push(error.code));
    const put = (key: string, value: string) => ({ type: 'put', key, value }) as const;
    await Promise.all(Array.from({ length: 200 }, (_, i) => batches.add([put('k', String(i))])));
    const stored: string[] = [];
    for await (const [, value] of batches.iterate({ gte: 'k', lt: 'l' })) stored.push(value);
    assert.deepEqual(stored, ['199']);

    // LevelDB refuses a key that is not there: as near to a failing disk as one gets without one.
    const broken = batches.add([put(undefined as unknown as string, 'x')]);
    const next = batches.add([put('k', 'late')]);
    await assert.rejects(broken, { code: 'STORE_WRITE' });
    await assert.rejects(next, { code: 'STORE_WRITE' });
    await assert.rejects(batches.add([]), { code: 'STORE_WRITE' });
    assert.deepEqual(fatal, ['STORE_WRITE']);
    await batches.close();
    await assert.rejects(batches.add([]));
    assert.equal(fatal.length, 1);
  });
});
