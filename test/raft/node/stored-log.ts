/** A store with a log in it, and what writes to it, for tests of what works on both. */
import assert from 'node:assert/strict';
import type { Configuration, LogIndex, NodeId, Term, WriteId } from '../../../src/raft/core/types.ts';
import { Flusher } from '../../../src/raft/node/flusher.ts';
import { noMetrics } from '../../../src/raft/raft-metrics.ts';
import type { KvStore } from '../../../src/raft/storage/kv-store.ts';
import { KvRaftStorage } from '../../../src/raft/storage/raft-storage.ts';
import { systemTimers } from '../../../src/raft/timers.ts';

export interface StoredLog {
  readonly storage: KvRaftStorage;
  readonly flusher: Flusher;
}

/** @param entriesPerWrite each write makes a pack of its own */
export async function storedLog(
  kv: KvStore,
  nodeId: NodeId,
  bootstrap: Configuration,
  lastIndex: number,
  entriesPerWrite = lastIndex,
): Promise<StoredLog> {
  const identity = { clusterId: 'c', nodeId };
  const { storage } = await KvRaftStorage.open(kv, { identity, bootstrap });
  const flusher = new Flusher({
    storage,
    takeDirty: () => [],
    timers: systemTimers,
    metrics: noMetrics,
    superblockLagMs: 20,
    onPersisted: () => undefined,
    onFailed: (error) => assert.fail(String(error)),
  });
  const term = 1 as Term;
  for (let first = 1; first <= lastIndex; first += entriesPerWrite) {
    flusher.persist({
      kind: 'persist',
      writeId: first as WriteId,
      hardState: { currentTerm: term, votedFor: null },
      truncateFrom: null,
      append: Array.from({ length: Math.min(entriesPerWrite, lastIndex - first + 1) }, (_, at) => ({
        kind: 'noop',
        index: (first + at) as LogIndex,
        term,
      })),
    });
    await flusher.drain();
  }
  return { storage, flusher };
}
