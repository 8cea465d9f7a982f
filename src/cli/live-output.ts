/** `clb run`: a task's two streams to our own, live, until it is final; across a change of master and of attempt. */
import type { Clb } from '../sdk/client.ts';
import type { OutputStream } from '../api/views.ts';
import type { TaskView } from '../api/tasks.ts';
import { writeTo, type Terminal } from './terminal.ts';

/** After the task is final: output that has not come by then is taken from the result. */
const DRAIN_MS = 10_000;

interface Followed {
  readonly stream: OutputStream;
  /** Bytes of the latest attempt that were written. */
  bytes: number;
  attempt: number;
}

/**
 * Resolves with the final task once all of its output is written.
 * @throws ClbError, NoServerError, the signal's reason.
 */
export async function streamTask(
  clb: Clb,
  task: TaskView,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<TaskView> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  let attemptTold = 1;
  const onAttempt = (attempt: number, node: string | null): void => {
    if (attempt <= attemptTold) return;
    attemptTold = attempt;
    terminal.note(seamText(attempt, node));
  };
  const streams: readonly Followed[] = [
    { stream: 'stdout', bytes: 0, attempt: 1 },
    { stream: 'stderr', bytes: 0, attempt: 1 },
  ];
  const copies = Promise.all(streams.map((followed) => copy(clb, task.id, followed, onAttempt, both)));
  // A failure to follow shows below as bytes that are missing; until then it must not count as unhandled.
  copies.catch(() => undefined);
  try {
    const final = await clb.wait(task, { signal });
    const drained = setTimeout(() => stop.abort(), DRAIN_MS);
    await copies.catch(() => undefined);
    clearTimeout(drained);
    signal.throwIfAborted();
    for (const followed of streams) await writeRest(final, followed, terminal);
    return final;
  } finally {
    stop.abort();
  }
}

/** Between the output of two attempts. */
export function seamText(attempt: number, node: string | null): string {
  return `clb: attempt ${attempt}${node === null ? '' : ` on ${node}`}: the task runs again, its output starts anew`;
}

async function copy(
  clb: Clb,
  id: string,
  followed: Followed,
  onAttempt: (attempt: number, node: string | null) => void,
  signal: AbortSignal,
): Promise<void> {
  const chunks = clb.logs(id, {
    stream: followed.stream,
    follow: true,
    signal,
    onAttempt: (attempt, node) => {
      followed.attempt = attempt;
      followed.bytes = 0;
      onAttempt(attempt, node);
    },
  });
  for await (const bytes of chunks) {
    await writeTo(process[followed.stream], bytes);
    followed.bytes += bytes.byteLength;
  }
}

/** What could not be followed (its node is gone, say) is in the result, as far as it was kept there. */
async function writeRest(task: TaskView, followed: Followed, terminal: Terminal): Promise<void> {
  if (task.result === null) return;
  const { stream } = followed;
  const totalBytes = stream === 'stdout' ? task.result.stdoutBytes : task.result.stderrBytes;
  if (followed.bytes >= totalBytes) return;
  const kept = Buffer.from(task.result[stream]);
  if (kept.byteLength === totalBytes) {
    await writeTo(process[stream], kept.subarray(followed.bytes));
    return;
  }
  terminal.warn(
    `${totalBytes - followed.bytes} bytes of ${stream} could not be fetched; see: clb logs ${task.id}${stream === 'stderr' ? ' --stderr' : ''}`,
  );
}
