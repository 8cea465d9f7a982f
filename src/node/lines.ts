import type { Logger } from 'pino';
import { containerLabel } from './containers.ts';
import { LineLog } from './line-log.ts';
import { LogShipper } from './log-shipper.ts';
import type { ListenOptions } from './options.ts';

/** How long an ending node tries to deliver its last lines. */
const LAST_LINES_MS = 1_000;

/** A node's own lines, and their delivery to the database if there is one. */
export interface NodeLines {
  readonly lines: LineLog;
  close(): Promise<void>;
}

export function createLines(options: ListenOptions, databaseUrl: string | null, log: Logger): NodeLines {
  const lines = new LineLog(
    containerLabel(options.id, options.containerNumber),
    (text) => void process.stdout.write(text),
  );
  const close = (): Promise<void> => {
    lines.flush();
    return Promise.resolve();
  };
  if (databaseUrl === null) return { lines, close };
  const shipper = new LogShipper({
    databaseUrl,
    node: options.id,
    port: options.port,
    container: options.containerNumber,
    token: options.token,
    onStateChange: (delivering, reason) => {
      if (delivering) log.info('the database takes log lines again');
      else log.warn({ reason }, 'the database does not take log lines; they are buffered');
    },
  });
  lines.subscribe(shipper.add);
  return { lines, close: () => close().then(() => shipper.close(LAST_LINES_MS)) };
}
