import { ApiError } from '../../api/errors.ts';
import { isFinal } from '../../api/tasks.ts';
import type { OutputStream } from '../../api/views.ts';
import type { AttemptRecord, TaskRecord } from '../state/records.ts';
import type { Fleet } from './fleet.ts';

/** Bytes asked for at a time. */
const READ_BYTES = 256 * 1024;
/** How long a node may hold back its answer while there is nothing new. */
const LONG_POLL_MS = 10_000;
/** How long to wait for a node that is not connected, or for the next attempt, before looking again. */
const LOOK_AGAIN_MS = 500;

/** What a task without attempts is waited for. */
const FIRST_ATTEMPT = 1;

export interface OutputOptions {
  readonly stream: OutputStream;
  readonly offset: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

export interface OutputSources {
  readonly fleet: Fleet;
  /** The task as it is now; null if it is not kept any more. */
  readonly task: (id: string) => TaskRecord | null;
  /** Resolves after the time, when the task changed, or when the signal says so. */
  readonly changed: (id: string, waitMs: number, signal: AbortSignal) => Promise<void>;
  /** Whether this server is still the master. */
  readonly leading: () => boolean;
}

/**
 * The bytes of the task's last attempt from `offset`; with `follow` until that attempt is over and the task is final or
 * has another one: bytes are counted per attempt, so what follows begins anew with another call. Once the node can't tell any
 * more, the head and tail kept in the result stand in.
 */
export async function* readOutput(
  sources: OutputSources,
  id: string,
  options: OutputOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { stream, follow, signal } = options;
  const wanted = (): boolean => !signal.aborted;
  let offset = options.offset;
  let followed: number | null = null;
  while (wanted()) {
    if (!sources.leading()) throw new ApiError('NO_LEADER', 'this server is not the master any more');
    const task = sources.task(id);
    if (task === null) return;
    const attempt = task.attempts.at(-1);
    if (followed !== null && attempt?.number !== followed) return;
    followed = attempt?.number ?? FIRST_ATTEMPT;
    const over = isFinal(task.status);
    const answer = attempt === undefined ? null : await ask(sources, task, attempt, offset, options);
    if (!wanted()) return;
    if (answer !== null && answer.data.byteLength > 0) yield answer.data;
    if (answer === null && over) {
      const kept = keptOutput(task, stream).subarray(offset);
      if (kept.byteLength > 0) yield kept;
      return;
    }
    offset = answer?.nextOffset ?? offset;
    const end = answer?.end ?? true;
    if (end && (over || !follow)) return;
    if (!follow && answer?.data.byteLength === 0) return;
    // The node has nothing more, or is away: what comes next is told by the task.
    if (end) await sources.changed(id, LOOK_AGAIN_MS, signal);
  }
}

/** null: nobody can tell. */
async function ask(
  sources: OutputSources,
  task: TaskRecord,
  attempt: AttemptRecord,
  offset: number,
  { stream, follow, signal }: OutputOptions,
): Promise<{ readonly data: Uint8Array; readonly nextOffset: number; readonly end: boolean } | null> {
  const session = sources.fleet.get(attempt.node)?.session;
  if (session == null) return null;
  const waits = follow && !isFinal(task.status);
  const answer = await session.readOutput(
    {
      task: task.id,
      token: attempt.token,
      stream,
      offset,
      maxBytes: READ_BYTES,
      waitMs: waits ? LONG_POLL_MS : 0,
    },
    signal,
  );
  return answer.kind === 'output' ? answer : null;
}

function keptOutput(task: TaskRecord, stream: OutputStream): Uint8Array {
  return Buffer.from(task.result === null ? '' : task.result[stream]);
}
