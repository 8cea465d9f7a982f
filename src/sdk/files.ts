/** Files kept of a finished task. */
import type { TaskFilesView } from '../api/task-files.ts';
import { ClbError } from './errors.ts';
import { abortReason } from './transport.ts';
import { jsonOf, type ServerPool } from './server-pool.ts';

/** What `collect` brought. */
export async function listFiles(
  pool: ServerPool,
  id: string,
  signal: AbortSignal | undefined,
): Promise<TaskFilesView> {
  const path = `/v1/tasks/${encodeURIComponent(id)}/files`;
  return jsonOf(await pool.request({ method: 'GET', path, repeat: 'always', signal })) as TaskFilesView;
}

/** The bytes of one of them, all or an error. @throws ClbError NOT_FOUND; UNAVAILABLE while its node is away, or if it broke off. */
export async function* readFile(
  pool: ServerPool,
  id: string,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const escaped = path.split('/').map(encodeURIComponent).join('/');
  const target = `/v1/tasks/${encodeURIComponent(id)}/files/${escaped}`;
  const { stream, headers, server } = await pool.open({
    method: 'GET',
    path: target,
    repeat: 'always',
    signal,
  });
  const bytes = Number(headers['content-length']);
  const onAbort = (): void => void stream.destroy(abortReason(signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  let got = 0;
  try {
    for await (const chunk of stream) {
      got += chunk.byteLength;
      yield chunk;
    }
  } catch (error) {
    if (signal?.aborted === true) throw abortReason(signal);
    throw new ClbError('UNAVAILABLE', `${path} broke off after ${got} bytes`, { server, cause: error });
  } finally {
    signal?.removeEventListener('abort', onAbort);
    stream.destroy();
  }
  if (Number.isSafeInteger(bytes) && got !== bytes) {
    throw new ClbError('UNAVAILABLE', `${path} broke off after ${got} of ${bytes} bytes`, { server });
  }
}
