/** The HTTP side of the database node: takes every node's log lines, keeps them, shows them. */
import { z } from 'zod';
import type { WebLog } from './answers.ts';
import type { DatabaseStore } from './database-store.ts';
import type { Guard } from './guard.ts';
import { mountHome } from './home.ts';
import { checked, invalid, queryOf, shortened, wholeNumber } from './input.ts';
import type { NodeMetrics } from './metrics.ts';
import { streamLogLines } from './log-lines-stream.ts';
import { parseJson } from './request-body.ts';
import type { WebApp } from './server-app.ts';
import { WebShell } from './shell.ts';

export interface DatabaseAppOptions {
  readonly nodeId: string;
  readonly version: string;
  readonly guard: Guard;
  readonly store: DatabaseStore;
  readonly metrics: NodeMetrics;
  readonly log: WebLog;
}

export const LINES_PER_BATCH_MAX = 1_000;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const PAGE_LINES_MAX = 1_000;
const PAGE_LINES_DEFAULT = 100;
const QUERY_CHARS_MAX = 200;

/** Body of POST /v1/log-lines. `boot` tells the numbers of one start of the node from those of another. */
export const lineBatchSchema = z
  .strictObject({
    node: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'not a node id'),
    boot: z.string().min(1).max(64),
    port: z.int().min(0).max(65_535),
    container: z.int().min(1).max(99_999).optional(),
    lines: z
      .array(
        z.strictObject({
          seq: z.int().min(1),
          at: z.iso.datetime(),
          text: z.string(),
        }),
      )
      .min(1)
      .max(LINES_PER_BATCH_MAX),
  })
  .refine(({ lines }) => lines.every((line, i) => i === 0 || line.seq > (lines[i - 1]?.seq ?? 0)), {
    message: 'the numbers (seq) must be ascending',
    path: ['lines'],
  });

export function createDatabaseApp(options: DatabaseAppOptions): WebApp {
  const { nodeId, store } = options;
  const shell = new WebShell({
    nodeId,
    role: 'database',
    version: options.version,
    guard: options.guard,
    logs: store.logSource(),
    stop: null,
    metrics: options.metrics,
    log: options.log,
    cluster: () => null,
    identity: () => ({ node: nodeId, leader: null, index: 0 }),
    readiness: () => ({ ready: true, reason: 'takes log lines' }),
  });
  const { answers, bodies } = shell;

  shell.route('post', '/v1/log-lines', async (req, res) => {
    queryOf(req, []);
    const body = await bodies.read(req, res, BATCH_BYTES_MAX);
    const batch = checked(lineBatchSchema, parseJson(body), Object.keys(lineBatchSchema.shape));
    answers.json(res, 200, await store.append(batch));
  });

  shell.route('get', '/v1/log-lines', async (req, res) => {
    const query = queryOf(req, ['node', 'q', 'after', 'limit']);
    checkText(query.q);
    const limit = wholeNumber('limit', query.limit, {
      min: 1,
      max: PAGE_LINES_MAX,
      otherwise: PAGE_LINES_DEFAULT,
    });
    const after =
      query.after === undefined
        ? null
        : wholeNumber('after', query.after, { min: 0, max: Number.MAX_SAFE_INTEGER, otherwise: 0 });
    const asked = { node: query.node ?? null, q: query.q ?? null, limit };
    answers.json(res, 200, await store.query(asked, after));
  });

  shell.route('get', '/v1/log-lines/stream', async (req, res) => {
    const query = queryOf(req, ['node', 'q', 'after']);
    checkText(query.q);
    const filter = { node: query.node ?? null, q: query.q ?? null, after: query.after };
    await streamLogLines({ hub: shell.events, store }, filter, req, res);
  });

  mountHome(shell, { nodeId, role: 'database', links: ['/logging', '/v1/log-lines'] });
  return { handle: shell.handle, close: () => undefined };
}

function checkText(q: string | undefined): void {
  if ((q?.length ?? 0) <= QUERY_CHARS_MAX) return;
  const message = `${shortened(q)} is above the limit of ${QUERY_CHARS_MAX} characters`;
  throw invalid([{ field: 'q', message }]);
}
