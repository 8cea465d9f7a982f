/** A task's output as one sequence of bytes: goes on where it broke off, on another server or another attempt's node. */
import type { TaskView } from '../api/tasks.ts';
import { isFinal } from '../api/tasks.ts';
import type { OutputStream } from '../api/views.ts';
import { ClbError } from './errors.ts';
import { pause } from './pause.ts';
import { jsonOf, type Patience, type PoolStream, type ServerPool } from './server-pool.ts';
import { SilenceTimer } from './runtime.ts';
import { abortReason } from './transport.ts';

/** A task may be silent for hours; opening the stream again shows that its server is still there. */
const SILENCE_MAX_MS = 30_000;
const REOPEN_PAUSE_MS = 100;
const REOPEN_PAUSE_MAX_MS = 1_000;
/** Without `follow`: times a broken answer is taken up again without a byte of progress. */
const BARREN_MAX = 10;

export interface OutputOptions {
  readonly stream?: OutputStream;
  /** Go on until the task is final. */
  readonly follow?: boolean;
  /** Bytes to leave out at the beginning. */
  readonly offset?: number;
  readonly signal?: AbortSignal;
  /** What follows is of this attempt (from 1, on that node), from its beginning; called for each but the first one met. */
  readonly onAttempt?: (attempt: number, node: string | null) => void;
}

interface Source {
  readonly pool: ServerPool;
  readonly id: string;
  readonly stream: OutputStream;
  readonly follow: boolean;
  readonly signal: AbortSignal | undefined;
  readonly patience: Patience;
}

/** @throws ClbError, NoServerError (none answered for as long as `patience` allows), the signal's reason. */
export async function* readOutput(
  pool: ServerPool,
  id: string,
  options: OutputOptions,
  patience: Patience,
): AsyncGenerator<Uint8Array, void, undefined> {
  const source: Source = {
    pool,
    id,
    stream: options.stream ?? 'stdout',
    follow: options.follow ?? false,
    signal: options.signal,
    patience,
  };
  const offset = options.offset ?? 0;
  if (source.follow) yield* followOutput(source, offset, options.onAttempt);
  else yield* storedOutput(source, offset);
}

async function* storedOutput(source: Source, from: number): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = from;
  for (let barren = 0; barren < BARREN_MAX; barren += 1) {
    const opened = await openOutput(source, offset);
    const part = new Part(opened, source.signal);
    for await (const bytes of part.bytes()) {
      offset += bytes.byteLength;
      barren = 0;
      yield bytes;
    }
    if (part.complete) return;
    source.pool.suspect(opened.server);
  }
  throw new ClbError('UNAVAILABLE', `the output of ${source.id} breaks off after ${offset} bytes`);
}

async function* followOutput(
  source: Source,
  from: number,
  onAttempt: OutputOptions['onAttempt'],
): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = from;
  let attempt: number | null = null;
  let pauseMs = REOPEN_PAUSE_MS;
  const goTo = (next: number, node: string | null): void => {
    // The offset was the earlier attempt's.
    if (attempt !== null && next > attempt) {
      offset = 0;
      onAttempt?.(next, node);
    }
    attempt = Math.max(attempt ?? 1, next);
  };
  for (;;) {
    const { attempts } = await readTask(source);
    const before = attempts.length;
    goTo(before, attempts.at(-1)?.node ?? null);
    const openedAt = offset;
    const opened = await openOutput(source, openedAt);
    const named = attemptOf(opened);
    // There is another one since a moment: the task, read once more, says where it runs.
    if (named !== null && named > Math.max(1, before)) {
      opened.stream.destroy();
      continue;
    }
    const part = new Part(opened, source.signal);
    for await (const bytes of part.bytes()) {
      offset += bytes.byteLength;
      pauseMs = REOPEN_PAUSE_MS;
      yield bytes;
    }
    if (!part.complete && !part.silent) source.pool.suspect(opened.server);
    const task = await readTask(source);
    // What ended while attempts came and went may not have been the last one's output.
    if (part.complete && isFinal(task.status) && task.attempts.length === (named ?? before)) return;
    await pause(pauseMs * (0.5 + Math.random() / 2), source.signal);
    pauseMs = Math.min(pauseMs * 2, REOPEN_PAUSE_MAX_MS);
  }
}

/** One answer, read until it ends, breaks or falls silent. */
class Part {
  /** The server ended it: there is nothing more for now. */
  complete = false;
  /** Given up for being silent; nothing is known to be wrong. */
  silent = false;
  readonly #opened: PoolStream;
  readonly #signal: AbortSignal | undefined;

  constructor(opened: PoolStream, signal: AbortSignal | undefined) {
    this.#opened = opened;
    this.#signal = signal;
  }

  /** Never throws but for the signal: how it ended is in `complete` and `silent`. */
  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    const { stream } = this.#opened;
    const silence = new SilenceTimer(SILENCE_MAX_MS, () => {
      this.silent = true;
      stream.destroy(new Error('silent'));
    });
    const onAbort = (): void => void stream.destroy(abortReason(this.#signal));
    this.#signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (this.#signal?.aborted === true) throw abortReason(this.#signal);
      for await (const chunk of stream) {
        silence.heard();
        yield chunk;
      }
      this.complete = true;
    } catch {
      if (this.#signal?.aborted === true) throw abortReason(this.#signal);
    } finally {
      silence.stop();
      this.#signal?.removeEventListener('abort', onAbort);
      stream.destroy();
    }
  }
}

function openOutput(source: Source, offset: number): Promise<PoolStream> {
  const query = `stream=${source.stream}&offset=${offset}${source.follow ? '&follow=true' : ''}`;
  return source.pool.open({
    method: 'GET',
    path: `/v1/tasks/${encodeURIComponent(source.id)}/logs?${query}`,
    repeat: 'always',
    signal: source.signal,
    patience: source.patience,
  });
}

async function readTask(source: Source): Promise<TaskView> {
  const answer = await source.pool.request({
    method: 'GET',
    path: `/v1/tasks/${encodeURIComponent(source.id)}`,
    repeat: 'always',
    signal: source.signal,
    patience: source.patience,
  });
  return jsonOf(answer) as TaskView;
}

/** Servers name the attempt whose output it is (X-Clb-Attempt); 0: it has none yet. */
function attemptOf(opened: PoolStream): number | null {
  const attempt = Number(opened.headers['x-clb-attempt'] ?? Number.NaN);
  return Number.isSafeInteger(attempt) && attempt >= 0 ? attempt : null;
}
