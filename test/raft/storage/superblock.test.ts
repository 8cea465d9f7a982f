/**
 * What LevelDB loses without a word is noticed by the superblock beside it; and a crash never makes the two contradict each
 * other. Real LevelDB folders; what is lost is really taken away.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Configuration, Entry, LogIndex, NodeId, Term } from '../../../src/raft/core/types.ts';
import { LevelKv } from '../../../src/raft/storage/level-kv.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import { KvRaftStorage } from '../../../src/raft/storage/raft-storage.ts';
import { IDENTITY_KEY, WRITES_KEY } from '../../../src/raft/storage/records.ts';
import { sealJson } from '../../../src/raft/storage/sealed-record.ts';
import { MemorySlotFile, SLOT_BYTES } from '../../../src/raft/storage/slot-file.ts';
import { StorageError } from '../../../src/raft/storage/storage-errors.ts';
import type { StorageErrorCode } from '../../../src/raft/storage/storage-errors.ts';

const N1 = 'server1' as NodeId;
const VOTERS: Configuration = { voters: [N1, 'server2' as NodeId, 'server3' as NodeId], learners: [] };
const OPTIONS = { identity: { clusterId: 'c1', nodeId: N1 }, bootstrap: VOTERS };
const entry = (index: number, term: number): Entry => ({
  kind: 'command',
  index: index as LogIndex,
  term: term as Term,
  payload: Buffer.alloc(200, index),
});
const refusedWith =
  (code: StorageErrorCode, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof StorageError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.match(error.message, /docs\/recovery\.md/);
    return true;
  };

describe('the superblock', () => {
  let base: string;
  let folder: string;
  let file: string;
  let kv: LevelKv | null;
  let storage: KvRaftStorage;

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'clb-superblock-'));
    folder = join(base, 'raft');
    file = join(base, 'raft.superblock');
    kv = null;
  });
  afterEach(async () => {
    await kv?.close();
    await rm(base, { recursive: true, force: true });
  });

  async function open(options = OPTIONS): Promise<Awaited<ReturnType<typeof KvRaftStorage.open>>> {
    kv = await LevelKv.open(folder);
    const opened = await KvRaftStorage.open(kv, options);
    ({ storage } = opened);
    return opened;
  }
  async function close(): Promise<void> {
    await kv?.close();
    kv = null;
  }
  async function refuses(code: StorageErrorCode, message: RegExp, options = OPTIONS): Promise<void> {
    await close();
    await assert.rejects(open(options), refusedWith(code, message));
    await close();
  }
  async function append(index: number, term = 1): Promise<void> {
    const hardState = index === 1 ? { currentTerm: term as Term, votedFor: N1 } : null;
    await storage.write(storage.composeLog({ hardState, truncateFrom: null, append: [entry(index, term)] }));
  }
  /** A store with entries 1 to `last`, each a write of its own, and a superblock that knows of all. */
  async function fill(last: number): Promise<void> {
    await open();
    for (let index = 1; index <= last; index++) await append(index);
    await storage.writeSuperblock();
    await close();
  }
  async function wal(): Promise<string> {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort();
    return join(folder, names.at(-1)!);
  }
  async function damageSlot(slot: number): Promise<void> {
    const bytes = await readFile(file);
    bytes.fill(0xff, slot * SLOT_BYTES + 20, slot * SLOT_BYTES + 24);
    await writeFile(file, bytes);
  }

  it('notices that the last write is gone: the end of LevelDB’s write-ahead log is cut off', async () => {
    await fill(5);
    await truncate(await wal(), (await stat(await wal())).size - 100);
    await refuses(
      'STORAGE_CORRUPT',
      /acknowledged writes are lost.*log up to entry 5; found: term 1, entry 4/,
    );
    // And goes on noticing it, though LevelDB finds nothing wrong any more.
    await refuses('STORAGE_CORRUPT', /acknowledged writes are lost/);
  });

  it('notices damage to the very last write, which LevelDB takes for one that a crash cut off', async () => {
    await fill(5);
    const bytes = await readFile(await wal());
    bytes[bytes.byteLength - 50]! ^= 1;
    await writeFile(await wal(), bytes);
    await refuses('STORAGE_CORRUPT', /acknowledged writes are lost|LevelDB reported/);
  });

  it('notices that the folder is an older copy', async () => {
    await fill(3);
    await cp(folder, join(base, 'copy'), { recursive: true });
    await open();
    await append(4);
    await storage.writeSuperblock();
    await close();
    await rm(folder, { recursive: true });
    await cp(join(base, 'copy'), folder, { recursive: true });
    await refuses('STORAGE_CORRUPT', /the folder is an older copy/);
  });

  it('notices that the folder was wiped', async () => {
    await fill(3);
    await rm(folder, { recursive: true });
    await refuses('STORAGE_CORRUPT', /the database is empty, but .*raft\.superblock knows of \d+ writes/);
  });

  it('notices a database with as many writes that are others', async () => {
    await fill(3);
    await cp(file, join(base, 'kept'));
    await rm(folder, { recursive: true });
    await rm(file);
    await open();
    for (const index of [1, 2, 3]) await append(index, 2);
    await close();
    await cp(join(base, 'kept'), file);
    await refuses('STORAGE_CORRUPT', /is not the one that .* was written beside: .* currentTerm was 1/);
  });

  it('may be behind: what was written after it is there and taken', async () => {
    await fill(3);
    await open();
    await append(4);
    await append(5);
    await close();
    const { recovered, warnings } = await open();
    assert.equal(recovered.entries.length, 5);
    assert.deepEqual(warnings, []);
  });

  it('is at most as far as its last write when the lost writes came after it: those cannot be noticed', async () => {
    await fill(3);
    await open();
    await append(4);
    await close();
    await truncate(await wal(), (await stat(await wal())).size - 100);
    const { recovered } = await open();
    assert.equal(recovered.entries.length, 3);
  });

  it('cannot see that both, folder and superblock, were put back from an older copy', async () => {
    await fill(3);
    await cp(base, `${base}-copy`, { recursive: true });
    await open();
    await append(4);
    await storage.writeSuperblock();
    await close();
    await rm(base, { recursive: true });
    await cp(`${base}-copy`, base, { recursive: true });
    await rm(`${base}-copy`, { recursive: true });
    const { recovered } = await open();
    assert.equal(recovered.entries.length, 3);
  });

  it('survives damage to either slot, says so, and mends it', async () => {
    for (const slot of [0, 1]) {
      await open();
      await storage.writeSuperblock();
      await close();
      await damageSlot(slot);
      const { warnings } = await open();
      assert.match(warnings.join(), /one of the two slots of .*raft\.superblock was damaged/);
      await close();
      assert.deepEqual((await open()).warnings, []);
      await close();
    }
  });

  it('refuses to start when both slots are damaged, the file is cut off or missing', async () => {
    await fill(2);
    const sound = await readFile(file);
    await damageSlot(0);
    await damageSlot(1);
    await refuses('STORAGE_CORRUPT', /both slots of the superblock .* are damaged/);
    await writeFile(file, sound.subarray(0, 5));
    await refuses('STORAGE_CORRUPT', /both slots of the superblock .* are damaged/);
    await rm(file);
    await refuses('STORAGE_CORRUPT', /the superblock .* is missing although there is a database/);
    await writeFile(file, sound);
    await open();
  });

  it('is of one node and one cluster', async () => {
    await fill(1);
    await rm(folder, { recursive: true });
    const other = { identity: { clusterId: 'c2', nodeId: N1 }, bootstrap: VOTERS };
    await refuses('STORAGE_FOREIGN', /raft\.superblock belongs to node server1 of cluster c1/, other);
  });

  it('goes on with a first start that was cut off at any write', async () => {
    for (const writes of [1, 2]) {
      const slots = new MemorySlotFile();
      const disk = new Map<string, Uint8Array>();
      let left = writes;
      const crash = (): void => {
        if (left === 0) throw new Error('crashed');
        left -= 1;
      };
      class CrashingKv extends MemoryKv {
        override batch(...args: Parameters<MemoryKv['batch']>): Promise<void> {
          crash();
          return super.batch(...args);
        }
      }
      class CrashingSlots extends MemorySlotFile {
        override create(content: Uint8Array): Promise<void> {
          crash();
          return super.create(content).then(() => {
            slots.slots = this.slots;
          });
        }
        override write(): Promise<void> {
          crash();
          throw new Error('crashed');
        }
      }
      await assert.rejects(KvRaftStorage.open(new CrashingKv(disk, new CrashingSlots()), OPTIONS), /crashed/);
      const { recovered } = await KvRaftStorage.open(new MemoryKv(disk, slots), OPTIONS);
      assert.deepEqual(recovered.snapshot.config, VOTERS);
    }
  });

  describe('of a store one format older', () => {
    /** Made as the first release made it: no count of writes, no superblock. */
    async function makeOld(): Promise<void> {
      await fill(3);
      await rm(file);
      kv = await LevelKv.open(folder);
      const old = sealJson(IDENTITY_KEY, { format: 1, ...OPTIONS.identity });
      await kv.batch(
        [
          { kind: 'put', key: IDENTITY_KEY, value: old },
          { kind: 'del', key: WRITES_KEY },
        ],
        { sync: true },
      );
      await close();
    }

    it('is made, and the store is taken over with all it holds', async () => {
      await makeOld();
      const { recovered } = await open();
      assert.equal(recovered.entries.length, 3);
      assert.equal(recovered.hardState.votedFor, N1);
      await close();
      await open();
      await close();
      await rm(file);
      await refuses('STORAGE_CORRUPT', /is missing although there is a database/);
    });

    it('notices that the folder is a copy from before that', async () => {
      await makeOld();
      await cp(folder, join(base, 'copy'), { recursive: true });
      await open();
      await close();
      await rm(folder, { recursive: true });
      await cp(join(base, 'copy'), folder, { recursive: true });
      await refuses('STORAGE_CORRUPT', /older copy, from before the change of format/);
    });

    it('is refused if the format is older still, or newer', async () => {
      await makeOld();
      for (const [format, way] of [
        [0, /reads 1 to 2: upgrade one version after the other/],
        [3, /reads 1 to 2: start a newer version/],
      ] as const) {
        kv = await LevelKv.open(folder);
        const value = sealJson(IDENTITY_KEY, { format, ...OPTIONS.identity });
        await kv.batch([{ kind: 'put', key: IDENTITY_KEY, value }], { sync: true });
        await refuses('STORAGE_FORMAT', way);
      }
    });
  });
});
