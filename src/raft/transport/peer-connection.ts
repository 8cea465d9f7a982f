/**
 * The connection on which this server sends to ONE peer (the peer has one of its own for the other direction).
 *
 *     idle ──dial──▶ dialing ──101──▶ open ──lost──▶ waiting (50 … 500 ms) ──▶ dialing …
 *
 * Messages sent while it is not open are dropped: Raft repeats what matters. While it is open, the messages of one turn
 * of the event loop go out in one write.
 */
import type { Socket } from 'node:net';
import { FRAME_HEADER_BYTES, FrameDecoder } from '../../net/frames.ts';
import type { Dial } from '../../net/connection-cut.ts';
import type { Message, NodeId } from '../core/types.ts';
import type { RaftLogger } from '../raft-logger.ts';
import type { Timers } from '../timers.ts';
import { FRAME_PING, FRAME_REFUSAL, messageBytes, writeMessage } from './codec.ts';
import { RAFT_PROTOCOL } from './transport-settings.ts';
import type { PeerAddress, TransportSettings } from './transport-settings.ts';

export interface PeerConnectionOptions {
  readonly peer: NodeId;
  readonly address: PeerAddress;
  /** Asked at each dial. */
  readonly headers: () => Readonly<Record<string, string>>;
  readonly settings: TransportSettings;
  readonly timers: Timers;
  readonly log: RaftLogger;
  readonly dial: Dial;
  /** Something arrived from the peer on this connection. */
  readonly onHeard: () => void;
  readonly onLost: () => void;
  /** The peer will not talk to this server, and says why. */
  readonly onRefused: (reason: string) => void;
}

/** The peer sends only pongs and refusals here. */
const ANSWER_BYTES_MAX = 1_024;

export class PeerConnection {
  readonly #options: PeerConnectionOptions;
  #socket: Socket | null = null;
  #dialing: AbortController | null = null;
  #cancelRedial: (() => void) | null = null;
  #redialMs: number;
  #unansweredPings = 0;
  #sparedPings = 0;
  #queue: Message[] = [];
  #queueBytes = 0;
  #lastComplaint = '';
  #closed = false;

  constructor(options: PeerConnectionOptions) {
    this.#options = options;
    this.#redialMs = options.settings.redialMsMin;
  }

  /** Dials, and from then on keeps dialing. */
  start(): void {
    this.#dial();
  }

  send(message: Message): void {
    const { queueMessagesMax, queueBytesMax } = this.#options.settings;
    const socket = this.#socket;
    if (socket === null || this.#queue.length >= queueMessagesMax) return;
    const bytes = FRAME_HEADER_BYTES + messageBytes(message);
    if (this.#queueBytes + bytes + socket.writableLength > queueBytesMax) return;
    if (this.#queue.length === 0) queueMicrotask(() => this.#flush());
    this.#queue.push(message);
    this.#queueBytes += bytes;
  }

  /** Called at each `pingEveryMs`: asks for a sign of life, and gives the connection up after too many without answer. */
  ping(): void {
    if (this.#socket === null) return;
    if (this.#unansweredPings >= this.#options.settings.missedPingsMax) {
      this.#socket.destroy(new Error(`no answer to ${this.#unansweredPings} pings`));
      return;
    }
    this.#unansweredPings += 1;
    this.#sparedPings = 0;
    this.#socket.write(PING);
  }

  /**
   * Called instead of {@link ping} while the peer is being heard. That says nothing of this direction, so it is tested now and
   * then all the same, and at the full rate as soon as an answer is missing.
   */
  spare(): void {
    this.#sparedPings += 1;
    if (this.#unansweredPings > 0 || this.#sparedPings > this.#options.settings.sparedPingsMax) this.ping();
  }

  close(): void {
    this.#closed = true;
    this.#cancelRedial?.();
    this.#dialing?.abort();
    this.#socket?.destroy();
    this.#socket = null;
    this.#queue = [];
  }

  #flush(): void {
    const queue = this.#queue;
    const socket = this.#socket;
    const bytes = Buffer.allocUnsafe(this.#queueBytes);
    this.#queue = [];
    this.#queueBytes = 0;
    if (socket === null || queue.length === 0) return;
    let at = 0;
    for (const message of queue) {
      const end = writeMessage(bytes, at + FRAME_HEADER_BYTES, message);
      bytes.writeUInt32BE(end - at - FRAME_HEADER_BYTES, at);
      at = end;
    }
    socket.write(bytes);
  }

  #dial(): void {
    const { address, headers, settings, dial } = this.#options;
    this.#cancelRedial = null;
    const dialing = new AbortController();
    this.#dialing = dialing;
    dial({
      host: address.host,
      port: address.port,
      protocol: RAFT_PROTOCOL,
      headers: headers(),
      timeoutMs: settings.dialTimeoutMs,
      signal: dialing.signal,
    }).then(
      (socket) => this.#opened(socket),
      (error: unknown) => this.#lost(error instanceof Error ? error.message : String(error)),
    );
  }

  #opened(socket: Socket): void {
    this.#dialing = null;
    if (this.#closed) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    this.#unansweredPings = 0;
    const decoder = new FrameDecoder(ANSWER_BYTES_MAX);
    let reason = 'the peer closed the connection';
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk)) {
          if (frame[0] === FRAME_REFUSAL) {
            const said = Buffer.from(frame.subarray(1)).toString();
            reason = `refused: ${said}`;
            this.#options.onRefused(said);
          } else this.#alive();
        }
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined);
      }
    });
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#queue = [];
      this.#queueBytes = 0;
      this.#options.onLost();
      this.#lost(reason);
    });
    this.ping();
  }

  /** An answer came: only now the connection is known to work. */
  #alive(): void {
    this.#unansweredPings = 0;
    this.#redialMs = this.#options.settings.redialMsMin;
    if (this.#lastComplaint !== '') this.#options.log.info(`raft: connected to ${this.#options.peer}`);
    this.#lastComplaint = '';
    this.#options.onHeard();
  }

  /** Logs a reason once, not at each attempt. */
  #lost(reason: string): void {
    this.#dialing = null;
    if (this.#closed) return;
    const { peer, address, settings, timers, log } = this.#options;
    if (reason !== this.#lastComplaint)
      log.warn(`raft: no connection to ${peer} (${address.host}:${address.port}): ${reason}`);
    this.#lastComplaint = reason;
    this.#cancelRedial = timers.after(this.#redialMs, () => this.#dial());
    this.#redialMs = Math.min(this.#redialMs * 2, settings.redialMsMax);
  }
}

const PING = Uint8Array.of(0, 0, 0, 1, FRAME_PING);
