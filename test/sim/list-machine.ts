import { crc32 } from 'node:zlib';
import type { LogIndex, SnapshotMeta, Term } from '../../src/raft/core/types.ts';
import type { CommittedCommand, StateMachine } from '../../src/raft/state-machine.ts';
import { keyNumber, type KvOp, type KvStore } from '../../src/raft/storage/kv-store.ts';

/** A command: the `seq`-th of a client. Repeats of it change nothing. */
export interface ListCommand {
  readonly client: number;
  readonly seq: number;
}
export interface ListResult {
  /** Where the command took effect, which for a repeat is before. */
  readonly index: number;
  readonly repeated: boolean;
}

interface Frozen {
  readonly count: number;
  readonly digest: number;
  readonly lastStored: number;
  readonly sessions: readonly (readonly [client: number, seq: number, index: number])[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const MIX = 16777619;
/** Client and number, in front of the filler. */
const COMMAND_HEAD_BYTES = 6;
/** Every so many entries a record goes into the store, to be read back later. */
const STORED_EVERY = 7;
/** Stored records older than this many entries are dropped. */
const STORED_KEPT = 100;

/** The command as it stands in the log, `fillerBytes` longer than it has to be. */
export function encodeCommand({ client, seq }: ListCommand, fillerBytes: number): Uint8Array {
  const payload = new Uint8Array(COMMAND_HEAD_BYTES + fillerBytes);
  const view = new DataView(payload.buffer);
  view.setUint16(0, client);
  view.setUint32(2, seq);
  return payload;
}

function decodeCommand(payload: Uint8Array): ListCommand {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return { client: view.getUint16(0), seq: view.getUint32(2) };
}

/**
 * The simplest state machine that notices everything: a hash chain over all commands in order, and sessions, so that
 * repeated commands count once. Small parts of it live in the store, as the interface allows.
 */
export class ListMachine implements StateMachine<ListResult> {
  #count = 0;
  #digest = 0;
  readonly #sessions = new Map<number, { readonly seq: number; readonly index: number }>();
  #dirty: KvOp[] = [];
  #kv: Pick<KvStore, 'get'> | null = null;
  /** Index of the newest stored record. */
  #lastStored = 0;
  #restoredAt = 0;

  /** Equal on all nodes at equal index. */
  get digest(): number {
    return this.#digest;
  }

  /** The newest command of a client that took effect; 0: none. */
  lastSeq(client: number): number {
    return this.#sessions.get(client)?.seq ?? 0;
  }

  apply({ index, payload }: CommittedCommand): ListResult {
    const { client, seq } = decodeCommand(payload);
    this.#digest = crc32(payload, Math.imul(this.#digest ^ index, MIX) >>> 0);
    if (index % STORED_EVERY === 0) this.#store(index);
    const session = this.#sessions.get(client);
    if (session !== undefined && seq <= session.seq) return { index: session.index, repeated: true };
    this.#count++;
    this.#sessions.set(client, { seq, index });
    return { index, repeated: false };
  }

  applyTermStart(term: Term, index: LogIndex): void {
    this.#digest = Math.imul(this.#digest ^ index ^ (term << 16), MIX) >>> 0;
  }

  takeDirty(): readonly KvOp[] {
    const dirty = this.#dirty;
    this.#dirty = [];
    return dirty;
  }

  async *snapshot(): AsyncIterable<Uint8Array> {
    const frozen = this.freeze();
    const half = frozen.length >> 1;
    for (const part of [frozen.subarray(0, half), frozen.subarray(half)]) {
      await Promise.resolve();
      yield part;
    }
  }

  storedAt(index: LogIndex, key: string): boolean {
    return key <= itemKey(index);
  }

  dropBefore(index: LogIndex): readonly KvOp[] {
    const ops: KvOp[] = [];
    const last = index - STORED_KEPT;
    for (let item = STORED_EVERY; item <= last; item += STORED_EVERY) {
      if (this.#kv?.get(itemKey(item)) !== undefined) ops.push({ kind: 'del', key: itemKey(item) });
    }
    return ops;
  }

  async restore(
    meta: SnapshotMeta,
    chunks: AsyncIterable<Uint8Array>,
    kv: Pick<KvStore, 'get'>,
  ): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    this.load(Buffer.concat(parts));
    this.#kv = kv;
    this.#restoredAt = meta.index;
    this.#dirty = [];
  }

  /** The whole state. */
  freeze(): Uint8Array {
    const frozen: Frozen = {
      count: this.#count,
      digest: this.#digest,
      lastStored: this.#lastStored,
      sessions: [...this.#sessions].map(([client, { seq, index }]) => [client, seq, index]),
    };
    return encoder.encode(JSON.stringify(frozen));
  }

  /** The reverse of {@link freeze}; nothing gives the empty state. */
  load(frozen: Uint8Array): void {
    const state: Frozen =
      frozen.length === 0
        ? { count: 0, digest: 0, lastStored: 0, sessions: [] }
        : (JSON.parse(decoder.decode(frozen)) as Frozen);
    this.#count = state.count;
    this.#digest = state.digest;
    this.#lastStored = state.lastStored;
    this.#sessions.clear();
    for (const [client, seq, index] of state.sessions) this.#sessions.set(client, { seq, index });
  }

  /** Writes a record and reads back an earlier one, which must be there whatever crashed in between. */
  #store(index: number): void {
    this.#dirty.push({ kind: 'put', key: itemKey(index), value: encoder.encode(String(this.#digest)) });
    const earlier = this.#lastStored;
    this.#lastStored = index;
    if (this.#kv === null || earlier === 0) return;
    const isWaiting = this.#dirty.some((op) => op.key === itemKey(earlier));
    if (!isWaiting && this.#kv.get(itemKey(earlier)) === undefined) {
      throw new Error(`stored record ${String(earlier)} is gone (restored at ${String(this.#restoredAt)})`);
    }
  }
}

function itemKey(index: number): string {
  return `item!${keyNumber(index)}`;
}
