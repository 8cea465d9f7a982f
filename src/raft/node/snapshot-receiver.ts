import { MalformedBytesError } from '../byte-reader.ts';
import type { Message, NodeId, SnapshotMeta, Term } from '../core/types.ts';
import type { RaftLogger } from '../raft-logger.ts';
import type { KvOp } from '../storage/kv-store.ts';
import { continueCrc } from '../storage/stored-snapshot.ts';
import type { ChunkTotals, KvRaftStorage } from '../storage/raft-storage.ts';
import { FlusherStoppedError } from './flusher.ts';
import type { Flusher } from './flusher.ts';
import { readSnapshotPart } from './snapshot-parts.ts';

type SnapshotChunk = Extract<Message, { kind: 'snapshotChunk' }>;

export interface SnapshotReceiverOptions {
  readonly self: NodeId;
  readonly storage: KvRaftStorage;
  readonly flusher: Flusher;
  readonly send: (message: Message) => void;
  readonly log: RaftLogger;
  /** The term to answer in. */
  readonly currentTerm: () => Term;
  /** Everything is on disk: puts it in force. Resolves true when storage and state machine have changed over. */
  readonly install: (meta: SnapshotMeta, totals: ChunkTotals, generation: number) => Promise<boolean>;
  /** Nothing else may write snapshot chunks from now on, as long as {@link SnapshotReceiver.isActive}. */
  readonly onBegin: () => void;
  readonly onFailed: (error: unknown) => void;
}

/** One snapshot being received. Another leader, or the same in another term, begins anew: its chunks may be cut otherwise. */
interface Receipt {
  readonly from: NodeId;
  readonly term: Term;
  readonly meta: SnapshotMeta;
  readonly generation: number;
  nextPart: number;
  totals: ChunkTotals;
}

/** Writes the chunks of a snapshot from the leader, asks for the next one each time, and has the whole put in force. */
export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions;
  #receipt: Receipt | null = null;
  #isBusy = false;

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options;
  }

  /** Whether a snapshot is being received, put in force, or the remains of one cleared away. */
  get isActive(): boolean {
    return this.#isBusy || this.#receipt !== null;
  }

  /** Takes a `receiveSnapshotChunk` effect. */
  receive(message: SnapshotChunk): void {
    // What comes while a chunk is being written is that chunk again.
    if (this.#isBusy) return;
    if (!this.isActive) this.#options.onBegin();
    this.#isBusy = true;
    this.#take(message).then(
      () => {
        this.#isBusy = false;
      },
      (error: unknown) => {
        this.#isBusy = false;
        if (!(error instanceof FlusherStoppedError)) this.#options.onFailed(error);
      },
    );
  }

  async #take(message: SnapshotChunk): Promise<void> {
    const { storage, flusher, log } = this.#options;
    let receipt = this.#receipt;
    if (
      receipt?.from !== message.from ||
      receipt.term !== message.term ||
      receipt.meta.index !== message.meta.index
    ) {
      await this.#discard();
      if (message.chunk !== 0) {
        this.#ack(message, 0, false);
        return;
      }
      log.info(`raft: receiving snapshot ${message.meta.index} from ${message.from}`);
      receipt = {
        from: message.from,
        term: message.term,
        meta: message.meta,
        generation: storage.newGeneration(),
        nextPart: 0,
        totals: { chunks: 0, bytes: 0, crc: 0 },
      };
      this.#receipt = receipt;
    }
    if (message.chunk === receipt.nextPart) {
      const ops = this.#decode(receipt, message);
      if (ops === null) return;
      if (ops.length > 0) await flusher.background(() => ops);
      receipt.nextPart += 1;
    }
    const isComplete = message.done && message.chunk === receipt.nextPart - 1;
    if (isComplete && (await this.#options.install(receipt.meta, receipt.totals, receipt.generation))) {
      log.info(`raft: snapshot ${receipt.meta.index} is in force`);
      this.#receipt = null;
      this.#ack(message, receipt.nextPart, true);
      await this.#clearLeftovers();
      return;
    }
    if (isComplete) await this.#discard();
    else this.#ack(message, receipt.nextPart, false);
  }

  /** The writes for one part; null (and a line in the log) if it makes no sense. */
  #decode(receipt: Receipt, message: SnapshotChunk): readonly KvOp[] | null {
    const { storage, log } = this.#options;
    try {
      const part = readSnapshotPart(message.data);
      switch (part.kind) {
        case 'nothing':
          return [];
        case 'chunk': {
          const { chunks, bytes, crc } = receipt.totals;
          receipt.totals = {
            chunks: chunks + 1,
            bytes: bytes + part.chunk.byteLength,
            crc: continueCrc(crc, part.chunk),
          };
          return [storage.composeChunk(receipt.meta.index, chunks, part.chunk)];
        }
        case 'records':
          return part.records.map(([key, value]) =>
            storage.composeMachineRecord(receipt.generation, key, value),
          );
      }
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error;
      log.warn(
        `raft: chunk ${message.chunk} of snapshot ${message.meta.index} from ${message.from}: ${error.message}`,
      );
      return null;
    }
  }

  async #discard(): Promise<void> {
    if (this.#receipt === null) return;
    this.#receipt = null;
    await this.#clearLeftovers();
  }

  /** In small writes between the log's flushes. */
  async #clearLeftovers(): Promise<void> {
    const { storage, flusher } = this.#options;
    for await (const ops of storage.leftovers()) await flusher.background(() => ops);
  }

  #ack(message: SnapshotChunk, nextChunk: number, installed: boolean): void {
    const { self, send, currentTerm } = this.#options;
    send({
      kind: 'snapshotAck',
      from: self,
      to: message.from,
      term: currentTerm(),
      index: message.meta.index,
      nextChunk,
      installed,
    });
  }
}
