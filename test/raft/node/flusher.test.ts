import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type {
  Effect,
  Entry,
  HardState,
  LogIndex,
  NodeId,
  Term,
  WriteId,
} from '../../../src/raft/core/types.ts';
import { Flusher, FlusherStoppedError } from '../../../src/raft/node/flusher.ts';
import { noMetrics } from '../../../src/raft/raft-metrics.ts';
import type { KvOp } from '../../../src/raft/storage/kv-store.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import { KvRaftStorage } from '../../../src/raft/storage/raft-storage.ts';
import { WRITES_KEY } from '../../../src/raft/storage/records.ts';
import { Superblock } from '../../../src/raft/storage/superblock.ts';
import { systemTimers } from '../../../src/raft/timers.ts';

import { until } from './test-cluster.ts';

type Persist = Extract<Effect, { kind: 'persist' }>;

/** A store whose writes end when the test says so. */
class HeldKv extends MemoryKv {
  readonly batches: { readonly keys: readonly string[]; readonly sync: boolean }[] = [];
  hold: { readonly release: (error?: Error) => void }[] | null = null;

  override async batch(ops: readonly KvOp[], options: { readonly sync: boolean }): Promise<void> {
    this.batches.push({
      keys: ops
        .filter((op) => op.key !== WRITES_KEY)
        .map((op) => `${op.kind} ${op.key.replace(/!0+/g, '!')}`),
      sync: options.sync,
    });
    if (this.hold !== null) {
      const { hold } = this;
      await new Promise<void>((resolve, reject) => {
        hold.push({ release: (error) => (error === undefined ? resolve() : reject(error)) });
      });
    }
    await super.batch(ops, options);
  }
}

