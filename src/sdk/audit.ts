/** Reads GET /v1/audit: lines of JSON, as they come. */
import type { AuditLine } from '../api/audit.ts';
import { ClbError } from './errors.ts';
import type { ServerPool } from './server-pool.ts';

/** A line holds at most one write of the log, which the servers keep below a few MiB. */
const LINE_CHARS_MAX = 64 * 1024 * 1024;

/** @throws ClbError, also where the answer breaks off */
export async function* readAudit(
  pool: ServerPool,
  server: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<AuditLine, void, undefined> {
  const opened = await pool.openFrom(server, { method: 'GET', path: '/v1/audit', repeat: 'always', signal });
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of opened.stream as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LINE_CHARS_MAX) {
        throw new ClbError(
          'UNAVAILABLE',
          `a line of the audit of ${server} is longer than ${LINE_CHARS_MAX} characters`,
        );
      }
      for (const line of lines) yield JSON.parse(line) as AuditLine;
    }
  } catch (error) {
    if (error instanceof ClbError || signal?.aborted === true) throw error;
    throw new ClbError('UNAVAILABLE', `the audit of ${server} broke off`, { server, cause: error });
  } finally {
    opened.stream.destroy();
  }
  if (rest !== '') throw new ClbError('UNAVAILABLE', `the audit of ${server} broke off`, { server });
}
