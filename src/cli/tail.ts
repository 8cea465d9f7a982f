const NEWLINE = 0x0a;

interface Chunk {
  readonly bytes: Uint8Array;
  readonly newlines: number;
}

/** Keeps the last lines of what passes through it. A last line without an end counts as a line. */
export class Tail {
  readonly #lines: number;
  readonly #chunks: Chunk[] = [];
  #newlines = 0;
  #totalBytes = 0;

  constructor(lines: number) {
    this.#lines = lines;
  }

  /** Of all that passed through. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  push(bytes: Uint8Array): void {
    const newlines = countNewlines(bytes);
    this.#chunks.push({ bytes, newlines });
    this.#newlines += newlines;
    this.#totalBytes += bytes.byteLength;
    // A chunk may go when those after it hold enough lines by themselves.
    for (let first = this.#chunks[0]; first !== undefined; first = this.#chunks[0]) {
      if (this.#chunks.length === 1 || this.#newlines - first.newlines <= this.#lines) return;
      this.#newlines -= first.newlines;
      this.#chunks.shift();
    }
  }

  bytes(): Uint8Array {
    if (this.#lines === 0) return new Uint8Array();
    const kept = Buffer.concat(this.#chunks.map(({ bytes }) => bytes));
    // The newline that ends the last line does not begin another.
    let before = kept.byteLength - 2;
    for (let lines = 1; before >= 0; lines += 1) {
      const newline = kept.lastIndexOf(NEWLINE, before);
      if (newline < 0) return kept;
      if (lines === this.#lines) return kept.subarray(newline + 1);
      before = newline - 1;
    }
    return kept;
  }
}

function countNewlines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}
