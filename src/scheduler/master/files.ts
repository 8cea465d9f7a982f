/** Collected files of finished tasks: from the result where they are replicated, else from the node that ran the task. */
import { ApiError } from '../../api/errors.ts';
import type { CollectedFile, FileBytes, TaskFilesView } from '../../api/task-files.ts';
import type { AttemptRecord, TaskRecord } from '../state/records.ts';
import type { Fleet } from './fleet.ts';

/** Bytes asked for at a time. */
const READ_BYTES = 256 * 1024;

/** What is kept of the task. */
export function taskFilesView(task: TaskRecord): TaskFilesView {
  const collected = task.result?.collected;
  const attempt = collected === undefined ? undefined : attemptOfResult(task);
  return {
    task: task.id,
    attempt: attempt?.number ?? null,
    node: attempt?.node ?? null,
    files: collected?.files ?? [],
    leftOut: collected?.leftOut ?? null,
  };
}

/**
 * Begins to read a file; the first chunk is there when this resolves.
 * @throws ApiError NOT_FOUND: no such file, or its node has removed it. UNAVAILABLE: its node is away.
 */
export async function openFile(
  task: TaskRecord,
  path: string,
  fleet: Fleet,
  signal: AbortSignal,
): Promise<FileBytes> {
  const file = task.result?.collected?.files.find((candidate) => candidate.path === path);
  if (file === undefined) throw new ApiError('NOT_FOUND', whyNoFile(task, path));
  const content = task.contents?.[path];
  if (content !== undefined) return { path, bytes: file.bytes, chunks: once(Buffer.from(content, 'base64')) };
  const attempt = attemptOfResult(task);
  if (attempt === undefined) throw new ApiError('NOT_FOUND', whyNoFile(task, path));
  const first = await readAt(task, attempt, path, 0, fleet, signal);
  return { path, bytes: file.bytes, chunks: rest(task, attempt, file, first, fleet, signal) };
}

function whyNoFile(task: TaskRecord, path: string): string {
  const shown = JSON.stringify(path.length > 100 ? `${path.slice(0, 100)}…` : path);
  if ((task.spec.collect ?? []).length === 0)
    return `task ${task.id} was submitted without collect: no files are kept of it`;
  if (task.result === null) return `task ${task.id} is ${task.status}: its files are kept when it has ended`;
  return `task ${task.id} has no file ${shown}; GET /v1/tasks/${task.id}/files lists them`;
}

/** The result is that of the last attempt that ended by itself. */
function attemptOfResult(task: TaskRecord): AttemptRecord | undefined {
  return task.attempts.findLast(({ outcome }) => outcome !== 'superseded' && outcome !== 'lost');
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(bytes);
}

async function* rest(
  task: TaskRecord,
  attempt: AttemptRecord,
  file: CollectedFile,
  first: Uint8Array,
  fleet: Fleet,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = 0;
  let chunk = first;
  for (;;) {
    offset += chunk.byteLength;
    yield chunk;
    if (offset >= file.bytes) return;
    if (chunk.byteLength === 0)
      throw new ApiError('UNAVAILABLE', `${file.path} breaks off on ${attempt.node}`);
    chunk = await readAt(task, attempt, file.path, offset, fleet, signal);
  }
}

async function readAt(
  task: TaskRecord,
  attempt: AttemptRecord,
  path: string,
  offset: number,
  fleet: Fleet,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const session = fleet.get(attempt.node)?.session;
  if (session == null) {
    const away = `${JSON.stringify(path)} is kept on ${attempt.node} only (too large to be replicated), which is not connected`;
    throw new ApiError('UNAVAILABLE', away);
  }
  const ref = { task: task.id, token: attempt.token };
  const answer = await session.readFile({ ...ref, path, offset, maxBytes: READ_BYTES }, signal);
  if (answer.kind === 'output') return answer.data;
  // A node that is there and has not got it has removed it to make room.
  if (session.open && !signal.aborted)
    throw new ApiError('NOT_FOUND', `${JSON.stringify(path)}: ${answer.reason}`);
  throw new ApiError('UNAVAILABLE', `${attempt.node}: ${answer.reason}`);
}
