/**
 * One suite for every KvStore: what holds for LevelDB must hold for memory and for the simulator's disk, or tests over those prove
 * nothing. Called by memory.test.ts, leveldb.test.ts and simulated-disk.test.ts.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { keyNumber } from '../../../src/raft/storage/kv-store.ts';
import type { KvOp, KvRange, KvStore } from '../../../src/raft/storage/kv-store.ts';

/** Makes the store of one test: `open` opens it again and again. */
export type PrepareStore = () => Promise<{
  readonly open: () => Promise<KvStore>;
  readonly clean: () => Promise<void>;
}>;

const put = (key: string, value: string): KvOp => ({ kind: 'put', key, value: Buffer.from(value) });
const del = (key: string): KvOp => ({ kind: 'del', key });
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();
const ALL: KvRange = { gte: 'a', lt: 'z' };

async function collect(records: AsyncIterable<readonly [string, Uint8Array]>): Promise<string[]> {
  const found: string[] = [];
  for await (const [key, value] of records) found.push(`${key}=${Buffer.from(value).toString()}`);
  return found;
}

export function describeKvStore(name: string, prepare: PrepareStore): void {
  describe(`a store in ${name}`, () => {
    let store: KvStore;
    let open: () => Promise<KvStore>;
    let clean: () => Promise<void>;

    beforeEach(async () => {
      ({ open, clean } = await prepare());
      store = await open();
    });
    afterEach(async () => {
      await store.close();
      await clean();
    });

    it('gives back what was put, and undefined for what was not or was deleted', async () => {
      await store.batch([put('a', '1'), put('b', '2')], { sync: true });
      await store.batch([del('b')], { sync: true });
      assert.equal(text(store.get('a')), '1');
      assert.equal(store.get('b'), undefined);
      assert.equal(store.get('c'), undefined);
    });

    it('carries out the ops of a batch in their order', async () => {
      await store.batch([put('a', '1'), del('a'), put('a', '2'), put('b', '1'), del('b')], { sync: true });
      assert.deepEqual(await collect(store.iterate(ALL)), ['a=2']);
    });

    it('keeps empty values and arbitrary bytes', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
      await store.batch(
        [
          { kind: 'put', key: 'e', value: new Uint8Array(0) },
          { kind: 'put', key: 'f', value: bytes },
        ],
        { sync: true },
      );
      assert.equal(store.get('e')?.byteLength, 0);
      assert.deepEqual(new Uint8Array(store.get('f')!), bytes);
    });

    it('does not share memory with what was handed to it', async () => {
      const value = Buffer.from('before');
      await store.batch([{ kind: 'put', key: 'a', value }], { sync: true });
      value.write('after!');
      assert.equal(text(store.get('a')), 'before');
    });

    it('iterates from gte inclusive to lt exclusive, forward and in reverse, up to the limit', async () => {
      await store.batch(
        ['b', 'd', 'a', 'c', 'z'].map((key) => put(key, key)),
        { sync: true },
      );
      assert.deepEqual(await collect(store.iterate({ gte: 'a', lt: 'd' })), ['a=a', 'b=b', 'c=c']);
      assert.deepEqual(await collect(store.iterate({ gte: 'b', lt: 'zz', reverse: true })), [
        'z=z',
        'd=d',
        'c=c',
        'b=b',
      ]);
      assert.deepEqual(await collect(store.iterate({ ...ALL, limit: 2 })), ['a=a', 'b=b']);
      assert.deepEqual(await collect(store.iterate({ ...ALL, reverse: true, limit: 1 })), ['d=d']);
      assert.deepEqual(await collect(store.iterate({ gte: 'x', lt: 'y' })), []);
      assert.deepEqual(await collect(store.iterate({ ...ALL, limit: 0 })), []);
    });

    it('reads ranges synchronously with the same results', async () => {
      await store.batch(
        ['b', 'd', 'a', 'c'].map((key) => put(key, key)),
        { sync: true },
      );
      const read = (range: KvRange & { readonly limit: number }): string[] =>
        store.rangeSync(range).map(([key, value]) => `${key}=${Buffer.from(value).toString()}`);
      assert.deepEqual(read({ gte: 'b', lt: 'd', limit: 10 }), ['b=b', 'c=c']);
      assert.deepEqual(read({ ...ALL, reverse: true, limit: 2 }), ['d=d', 'c=c']);
      await store.batch([put('bb', 'new')], { sync: true });
      assert.deepEqual(read({ gte: 'b', lt: 'c', limit: 10 }), ['b=b', 'bb=new']);
    });

    it('orders padded numbers in keys as numbers', async () => {
      const numbers = [10, 9, 1, Number.MAX_SAFE_INTEGER, 100];
      await store.batch(
        numbers.map((number) => put(`n!${keyNumber(number)}`, String(number))),
        { sync: true },
      );
      const found = await collect(store.iterate({ gte: 'n!', lt: 'n"' }));
      assert.deepEqual(
        found.map((record) => record.split('=')[1]),
        ['1', '9', '10', '100', String(Number.MAX_SAFE_INTEGER)],
      );
    });

    it('iterates more records than it fetches at a time', async () => {
      const count = 2_000;
      await store.batch(
        Array.from({ length: count }, (_, n) => put(`r!${keyNumber(n)}`, String(n))),
        { sync: true },
      );
      const found = await collect(store.iterate({ gte: 'r!', lt: 'r"' }));
      assert.equal(found.length, count);
      assert.equal(found.at(-1), `r!${keyNumber(count - 1)}=${count - 1}`);
    });

    it('shows a view as it was when it was made', async () => {
      await store.batch([put('a', '1'), put('b', '1')], { sync: true });
      const view = store.view();
      await store.batch([put('a', '2'), del('b'), put('c', '2')], { sync: true });
      assert.deepEqual(await collect(view.iterate(ALL)), ['a=1', 'b=1']);
      assert.deepEqual(await collect(store.iterate(ALL)), ['a=2', 'c=2']);
      await view.close();
    });

    it('refuses a second batch while one is in flight', async () => {
      const first = store.batch([put('a', '1')], { sync: true });
      await assert.rejects(store.batch([put('a', '2')], { sync: true }), /in flight/);
      await first;
      await store.batch([put('a', '3')], { sync: true });
      assert.equal(text(store.get('a')), '3');
    });

    it('keeps everything over a restart', async () => {
      await store.batch([put('a', '1'), put('b', '2')], { sync: true });
      await store.close();
      store = await open();
      assert.deepEqual(await collect(store.iterate(ALL)), ['a=1', 'b=2']);
      assert.equal(store.rangeSync({ ...ALL, limit: 5 }).length, 2);
    });
  });
}
