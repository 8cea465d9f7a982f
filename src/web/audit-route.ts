/** GET /v1/audit: what this server has, to be checked from outside (docs/verify.md). */
import { ApiError } from '../api/errors.ts';
import type { Cluster } from '../api/cluster.ts';
import { drained } from './drained.ts';
import { staleQuery } from './input.ts';
import type { WebShell } from './shell.ts';

/** Each reads the whole log and archive from the disk. */
const AUDITS_MAX = 2;
/** Lines gathered into one write. */
const WRITE_CHARS_MIN = 64 * 1024;

export function mountAuditRoute(shell: WebShell, local: () => Cluster): void {
  let running = 0;
  shell.route('get', '/v1/audit', async (req, res) => {
    staleQuery(req);
    if (running >= AUDITS_MAX) {
      throw new ApiError(
        'QUEUE_FULL',
        `${AUDITS_MAX} audits of this server are being read: try again later`,
        {
          retryAfterSeconds: 1,
        },
      );
    }
    running += 1;
    try {
      const lines = local().audit();
      shell.answers.begin(res, 200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
      let text = '';
      for await (const line of lines) {
        text += `${JSON.stringify(line)}\n`;
        if (text.length < WRITE_CHARS_MIN) continue;
        if (!res.write(text)) await drained(res);
        if (res.destroyed) return;
        text = '';
      }
      res.end(text);
    } finally {
      running -= 1;
    }
  });
}
