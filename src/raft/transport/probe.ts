import type { Socket } from 'node:net';
import { FrameDecoder } from '../../net/frames.ts';
import { dialUpgrade } from '../../net/upgrade.ts';
import { FRAME_PING, FRAME_REFUSAL } from './codec.ts';
import { RAFT_PROTOCOL } from './transport-settings.ts';
import type { PeerAddress } from './transport-settings.ts';

export interface ProbeOptions {
  readonly address: PeerAddress;
  /** As every connection to that server has them: it checks cluster, version and its own id. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** A pong or the reason of a refusal. */
const ANSWER_BYTES_MAX = 1_024;

/**
 * Makes one connection just as messages will need it, and takes it down again.
 * @returns why it cannot be made; null: it can
 */
export async function probePeer(options: ProbeOptions): Promise<string | null> {
  const { host, port } = options.address;
  try {
    const { headers, timeoutMs } = options;
    const socket = await dialUpgrade({ host, port, protocol: RAFT_PROTOCOL, headers, timeoutMs });
    return await answerOf(socket, timeoutMs);
  } catch (error) {
    // A refused connection to several addresses of a name has its reasons inside.
    const reason = error instanceof AggregateError ? (error.errors as readonly unknown[])[0] : error;
    return reason instanceof Error ? reason.message : String(reason);
  }
}

function answerOf(socket: Socket, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const answered = (reason: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reason);
    };
    const timer = setTimeout(() => answered(`no answer within ${timeoutMs} ms`), timeoutMs);
    const decoder = new FrameDecoder(ANSWER_BYTES_MAX);
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk)) {
          answered(frame[0] === FRAME_REFUSAL ? Buffer.from(frame.subarray(1)).toString() : null);
          return;
        }
      } catch (error) {
        answered(error instanceof Error ? error.message : String(error));
      }
    });
    socket.on('error', (error) => answered(error.message));
    socket.on('close', () => answered('it closed the connection'));
    socket.write(Uint8Array.of(0, 0, 0, 1, FRAME_PING));
  });
}
