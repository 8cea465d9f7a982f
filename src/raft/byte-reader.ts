/** Bytes from disk or from a peer that do not follow the format. What they are part of is not to be trusted. */
export class MalformedBytesError extends Error {
  readonly code = 'MALFORMED_BYTES';
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a byte string front to back. Every read checks what is left first, so no length in hostile or damaged input
 * can make it read or allocate beyond the input. Byte strings it returns are views, not copies.
 * Every method throws {@link MalformedBytesError}.
 */
export class ByteReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.byteLength - this.#at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  /** A whole number from 0 to Number.MAX_SAFE_INTEGER (terms, indexes, counters); stored as a double. */
  safeInteger(): number {
    const value = this.#bytes.readDoubleBE(this.#advance(8));
    if (!Number.isSafeInteger(value) || value < 0)
      throw new MalformedBytesError(`${value} is no index or term`);
    return value;
  }

  boolean(): boolean {
    const value = this.u8();
    if (value > 1) throw new MalformedBytesError(`${value} is no boolean`);
    return value === 1;
  }

  bytes(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(length: number): string {
    try {
      return UTF8.decode(this.bytes(length));
    } catch (error) {
      if (error instanceof MalformedBytesError) throw error;
      throw new MalformedBytesError('text is not UTF-8', { cause: error });
    }
  }

  /** Asserts that nothing is left. */
  end(): void {
    if (this.left > 0) throw new MalformedBytesError(`${this.left} bytes too many`);
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.byteLength - start) {
      throw new MalformedBytesError(`${length} bytes wanted where ${this.left} are left`);
    }
    this.#at = start + length;
    return start;
  }
}
