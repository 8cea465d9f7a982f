import { createWriteStream, renameSync, statSync } from 'node:fs';
import type { WriteStream } from 'node:fs';

/** A node's log file is rotated at this size; one older file is kept beside it (`.1`). */
export const LOG_FILE_BYTES_MAX = 10 * 1024 * 1024;

/** Appends to a file of bounded size. */
export class LogFile {
  readonly #path: string;
  #stream: WriteStream;
  #bytes: number;

  constructor(path: string) {
    this.#path = path;
    this.#bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    this.#stream = this.#open();
  }

  write(text: string): void {
    this.#bytes += Buffer.byteLength(text);
    this.#stream.write(text);
    if (this.#bytes < LOG_FILE_BYTES_MAX) return;
    this.#stream.end();
    renameSync(this.#path, `${this.#path}.1`);
    this.#bytes = 0;
    this.#stream = this.#open();
  }

  close(): void {
    this.#stream.end();
  }

  #open(): WriteStream {
    const stream = createWriteStream(this.#path, { flags: 'a' });
    // A full disk must not take the supervisor down; the nodes' own storage reports it.
    stream.on('error', () => undefined);
    return stream;
  }
}
