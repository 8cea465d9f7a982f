/**
 * Length-prefixed frames over a byte stream: 4 bytes big-endian length, then that many bytes. Shared by the Raft
 * transport, the worker link and the launcher's socket.
 */

export const FRAME_HEADER_BYTES = 4;

/** A peer announced a frame longer than the limit: the connection is not to be trusted any further. */
export class FrameTooLongError extends Error {
  readonly code = 'FRAME_TOO_LONG';
  readonly lengthBytes: number;
  readonly limitBytes: number;
  constructor(lengthBytes: number, limitBytes: number) {
    super(`a frame of ${lengthBytes} bytes was announced, the limit is ${limitBytes}`);
    this.lengthBytes = lengthBytes;
    this.limitBytes = limitBytes;
  }
}

/** `body` with its length in front; `parts` are joined without an intermediate copy. */
export function encodeFrame(...parts: readonly Uint8Array[]): Buffer {
  let bodyBytes = 0;
  for (const part of parts) bodyBytes += part.byteLength;
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + bodyBytes);
  frame.writeUInt32BE(bodyBytes, 0);
  let at = FRAME_HEADER_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.byteLength;
  }
  return frame;
}

/** Cuts a byte stream into frames. Keeps at most one incomplete frame, so memory is bounded by the limit. */
export class FrameDecoder {
  readonly #limitBytes: number;
  #chunks: Uint8Array[] = [];
  #bufferedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Whether the stream has begun a frame that it has not ended. */
  get isMidFrame(): boolean {
    return this.#bufferedBytes > 0;
  }

  /**
   * Takes the next bytes of the stream and returns the frames they complete (without their length prefix).
   * @throws FrameTooLongError as soon as a length over the limit is announced.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.byteLength;
    const frames: Uint8Array[] = [];
    for (;;) {
      const length = this.#announcedLength();
      if (length === null || this.#bufferedBytes < FRAME_HEADER_BYTES + length) return frames;
      const buffer = this.#joined();
      frames.push(buffer.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length));
      const rest = buffer.subarray(FRAME_HEADER_BYTES + length);
      this.#chunks = rest.byteLength > 0 ? [rest] : [];
      this.#bufferedBytes = rest.byteLength;
    }
  }

  #announcedLength(): number | null {
    if (this.#bufferedBytes < FRAME_HEADER_BYTES) return null;
    let first = this.#chunks[0];
    if (first === undefined) return null;
    if (first.byteLength < FRAME_HEADER_BYTES) first = this.#joined();
    const length = new DataView(first.buffer, first.byteOffset, first.byteLength).getUint32(0);
    if (length > this.#limitBytes) throw new FrameTooLongError(length, this.#limitBytes);
    return length;
  }

  #joined(): Uint8Array {
    const [only] = this.#chunks;
    if (this.#chunks.length === 1 && only !== undefined) return only;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}