const entry = (index: number, term = 1): Entry => ({
  kind: 'noop',
  index: index as LogIndex,
  term: term as Term,
});
const persist = (writeId: number, change: Partial<Persist>): Persist => ({
  kind: 'persist',
  writeId: writeId as WriteId,
  hardState: null,
  truncateFrom: null,
  append: [],
  ...change,
});
const hard = (currentTerm: number): HardState => ({ currentTerm: currentTerm as Term, votedFor: null });
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the flusher', () => {
  let kv: HeldKv;
  let storage: KvRaftStorage;
  let flusher: Flusher;
  let persisted: number[];
  let failures: unknown[];
  let dirty: KvOp[];

  beforeEach(async () => {
    kv = new HeldKv();
    ({ storage } = await KvRaftStorage.open(kv, {
      identity: { clusterId: 'c', nodeId: 'n' as NodeId },
      bootstrap: { voters: [], learners: [] },
    }));
    kv.batches.length = 0;
    kv.hold = [];
    persisted = [];
    failures = [];
    dirty = [];
    flusher = new Flusher({
      storage,
      takeDirty: () => dirty.splice(0),
      timers: systemTimers,
      metrics: noMetrics,
      superblockLagMs: 20,
      onPersisted: (writeId) => persisted.push(writeId),
      onFailed: (error) => failures.push(error),
    });
  });

  it('joins what is asked in one turn, and what is asked while a write is under way, into one synced write each', async () => {
    flusher.persist(persist(1, { hardState: hard(1), append: [entry(1)] }));
    flusher.persist(persist(2, { append: [entry(2)] }));
    await settled();
    assert.equal(kv.batches.length, 1);
    flusher.persist(persist(3, { append: [entry(3)] }));
    flusher.persist(persist(4, { hardState: hard(2) }));
    flusher.persist(persist(5, { append: [entry(4, 2)] }));
    await settled();
    assert.equal(kv.batches.length, 1, 'one write at a time');
    assert.deepEqual(persisted, []);
    kv.hold![0]!.release();
    await settled();
    assert.deepEqual(persisted, [2]);
    kv.hold![1]!.release();
    await settled();
    assert.deepEqual(persisted, [2, 5]);
    assert.deepEqual(kv.batches, [
      { keys: ['put raft!hard', 'put log!1'], sync: true },
      { keys: ['put raft!hard', 'put log!3'], sync: true },
    ]);
  });

  it('reports a write of term or vote when the superblock has it too, and others before that', async () => {
    const written: { readonly term: number; readonly release: () => void }[] = [];
    kv.slots.write = (_slot, content) =>
      new Promise((resolve) => {
        const { currentTerm: term } = JSON.parse(Buffer.from(content.subarray(8)).toString()) as HardState;
        written.push({ term, release: resolve });
      });
    kv.hold = null;
    flusher.persist(persist(1, { hardState: hard(4) }));
    await settled();
    assert.equal(written[0]?.term, 4);
    assert.deepEqual(persisted, []);
    written[0].release();
    await settled();
    assert.deepEqual(persisted, [1]);
    flusher.persist(persist(2, { append: [entry(1, 4)] }));
    await settled();
    assert.deepEqual([persisted, written.length], [[1, 2], 1]);
    await until('the superblock to follow', () => written.length === 2);
    // While it is written the log goes on; what is new by then follows later.
    flusher.persist(persist(3, { append: [entry(2, 4)] }));
    await settled();
    assert.deepEqual(persisted, [1, 2, 3]);
    written[1]?.release();
    await until('the superblock to follow again', () => written.length === 3);
    written[2]?.release();
    await flusher.stop();
  });

  it('fails with the superblock', async () => {
    kv.hold = null;
    kv.slots.write = () => Promise.reject(new Error('No space left on device'));
    flusher.persist(persist(1, { append: [entry(1)] }));
    await until('the failure', () => failures.length > 0);
    flusher.persist(persist(2, { append: [entry(2)] }));
    await settled();
    assert.deepEqual([persisted, failures.length], [[1], 1]);
  });

  it('drained, leaves a superblock that knows of everything', async () => {
    kv.hold = null;
    flusher.persist(persist(1, { append: [entry(1), entry(2)] }));
    await flusher.drain();
    const { state } = await Superblock.open(kv.slots);
    assert.equal(state?.lastIndex, 2);
  });

  it('does not write what was cut off again before its turn came', async () => {
    flusher.persist(persist(1, { hardState: hard(1), append: [entry(1), entry(2)] }));
    await settled();
    flusher.persist(persist(2, { append: [entry(3), entry(4), entry(5)] }));
    flusher.persist(persist(3, { truncateFrom: 4 as LogIndex, append: [entry(4)] }));
    flusher.persist(persist(4, { hardState: hard(2), truncateFrom: 2 as LogIndex, append: [entry(2, 2)] }));
    kv.hold![0]!.release();
    await settled();
    kv.hold![1]!.release();
    await settled();
    assert.deepEqual(persisted, [1, 4]);
    assert.equal(storage.lastIndex, 2);
    kv.hold = null;
    const { recovered } = await KvRaftStorage.open(kv, {
      identity: { clusterId: 'c', nodeId: 'n' as NodeId },
      bootstrap: { voters: [], learners: [] },
    });
    assert.deepEqual(recovered.entries, [entry(1), entry(2, 2)]);
  });

  it('takes the state machine’s dirty records along, and shows them meanwhile', async () => {
    dirty.push({ kind: 'put', key: 'a', value: Buffer.from('1') });
    flusher.persist(persist(1, { hardState: hard(1) }));
    await settled();
    assert.deepEqual(kv.batches[0]?.keys, ['put raft!hard', 'put sm!1!a']);
    assert.equal(Buffer.from(storage.machine.get('a')!).toString(), '1');
    kv.hold![0]!.release();
    await settled();
    assert.equal(Buffer.from(storage.machine.get('a')!).toString(), '1');
  });

  it('lets each write carry one background job', async () => {
    const done: string[] = [];
    for (const name of ['one', 'two']) {
      void flusher
        .background(() => [{ kind: 'put', key: name, value: Buffer.from(name) }])
        .then(() => done.push(name));
    }
    flusher.persist(persist(1, { hardState: hard(1) }));
    await settled();
    flusher.persist(persist(2, { hardState: hard(2) }));
    kv.hold![0]!.release();
    await settled();
    assert.deepEqual(done, ['one']);
    kv.hold![1]!.release();
    await settled();
    assert.deepEqual(done, ['one', 'two']);
    assert.deepEqual(
      kv.batches.map(({ keys }) => keys),
      [
        ['put raft!hard', 'put one'],
        ['put raft!hard', 'put two'],
      ],
    );
  });

  it('writes nothing more after a write failed', async () => {
    flusher.persist(persist(1, { hardState: hard(1) }));
    const job = flusher.background(() => []);
    const rejection = assert.rejects(job, /no space/);
    await settled();
    flusher.persist(persist(2, { hardState: hard(2) }));
    kv.hold![0]!.release(new Error('no space'));
    await rejection;
    await settled();
    assert.equal(failures.length, 1);
    assert.equal(kv.batches.length, 1);
    assert.deepEqual(persisted, []);
    flusher.persist(persist(3, { hardState: hard(3) }));
    await settled();
    assert.equal(kv.batches.length, 1);
    await assert.rejects(
      flusher.background(() => []),
      FlusherStoppedError,
    );
  });

  it('takes a write that cannot be composed for a fault, too', async () => {
    flusher.persist(persist(1, { hardState: hard(1), append: [entry(5)] }));
    await settled();
    assert.match(String(failures[0]), /entry 5 cannot follow entry 0/);
    assert.equal(kv.batches.length, 0);
  });

  it('stopped, drops what waits and reports nothing of what was under way', async () => {
    flusher.persist(persist(1, { hardState: hard(1) }));
    await settled();
    const job = assert.rejects(
      flusher.background(() => []),
      FlusherStoppedError,
    );
    flusher.persist(persist(2, { append: [entry(1)] }));
    const stopping = flusher.stop();
    kv.hold![0]!.release();
    await stopping;
    await job;
    assert.deepEqual(persisted, []);
    assert.equal(kv.batches.length, 1);
  });

  it('drained, has written everything', async () => {
    kv.hold = null;
    flusher.persist(persist(1, { hardState: hard(1), append: [entry(1)] }));
    void flusher.background(() => [{ kind: 'put', key: 'a', value: Buffer.from('1') }]);
    void flusher.background(() => [{ kind: 'put', key: 'b', value: Buffer.from('2') }]);
    await flusher.drain();
    assert.deepEqual(persisted, [1]);
    assert.notEqual(kv.get('b'), undefined);
  });
});
