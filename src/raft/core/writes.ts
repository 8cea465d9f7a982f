/**
 * The durability gate: which writes are on their way to the disk, and which messages wait for them.
 *
 * A message is gated when it promises something that must survive a crash: a vote, a candidacy, an append's
 * acknowledgement. It is released when every write issued before it is durable (raft.md items 3, 23).
 */
import { assert, invariantBroken } from './assert.ts';
import { asWriteId, maxIndex, minIndex, next, previous } from './ids.ts';
import type { LogIndex, Message, Term, WriteId } from './types.ts';

interface PendingWrite {
  readonly id: WriteId;
  readonly issuedAtTick: number;
  /** When this write is durable, the log in memory is durable through here. Falls when the log is truncated. */
  lastIndex: LogIndex;
}
interface Gated {
  readonly behind: WriteId;
  readonly message: Message;
}

export class Writes {
  #pending: PendingWrite[] = [];
  #gated: Gated[] = [];
  #issued: WriteId = asWriteId(0);
  #persisted: WriteId = asWriteId(0);
  #durableIndex: LogIndex;

  constructor(durableIndex: LogIndex) {
    this.#durableIndex = durableIndex;
  }

  /** The log as it is in memory is durable through here. */
  get durableIndex(): LogIndex {
    return this.#durableIndex;
  }

  /** A `persist` effect is handed out; the log ends at `lastIndex` with it. */
  issue(lastIndex: LogIndex, tick: number): WriteId {
    this.#issued = next(this.#issued);
    this.#pending.push({ id: this.#issued, issuedAtTick: tick, lastIndex });
    return this.#issued;
  }

  /** The log in memory lost `from` and what follows, so older writes prove nothing about those places any more. */
  truncated(from: LogIndex): void {
    const last = previous(from);
    this.#durableIndex = minIndex(this.#durableIndex, last);
    for (const write of this.#pending) write.lastIndex = minIndex(write.lastIndex, last);
  }

  /** A snapshot through `index` is durable. `dropped`: with nothing left of the log in memory. */
  snapshotInstalled(index: LogIndex, dropped: boolean): void {
    if (dropped) this.truncated(next(index));
    this.#durableIndex = maxIndex(this.#durableIndex, index);
  }

  /** Ticks since the oldest write that is not durable was handed out; 0 if there is none. */
  stalledTicks(tick: number): number {
    const oldest = this.#pending[0];
    return oldest === undefined ? 0 : tick - oldest.issuedAtTick;
  }

  /** @returns true if the message must wait (and is kept), false if nothing is under way and it may go now */
  gate(message: Message): boolean {
    if (this.#issued === this.#persisted) return false;
    const last = this.#gated.at(-1);
    if (last?.behind === this.#issued && replaces(message, last.message)) this.#gated.pop();
    this.#gated.push({ behind: this.#issued, message });
    return true;
  }

  /** Every write through `id` is durable. @returns the messages that waited for it, in order */
  persisted(id: WriteId): Message[] {
    if (id <= this.#persisted || id > this.#issued) {
      invariantBroken(`write ${id} reported durable; handed out ${this.#issued}, known ${this.#persisted}`);
    }
    this.#persisted = id;
    let done = 0;
    for (const write of this.#pending) {
      if (write.id > id) break;
      this.#durableIndex = maxIndex(this.#durableIndex, write.lastIndex);
      done++;
    }
    assert(done > 0, 'a durable write was pending');
    this.#pending.splice(0, done);
    return this.#release(id);
  }

  /** Forgets what was promised in an earlier term, or asked for by a candidate that is none any more. */
  dropGated(term: Term): void {
    this.#gated = this.#gated.filter(({ message }) => message.term >= term && message.kind !== 'voteRequest');
  }

  #release(id: WriteId): Message[] {
    const released: Message[] = [];
    let count = 0;
    for (const { behind, message } of this.#gated) {
      if (behind > id) break;
      const last = released.at(-1);
      if (last !== undefined && replaces(message, last)) released.pop();
      released.push(message);
      count++;
    }
    if (count > 0) this.#gated.splice(0, count);
    return released;
  }
}

/** Acknowledgements grow: the later one says everything the earlier one did. */
function replaces(later: Message, earlier: Message): boolean {
  return (
    later.kind === 'appendAccepted' &&
    earlier.kind === 'appendAccepted' &&
    later.to === earlier.to &&
    later.term === earlier.term &&
    later.matchIndex >= earlier.matchIndex
  );
}
