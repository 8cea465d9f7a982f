/** GET /v1/log-lines/stream of the database: the lines that pass a filter, as they come. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DatabaseStore, LineQuery } from './database-store.ts';
import { invalid, shortened } from './input.ts';
import { LineFeed } from './line-feed.ts';
import type { LinesRead } from './line-feed.ts';
import { lastEventId, sseFrame } from './sse.ts';
import type { SseHub } from './sse.ts';

const LINES_PER_READ = 1_000;

/**
 * An event per line, its number as id, after `Last-Event-ID` (or `after`); without either it begins with what comes.
 * `event: reset` tells that the numbers began anew. @throws ApiError INVALID
 */
export async function streamLogLines(
  deps: { readonly hub: SseHub; readonly store: DatabaseStore },
  filter: Pick<LineQuery, 'node' | 'q'> & { readonly after: string | undefined },
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const cursor = lastEventId(req, filter.after);
  if (cursor !== null && !/^\d{1,15}$/.test(cursor)) {
    throw invalid([{ field: 'Last-Event-ID', message: `${shortened(cursor)} is not the number of a line` }]);
  }
  const { store, hub } = deps;
  const newest = (await store.query({ node: null, q: null, limit: 1 }, null)).next;
  const stream = hub.open(res);
  const known = cursor === null ? newest : Number(cursor);
  if (known > newest) stream.send(sseFrame('reset', '0', '{}'));
  const after = known > newest ? 0 : known;
  const query: LineQuery = { node: filter.node, q: filter.q, limit: LINES_PER_READ };
  const read = async (from: number): Promise<LinesRead> => {
    const { lines, next, more } = await store.query(query, from);
    return { lines: lines.map((line) => ({ seq: line.seq, id: String(line.seq), data: line })), next, more };
  };
  const subscribe = (wake: () => void): (() => void) => store.logSource().subscribe(wake);
  await new LineFeed({ read, subscribe }, stream, after).run();
}
