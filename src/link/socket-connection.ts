/**
 * A link over an upgraded socket. A frame (net/frames.ts) is the JSON array of some messages of one direction.
 *
 * Sending is what the master's and the worker's hot paths do most, so messages are turned into text at once (their size is
 * then known), collected until the end of the turn of the event loop, and leave in one write.
 */
import type { Socket } from 'node:net';
import { FRAME_HEADER_BYTES, FrameDecoder } from '../net/frames.ts';
import { parseMasterMessage, parseWorkerMessage } from './messages.ts';
import { LINK_FRAME_BYTES_MAX } from './protocol.ts';
import type { LinkConnection, MasterToWorker, WorkerToMaster } from './protocol.ts';

export const LINK_LIMITS = {
  /** A frame is cut as soon as it holds this much text (one larger message still goes, alone). */
  frameTextMax: 1024 * 1024,
  /** What may wait for the socket; beyond it the peer is not keeping up and the link is closed. */
  queueBytesMax: 64 * 1024 * 1024,
  /** After close(): how long what was sent before may take to leave. */
  lingerMs: 2_000,
} as const;

/** Checks one message of a frame and returns it typed. Throws an Error that names what is wrong. */
export type MessageParser<In> = (value: unknown) => In;

export interface SocketLinkOptions {
  readonly queueBytesMax?: number;
}

export class SocketLink<Out, In> implements LinkConnection<Out, In> {
  /** Called once when the socket is closed, whoever closed it, with the first cause. */
  onClose: ((reason: string) => void) | null = null;

  readonly #socket: Socket;
  readonly #parse: MessageParser<In>;
  readonly #queueBytesMax: number;
  readonly #decoder = new FrameDecoder(LINK_FRAME_BYTES_MAX);
  #onMessage: ((message: In) => void) | null = null;
  /** Texts of this turn, in order; #unsentChars is their sum. */
  #unsent: string[] = [];
  #unsentChars = 0;
  #flushScheduled = false;
  /** Set by the first cause of an end; from then on nothing is sent or delivered. */
  #closeReason: string | null = null;
  #lingerTimer: NodeJS.Timeout | null = null;

  /** Takes the socket over. Reading starts when `onMessage` is set. */
  constructor(socket: Socket, parse: MessageParser<In>, options: SocketLinkOptions = {}) {
    this.#socket = socket;
    this.#parse = parse;
    this.#queueBytesMax = options.queueBytesMax ?? LINK_LIMITS.queueBytesMax;
    socket.on('error', (error) => (this.#closeReason ??= error.message));
    socket.on('end', () => (this.#closeReason ??= 'closed by the other side'));
    socket.on('close', () => this.#closed());
  }

  get onMessage(): ((message: In) => void) | null {
    return this.#onMessage;
  }

  set onMessage(handler: ((message: In) => void) | null) {
    const first = this.#onMessage === null && handler !== null;
    this.#onMessage = handler;
    if (first && this.#socket.listenerCount('data') === 0) {
      this.#socket.on('data', (chunk: Buffer) => this.#received(chunk));
    }
  }

  send(message: Out): void {
    if (this.#closeReason !== null) return;
    const text = JSON.stringify(message);
    this.#unsent.push(text);
    this.#unsentChars += text.length;
    if (this.#socket.writableLength + this.#unsentChars > this.#queueBytesMax) {
      this.#fail(`the other side does not keep up: more than ${this.#queueBytesMax} bytes are waiting`);
      return;
    }
    if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      setImmediate(() => this.#flush());
    }
  }

  /** What was sent before still leaves, within LINK_LIMITS.lingerMs. */
  close(): void {
    if (this.#closeReason !== null) return;
    this.#flush();
    this.#closeReason = 'closed by this side';
    this.#socket.destroySoon();
    this.#lingerTimer = setTimeout(() => this.#socket.destroy(), LINK_LIMITS.lingerMs);
    this.#lingerTimer.unref();
  }

  #flush(): void {
    this.#flushScheduled = false;
    if (this.#closeReason !== null || this.#unsent.length === 0) return;
    const texts = this.#unsent;
    this.#unsent = [];
    this.#unsentChars = 0;
    this.#socket.cork();
    let from = 0;
    let chars = 0;
    for (let at = 0; at < texts.length; at += 1) {
      chars += texts[at]?.length ?? 0;
      if (chars < LINK_LIMITS.frameTextMax && at + 1 < texts.length) continue;
      this.#socket.write(frameOf(texts.slice(from, at + 1)));
      from = at + 1;
      chars = 0;
    }
    this.#socket.uncork();
  }

  #received(chunk: Buffer): void {
    if (this.#closeReason !== null) return;
    try {
      for (const frame of this.#decoder.push(chunk)) this.#deliver(frame);
    } catch (error) {
      this.#fail(`bad frame: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** All messages of a frame are checked before the first is delivered. */
  #deliver(frame: Uint8Array): void {
    const text = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('utf8');
    const values: unknown = JSON.parse(text);
    if (!Array.isArray(values)) throw new TypeError('a frame must hold an array of messages');
    const messages = values.map((value: unknown) => this.#parse(value));
    for (const message of messages) {
      if (this.#isClosed()) return;
      // The handler is our own code: what it throws is a bug and must not look like a bad frame.
      try {
        this.#onMessage?.(message);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  // A call, because a handler may close the link in the middle of a frame.
  #isClosed(): boolean {
    return this.#closeReason !== null;
  }

  #fail(reason: string): void {
    this.#closeReason ??= reason;
    this.#unsent = [];
    this.#unsentChars = 0;
    this.#socket.destroy();
  }

  #closed(): void {
    if (this.#lingerTimer !== null) clearTimeout(this.#lingerTimer);
    this.#closeReason ??= 'the connection was lost';
    const onClose = this.onClose;
    this.onClose = null;
    onClose?.(this.#closeReason);
  }
}

function frameOf(texts: readonly string[]): Buffer {
  const text = `[${texts.join(',')}]`;
  const bodyBytes = Buffer.byteLength(text);
  if (bodyBytes > LINK_FRAME_BYTES_MAX) {
    throw new RangeError(`a message of ${bodyBytes} bytes is over the link's ${LINK_FRAME_BYTES_MAX}`);
  }
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + bodyBytes);
  frame.writeUInt32BE(bodyBytes, 0);
  frame.write(text, FRAME_HEADER_BYTES, 'utf8');
  return frame;
}

/** The master's end of a link that a worker opened. */
export function masterLink(
  socket: Socket,
  options?: SocketLinkOptions,
): SocketLink<MasterToWorker, WorkerToMaster> {
  return new SocketLink<MasterToWorker, WorkerToMaster>(socket, parseWorkerMessage, options);
}

/** The worker's end of a link that it opened. */
export function workerLink(
  socket: Socket,
  options?: SocketLinkOptions,
): SocketLink<WorkerToMaster, MasterToWorker> {
  return new SocketLink<WorkerToMaster, MasterToWorker>(socket, parseMasterMessage, options);
}
