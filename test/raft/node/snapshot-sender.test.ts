/** One chunk after the other, and on from where the receiver is, whatever it was that brought it there. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { LogIndex, Message, NodeId, SnapshotMeta, Term } from '../../../src/raft/core/types.ts';
import { SnapshotSender } from '../../../src/raft/node/snapshot-sender.ts';
import { SnapshotWriter } from '../../../src/raft/node/snapshot-writer.ts';
import { noMetrics } from '../../../src/raft/raft-metrics.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import { NOTHING_NEEDED } from '../../../src/raft/storage/log-packs.ts';
import type { KvRaftStorage } from '../../../src/raft/storage/raft-storage.ts';
import { systemTimers } from '../../../src/raft/timers.ts';
import { ManualTimers } from './manual-timers.ts';
import { storedLog } from './stored-log.ts';

type Chunk = Extract<Message, { kind: 'snapshotChunk' }>;

const SELF = 'n1' as NodeId;
const PEER = 'n2' as NodeId;
const TERM = 1 as Term;
const CONFIG = { voters: [SELF, PEER], learners: [] };
const META: SnapshotMeta = { index: 5 as LogIndex, term: TERM, config: CONFIG };
const PARTS = ['a', 'b', 'c', 'd'];
const RESEND_MS = 100;
const RESENDS_MAX = 3;
const PART_HEAD_BYTES = 1;

describe('the snapshot sender', () => {
  let timers: ManualTimers;
  let sender: SnapshotSender;
  let sent: Chunk[];
  let ended: boolean[];

  beforeEach(async () => {
    const storage = await storageWithSnapshot();
    timers = new ManualTimers();
    sent = [];
    ended = [];
    sender = new SnapshotSender({
      self: SELF,
      storage,
      storedAt: () => true,
      send: (message) => {
        if (message.kind === 'snapshotChunk') sent.push(message);
      },
      timers,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      resendMs: RESEND_MS,
      resendsMax: RESENDS_MAX,
      onEnded: (_to, _meta, ok) => ended.push(ok),
      onFailed: (error) => assert.fail(String(error)),
    });
  });

  /** What was sent last, when everything that promises lead to has happened. */
  async function last(): Promise<{ readonly chunk: number; readonly text: string; readonly done: boolean }> {
    await new Promise(setImmediate);
    const chunk = sent.at(-1);
    assert.ok(chunk !== undefined);
    const text = Buffer.from(chunk.data.subarray(PART_HEAD_BYTES)).toString();
    return { chunk: chunk.chunk, text, done: chunk.done };
  }

  function acked(nextChunk: number, installed = false): void {
    sender.acked({
      kind: 'snapshotAck',
      from: PEER,
      to: SELF,
      term: TERM,
      index: META.index,
      nextChunk,
      installed,
    });
  }

  it('sends one after the other and marks the last', async () => {
    sender.send(PEER, TERM);
    for (const [chunk, text] of PARTS.entries()) {
      assert.deepEqual(await last(), { chunk, text, done: chunk === PARTS.length - 1 });
      acked(chunk + 1, chunk === PARTS.length - 1);
    }
    assert.deepEqual(ended, [true]);
    assert.equal(sent.length, PARTS.length);
  });

  it('goes on where a receiver is that kept what an earlier transfer brought it', async () => {
    sender.send(PEER, TERM);
    await last();
    acked(1);
    await last();
    timers.pass(RESEND_MS * (RESENDS_MAX + 1));
    assert.deepEqual(ended, [false], 'the receiver is not heard of for long: given up');
    sender.send(PEER, TERM);
    assert.equal((await last()).chunk, 0, 'a receiver that was restarted would have nothing');
    acked(2);
    assert.deepEqual(await last(), { chunk: 2, text: 'c', done: false });
  });

  it('finds its way back after an old answer that made it begin anew', async () => {
    sender.send(PEER, TERM);
    for (const next of [1, 2, 3]) {
      await last();
      acked(next);
    }
    assert.deepEqual(await last(), { chunk: 3, text: 'd', done: true });
    acked(1);
    assert.equal((await last()).chunk, 0);
    acked(3);
    assert.deepEqual(await last(), { chunk: 3, text: 'd', done: true });
    acked(4, true);
    assert.deepEqual(ended, [true]);
  });

  it('sends the last again to a receiver that has them all and has not put them in force', async () => {
    sender.send(PEER, TERM);
    await last();
    acked(PARTS.length);
    assert.deepEqual(await last(), { chunk: 3, text: 'd', done: true });
    const before = sent.length;
    acked(PARTS.length);
    await last();
    assert.equal(sent.length, before);
    timers.pass(RESEND_MS);
    assert.equal(sent.length, before + 1);
  });
});

async function storageWithSnapshot(): Promise<KvRaftStorage> {
  const { storage, flusher } = await storedLog(new MemoryKv(), SELF, CONFIG, META.index);
  const writer = new SnapshotWriter({
    machine: {
      snapshot: async function* () {
        for (const part of PARTS) yield await Promise.resolve(Buffer.from(part));
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
    needed: () => NOTHING_NEEDED,
    onTaken: () => undefined,
  });
  await writer.take(META);
  return storage;
}
