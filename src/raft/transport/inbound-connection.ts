import type { Socket } from 'node:net';
import { encodeFrame, FrameDecoder } from '../../net/frames.ts';
import type { Message, NodeId } from '../core/types.ts';
import { FRAME_PING, FRAME_PONG, FRAME_REFUSAL, readMessage } from './codec.ts';

/** Unheard pings, counted by {@link InboundConnection.age}, after which the dialer is taken to be gone. */
const SILENT_PINGS_MAX = 10;

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

  constructor(options: InboundOptions) {
    const { socket } = options;
    this.#socket = socket;
    const decoder = new FrameDecoder(options.frameBytesMax);
    let fault: string | null = null;
    socket.on('data', (chunk: Buffer) => {
      this.#silentPings = 0;
      options.onHeard();
      try {
        for (const frame of decoder.push(chunk)) {
          if (socket.destroyed) return;
          if (frame[0] === FRAME_PING && frame.byteLength === 1) socket.write(PONG);
          else options.onMessage(readMessage(frame, options.peer, options.self));
        }
      } catch (error) {
        fault = error instanceof Error ? error.message : String(error);
        socket.destroy();
      }
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => options.onClosed(fault));
  }

  /** Called once per ping interval: ends a connection whose dialer vanished without a word. */
  age(): void {
    this.#silentPings += 1;
    if (this.#silentPings > SILENT_PINGS_MAX) this.#socket.destroy();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Tells the dialer why, and ends the connection. */
export function refuseInbound(socket: Socket, reason: string): void {
  socket.on('data', () => undefined);
  socket.end(encodeFrame(Uint8Array.of(FRAME_REFUSAL), Buffer.from(reason)));
}

const PONG = Uint8Array.of(0, 0, 0, 1, FRAME_PONG);
