import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { LogIndex, NodeId, SnapshotMeta, Term } from '../../../src/raft/core/types.ts';
import { SnapshotWriter } from '../../../src/raft/node/snapshot-writer.ts';
import { noMetrics } from '../../../src/raft/raft-metrics.ts';
import { NOTHING_NEEDED, type NeededLog } from '../../../src/raft/storage/log-packs.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import type { KvRaftStorage } from '../../../src/raft/storage/raft-storage.ts';
import { systemTimers } from '../../../src/raft/timers.ts';
import { storedLog } from './stored-log.ts';

const VOTERS = { voters: ['n' as NodeId], learners: [] };
const meta = (index: number): SnapshotMeta => ({ index: index as LogIndex, term: 1 as Term, config: VOTERS });
describe('the snapshot writer', () => {
  let kv: MemoryKv;
  let storage: KvRaftStorage;
  let writer: SnapshotWriter;
  let chunks: string[];
  let taken: { readonly index: number; readonly compactThrough: number }[];
  /** Called for each chunk the state machine makes. */
  let onChunk: (n: number) => void;
  let needed: NeededLog;

  beforeEach(async () => {
    kv = new MemoryKv();
    const stored = await storedLog(kv, 'n' as NodeId, VOTERS, 1_000, 100);
    const { flusher } = stored;
    storage = stored.storage;
    needed = NOTHING_NEEDED;
    chunks = ['a'];
    taken = [];
    onChunk = () => undefined;
    writer = new SnapshotWriter({
      machine: {
        snapshot: async function* () {
          for (const [n, chunk] of chunks.entries()) {
            onChunk(n);
            yield await Promise.resolve(Buffer.from(chunk));
          }
        },
        dropBefore: () => [],
      },
      storage,
      flusher,
      timers: systemTimers,
      random: () => 0,
      metrics: noMetrics,
      everyEntries: 100,
      everyBytes: 1_000,
      trailing: { entries: 0, bytes: 0 },
      needed: () => needed,
      onTaken: ({ index }, compactThrough) => taken.push({ index, compactThrough }),
    });
  });

  const snapKeys = async (): Promise<string[]> => {
    const keys: string[] = [];
    for await (const [key] of kv.iterate({ gte: 'snap!', lt: 'snap"' }))
      keys.push(key.replace(/!0+(?=\d)/g, '!'));
    return keys;
  };

  it('finds one due after so many entries or so many bytes', async () => {
    assert.equal(writer.applied(99, 0), false);
    assert.equal(writer.applied(1, 0), true);
    await writer.take(meta(100));
    assert.equal(writer.applied(1, 999), false);
    assert.equal(writer.applied(1, 1), true);
  });

  it('finds the next one due later, the larger the last one was, within bounds', async () => {
    chunks = ['x'.repeat(3_000)];
    await writer.take(meta(100));
    assert.equal(writer.applied(299, 2_999), false);
    assert.equal(writer.applied(1, 0), true);
    chunks = ['x'.repeat(1_000_000)];
    await writer.take(meta(200));
    assert.equal(writer.applied(799, 0), false);
    assert.equal(writer.applied(1, 0), true);
  });

  it('keeps what a follower that catches up still needs, within the bound, and nothing when it has it', async () => {
    needed = { after: 250, bytes: 1_000_000 };
    await writer.take(meta(600));
    needed = { after: 250, bytes: 1 };
    await writer.take(meta(700));
    needed = { after: 750, bytes: 1_000_000 };
    await writer.take(meta(800));
    needed = NOTHING_NEEDED;
    await writer.take(meta(900));
    assert.deepEqual(taken, [
      // Whole packs, of a hundred entries here.
      { index: 600, compactThrough: 200 },
      { index: 700, compactThrough: 700 },
      { index: 800, compactThrough: 700 },
      { index: 900, compactThrough: 900 },
    ]);
  });

  it('writes one at a time', async () => {
    const first = writer.take(meta(100));
    assert.equal(writer.applied(1_000, 0), false);
    assert.equal(writer.take(meta(101)), first);
    assert.deepEqual(await first, meta(100));
    assert.deepEqual(taken, [{ index: 100, compactThrough: 100 }]);
  });

  it('leaves nothing of one that was given up, at whatever chunk, and can take the next', async () => {
    await writer.take(meta(50));
    for (const at of [0, 1, 2]) {
      chunks = ['a', 'b', 'c'];
      onChunk = (n) => {
        if (n === at) queueMicrotask(() => writer.abort());
      };
      assert.equal(await writer.take(meta(60 + at)), null);
      assert.deepEqual(await snapKeys(), ['snap!50!0']);
    }
    onChunk = () => undefined;
    assert.deepEqual(await writer.take(meta(70)), meta(70));
    assert.deepEqual(await snapKeys(), ['snap!70!0', 'snap!70!1', 'snap!70!2']);
  });
});
