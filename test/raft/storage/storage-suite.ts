/**
 * What a server keeps, over each kind of store: what is written comes back, and whatever is missing or damaged is noticed at
 * open, never repaired.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type {
  Configuration,
  Entry,
  LogIndex,
  NodeId,
  RecoveredState,
  SnapshotMeta,
  Term,
} from '../../../src/raft/core/types.ts';
import type { KvOp, KvStore } from '../../../src/raft/storage/kv-store.ts';
import { keyNumber } from '../../../src/raft/storage/kv-store.ts';
import { FOLDER_KEY, PEER_FOLDERS_KEY } from '../../../src/raft/storage/folder-records.ts';
import {
  chunkKey,
  HARD_STATE_KEY,
  IDENTITY_KEY,
  logKey,
  LOG_START_KEY,
  SNAPSHOT_KEY,
  WRITES_KEY,
} from '../../../src/raft/storage/records.ts';
import { KvRaftStorage } from '../../../src/raft/storage/raft-storage.ts';
import { continueCrc } from '../../../src/raft/storage/stored-snapshot.ts';
import type { ChunkTotals, LogWrite } from '../../../src/raft/storage/raft-storage.ts';
import { sealJson, unsealJson } from '../../../src/raft/storage/sealed-record.ts';
import { StorageCorruptError, StorageError } from '../../../src/raft/storage/storage-errors.ts';

import type { PrepareStore } from './kv-suite.ts';

const N1 = 'server1' as NodeId;
const VOTERS: Configuration = { voters: [N1, 'server2' as NodeId, 'server3' as NodeId], learners: [] };
const IDENTITY = { clusterId: 'c1', nodeId: N1 };
const at = (index: number): LogIndex => index as LogIndex;
const entry = (index: number, term: number, word = `word${index}`): Entry => ({
  kind: 'command',
  index: at(index),
  term: term as Term,
  payload: Buffer.from(word),
});
const run = (from: number, to: number, term: number): Entry[] =>
  Array.from({ length: to - from + 1 }, (_, n) => entry(from + n, term));
const plain = (entries: readonly Entry[]): string[] =>
  entries.map(
    (e) => `${e.index}/${e.term}:${e.kind === 'command' ? Buffer.from(e.payload).toString() : e.kind}`,
  );
const meta = (index: number, term: number): SnapshotMeta => ({
  index: at(index),
  term: term as Term,
  config: VOTERS,
});
/** Every record of a store in which the log's packs begin at 1, 6 and 10, but for the last pack. */
const RECORDS = [
  IDENTITY_KEY,
  HARD_STATE_KEY,
  SNAPSHOT_KEY,
  LOG_START_KEY,
  WRITES_KEY,
  FOLDER_KEY,
  PEER_FOLDERS_KEY,
  logKey(1),
  logKey(6),
];
const KEEP_NONE = { entries: 0, bytes: 0 };

