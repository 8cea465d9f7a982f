import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Level } from 'level';
import type { AttemptRef } from '../../src/link/protocol.ts';
import { Outbox } from '../../src/worker/outbox.ts';
import type { KeptEnding, OutboxRecord, OutboxWriteError } from '../../src/worker/outbox.ts';
import { success } from './fake-executor.ts';

const ref = (token: number): AttemptRef => ({ task: `task-${token}`, token });
const ENDING = success('all well') as KeptEnding;

describe('the outbox', () => {
  let folder = '';
  let fatal: OutboxWriteError[];
  let warnings: string[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'clb-outbox-test-'));
    fatal = [];
    warnings = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const open = (): Promise<{ outbox: Outbox; records: readonly OutboxRecord[] }> =>
    Outbox.open(
      folder,
      (error) => fatal.push(error),
      (message) => warnings.push(message),
    );
  const begin = (outbox: Outbox, token: number): Promise<void> =>
    new Promise((resolve) => outbox.begin(ref(token), resolve));
  const end = (outbox: Outbox, token: number): Promise<void> =>
    new Promise((resolve) => outbox.end(ref(token), ENDING, resolve));

  it('has everything again that was durable when it was abandoned, and the same instance', async () => {
    const first = await open();
    assert.deepEqual(first.records, []);
    await Promise.all([begin(first.outbox, 1), begin(first.outbox, 2), begin(first.outbox, 12)]);
    await end(first.outbox, 2);
    await first.outbox.abandon();
    const second = await open();
    assert.deepEqual(second.records, [
      { ref: ref(1), ending: null },
      { ref: ref(2), ending: ENDING },
      { ref: ref(12), ending: null },
    ]);
    assert.equal(second.outbox.instance, first.outbox.instance);
    await second.outbox.close();
  });

  it('forgets what was dropped, at the latest when it is closed', async () => {
    const first = await open();
    await end(first.outbox, 1);
    await end(first.outbox, 2);
    first.outbox.drop(ref(1));
    await first.outbox.close();
    const second = await open();
    assert.deepEqual(
      second.records.map(({ ref: { token } }) => token),
      [2],
    );
    second.outbox.drop(ref(2));
    await new Promise((resolve) => setTimeout(resolve, 300)); // by itself, without any other write
    await second.outbox.abandon();
    const third = await open();
    assert.deepEqual(third.records, []);
    await third.outbox.close();
  });

  it('writes a begin and the ending that follows at once as one record, and calls back for both', async () => {
    const { outbox } = await open();
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      outbox.begin(ref(1), () => order.push('begun'));
      outbox.end(ref(1), ENDING, () => {
        order.push('ended');
        resolve();
      });
    });
    assert.deepEqual(order, ['begun', 'ended']);
    await outbox.close();
    const { outbox: again, records } = await open();
    assert.deepEqual(records, [{ ref: ref(1), ending: ENDING }]);
    await again.close();
  });

  it('keeps the order of many writes to one attempt, with one batch in flight', async () => {
    const { outbox } = await open();
    const done: Promise<void>[] = [];
    for (let round = 0; round < 50; round += 1) {
      for (let token = 1; token <= 20; token += 1) {
        const written = [begin(outbox, token), end(outbox, token)];
        if (token % 2 === 0) outbox.drop(ref(token));
        else done.push(...written);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(done);
    await outbox.close();
    const { outbox: again, records } = await open();
    assert.deepEqual(
      records.map(({ ref: { token }, ending }) => [token, ending?.kind]),
      Array.from({ length: 10 }, (_, at) => [2 * at + 1, 'finished']),
    );
    await again.close();
  });

  it('forgets what was dropped while it was being written', async () => {
    const { outbox } = await open();
    let called = false;
    outbox.begin(ref(1), () => (called = true));
    const second = begin(outbox, 2);
    await Promise.resolve(); // the write is under way
    outbox.drop(ref(1));
    await second;
    outbox.drop(ref(2));
    await outbox.close();
    assert.equal(called, false);
    const { outbox: again, records } = await open();
    assert.deepEqual(records, []);
    await again.close();
  });

  it('keeps no flush of which everything is recorded', async () => {
    const { outbox } = await open();
    for (let round = 0; round < 5; round += 1) {
      const tokens = Array.from({ length: 20 }, (_, at) => round * 20 + at + 1);
      await Promise.all(tokens.map((token) => begin(outbox, token)));
      await Promise.all(tokens.map((token) => end(outbox, token)));
      for (const token of tokens) if (token !== 50) outbox.drop(ref(token));
    }
    await outbox.close();
    const db = new Level(folder);
    const keys = await db.keys({ gte: 'flush!', lt: 'flush~' }).all();
    await db.close();
    assert.equal(keys.length, 1, 'only the one with the result that is not recorded');
    const { outbox: again, records } = await open();
    assert.ok(records.some(({ ref: { token }, ending }) => token === 50 && ending !== null));
    await again.close();
  });

  it('does not call back for what was not durable when it was abandoned', async () => {
    const { outbox } = await open();
    let called = false;
    outbox.begin(ref(1), () => (called = true));
    await outbox.abandon();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(called, false);
  });

  it('reports a rejected write once, and neither writes nor calls back any more', async (context) => {
    const { outbox } = await open();
    await begin(outbox, 1);
    const batch = context.mock.method(Level.prototype, 'batch', () => Promise.reject(new Error('disk full')));
    let called = false;
    outbox.begin(ref(2), () => (called = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    batch.mock.restore(); // the disk has room again: LevelDB would accept writes now, and might lose them
    outbox.begin(ref(3), () => (called = true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(
      fatal.map(({ code, message }) => [code, message]),
      [['OUTBOX_WRITE', 'the outbox could not be written: disk full']],
    );
    assert.equal(called, false);
    await outbox.close();
    const { outbox: again, records } = await open();
    assert.deepEqual(records, [{ ref: ref(1), ending: null }]);
    await again.close();
  });

  it('asks LevelDB to sync whatever is put', async (context) => {
    const { outbox } = await open();
    const batch = context.mock.method(Level.prototype, 'batch');
    await begin(outbox, 1);
    await end(outbox, 1);
    assert.deepEqual(
      batch.mock.calls.map((call) => (call.arguments as readonly unknown[])[1]),
      [{ sync: true }, { sync: true }],
    );
    await outbox.close();
  });

  it('drops a damaged record and says so', async () => {
    const first = await open();
    await end(first.outbox, 1);
    await end(first.outbox, 2);
    await first.outbox.close();
    const db = new Level(folder);
    const [key = ''] = await db.keys({ gte: 'flush!', lt: 'flush~' }).all();
    const value = await db.get(key);
    await db.put(key, value.replace('all well', 'all w3ll'));
    await db.close();
    const second = await open();
    assert.deepEqual(
      second.records.map(({ ref: { token } }) => token),
      [2],
    );
    assert.match(warnings[0] ?? '', /^a damaged record/);
    await second.outbox.close();
  });

  it('is open in one process only', async () => {
    const { outbox } = await open();
    await assert.rejects(open(), { code: 'LEVEL_DATABASE_NOT_OPEN' });
    await outbox.close();
  });
});
