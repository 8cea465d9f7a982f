import { sseFrame } from './sse.ts';
import type { SseStream } from './sse.ts';

/** Lines come in bursts: one read for those of a moment. */
const GATHER_MS = 50;

/** Some lines behind the one a reader has, in order. */
export interface LinesRead {
  readonly lines: readonly { readonly seq: number; readonly id: string; readonly data: object }[];
  /** Where to go on when all of these are sent. */
  readonly next: number;
  /** There may be more behind it. */
  readonly more: boolean;
}

export interface LinesToFeed {
  /** Reads lines with numbers above this one. */
  readonly read: (after: number) => Promise<LinesRead>;
  /** Calls back when there may be new ones; returns the unsubscriber. */
  readonly subscribe: (wake: () => void) => () => void;
}

/** Sends lines to one reader at its own pace: what it has not taken is read again, not queued. */
export class LineFeed {
  readonly #source: LinesToFeed;
  readonly #stream: SseStream;
  #after: number;
  #reading = false;
  #again = false;

  constructor(source: LinesToFeed, stream: SseStream, after: number) {
    this.#source = source;
    this.#stream = stream;
    this.#after = after;
  }

  /** Resolves when what is there is sent; goes on until the stream is closed. */
  async run(): Promise<void> {
    this.#stream.onClose(this.#source.subscribe(() => this.#wake()));
    this.#stream.onRoom(() => this.#wake());
    await this.#read();
  }

  #wake(): void {
    this.#again = true;
    if (this.#reading) return;
    this.#reading = true;
    setTimeout(() => {
      this.#read().catch(() => this.#stream.close());
    }, GATHER_MS);
  }

  async #read(): Promise<void> {
    this.#reading = true;
    do {
      this.#again = false;
      const { lines, next, more } = await this.#source.read(this.#after);
      if (this.#send(lines)) {
        this.#after = next;
        if (more) this.#again = true;
      }
    } while (this.#again && !this.#full());
    this.#reading = false;
  }

  /** False where the reader took only a part. */
  #send(lines: LinesRead['lines']): boolean {
    for (const { seq, id, data } of lines) {
      if (this.#full()) return false;
      this.#stream.send(sseFrame(null, id, JSON.stringify(data)));
      this.#after = seq;
    }
    return true;
  }

  #full(): boolean {
    return this.#stream.behind || this.#stream.closed;
  }
}