export function describeStorage(name: string, prepare: PrepareStore): void {
  describe(`the storage of a server in ${name}`, () => {
    let openKv: () => Promise<KvStore>;
    let clean: () => Promise<void>;
    let kv: KvStore;
    let storage: KvRaftStorage;
    let recovered: RecoveredState;

    const open = async (identity = IDENTITY): Promise<void> => {
      kv = await openKv();
      ({ storage, recovered } = await KvRaftStorage.open(kv, {
        identity,
        bootstrap: VOTERS,
        newFolderId: () => 'f00d',
      }));
    };
    const reopen = async (): Promise<void> => {
      await kv.close();
      await open();
    };
    const write = (change: Partial<LogWrite>): Promise<void> =>
      storage.write(storage.composeLog({ hardState: null, truncateFrom: null, append: [], ...change }));
    const vote = (currentTerm: number, votedFor: NodeId | null): Promise<void> =>
      write({ hardState: { currentTerm: currentTerm as Term, votedFor } });
    const put = (key: string, value: Uint8Array): Promise<void> =>
      kv.batch([{ kind: 'put', key, value }], { sync: true });
    const corrupt = async (damage: RegExp): Promise<void> => {
      await kv.close();
      kv = await openKv();
      await assert.rejects(KvRaftStorage.open(kv, { identity: IDENTITY, bootstrap: VOTERS }), (error) => {
        assert.ok(error instanceof StorageCorruptError, String(error));
        assert.match(error.damage, damage);
        assert.match(error.message, /NEW id/);
        return true;
      });
    };
    const writeChunks = async (index: number, chunks: readonly string[]): Promise<ChunkTotals> => {
      let totals: ChunkTotals = { chunks: 0, bytes: 0, crc: 0 };
      for (const text of chunks) {
        const chunk = Buffer.from(text);
        await storage.write([storage.composeChunk(at(index), totals.chunks, chunk)]);
        totals = {
          chunks: totals.chunks + 1,
          bytes: totals.bytes + chunk.byteLength,
          crc: continueCrc(totals.crc, chunk),
        };
      }
      return totals;
    };
    const takeSnapshot = async (
      index: number,
      term: number,
      chunks: readonly string[],
      trailing = KEEP_NONE,
    ): Promise<LogIndex> => {
      const totals = await writeChunks(index, chunks);
      const { ops, compactThrough } = storage.composeSnapshotCommit(meta(index, term), totals, trailing);
      await storage.write(ops);
      return compactThrough;
    };
    const readSnapshot = async (): Promise<string[]> => {
      const chunks: string[] = [];
      for await (const chunk of storage.readSnapshot()) chunks.push(Buffer.from(chunk).toString());
      return chunks;
    };
    const allKeys = async (): Promise<string[]> => {
      const keys: string[] = [];
      for await (const [key] of kv.iterate({ gte: '', lt: '~' })) keys.push(key);
      return keys;
    };

    beforeEach(async () => {
      ({ open: openKv, clean } = await prepare());
      await open();
    });
    afterEach(async () => {
      await kv.close();
      await clean();
    });

    describe('at the first start', () => {
      it('begins with the bootstrap configuration, no term and no log', async () => {
        const expected: RecoveredState = {
          hardState: { currentTerm: 0 as Term, votedFor: null },
          snapshot: meta(0, 0),
          entries: [],
        };
        assert.deepEqual(recovered, expected);
        await reopen();
        assert.deepEqual(recovered, expected);
      });

      it('does not take another bootstrap configuration later', async () => {
        await kv.close();
        kv = await openKv();
        const other = { voters: ['x' as NodeId], learners: [] };
        const again = await KvRaftStorage.open(kv, { identity: IDENTITY, bootstrap: other });
        assert.deepEqual(again.recovered.snapshot.config, VOTERS);
      });
    });

    describe('log and hard state', () => {
      it('come back as they were written', async () => {
        const config: Entry = {
          kind: 'config',
          index: at(3),
          term: 1 as Term,
          config: {
            ...VOTERS,
            learners: ['s4' as NodeId],
            addresses: { s4: 'd.lan:3002' },
            removed: ['s0' as NodeId],
          },
        };
        const noop: Entry = { kind: 'noop', index: at(1), term: 1 as Term };
        await write({
          hardState: { currentTerm: 1 as Term, votedFor: N1 },
          append: [noop, entry(2, 1), config],
        });
        await vote(4, null);
        await write({ append: [entry(4, 4)] });
        await reopen();
        assert.deepEqual(recovered.hardState, { currentTerm: 4, votedFor: null });
        assert.deepEqual(plain(recovered.entries), ['1/1:noop', '2/1:word2', '3/1:config', '4/4:word4']);
        assert.deepEqual(recovered.entries[2], config);
      });

      it('are cut inside a pack, at its edge, and across packs', async () => {
        await vote(9, null);
        for (const [from, to] of [
          [1, 4],
          [5, 6],
          [7, 10],
        ] as const) {
          await write({ append: run(from, to, 1) });
        }
        await write({ truncateFrom: at(9), append: run(9, 12, 2) });
        await reopen();
        assert.deepEqual(plain(recovered.entries), plain([...run(1, 8, 1), ...run(9, 12, 2)]));
        await write({ truncateFrom: at(7), append: run(7, 7, 3) });
        await reopen();
        assert.deepEqual(plain(recovered.entries), plain([...run(1, 6, 1), ...run(7, 7, 3)]));
        await write({ truncateFrom: at(2), append: [] });
        await reopen();
        assert.deepEqual(plain(recovered.entries), plain(run(1, 1, 1)));
        await write({ truncateFrom: at(1), append: run(1, 2, 5) });
        await reopen();
        assert.deepEqual(plain(recovered.entries), plain(run(1, 2, 5)));
        assert.equal(storage.lastIndex, 2);
      });

      it('keep entries of one flush larger than a pack', async () => {
        await vote(1, null);
        const large = [1, 2, 3, 4].map((index) => entry(index, 1, 'x'.repeat(700_000)));
        await write({ append: large });
        assert.equal((await allKeys()).filter((key) => key.startsWith('log!')).length, 4);
        await reopen();
        assert.deepEqual(plain(recovered.entries), plain(large));
      });

      it('change in one synced batch per write', async () => {
        const seen: { readonly ops: readonly KvOp[]; readonly sync: boolean }[] = [];
        const recording: KvStore = {
          slots: kv.slots,
          get: (key) => kv.get(key),
          iterate: (range) => kv.iterate(range),
          rangeSync: (range) => kv.rangeSync(range),
          view: () => kv.view(),
          close: () => kv.close(),
          batch: (ops, options) => {
            seen.push({ ops, sync: options.sync });
            return kv.batch(ops, options);
          },
        };
        ({ storage } = await KvRaftStorage.open(recording, { identity: IDENTITY, bootstrap: VOTERS }));
        await write({ hardState: { currentTerm: 1 as Term, votedFor: N1 }, append: run(1, 3, 1) });
        await write({
          hardState: { currentTerm: 2 as Term, votedFor: null },
          truncateFrom: at(2),
          append: run(2, 2, 2),
        });
        assert.deepEqual(
          seen.map(({ ops, sync }) => ({ keys: ops.map((op) => `${op.kind} ${op.key}`), sync })),
          [
            { keys: [`put ${HARD_STATE_KEY}`, `put ${logKey(1)}`, `put ${WRITES_KEY}`], sync: true },
            {
              keys: [
                `put ${HARD_STATE_KEY}`,
                `del ${logKey(1)}`,
                `put ${logKey(1)}`,
                `put ${logKey(2)}`,
                `put ${WRITES_KEY}`,
              ],
              sync: true,
            },
          ],
        );
      });

      it('refuse to be composed out of order', async () => {
        await vote(3, null);
        await write({ append: run(1, 2, 1) });
        assert.throws(
          () => storage.composeLog({ hardState: null, truncateFrom: null, append: run(4, 4, 1) }),
          /cannot follow/,
        );
        assert.throws(
          () =>
            storage.composeLog({
              hardState: { currentTerm: 2 as Term, votedFor: null },
              truncateFrom: null,
              append: [],
            }),
          /term 2 is below 3/,
        );
      });
    });

    describe('a snapshot', () => {
      beforeEach(async () => {
        await vote(2, null);
        for (let from = 1; from <= 91; from += 10)
          await write({ append: run(from, from + 9, from < 50 ? 1 : 2) });
      });

      it('stands for the log before it, which goes in whole packs', async () => {
        assert.equal(await takeSnapshot(65, 2, ['one', 'two']), 60);
        await reopen();
        assert.deepEqual(recovered.snapshot, meta(65, 2));
        assert.deepEqual(plain(recovered.entries), plain(run(61, 100, 2)));
        assert.deepEqual(await readSnapshot(), ['one', 'two']);
      });

      it('leaves as many entries as were asked to be kept for slow followers', async () => {
        assert.equal(await takeSnapshot(65, 2, ['x'], { entries: 20, bytes: 1_000_000 }), 40);
        await reopen();
        assert.equal(recovered.entries[0]?.index, 41);
      });

      it('leaves fewer where they are too large', async () => {
        assert.equal(await takeSnapshot(65, 2, ['x'], { entries: 1_000, bytes: 300 }), 50);
      });

      it('can cover the whole log, which goes on after it', async () => {
        assert.equal(await takeSnapshot(100, 2, []), 100);
        await reopen();
        assert.deepEqual(recovered.entries, []);
        await write({ append: run(101, 103, 2) });
        await write({ truncateFrom: at(102), append: [] });
        await reopen();
        assert.deepEqual(plain(recovered.entries), plain(run(101, 101, 2)));
      });

      it('replaces the one before and its chunks', async () => {
        await takeSnapshot(30, 1, ['a', 'b', 'c']);
        await takeSnapshot(50, 1, ['d']);
        assert.deepEqual(
          (await allKeys()).filter((key) => key.startsWith('snap!')),
          [chunkKey(50, 0)],
        );
        await reopen();
        assert.deepEqual(await readSnapshot(), ['d']);
      });

      it('does not count before its last write, and leaves nothing behind then', async () => {
        await takeSnapshot(30, 1, ['a']);
        await writeChunks(50, ['half', 'a snapshot']);
        await reopen();
        assert.deepEqual(recovered.snapshot, meta(30, 1));
        assert.deepEqual(await readSnapshot(), ['a']);
        assert.deepEqual(
          (await allKeys()).filter((key) => key.startsWith('snap!')),
          [chunkKey(30, 0)],
        );
      });

      it('is noticed to be damaged when it is read', async () => {
        await takeSnapshot(30, 1, ['a', 'b', 'c']);
        await kv.batch([{ kind: 'del', key: chunkKey(30, 1) }], { sync: true });
        await reopen();
        await assert.rejects(readSnapshot(), /lacks chunk 1 of 3/);
        await writeChunks(30, ['a', 'B', 'c']);
        await assert.rejects(readSnapshot(), /does not match its checksum/);
      });
    });

    describe('a snapshot from the leader', () => {
      const records = async (): Promise<string[]> => {
        const found: string[] = [];
        for await (const [key, value] of storage.machine.iterate({ gte: '', lt: '~' })) {
          found.push(`${key}=${Buffer.from(value).toString()}`);
        }
        return found;
      };
      const stageRecord = async (key: string, value: string): Promise<void> => {
        await storage.write(storage.machine.stage([{ kind: 'put', key, value: Buffer.from(value) }]));
        storage.machine.settle();
      };
      const receive = async (
        index: number,
      ): Promise<{ readonly totals: ChunkTotals; readonly generation: number }> => {
        const generation = storage.newGeneration();
        const totals = await writeChunks(index, ['leader’s']);
        await storage.write([storage.composeMachineRecord(generation, 'new', Buffer.from('1'))]);
        return { totals, generation };
      };
      const clear = async (): Promise<void> => {
        for await (const ops of storage.leftovers()) await storage.write(ops);
      };

      beforeEach(async () => {
        await vote(5, null);
        await write({ append: run(1, 20, 1) });
        await write({ append: run(21, 40, 2) });
        await stageRecord('old', '1');
      });

      it('changes log, chunks and machine records over at once', async () => {
        const { totals, generation } = await receive(100);
        assert.deepEqual(await records(), ['old=1']);
        await storage.write(storage.composeInstall(meta(100, 4), totals, generation));
        assert.deepEqual(await records(), ['new=1']);
        await reopen();
        assert.deepEqual(recovered.snapshot, meta(100, 4));
        assert.deepEqual(recovered.entries, []);
        assert.deepEqual(await records(), ['new=1']);
        assert.deepEqual(await readSnapshot(), ['leader’s']);
        await write({ append: run(101, 101, 5) });
        await reopen();
        assert.deepEqual(plain(recovered.entries), plain(run(101, 101, 5)));
      });

      it('keeps the log behind it where that agrees', async () => {
        const { totals, generation } = await receive(30);
        await storage.write(storage.composeInstall(meta(30, 2), totals, generation));
        await reopen();
        assert.deepEqual(plain(recovered.entries), plain(run(21, 40, 2)));
      });

      it('drops the log behind it where that does not agree', async () => {
        const { totals, generation } = await receive(30);
        await storage.write(storage.composeInstall(meta(30, 3), totals, generation));
        await reopen();
        assert.deepEqual(recovered.entries, []);
        assert.equal(storage.firstIndex, 31);
      });

      it('leaves nothing behind when it was not finished', async () => {
        await receive(100);
        await reopen();
        assert.deepEqual(recovered.snapshot, meta(0, 0));
        assert.deepEqual(await records(), ['old=1']);
        assert.deepEqual(
          (await allKeys()).filter((key) => key.startsWith('snap!') || key.startsWith('sm!')),
          [`sm!${keyNumber(1)}!old`],
        );
      });

      it('leaves nothing of what it replaced, whether cleared at once or at the next start', async () => {
        const first = await receive(100);
        await storage.write(storage.composeInstall(meta(100, 4), first.totals, first.generation));
        await clear();
        const machineKeys = async (): Promise<string[]> =>
          (await allKeys()).filter((key) => key.startsWith('sm!'));
        assert.deepEqual(await machineKeys(), [`sm!${keyNumber(2)}!new`]);
        const second = await receive(200);
        await storage.write(storage.composeInstall(meta(200, 4), second.totals, second.generation));
        await reopen();
        assert.deepEqual(await machineKeys(), [`sm!${keyNumber(3)}!new`]);
      });

      it('is seen unchanged through a transfer view while it is replaced', async () => {
        await takeSnapshot(30, 2, ['own']);
        const view = storage.openTransfer();
        const { totals, generation } = await receive(100);
        await storage.write(storage.composeInstall(meta(100, 4), totals, generation));
        await clear();
        assert.equal(view.meta.index, 30);
        const chunks: string[] = [];
        for await (const chunk of view.chunks()) chunks.push(Buffer.from(chunk).toString());
        const seen: string[] = [];
        for await (const [key] of view.machineRecords()) seen.push(key);
        await view.close();
        assert.deepEqual([chunks, seen], [['own'], ['old']]);
      });
    });

    describe('at open', () => {
      beforeEach(async () => {
        await vote(3, N1);
        await write({ append: run(1, 5, 1) });
        await write({ append: run(6, 9, 2) });
        await write({ append: run(10, 12, 3) });
      });

      it('refuses the folder of another node or cluster, naming both', async () => {
        for (const identity of [
          { clusterId: 'c2', nodeId: N1 },
          { clusterId: 'c1', nodeId: 'server2' as NodeId },
        ]) {
          await kv.close();
          kv = await openKv();
          await assert.rejects(KvRaftStorage.open(kv, { identity, bootstrap: VOTERS }), (error) => {
            assert.ok(error instanceof StorageError);
            assert.equal(error.code, 'STORAGE_FOREIGN');
            assert.match(error.message, /belongs to node server1 of cluster c1/);
            assert.ok(
              error.message.includes(`this is node ${identity.nodeId} of cluster ${identity.clusterId}`),
            );
            return true;
          });
        }
      });

      it('refuses a newer format', async () => {
        await put(
          IDENTITY_KEY,
          sealJson(IDENTITY_KEY, { format: 3, clusterId: 'c1', nodeId: N1, more: true }),
        );
        await kv.close();
        kv = await openKv();
        await assert.rejects(KvRaftStorage.open(kv, { identity: IDENTITY, bootstrap: VOTERS }), (error) => {
          assert.ok(error instanceof StorageError);
          assert.equal(error.code, 'STORAGE_FORMAT');
          assert.match(error.message, /format 3, this program reads 1 to 2: start a newer version/);
          return true;
        });
      });

      for (const key of [...RECORDS, logKey(10)]) {
        it(`notices any flipped bit in ${key}`, async () => {
          const sound = new Uint8Array(kv.get(key)!);
          for (let byte = 0; byte < sound.byteLength; byte += 3) {
            const flipped = new Uint8Array(sound);
            flipped[byte]! ^= 1 << (byte % 8);
            await put(key, flipped);
            await assert.rejects(
              KvRaftStorage.open(kv, { identity: IDENTITY, bootstrap: VOTERS }),
              StorageCorruptError,
            );
          }
          await put(key, sound);
          await reopen();
          assert.equal(recovered.entries.length, 12);
        });

        it(`notices that ${key} is cut off`, async () => {
          await put(key, kv.get(key)!.subarray(0, 3));
          await corrupt(/cut off/);
        });
      }

      for (const key of RECORDS) {
        it(`notices that ${key} is missing`, async () => {
          await kv.batch([{ kind: 'del', key }], { sync: true });
          await corrupt(/missing|hole|comes entry/);
        });
      }

      it('notices a pack under another key', async () => {
        await put(logKey(13), kv.get(logKey(10))!);
        await corrupt(/does not match its checksum/);
      });

      it('notices an old version of a pack by its chain value', async () => {
        const old = new Uint8Array(kv.get(logKey(6))!);
        await write({
          truncateFrom: at(6),
          append: [...run(6, 9, 2).map((e) => entry(e.index, 3, 'other')), ...run(10, 12, 3)],
        });
        await write({ append: run(13, 13, 3) });
        // Same entries as far as indexes and terms tell, but not those the next pack continues.
        await kv.batch(
          [
            { kind: 'put', key: logKey(6), value: old },
            { kind: 'del', key: logKey(13) },
          ],
          { sync: true },
        );
        await reopen();
        assert.equal(recovered.entries.length, 9);
        await write({ truncateFrom: at(6), append: run(6, 9, 3) });
        await write({ append: run(10, 10, 3) });
        await put(logKey(6), old);
        await corrupt(/does not continue the log before it/);
      });

      it('notices that the vote is older than the log', async () => {
        const old = new Uint8Array(kv.get(HARD_STATE_KEY)!);
        await vote(3, null);
        await write({ append: run(13, 13, 3) });
        await put(HARD_STATE_KEY, old);
        await corrupt(/vote record is older than the log/);
      });

      it('notices a term below the log’s', async () => {
        const hard = unsealJson(HARD_STATE_KEY, kv.get(HARD_STATE_KEY)!) as object;
        await put(HARD_STATE_KEY, sealJson(HARD_STATE_KEY, { ...hard, currentTerm: 2 }));
        await corrupt(/stored term 2 is below the log's \(3\)/);
      });

      it('notices that log and snapshot do not meet', async () => {
        await takeSnapshot(9, 2, ['x']);
        const sound = kv.get(SNAPSHOT_KEY)!;
        const record = unsealJson(SNAPSHOT_KEY, sound) as object;
        await put(SNAPSHOT_KEY, sealJson(SNAPSHOT_KEY, { ...record, index: 8, chunks: 0 }));
        await corrupt(/log begins at 10, but the snapshot ends at 8/);
        await put(SNAPSHOT_KEY, sealJson(SNAPSHOT_KEY, { ...record, index: 13, chunks: 0 }));
        await corrupt(/log ends at 12, before the snapshot at 13/);
        await put(SNAPSHOT_KEY, sealJson(SNAPSHOT_KEY, { ...record, index: 10, term: 1, chunks: 0 }));
        await corrupt(/entry 10 has term 3, the snapshot there has 1/);
      });

      it('notices fields that make no sense', async () => {
        const record = unsealJson(SNAPSHOT_KEY, kv.get(SNAPSHOT_KEY)!) as object;
        for (const wrong of [
          { index: -1 },
          { index: 1.5 },
          { term: '1' },
          { config: null },
          { config: { voters: [1], learners: [] } },
        ]) {
          await put(SNAPSHOT_KEY, sealJson(SNAPSHOT_KEY, { ...record, ...wrong }));
          await corrupt(/raft!snapshot/);
        }
      });
    });
  });
}
