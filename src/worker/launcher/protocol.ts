/**
 * What worker and launcher say to each other over the launcher's Unix socket: length-prefixed frames (net/frames.ts), each
 * one JSON message. The socket lies in a folder that only its owner may enter; nothing else authenticates the two.
 */
import { encodeFrame } from '../../net/frames.ts';
import type { AttemptRef, RunSpec } from '../../link/protocol.ts';
import type { Ending, KillWhy } from '../executor.ts';

/** A launcher of another version (left by the program before an upgrade) is ended, not talked to. */
export const LAUNCHER_VERSION = 2;

/** A task is at most 1 MiB, an ending at most 0.8 MiB. */
export const LAUNCHER_FRAME_BYTES_MAX = 8 * 1024 * 1024;

/** What may wait in either direction; beyond it the other side is not reading and the connection is dropped. */
export const LAUNCHER_QUEUE_BYTES_MAX = 256 * 1024 * 1024;

export type ToLauncher =
  /** First message: makes this connection the one that is served, in place of any other. */
  | { readonly kind: 'hello' }
  /** Starts it as soon as there is a valid lease. Ignored if the attempt is known. */
  | (AttemptRef & { readonly kind: 'launch'; readonly number: number; readonly spec: RunSpec })
  | (AttemptRef & { readonly kind: 'kill'; readonly why: KillWhy })
  /** Tasks may run until then (milliseconds of the machine-wide monotonic clock). */
  | { readonly kind: 'lease'; readonly untilMs: number }
  /** The ending is in the outbox: it need not be kept. */
  | (AttemptRef & { readonly kind: 'acknowledge' })
  /** Output and files that are kept of these tasks may go. */
  | { readonly kind: 'forget'; readonly tasks: readonly string[] }
  /** Kill what still runs, and end. */
  | { readonly kind: 'shutdown' };

export type FromLauncher =
  /** Answers the hello; followed by `ended` for everything not acknowledged, then `ready`. */
  | {
      readonly kind: 'welcome';
      readonly version: number;
      readonly pid: number;
      readonly guardPid: number;
      readonly running: readonly (AttemptRef & { readonly started: boolean })[];
    }
  | { readonly kind: 'ready' }
  | (AttemptRef & { readonly kind: 'started' })
  | (AttemptRef & { readonly kind: 'ended'; readonly ending: Ending });

export function encodeMessage(message: ToLauncher | FromLauncher): Buffer {
  return encodeFrame(Buffer.from(JSON.stringify(message), 'utf8'));
}

/** Both ends are the same program, so the content is trusted; that it is JSON with a kind is checked. */
function decodeMessage(frame: Uint8Array): unknown {
  const text = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('utf8');
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('kind' in value)) {
    throw new TypeError('a message between worker and launcher must be an object with a kind');
  }
  return value;
}

export function decodeToLauncher(frame: Uint8Array): ToLauncher {
  return decodeMessage(frame) as ToLauncher;
}

export function decodeFromLauncher(frame: Uint8Array): FromLauncher {
  return decodeMessage(frame) as FromLauncher;
}
