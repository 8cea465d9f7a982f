import { pause } from '../model/clock.ts';
import type { Clock } from '../model/clock.ts';
import { ApiFailure } from './client.ts';

/** What the page keeps of a running task's output: its end. */
export const OUTPUT_CHARS_MAX = 200_000;
const RETRY_MS = 1_000;

export interface OutputSnapshot {
  readonly text: string;
  /** Text before `text` was dropped to bound the page's memory. */
  readonly clipped: boolean;
  readonly bytes: number;
  readonly state: 'following' | 'waiting' | 'ended';
}

export interface FollowOptions {
  readonly open: (offset: number, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
  /** False while the attempt goes on: an answer that ends then was cut short on its way. */
  readonly isOver: () => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onChange: (snapshot: OutputSnapshot) => void;
}

/**
 * Reads one stream of one attempt from its beginning to its end, over as many connections as it takes: after a break it goes on
 * at the byte where it stopped. Resolves at the end or when `signal` says so.
 */
export async function followOutput(options: FollowOptions): Promise<void> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = '';
  let clipped = false;
  const report = (state: OutputSnapshot['state']): void => {
    if (!options.signal.aborted) options.onChange({ text, clipped, bytes, state });
  };
  const take = (chunk: Uint8Array): void => {
    bytes += chunk.byteLength;
    text += decoder.decode(chunk, { stream: true });
    if (text.length > OUTPUT_CHARS_MAX) {
      text = text.slice(-OUTPUT_CHARS_MAX);
      clipped = true;
    }
    report('following');
  };
  while (!options.signal.aborted) {
    const outcome = await readOnce(options, bytes, take);
    if (outcome === 'refused' || (outcome === 'ended' && options.isOver())) {
      report('ended');
      return;
    }
    report('waiting');
    if (!(await pause(options.clock, RETRY_MS, options.signal))) return;
  }
}

/** `broken`: try again from where it stopped. `refused`: trying again will not change the answer. */
async function readOnce(
  options: FollowOptions,
  offset: number,
  take: (chunk: Uint8Array) => void,
): Promise<'ended' | 'broken' | 'refused'> {
  try {
    const stream = await options.open(offset, options.signal);
    const reader = stream.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'ended';
      take(value);
    }
  } catch (thrown) {
    const status = thrown instanceof ApiFailure ? thrown.status : null;
    // 404: nothing has been written yet, or not by a node that can be asked; the task's own state says when it is over.
    const hopeless = status !== null && status >= 400 && status < 500 && status !== 404 && status !== 409;
    return hopeless ? 'refused' : 'broken';
  }
}
