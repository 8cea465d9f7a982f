import type { LogIndex, Message, NodeId, SnapshotMeta, Term } from '../core/types.ts';
import type { RaftLogger } from '../raft-logger.ts';
import type { KvRaftStorage } from '../storage/raft-storage.ts';
import type { SnapshotTransferView } from '../storage/stored-snapshot.ts';
import type { Timers } from '../timers.ts';
import { snapshotParts } from './snapshot-parts.ts';

type SnapshotAck = Extract<Message, { kind: 'snapshotAck' }>;

export interface SnapshotSenderOptions {
  readonly self: NodeId;
  readonly storage: KvRaftStorage;
  readonly storedAt: (index: LogIndex, key: string, value: Uint8Array) => boolean;
  readonly send: (message: Message) => void;
  readonly timers: Timers;
  readonly log: RaftLogger;
  readonly resendMs: number;
  readonly resendsMax: number;
  /** The peer has it (`ok`), or sending was given up. */
  readonly onEnded: (to: NodeId, meta: SnapshotMeta, ok: boolean) => void;
  readonly onFailed: (error: unknown) => void;
}

/** Sends snapshots to peers, at most one to each, each chunk when the one before was acknowledged. */
export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #transfers = new Map<NodeId, Transfer>();

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
  }

  /** Begins to send the newest snapshot; replaces what is being sent to this peer. */
  send(to: NodeId, term: Term): void {
    this.#transfers.get(to)?.cancel();
    const { log } = this.#options;
    const transfer = new Transfer(this.#options, to, term, (ok) => {
      if (this.#transfers.get(to) !== transfer) return;
      this.#transfers.delete(to);
      log.info(
        `raft: snapshot ${transfer.meta.index} ${ok ? 'is in force on' : 'could not be sent to'} ${to}`,
      );
      this.#options.onEnded(to, transfer.meta, ok);
    });
    this.#transfers.set(to, transfer);
    log.info(`raft: sending snapshot ${transfer.meta.index} to ${to}`);
    transfer.begin();
  }

  /** Index of the snapshot on its way to this peer; null: none is. */
  sendingTo(peer: NodeId): LogIndex | null {
    return this.#transfers.get(peer)?.meta.index ?? null;
  }

  acked(message: SnapshotAck): void {
    const transfer = this.#transfers.get(message.from);
    if (transfer?.meta.index === message.index) transfer.acked(message);
  }

  /** This server leads no more. */
  cancelAll(): void {
    for (const transfer of this.#transfers.values()) transfer.cancel();
    this.#transfers.clear();
  }
}

class Transfer {
  readonly meta: SnapshotMeta;
  readonly #options: SnapshotSenderOptions;
  readonly #to: NodeId;
  readonly #term: Term;
  readonly #onEnded: (ok: boolean) => void;
  readonly #view: SnapshotTransferView;
  #parts: AsyncGenerator<Uint8Array, void>;
  /** The chunk on its way, and the one after it (null: there is none), which tells whether it is the last. */
  #current: Uint8Array = new Uint8Array(0);
  #following: Uint8Array | null = null;
  #chunk = 0;
  #isReading = false;
  #isOver = false;
  #resends = 0;
  #cancelResend: () => void = () => undefined;

  constructor(options: SnapshotSenderOptions, to: NodeId, term: Term, onEnded: (ok: boolean) => void) {
    this.#options = options;
    this.#to = to;
    this.#term = term;
    this.#onEnded = onEnded;
    this.#view = options.storage.openTransfer();
    this.meta = this.#view.meta;
    this.#parts = snapshotParts(this.#view, options.storedAt);
  }

  begin(): void {
    this.#read(async () => {
      this.#chunk = 0;
      this.#current = (await this.#next()) ?? new Uint8Array(0);
      this.#following = await this.#next();
    });
  }

  acked(message: SnapshotAck): void {
    if (this.#isReading || this.#isOver) return;
    if (message.installed) {
      this.#end(true);
    } else if (message.nextChunk > this.#chunk) {
      this.#goOnAt(message.nextChunk);
    } else if (message.nextChunk < this.#chunk) {
      // The peer lost what it had (it was restarted), or this is an old answer; then the next one leads back to where it is.
      this.#parts = snapshotParts(this.#view, this.#options.storedAt);
      this.begin();
    }
  }

  /**
   * The peer has everything before that part. These may be more than were sent now: it keeps what an earlier transfer of the same
   * snapshot, in the same term, has brought it, and the same snapshot is always cut in the same way.
   */
  #goOnAt(part: number): void {
    // It has the last one too; what it has to say about that is still to come.
    if (this.#following === null) return;
    this.#resends = 0;
    this.#read(async () => {
      while (this.#chunk < part && this.#following !== null) {
        this.#chunk += 1;
        this.#current = this.#following;
        this.#following = await this.#next();
      }
    });
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelResend();
    if (!this.#isReading) this.#close();
  }

  async #next(): Promise<Uint8Array | null> {
    const next = await this.#parts.next();
    return next.done === true ? null : next.value;
  }

  /** Runs `step`, which reads from the store, then sends the chunk it made current. */
  #read(step: () => Promise<void>): void {
    this.#cancelResend();
    this.#isReading = true;
    step().then(
      () => {
        this.#isReading = false;
        if (this.#isOver) this.#close();
        else this.#sendCurrent();
      },
      (error: unknown) => {
        const wasOver = this.#isOver;
        this.#isReading = false;
        this.#isOver = true;
        this.#close();
        if (!wasOver) this.#options.onFailed(error);
      },
    );
  }

  #sendCurrent(): void {
    const { self, send, timers, resendMs, resendsMax } = this.#options;
    send({
      kind: 'snapshotChunk',
      from: self,
      to: this.#to,
      term: this.#term,
      meta: this.meta,
      chunk: this.#chunk,
      data: this.#current,
      done: this.#following === null,
    });
    this.#cancelResend = timers.after(resendMs, () => {
      this.#resends += 1;
      if (this.#resends > resendsMax) this.#end(false);
      else this.#sendCurrent();
    });
  }

  #end(ok: boolean): void {
    this.cancel();
    this.#onEnded(ok);
  }

  #close(): void {
    // Errors of closing tell nothing: the store itself may be closed already.
    this.#view.close().catch(() => undefined);
  }
}
