import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { Entry, LogIndex, NodeId, SnapshotMeta, Term, WriteId } from '../../../src/raft/core/types.ts';
import { Flusher } from '../../../src/raft/node/flusher.ts';
import { SnapshotWriter } from '../../../src/raft/node/snapshot-writer.ts';
import { noMetrics } from '../../../src/raft/raft-metrics.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import { KvRaftStorage } from '../../../src/raft/storage/raft-storage.ts';
import { systemTimers } from '../../../src/raft/timers.ts';

const VOTERS = { voters: ['n' as NodeId], learners: [] };
const IDENTITY = { clusterId: 'c', nodeId: 'n' as NodeId };
const meta = (index: number): SnapshotMeta => ({ index: index as LogIndex, term: 1 as Term, config: VOTERS });
const entries = (from: number, to: number): Entry[] =>
  Array.from({ length: to - from + 1 }, (_, n) => ({
    kind: 'noop',
    index: (from + n) as LogIndex,
    term: 1 as Term,
  }));

describe('the snapshot writer', () => {
  let kv: MemoryKv;
  let storage: KvRaftStorage;
  let writer: SnapshotWriter;
  let chunks: string[];
  let taken: { readonly index: number; readonly compactThrough: number }[];
  /** Called for each chunk the state machine makes. */
  let onChunk: (n: number) => void;

  beforeEach(async () => {
    kv = new MemoryKv();
    ({ storage } = await KvRaftStorage.open(kv, { identity: IDENTITY, bootstrap: VOTERS }));
    chunks = ['a'];
    taken = [];
    onChunk = () => undefined;
    const flusher = new Flusher({
      storage,
      takeDirty: () => [],
      timers: systemTimers,
      metrics: noMetrics,
      superblockLagMs: 20,
      onPersisted: () => undefined,
      onFailed: (error) => assert.fail(String(error)),
    });
    flusher.persist({
      kind: 'persist',
      writeId: 1 as WriteId,
      hardState: { currentTerm: 1 as Term, votedFor: null },
      truncateFrom: null,
      append: entries(1, 1_000),
    });
    await flusher.drain();
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

  it('writes one at a time', async () => {
    const first = writer.take(meta(100));
    assert.equal(writer.applied(1_000, 0), false);
    assert.equal(writer.take(meta(101)), first);
    assert.deepEqual(await first, meta(100));
    assert.deepEqual(taken, [{ index: 100, compactThrough: 0 }]);
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
