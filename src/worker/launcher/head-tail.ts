/** Keeps the first and the last bytes of a stream that may be of any length, in bounded memory. */
export class HeadTail {
  readonly #halfBytes: number;
  #bytes = 0;
  /** The first #headBytes of it are the head; grows as needed. */
  #head = Buffer.alloc(0);
  #headBytes = 0;
  /** What came after the head, as a ring; null until there is any. #ringAt is where the next byte goes. */
  #ring: Buffer | null = null;
  #ringAt = 0;

  /** `totalBytes`: head and tail together, half for each. */
  constructor(totalBytes: number) {
    this.#halfBytes = Math.floor(totalBytes / 2);
  }

  /** All that ever came. */
  get bytes(): number {
    return this.#bytes;
  }

  get truncated(): boolean {
    return this.#bytes > 2 * this.#halfBytes;
  }

  push(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    const toHead = chunk.subarray(0, this.#halfBytes - this.#headBytes);
    if (toHead.byteLength > 0) this.#extendHead(toHead);
    // Of what is longer than the ring only the end can stay.
    const rest = chunk.subarray(Math.max(toHead.byteLength, chunk.byteLength - this.#halfBytes));
    if (rest.byteLength === 0) return;
    this.#ring ??= Buffer.allocUnsafe(this.#halfBytes);
    const first = rest.subarray(0, this.#halfBytes - this.#ringAt);
    this.#ring.set(first, this.#ringAt);
    this.#ring.set(rest.subarray(first.byteLength), 0);
    this.#ringAt = (this.#ringAt + rest.byteLength) % this.#halfBytes;
  }

  /** Head and tail as text. Bytes that are not UTF-8 become U+FFFD; the cut itself makes none. */
  text(): string {
    const head = this.#head.subarray(0, this.#headBytes);
    const tail = this.#tail();
    if (!this.truncated) return Buffer.concat([head, tail]).toString('utf8');
    return head.toString('utf8', 0, completeEnd(head)) + tail.toString('utf8', completeStart(tail));
  }

  #extendHead(bytes: Uint8Array): void {
    const neededBytes = this.#headBytes + bytes.byteLength;
    if (neededBytes > this.#head.byteLength) {
      const grown = Buffer.allocUnsafe(Math.min(this.#halfBytes, Math.max(1_024, 2 * neededBytes)));
      grown.set(this.#head.subarray(0, this.#headBytes));
      this.#head = grown;
    }
    this.#head.set(bytes, this.#headBytes);
    this.#headBytes = neededBytes;
  }

  #tail(): Buffer {
    if (this.#ring === null) return Buffer.alloc(0);
    const isFull = this.#bytes - this.#headBytes >= this.#halfBytes;
    if (!isFull) return this.#ring.subarray(0, this.#ringAt);
    return Buffer.concat([this.#ring.subarray(this.#ringAt), this.#ring.subarray(0, this.#ringAt)]);
  }
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Where the last complete UTF-8 character ends; the length if the end is not UTF-8 anyway. */
function completeEnd(bytes: Uint8Array): number {
  for (let back = 1; back <= 4 && back <= bytes.byteLength; back += 1) {
    const byte = bytes[bytes.byteLength - back] ?? 0;
    if (isContinuation(byte)) continue;
    const lengthBytes = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return lengthBytes > back ? bytes.byteLength - back : bytes.byteLength;
  }
  return bytes.byteLength;
}

/** Where the first complete UTF-8 character starts; 0 if the start is not UTF-8 anyway. */
function completeStart(bytes: Uint8Array): number {
  let start = 0;
  while (start < 4 && isContinuation(bytes[start])) start += 1;
  return start < 4 ? start : 0;
}
