import type { Socket } from 'node:net';
import { encodeFrame, FrameDecoder } from '../../net/frames.ts';
import type { Message, NodeId } from '../core/types.ts';
import type { Timers } from '../timers.ts';
import { FRAME_PING, FRAME_PONG, FRAME_REFUSAL, readMessage } from './codec.ts';

/** Unheard pings, counted by {@link InboundConnection.age}, after which the dialer is taken to be gone. */
const SILENT_PINGS_MAX = 10;
/** The same without a whole frame: bytes that trickle in keep no connection. The largest frame passes in this time. */
const FRAMELESS_PINGS_MAX = 150;

export interface InboundOptions {
  readonly socket: Socket;
  readonly peer: NodeId;
  readonly self: NodeId;
  readonly frameBytesMax: number;
  readonly onMessage: (message: Message) => void;
  readonly onHeard: () => void;
  /** `fault`: what was wrong with the peer's bytes; null for an ordinary end. */
  readonly onClosed: (fault: string | null) => void;
}

/** A connection on which a peer sends to this server. Only pongs go back. */
export class InboundConnection {
  readonly #socket: Socket;
  #silentPings = 0;
  #framelessPings = 0;
  #fault: string | null = null;

  constructor(options: InboundOptions) {
    const { socket } = options;
    this.#socket = socket;
    const decoder = new FrameDecoder(options.frameBytesMax);
    socket.on('data', (chunk: Buffer) => {
      this.#silentPings = 0;
      options.onHeard();
      try {
        for (const frame of decoder.push(chunk)) {
          if (socket.destroyed) return;
          this.#framelessPings = 0;
          if (frame[0] === FRAME_PING && frame.byteLength === 1) socket.write(PONG);
          else options.onMessage(readMessage(frame, options.peer, options.self));
        }
      } catch (error) {
        this.#end(error instanceof Error ? error.message : String(error));
      }
    });
    socket.on('end', () => {
      if (decoder.isMidFrame) this.#fault ??= 'it ended in the middle of a frame';
      socket.end();
    });
    socket.on('close', () => options.onClosed(this.#fault));
  }

  /** Called once per ping interval: ends a connection whose dialer vanished without a word. */
  age(): void {
    this.#silentPings += 1;
    this.#framelessPings += 1;
    if (this.#silentPings > SILENT_PINGS_MAX) this.#end('nothing came any more, not even a ping');
    else if (this.#framelessPings > FRAMELESS_PINGS_MAX) this.#end('it began a frame and does not end it');
  }

  close(): void {
    this.#socket.destroy();
  }

  #end(fault: string): void {
    this.#fault ??= fault;
    this.#socket.destroy();
  }
}

/** How long a refused dialer may take to hang up. */
const REFUSED_MS_MAX = 1_000;

/** Tells the dialer why, and ends the connection. */
export function refuseInbound(socket: Socket, reason: string, timers: Timers): void {
  const cancel = timers.after(REFUSED_MS_MAX, () => socket.destroy());
  socket.on('close', cancel);
  socket.on('data', () => undefined);
  socket.end(encodeFrame(Uint8Array.of(FRAME_REFUSAL), Buffer.from(reason)));
}

const PONG = Uint8Array.of(0, 0, 0, 1, FRAME_PONG);
