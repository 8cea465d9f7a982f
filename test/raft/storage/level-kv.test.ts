/** What is particular to LevelDB: how it opens, and what happens after an error (docs/storage.md). */
import assert from 'node:assert/strict';
import { cp, mkdtemp, open as openFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { Level } from 'level';
import { spyOnWrites } from './level-writes.ts';
import { LevelKv } from '../../../src/raft/storage/level-kv.ts';
import { CORRUPTION_MARKER } from '../../../src/raft/storage/level-log-file.ts';
import { StorageError } from '../../../src/raft/storage/storage-errors.ts';
import type { StorageErrorCode } from '../../../src/raft/storage/storage-errors.ts';

const failsWith =
  (code: StorageErrorCode, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof StorageError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };

describe('LevelKv', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'clb-level-'));
  });
  afterEach(async () => {
    mock.restoreAll();
    await rm(folder, { recursive: true, force: true });
  });

  async function fill(writes: number): Promise<void> {
    const store = await LevelKv.open(folder);
    for (let n = 0; n < writes; n++) {
      const value = Buffer.alloc(300, n);
      await store.batch([{ kind: 'put', key: `k${n}`, value }], { sync: true });
    }
    await store.close();
  }

  it('says that the folder is in use when this process has it open already', async () => {
    const store = await LevelKv.open(folder);
    await assert.rejects(
      LevelKv.open(folder),
      failsWith('STORAGE_LOCKED', /in use by another process.*folder of its own/),
    );
    await store.close();
    await (await LevelKv.open(folder)).close();
  });

  it('says that the folder is in use when LevelDB finds its lock taken', async () => {
    const other = new Level(folder);
    await other.open();
    await assert.rejects(LevelKv.open(folder), failsWith('STORAGE_LOCKED', /in use by another process/));
    await other.close();
  });

  it('says what is wrong with a folder that cannot be one, and can be opened later', async () => {
    const path = join(folder, 'file');
    await writeFile(path, '');
    await assert.rejects(
      LevelKv.open(path),
      failsWith('STORAGE_UNAVAILABLE', /cannot be opened.*Check that/s),
    );
    await rm(path);
    await (await LevelKv.open(path)).close();
  });

  it('passes sync on, as it was asked', async () => {
    const store = await LevelKv.open(folder);
    const writes = spyOnWrites();
    await store.batch([{ kind: 'put', key: 'a', value: Buffer.from('1') }], { sync: true });
    await store.batch([{ kind: 'put', key: 'a', value: Buffer.from('2') }], { sync: false });
    assert.deepEqual(writes, [{ sync: true }, { sync: false }]);
    await store.close();
  });

  it('never writes again after a write failed', async () => {
    const store = await LevelKv.open(folder);
    const writes = spyOnWrites(new Error('No space left on device'));
    const write = (): Promise<void> =>
      store.batch([{ kind: 'put', key: 'a', value: Buffer.from('1') }], { sync: true });
    await assert.rejects(write(), failsWith('STORAGE_WRITE_FAILED', /No space left on device/));
    await assert.rejects(write(), failsWith('STORAGE_WRITE_FAILED', /an earlier write failed/));
    assert.equal(writes.length, 1);
    assert.equal(store.get('a'), undefined);
    await store.close();
  });

  it('refuses to start when LevelDB drops a damaged part of its write-ahead log, and goes on refusing', async () => {
    // What the check of the write-ahead log (below) finds first is here left for LevelDB to find.
    await fill(200);
    const wal = await newestWal();
    const bytes = await readFile(wal);
    bytes.fill(0xff, 40_000, 40_001);
    await writeFile(wal, bytes);
    const db = new Level(folder);
    await db.open();
    await db.close();
    await assert.rejects(
      LevelKv.open(folder),
      failsWith('STORAGE_CORRUPT', /LevelDB reported.*dropping \d+ bytes.*NEW id/s),
    );
    // LevelDB itself finds nothing wrong any more: it has thrown the damaged part away.
    await assert.rejects(LevelKv.open(folder), failsWith('STORAGE_CORRUPT', /earlier start found/));
    assert.match(await readFile(join(folder, CORRUPTION_MARKER), 'utf8'), /dropping/);
  });

  it('refuses to start, whichever byte of the write-ahead log is flipped, or has lost nothing but the last write', async () => {
    const writes = 30;
    await fill(writes);
    const wal = await newestWal();
    const sound = await readFile(wal);
    // A prime step visits headers, keys and values of all records without taking minutes.
    for (let at = 0; at < sound.byteLength; at += 211) {
      const flipped = Buffer.from(sound);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      const copy = await mkdtemp(join(tmpdir(), 'clb-level-'));
      try {
        await cp(folder, copy, { recursive: true });
        await writeFile(join(copy, basename(wal)), flipped);
        const store = await LevelKv.open(copy).catch((error: unknown) => {
          assert.ok(failsWith('STORAGE_CORRUPT', /NEW id/)(error));
          return null;
        });
        if (store === null) continue;
        for (let n = 0; n < writes - 1; n++)
          assert.notEqual(store.get(`k${n}`), undefined, `k${n} lost by byte ${at}`);
        await store.close();
      } finally {
        await rm(copy, { recursive: true, force: true });
      }
    }
  });

  it('refuses to start on the report of an earlier process that was killed before it could look', async () => {
    await fill(3);
    await writeFile(
      join(folder, 'LOG'),
      '2026/01/01-00:00:00.0 7f (ignoring error) 000003.log: dropping 300 bytes; Corruption: x\n',
    );
    await assert.rejects(LevelKv.open(folder), failsWith('STORAGE_CORRUPT', /dropping 300 bytes/));
  });

  it('takes a torn end of the write-ahead log for what it is: a write that was never acknowledged', async () => {
    await fill(10);
    const wal = await newestWal();
    const file = await openFile(wal, 'r+');
    await file.truncate((await stat(wal)).size - 100);
    await file.close();
    const store = await LevelKv.open(folder);
    assert.notEqual(store.get('k8'), undefined);
    assert.equal(store.get('k9'), undefined);
    await store.close();
  });

  it('says that a table file is missing', async () => {
    await fill(10);
    // At open LevelDB makes a table of what is in the write-ahead log.
    await (await LevelKv.open(folder)).close();
    const table = (await readdir(folder)).find((name) => name.endsWith('.ldb'));
    await rm(join(folder, table!));
    await assert.rejects(LevelKv.open(folder), failsWith('STORAGE_CORRUPT', /missing files.*NEW id/s));
  });

  async function newestWal(): Promise<string> {
    const wals = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort();
    return join(folder, wals.at(-1)!);
  }
});
