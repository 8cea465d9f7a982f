/** `--watch`: a list kept up to date. On a terminal it is drawn anew; in a pipe, rows are printed as they change. */
import type { ClusterEvent } from '../api/views.ts';
import type { ReadOptions } from '../sdk/options.ts';
import { ClbError } from '../sdk/errors.ts';
import type { Context } from './context.ts';
import { interruptible } from './interrupt.ts';
import { table, type Column } from './table.ts';
import type { Terminal } from './terminal.ts';

export interface Watched<Row> {
  readonly read: (options: ReadOptions) => Promise<readonly Row[]>;
  readonly columns: (rows: readonly Row[]) => readonly Column<Row>[];
  readonly id: (row: Row) => string;
  /** Changes when the row is worth printing again in a pipe. */
  readonly stamp: (row: Row) => string;
  /** What is printed of a row as JSON; absent: the row. */
  readonly plain?: (row: Row) => unknown;
  /** Whether the event may have changed the list. */
  readonly concerns: (event: ClusterEvent) => boolean;
}

/** Shows the rows; `state` is what is wrong at the moment, null if nothing is. */
type Show<Row> = (rows: readonly Row[], state: string | null) => void;

/** At most so often, however much happens. */
const REDRAW_MS = 250;
/** Without any event: ages and loads change all the same. */
const REFRESH_MS = 2_000;
/** Drawn over what is there, not cleared first: no flicker, and the lines scrolled back stay. */
const HOME = '\u001b[H';
const CLEAR = '\u001b[2J';
const ERASE_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';
/** A line that is too long is cut, it must not push others down. */
const WRAP_OFF = '\u001b[?7l';
const WRAP_ON = '\u001b[?7h';

/** Ends only by Ctrl-C (130) or an error that does not pass by itself. */
export async function watch<Row>(context: Context, watched: Watched<Row>): Promise<void> {
  const { terminal } = context;
  const draws = terminal.isInteractive && terminal.format === 'table' && !terminal.quiet;
  const show = draws ? redraw(terminal, watched) : printChanges(terminal, watched);
  const clb = await context.clb();
  if (draws) process.stdout.write(WRAP_OFF + CLEAR);
  try {
    await interruptible(
      async (signal) => {
        const wake = new Wake();
        const listen = async (): Promise<void> => {
          const ring = (): void => wake.ring();
          for await (const { events } of clb.subscribe({ signal, onOpen: ring, onReset: ring })) {
            if (events.some(watched.concerns)) ring();
          }
        };
        // Without events it is still refreshed every now and then.
        listen().catch(() => undefined);
        let rows: readonly Row[] = [];
        while (!signal.aborted) {
          const state = await readState(watched, signal, (read) => {
            rows = read;
          });
          show(rows, state);
          await wake.next(REDRAW_MS, REFRESH_MS, signal);
        }
        signal.throwIfAborted();
      },
      () => '',
    );
  } finally {
    // Ctrl-C leaves its ^C behind the table; what comes next begins on a line of its own.
    if (draws) process.stdout.write(`${WRAP_ON}\n`);
  }
}

/** Reads as well as it can be read now; returns what is wrong, null if nothing is. */
async function readState<Row>(
  watched: Watched<Row>,
  signal: AbortSignal,
  take: (rows: readonly Row[]) => void,
): Promise<string | null> {
  try {
    take(await watched.read({ signal }));
    return null;
  } catch (error) {
    if (!(error instanceof ClbError) || !isPassing(error)) throw error;
    if (error.code !== 'NO_QUORUM' && error.code !== 'NO_LEADER') return error.message;
  }
  try {
    take(await watched.read({ signal, stale: true }));
    return 'no majority of the servers can be reached: what follows may be out of date';
  } catch (error) {
    if (!(error instanceof ClbError) || !isPassing(error)) throw error;
    return error.message;
  }
}

/** What a watcher sits out: servers away, stopped or without a majority. */
function isPassing(error: ClbError): boolean {
  return error.status >= 500 || error.code === 'STOPPED';
}

function redraw<Row>(terminal: Terminal, watched: Watched<Row>): Show<Row> {
  return (rows, state) => {
    const lines = table(watched.columns(rows), rows);
    // What does not fit would scroll the top away.
    const fitting = lines.slice(0, Math.max(1, process.stdout.rows - (state === null ? 1 : 2)));
    const warning = state === null ? [] : [terminal.paint(state, 'yellow')];
    const drawn = [...warning, ...fitting].map((line) => `${line}${ERASE_LINE_END}\n`);
    process.stdout.write(`${HOME}${drawn.join('')}${ERASE_BELOW}`);
  };
}

function printChanges<Row>(terminal: Terminal, watched: Watched<Row>): Show<Row> {
  let stamps = new Map<string, string>();
  let stateTold: string | null = null;
  let headerTold = false;
  return (rows, state) => {
    if (state !== stateTold && state !== null) terminal.warn(state);
    stateTold = state;
    // Lists are newest first; what is printed line by line reads in the order of time.
    const changed = rows.filter((row) => stamps.get(watched.id(row)) !== watched.stamp(row)).reverse();
    stamps = new Map(rows.map((row) => [watched.id(row), watched.stamp(row)]));
    if (terminal.quiet) for (const row of changed) terminal.line(watched.id(row));
    else if (terminal.format !== 'table')
      for (const row of changed) terminal.line(JSON.stringify(watched.plain?.(row) ?? row));
    else {
      const lines = table(watched.columns(rows), changed);
      for (const line of headerTold ? lines.slice(1) : lines) terminal.line(line);
      headerTold = true;
    }
  };
}

/** Rung by any number of events, heard once. */
class Wake {
  #rung = false;
  #hear: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#hear?.();
  }

  /** Resolves when rung, but not before `minMs`; after `maxMs` in any case; at once when aborted. */
  next(minMs: number, maxMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const startMs = performance.now();
      const end = (): void => {
        clearTimeout(timer);
        this.#hear = null;
        this.#rung = false;
        signal.removeEventListener('abort', end);
        resolve();
      };
      let timer = setTimeout(end, maxMs);
      this.#hear = () => {
        this.#hear = null;
        clearTimeout(timer);
        timer = setTimeout(end, Math.max(0, minMs - (performance.now() - startMs)));
      };
      signal.addEventListener('abort', end, { once: true });
      if (this.#rung) this.#hear();
      if (signal.aborted) end();
    });
  }
}
