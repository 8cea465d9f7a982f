import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KvOp, KvRange } from '../../../src/raft/storage/kv-store.ts';
import { MachineStore } from '../../../src/raft/storage/machine-store.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import type { MemoryDisk } from '../../../src/raft/storage/memory-kv.ts';
import { StorageCorruptError } from '../../../src/raft/storage/storage-errors.ts';

const put = (key: string, value: string): KvOp => ({ kind: 'put', key, value: Buffer.from(value) });
const del = (key: string): KvOp => ({ kind: 'del', key });
const ALL: KvRange = { gte: '', lt: '~' };

async function written(
  ops: readonly KvOp[],
): Promise<{ disk: MemoryDisk; kv: MemoryKv; store: MachineStore }> {
  const disk: MemoryDisk = new Map();
  const kv = new MemoryKv(disk);
  const store = new MachineStore(kv, 'sm!1!');
  await kv.batch(store.stage(ops), { sync: true });
  store.settle();
  return { disk, kv, store };
}

async function keys(store: MachineStore, range: KvRange): Promise<string[]> {
  const found: string[] = [];
  for await (const [key, value] of store.iterate(range))
    found.push(`${key}=${Buffer.from(value).toString()}`);
  return found;
}
const keysSync = (store: MachineStore, range: KvRange & { limit: number }): string[] =>
  store.rangeSync(range).map(([key, value]) => `${key}=${Buffer.from(value).toString()}`);

describe('the state machine’s part of the store', () => {
  it('uses relative keys and sees nothing of other prefixes', async () => {
    const { disk, kv, store } = await written([put('a', '1')]);
    assert.deepEqual([...disk.keys()], ['sm!1!a']);
    await kv.batch([{ kind: 'put', key: 'sm!2!b', value: Buffer.from('other') }], { sync: true });
    assert.equal(store.get('b'), undefined);
    assert.deepEqual(await keys(store, ALL), ['a=1']);
  });

  it('shows what is handed over before it is written', async () => {
    const { store } = await written([put('a', '1'), put('c', '1'), put('e', '1')]);
    store.stage([put('b', '2'), del('c'), put('e', '2'), put('f', '2')]);
    assert.equal(Buffer.from(store.get('b')!).toString(), '2');
    assert.equal(store.get('c'), undefined);
    assert.deepEqual(await keys(store, ALL), ['a=1', 'b=2', 'e=2', 'f=2']);
    assert.deepEqual(await keys(store, { ...ALL, reverse: true }), ['f=2', 'e=2', 'b=2', 'a=1']);
    assert.deepEqual(await keys(store, { gte: 'b', lt: 'f', limit: 1 }), ['b=2']);
    assert.deepEqual(await keys(store, { gte: 'c', lt: 'f', limit: 5 }), ['e=2']);
  });

  it('merges what is handed over into synchronous ranges, also at their limit', async () => {
    const { store } = await written(['b', 'd', 'f', 'h'].map((key) => put(key, '1')));
    store.stage([put('a', '2'), del('b'), put('c', '2'), put('z', '2')]);
    assert.deepEqual(keysSync(store, { ...ALL, limit: 3 }), ['a=2', 'c=2', 'd=1']);
    assert.deepEqual(keysSync(store, { ...ALL, limit: 10 }), ['a=2', 'c=2', 'd=1', 'f=1', 'h=1', 'z=2']);
    assert.deepEqual(keysSync(store, { ...ALL, limit: 2, reverse: true }), ['z=2', 'h=1']);
  });

  it('freezes views with what was handed over at that time', async () => {
    const { store } = await written([put('a', '1')]);
    store.stage([put('b', '2')]);
    const view = store.view();
    store.stage([put('c', '3'), del('a')]);
    const found: string[] = [];
    for await (const [key] of view.iterate(ALL)) found.push(key);
    await view.close();
    assert.deepEqual(found, ['a', 'b']);
    assert.deepEqual(await keys(store, ALL), ['b=2', 'c=3']);
  });

  it('notices damaged records however they are read', async () => {
    const { disk, store } = await written([put('a', 'value')]);
    const record = disk.get('sm!1!a')!;
    record[record.length - 1]! ^= 1;
    assert.throws(() => store.get('a'), StorageCorruptError);
    assert.throws(() => store.rangeSync({ ...ALL, limit: 1 }), StorageCorruptError);
    await assert.rejects(keys(store, ALL), StorageCorruptError);
  });
});
