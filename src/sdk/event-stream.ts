/** GET /v1/events as an endless sequence: resumes where it broke off, on another server if need be. */
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { EventMessage } from '../api/views.ts';
import { ClbError } from './errors.ts';
import { pause } from './pause.ts';
import type { Patience, PoolStream, ServerPool } from './server-pool.ts';
import { SilenceTimer } from './runtime.ts';
import { abortReason } from './transport.ts';

/** A server that sends nothing for so long (not even a comment) is taken for gone; asking again costs one request. */
const SILENCE_MAX_MS = 45_000;
const REOPEN_PAUSE_MS = 100;
/** Pauses double up to this while streams break before they carried anything. */
const REOPEN_PAUSE_MAX_MS = 2_000;
/** One entry of at most a few MiB; beyond it the stream is not to be trusted. */
const MESSAGE_CHARS_MAX = 64 * 1024 * 1024;

export interface SubscribeOptions {
  /** Index of the last entry already known: the next message is of a later one. Absent: from now on. */
  readonly lastEventId?: number;
  readonly signal?: AbortSignal;
  /** Entries after the last known one are no longer kept: read the state anew. It goes on from `index` (null: now). */
  readonly onReset?: (index: number | null) => void;
  /** A stream is open: whatever is committed from here on will come. `index`: where it begins, as far as known. */
  readonly onOpen?: (at: { readonly server: string; readonly index: number | null }) => void;
  /** It broke and will be opened again. */
  readonly onBreak?: (server: string, error: Error) => void;
}

type Item =
  | { readonly kind: 'message'; readonly message: EventMessage }
  | { readonly kind: 'reset'; index: number | null };

/**
 * Messages in the order of the log, none twice. Ends only by the consumer leaving the loop, the signal (throws its
 * reason) or no server for longer than `patience` allows (throws NoServerError).
 */
export async function* subscribe(
  pool: ServerPool,
  options: SubscribeOptions,
  patience: Patience,
): AsyncGenerator<EventMessage, void, undefined> {
  let last = options.lastEventId ?? null;
  let pauseMs = REOPEN_PAUSE_MS;
  for (;;) {
    const opened = await openEvents(pool, last, options.signal, patience);
    try {
      const begins = indexOf(opened.headers['x-clb-index']);
      last ??= begins;
      options.onOpen?.({ server: opened.server, index: last });
      for await (const item of itemsOf(opened, options.signal)) {
        pauseMs = REOPEN_PAUSE_MS;
        if (item.kind === 'reset') {
          last = item.index;
          options.onReset?.(item.index);
        } else if (last === null || item.message.index > last) {
          last = item.message.index;
          yield item.message;
        }
      }
    } catch (error) {
      if (options.signal?.aborted === true) throw abortReason(options.signal);
      if (!(error instanceof Error) || error instanceof BadMessageError) throw error;
      pool.suspect(opened.server);
      options.onBreak?.(opened.server, error);
    } finally {
      opened.stream.destroy();
    }
    await pause(pauseMs * Math.random(), options.signal);
    pauseMs = Math.min(pauseMs * 2, REOPEN_PAUSE_MAX_MS);
  }
}

function openEvents(
  pool: ServerPool,
  last: number | null,
  signal: AbortSignal | undefined,
  patience: Patience,
): Promise<PoolStream> {
  return pool.open({
    method: 'GET',
    path: '/v1/events',
    headers: { accept: 'text/event-stream', ...(last === null ? {} : { 'last-event-id': String(last) }) },
    repeat: 'always',
    signal,
    patience,
  });
}

class BadMessageError extends ClbError {
  constructor(server: string, what: string) {
    super('INTERNAL', `${server} sent an event that makes no sense: ${what}`, { server });
  }
}

/** @throws Error when the stream ends, breaks or stays silent: each is a reason to open another. */
async function* itemsOf(opened: PoolStream, signal: AbortSignal | undefined): AsyncGenerator<Item> {
  const items: Item[] = [];
  const parser = createParser({
    maxBufferSize: MESSAGE_CHARS_MAX,
    onEvent: (event) => {
      const item = itemOf(event, opened.server);
      if (item !== null) items.push(item);
    },
  });
  const decoder = new TextDecoder();
  const silence = new SilenceTimer(SILENCE_MAX_MS, () => {
    opened.stream.destroy(new Error(`silent for ${SILENCE_MAX_MS} ms`));
  });
  const onAbort = (): void => void opened.stream.destroy(abortReason(signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal?.aborted === true) throw abortReason(signal);
    for await (const chunk of opened.stream) {
      silence.heard();
      parser.feed(decoder.decode(chunk, { stream: true }));
      yield* items.splice(0);
    }
  } finally {
    silence.stop();
    signal?.removeEventListener('abort', onAbort);
  }
  throw new Error('the stream ended');
}

function itemOf(event: EventSourceMessage, server: string): Item | null {
  if (event.event === 'reset') return { kind: 'reset', index: indexOf(event.id) ?? indexIn(event.data) };
  if (event.event !== undefined && event.event !== 'message') return null;
  try {
    const message = JSON.parse(event.data) as EventMessage;
    if (!Number.isSafeInteger(message.index) || !Array.isArray(message.events)) throw new Error('no index');
    return { kind: 'message', message };
  } catch {
    throw new BadMessageError(server, event.data.slice(0, 200));
  }
}

/** A reset may name its index in the data too: `{"index":N}`. */
function indexIn(data: string): number | null {
  const match = /"index"\s*:\s*(\d+)/.exec(data);
  return indexOf(match?.[1]);
}

function indexOf(text: string | undefined): number | null {
  const index = Number(text);
  return text !== undefined && text !== '' && Number.isSafeInteger(index) && index >= 0 ? index : null;
}
