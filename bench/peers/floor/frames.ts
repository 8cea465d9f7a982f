/** Frames on a TCP connection: four bytes of length, then so many bytes. */
import type { Socket } from 'node:net';

const HEAD_BYTES = 4;

/** The frame around these bytes. */
export function frame(body: Buffer): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

/** What is in the frames that stand one after the other here, and the rest, which is no whole frame yet. */
export function framesIn(bytes: Buffer): { readonly frames: readonly Buffer[]; readonly rest: Buffer } {
  const found: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= HEAD_BYTES) {
    const end = at + HEAD_BYTES + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    found.push(bytes.subarray(at + HEAD_BYTES, end));
    at = end;
  }
  return { frames: found, rest: bytes.subarray(at) };
}

/** Calls back with the body of each frame that arrives. */
export function onFrame(socket: Socket, receive: (body: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    const found = framesIn(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]));
    rest = found.rest;
    for (const body of found.frames) receive(body);
  });
}

/** Gathers what is added in one turn of the event loop and hands it over at its end: one write, one sync for many. */
export class Gathering<T> {
  readonly #flush: (gathered: readonly T[]) => void;
  #gathered: T[] = [];

  constructor(flush: (gathered: readonly T[]) => void) {
    this.#flush = flush;
  }

  add(item: T): void {
    this.#gathered.push(item);
    if (this.#gathered.length > 1) return;
    setImmediate(() => {
      const gathered = this.#gathered;
      this.#gathered = [];
      this.#flush(gathered);
    });
  }
}
