/** GET /logging and /logging/stream: the lines of a node, as text, as a page, and live (contract §5). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LogLine } from '../api/log.ts';
import type { Answers } from './answers.ts';
import { drained } from './drained.ts';
import { invalid, queryOf, shortened, wholeNumber } from './input.ts';
import { LineFeed } from './line-feed.ts';
import type { LinesRead } from './line-feed.ts';
import { loggingPage } from './logging-page.ts';
import type { LogSource } from './log-source.ts';
import { wantsHtml } from './negotiation.ts';
import { lastEventId, sseFrame } from './sse.ts';
import type { SseHub } from './sse.ts';

/** Lines in the page; the text has all. */
const PAGE_LINES_MAX = 2_000;
const LINES_PER_READ = 1_000;
const TAIL_MAX = 1_000_000;

export interface Logging {
  readonly node: string;
  readonly source: LogSource;
  readonly answers: Answers;
  readonly hub: SseHub;
}

/** Answers GET /logging, with `?tail=N` and `?q=TEXT` (lines that contain it, in any case). @throws ApiError */
export async function answerLogging(
  logging: Logging,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const query = queryOf(req, ['tail', 'q']);
  const tail = wholeNumber('tail', query.tail, { min: 1, max: TAIL_MAX, otherwise: TAIL_MAX });
  const { source, answers } = logging;
  if (wantsHtml(req)) {
    const lines = await source.tail(Math.min(tail, PAGE_LINES_MAX));
    const page = loggingPage({ node: logging.node, epoch: source.epoch, lines, filter: query.q ?? '' });
    answers.html(res, 200, page.html, page.nonce);
    return;
  }
  answers.begin(res, 200, { 'content-type': 'text/plain; charset=utf-8' });
  if (req.method === 'HEAD') res.end();
  else await writeText(source, query.tail === undefined ? null : tail, query.q ?? '', res);
}

/** The lines there are at the moment; not those that are written while it is read. */
async function writeText(
  source: LogSource,
  tail: number | null,
  filter: string,
  res: ServerResponse,
): Promise<void> {
  const [newest] = await source.tail(1);
  const lastSeq = newest?.seq ?? 0;
  let after = tail === null ? 0 : Math.max(0, lastSeq - tail);
  while (after < lastSeq && !res.destroyed) {
    const lines = await source.after(after, LINES_PER_READ);
    const last = lines.at(-1);
    if (last === undefined) break;
    after = last.seq;
    const text = lines
      .filter((line) => line.seq <= lastSeq && contains(line, filter))
      .map((line) => `${line.text}\n`)
      .join('');
    if (text !== '' && !res.write(text)) await drained(res);
  }
  res.end();
}

function contains(line: LogLine, filter: string): boolean {
  return filter === '' || line.text.toLowerCase().includes(filter.toLowerCase());
}

/**
 * Answers GET /logging/stream: an event per line with id `EPOCH:SEQ`, after `Last-Event-ID` (or `?after=`). `event: reset`
 * tells a reader that the numbers began anew. Without a cursor it begins with what comes.
 */
export async function streamLogging(
  logging: Logging,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const cursor = lastEventId(req, queryOf(req, ['after']).after);
  if (cursor !== null && !/^[A-Za-z0-9]{1,32}:\d{1,15}$/.test(cursor)) {
    const message = `${shortened(cursor)} is not an id of this stream (EPOCH:NUMBER)`;
    throw invalid([{ field: 'Last-Event-ID', message }]);
  }
  const { source } = logging;
  const stream = logging.hub.open(res);
  const [epoch, seq] = cursor?.split(':') ?? [];
  const [newest] = await source.tail(1);
  let after = newest?.seq ?? 0;
  if (cursor !== null) {
    after = epoch === source.epoch ? Number(seq) : 0;
    if (epoch !== source.epoch) stream.send(sseFrame('reset', `${source.epoch}:0`, '{}'));
  }
  const read = async (from: number): Promise<LinesRead> => {
    const lines = await source.after(from, LINES_PER_READ);
    return {
      lines: lines.map(({ seq, at, text }) => ({
        ...{ seq, id: `${source.epoch}:${seq}` },
        data: { seq, at, text },
      })),
      next: lines.at(-1)?.seq ?? from,
      more: lines.length === LINES_PER_READ,
    };
  };
  const subscribe = (wake: () => void): (() => void) => source.subscribe(wake);
  await new LineFeed({ read, subscribe }, stream, after).run();
}
