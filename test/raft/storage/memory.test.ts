import type { MemoryDisk } from '../../../src/raft/storage/memory-kv.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import { describeKvStore } from './kv-suite.ts';
import type { PrepareStore } from './kv-suite.ts';
import { describeStorage } from './storage-suite.ts';

const prepare: PrepareStore = () => {
  const disk: MemoryDisk = new Map();
  return Promise.resolve({
    open: () => Promise.resolve(new MemoryKv(disk)),
    clean: () => Promise.resolve(),
  });
};

describeKvStore('memory', prepare);
describeStorage('memory', prepare);
