import type { LogIndex, SnapshotMeta, Term } from '../../../src/raft/core/types.ts';
import type { CommittedCommand, StateMachine } from '../../../src/raft/state-machine.ts';
import { keyNumber } from '../../../src/raft/storage/kv-store.ts';
import type { KvOp, KvStore } from '../../../src/raft/storage/kv-store.ts';

const CHUNK_WORDS = 50;

/**
 * A state machine for tests: a list of words in memory. A word that begins with "keep:" is a stored record instead, under the
 * index that made it; "drop:N" deletes the stored record made at index N.
 */
export class WordMachine implements StateMachine<string> {
  words: string[] = [];
  termStarts: Term[] = [];
  appliedIndex = 0;
  #dirty: KvOp[] = [];
  #dropped: { readonly at: number; readonly key: string }[] = [];
  kv: Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'> | null = null;

  apply(command: CommittedCommand): string {
    const word = Buffer.from(command.payload).toString();
    this.appliedIndex = command.index;
    if (word.startsWith('keep:')) {
      this.#dirty.push({ kind: 'put', key: keyNumber(command.index), value: Buffer.from(word) });
    } else if (word.startsWith('drop:')) {
      this.#dropped.push({ at: command.index, key: keyNumber(Number(word.slice('drop:'.length))) });
    } else {
      this.words.push(word);
    }
    return `${word}@${command.index}`;
  }

  applyTermStart(term: Term, index: LogIndex): void {
    this.termStarts.push(term);
    this.appliedIndex = index;
  }

  takeDirty(): readonly KvOp[] {
    return this.#dirty.splice(0);
  }

  async *snapshot(): AsyncIterable<Uint8Array> {
    const words = this.words.slice();
    for (let at = 0; at < words.length; at += CHUNK_WORDS) {
      await Promise.resolve();
      yield Buffer.from(JSON.stringify(words.slice(at, at + CHUNK_WORDS)));
    }
  }

  storedAt(index: LogIndex, key: string): boolean {
    return Number(key) <= index;
  }

  dropBefore(index: LogIndex): readonly KvOp[] {
    const due = this.#dropped.filter((drop) => drop.at <= index);
    this.#dropped = this.#dropped.filter((drop) => drop.at > index);
    return due.map(({ key }) => ({ kind: 'del', key }));
  }

  async restore(
    meta: SnapshotMeta,
    chunks: AsyncIterable<Uint8Array>,
    kv: Pick<KvStore, 'get' | 'iterate' | 'rangeSync' | 'view'>,
  ): Promise<void> {
    this.words = [];
    this.termStarts = [];
    this.#dirty = [];
    this.#dropped = [];
    for await (const chunk of chunks)
      this.words.push(...(JSON.parse(Buffer.from(chunk).toString()) as string[]));
    this.appliedIndex = meta.index;
    this.kv = kv;
  }

  async stored(): Promise<string[]> {
    const found: string[] = [];
    for await (const [, value] of this.kv!.iterate({ gte: '0', lt: ':' }))
      found.push(Buffer.from(value).toString());
    return found;
  }
}
