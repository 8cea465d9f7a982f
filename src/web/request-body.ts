import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';

/** Bodies being read or handled at one time, all requests together; beyond it a request is told to come back. */
export const BODY_BYTES_IN_FLIGHT_MAX = 256 * 1024 * 1024;

/** The other side went away before its request was complete: there is nobody to answer. */
export class RequestAbortedError extends Error {
  readonly code = 'REQUEST_ABORTED';
}

/** Requests with `Expect: 100-continue` whose sender still waits for the word to go on (see http-server.ts). */
const awaitingContinue = new WeakSet<IncomingMessage>();

export function holdContinue(req: IncomingMessage): void {
  awaitingContinue.add(req);
}

/** Reads bodies with a limit on each and on all together. */
export class BodyReader {
  #inFlightBytes = 0;
  readonly #inFlightBytesMax: number;

  constructor(inFlightBytesMax = BODY_BYTES_IN_FLIGHT_MAX) {
    this.#inFlightBytesMax = inFlightBytesMax;
  }

  /**
   * The whole body. It counts as in flight until `res` is closed.
   * @throws ApiError TOO_LARGE (as soon as it is known, nothing being kept), INVALID (not UTF-8, compressed),
   *   UNAVAILABLE (too much in flight); RequestAbortedError.
   */
  async read(req: IncomingMessage, res: ServerResponse, limitBytes: number): Promise<Buffer> {
    const encoding = req.headers['content-encoding'];
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      throw new ApiError(
        'INVALID',
        `Content-Encoding ${encoding.slice(0, 40)} is not supported: send it as it is`,
      );
    }
    const announcedBytes = Number(req.headers['content-length'] ?? 0);
    if (announcedBytes > limitBytes) throw tooLarge(limitBytes);
    if (awaitingContinue.delete(req)) res.writeContinue();
    const body = await this.#collect(req, res, limitBytes);
    if (!isUtf8(body)) throw new ApiError('INVALID', 'the body is not valid UTF-8');
    return body;
  }

  #collect(req: IncomingMessage, res: ServerResponse, limitBytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      let heldBytes = 0;
      const release = (): void => {
        this.#inFlightBytes -= heldBytes;
        heldBytes = 0;
      };
      const stop = (error: Error): void => {
        req.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
        chunks.length = 0;
        release();
        reject(error);
      };
      const onData = (chunk: Buffer): void => {
        bytes += chunk.byteLength;
        if (bytes > limitBytes) {
          stop(tooLarge(limitBytes));
          return;
        }
        if (this.#inFlightBytes + chunk.byteLength > this.#inFlightBytesMax) {
          stop(new ApiError('UNAVAILABLE', 'too many request bodies in flight', { retryAfterSeconds: 1 }));
          return;
        }
        if (heldBytes === 0) res.once('close', release);
        this.#inFlightBytes += chunk.byteLength;
        heldBytes += chunk.byteLength;
        chunks.push(chunk);
      };
      const onEnd = (): void => {
        req.off('error', onGone).off('close', onGone);
        const [only] = chunks;
        resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, bytes));
      };
      const onGone = (): void => stop(new RequestAbortedError('the connection was closed by the other side'));
      req.on('data', onData).once('end', onEnd).once('error', onGone).once('close', onGone);
    });
  }
}

/** @throws ApiError INVALID */
export function parseJson(body: Buffer): unknown {
  if (body.byteLength === 0) throw new ApiError('INVALID', 'the body is empty, a JSON object was expected');
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : 'unreadable';
    throw new ApiError('INVALID', `the body is not valid JSON: ${why}`);
  }
}

function tooLarge(limitBytes: number): ApiError {
  return new ApiError(
    'TOO_LARGE',
    `the body is larger than the limit of ${limitBytes} bytes (${sizeText(limitBytes)})`,
    {
      details: { limitBytes },
    },
  );
}

export function sizeText(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${bytes / (1024 * 1024)} MiB` : `${bytes / 1024} KiB`;
}
