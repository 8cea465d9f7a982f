import type { Input, Message, NodeId, Term } from '../../src/raft/core/types.ts';
import type { StoredSnapshot } from './durable-state.ts';
import type { Surroundings } from './host.ts';

type Chunk = Extract<Message, { kind: 'snapshotChunk' }>;
type Ack = Extract<Message, { kind: 'snapshotAck' }>;

const RESEND_MS = 60;
const RESENDS_MAX = 6;

interface Sending {
  readonly term: Term;
  readonly snapshot: StoredSnapshot;
  chunk: number;
  resends: number;
  /** Counts what was sent, so that an old timer does nothing. */
  turn: number;
}

/** Streams snapshots to followers, chunk by chunk, each sent again until it is answered. */
export class SnapshotOutbox {
  readonly #self: NodeId;
  readonly #around: Surroundings;
  readonly #input: (input: Extract<Input, { kind: 'snapshotSent' }>) => void;
  readonly #sending = new Map<NodeId, Sending>();

  constructor(
    self: NodeId,
    around: Surroundings,
    input: (input: Extract<Input, { kind: 'snapshotSent' }>) => void,
  ) {
    this.#self = self;
    this.#around = around;
    this.#input = input;
  }

  start(to: NodeId, term: Term, snapshot: StoredSnapshot): void {
    this.#sending.set(to, { term, snapshot, chunk: 0, resends: 0, turn: 0 });
    this.#send(to);
  }

  acked(ack: Ack): void {
    const sending = this.#sending.get(ack.from);
    if (sending?.snapshot.meta.index !== ack.index) return;
    if (ack.installed) {
      this.#end(ack.from, sending, true);
      return;
    }
    if (ack.nextChunk === sending.chunk || ack.nextChunk >= this.#count(sending)) return;
    sending.chunk = ack.nextChunk;
    sending.resends = 0;
    this.#send(ack.from);
  }

  cancelAll(): void {
    this.#sending.clear();
  }

  #count({ snapshot }: Sending): number {
    return Math.max(1, Math.ceil(snapshot.data.length / this.#around.weather().snapshotChunkBytes));
  }

  #send(to: NodeId): void {
    const sending = this.#sending.get(to);
    if (sending === undefined) return;
    const { term, snapshot, chunk } = sending;
    const size = this.#around.weather().snapshotChunkBytes;
    sending.turn++;
    const { turn } = sending;
    this.#around.send({
      kind: 'snapshotChunk',
      from: this.#self,
      to,
      term,
      meta: snapshot.meta,
      chunk,
      data: snapshot.data.subarray(chunk * size, (chunk + 1) * size),
      done: chunk + 1 >= this.#count(sending),
    });
    this.#around.after(RESEND_MS, () => {
      if (this.#sending.get(to) !== sending || sending.turn !== turn) return;
      sending.resends++;
      if (sending.resends > RESENDS_MAX) this.#end(to, sending, false);
      else this.#send(to);
    });
  }

  #end(to: NodeId, sending: Sending, ok: boolean): void {
    this.#sending.delete(to);
    this.#input({ kind: 'snapshotSent', to, meta: sending.snapshot.meta, ok });
  }
}

/** Puts the chunks of a snapshot together. A newer one, or the first chunk again after another, begins anew. */
export class SnapshotInbox {
  #meta: Chunk['meta'] | null = null;
  /** Of the leader that sends it. */
  #term = 0;
  #parts: Uint8Array[] = [];

  receive(message: Chunk): { readonly nextChunk: number; readonly complete: StoredSnapshot | null } {
    const isSame = this.#meta?.index === message.meta.index && this.#meta.term === message.meta.term;
    if (!isSame) {
      // An old one comes late; but a new leader's may be older than what a former one has begun to send.
      if (this.#meta !== null && message.term <= this.#term && message.meta.index < this.#meta.index)
        return { nextChunk: 0, complete: null };
      this.#meta = message.meta;
      this.#term = message.term;
      this.#parts = [];
    }
    if (message.chunk !== this.#parts.length) return { nextChunk: this.#parts.length, complete: null };
    this.#parts.push(message.data);
    if (!message.done) return { nextChunk: this.#parts.length, complete: null };
    const complete = { meta: message.meta, data: new Uint8Array(Buffer.concat(this.#parts)) };
    this.#meta = null;
    this.#parts = [];
    return { nextChunk: message.chunk + 1, complete };
  }
}
