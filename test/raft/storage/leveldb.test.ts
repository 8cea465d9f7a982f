import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LevelKv } from '../../../src/raft/storage/level-kv.ts';
import { describeKvStore } from './kv-suite.ts';
import type { PrepareStore } from './kv-suite.ts';
import { describeStorage } from './storage-suite.ts';

const prepare: PrepareStore = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'clb-storage-'));
  return {
    open: () => LevelKv.open(join(folder, 'raft')),
    clean: () => rm(folder, { recursive: true, force: true }),
  };
};

describeKvStore('LevelDB', prepare);
describeStorage('LevelDB', prepare);
