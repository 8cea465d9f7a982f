/**
 * One output stream of an attempt: counts every byte, writes the first LIMITS.nodeStreamBytesMax to a file while they come,
 * and keeps head and tail for the result.
 */
import { closeSync, openSync, write } from 'node:fs';
import { Socket } from 'node:net';
import { LIMITS } from '../../api/limits.ts';
import { HeadTail } from './head-tail.ts';

export class Capture {
  readonly kept = new HeadTail(LIMITS.resultStreamBytesMax);
  readonly #filePath: string;
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  /** -1: not opened yet, because nothing was written. */
  #fd = -1;
  #fileBytes = 0;
  /** The disk refused a write: the rest is counted, but not kept in the file. */
  #fileBroken = false;
  #writing = false;
  #onWritten: (() => void) | null = null;
  #sawEnd = false;

  /** Reads the pipe from now on, and owns the descriptor. */
  constructor(readFd: number, filePath: string) {
    this.#filePath = filePath;
    this.#socket = new Socket({ fd: readFd, readable: true, writable: false });
    this.#socket.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#socket.on('error', () => undefined); // 'close' follows
    this.#socket.on('end', () => (this.#sawEnd = true));
    this.#closed = new Promise((resolve) => this.#socket.once('close', () => resolve()));
  }

  /**
   * Waits until every holder of the pipe has closed it, at most `graceMs`, and closes the file. Returns whether the pipe
   * was closed by all; if not, somebody who is no process of the attempt has got hold of it.
   */
  async finish(graceMs: number): Promise<boolean> {
    const timer = setTimeout(() => this.#socket.destroy(), graceMs);
    await this.#closed;
    clearTimeout(timer);
    if (this.#writing) await new Promise<void>((resolve) => (this.#onWritten = resolve));
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    return this.#sawEnd;
  }

  #received(chunk: Buffer): void {
    this.kept.push(chunk);
    const room = LIMITS.nodeStreamBytesMax - this.#fileBytes;
    if (room <= 0 || this.#fileBroken) return;
    this.#socket.pause(); // one write at a time: memory stays bounded, the payload waits in its pipe
    this.#writing = true;
    this.#write(chunk.subarray(0, room));
  }

  /** Writes all of it, then goes on reading. Off the event loop: a slow disk must not hold up the lease clock. */
  #write(bytes: Buffer): void {
    try {
      if (this.#fd < 0) this.#fd = openSync(this.#filePath, 'wx', 0o600);
    } catch {
      this.#fileBroken = true;
      this.#written();
      return;
    }
    write(this.#fd, bytes, 0, bytes.byteLength, null, (error, writtenBytes) => {
      this.#fileBytes += writtenBytes;
      if (error !== null) this.#fileBroken = true;
      else if (writtenBytes < bytes.byteLength) {
        this.#write(bytes.subarray(writtenBytes));
        return;
      }
      this.#written();
    });
  }

  #written(): void {
    this.#writing = false;
    this.#socket.resume();
    this.#onWritten?.();
  }
}
