import type { LogIndex } from './types.ts';

/** Above this many freed slots the array is shifted, so that freeing stays O(1) on average. */
const SHIFT_AT = 64;

/** The pipeline window of one follower: appends sent and not yet answered, bounded in messages and bytes. */
export class Inflights {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  #sent: { readonly lastIndex: LogIndex; readonly bytes: number }[] = [];
  #head = 0;
  #bytes = 0;

  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#sent.length - this.#head;
  }
  get full(): boolean {
    return this.count >= this.#messagesMax || this.#bytes >= this.#bytesMax;
  }

  add(lastIndex: LogIndex, bytes: number): void {
    this.#sent.push({ lastIndex, bytes });
    this.#bytes += bytes;
  }

  /** Everything through `index` has been answered. */
  freeThrough(index: LogIndex): void {
    for (;;) {
      const oldest = this.#sent[this.#head];
      if (oldest === undefined || oldest.lastIndex > index) break;
      this.#bytes -= oldest.bytes;
      this.#head++;
    }
    if (this.#head === this.#sent.length) this.clear();
    else if (this.#head >= SHIFT_AT) {
      this.#sent = this.#sent.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#sent = [];
    this.#head = 0;
    this.#bytes = 0;
  }
}
