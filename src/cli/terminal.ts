/** Where a command's words go: data to stdout, messages to stderr. */
import { Progress } from './progress.ts';
import type { Column } from './table.ts';
import { table } from './table.ts';

export type Format = 'table' | 'json' | 'jsonl';

export interface TerminalOptions {
  readonly format: Format;
  /** Ids only, and no messages but errors. */
  readonly quiet: boolean;
  readonly color: boolean;
}

export type Color = 'red' | 'green' | 'yellow' | 'blue' | 'dim' | 'bold';

const SGR: Readonly<Record<Color, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34 };

export class Terminal {
  readonly format: Format;
  readonly quiet: boolean;
  readonly #color: boolean;
  #progress: Progress | null = null;

  constructor(options: TerminalOptions) {
    this.format = options.format;
    this.quiet = options.quiet;
    this.#color = options.color;
  }

  /** Whether what is painted gets color. */
  get color(): boolean {
    return this.#color;
  }

  get isInteractive(): boolean {
    return process.stdout.isTTY;
  }

  paint(text: string, color: Color | null): string {
    if (!this.#color || color === null || text === '') return text;
    return `\u001b[${SGR[color]}m${text}\u001b[0m`;
  }

  /** One line of data. */
  line(text: string): void {
    this.#progress?.hide();
    process.stdout.write(`${text}\n`);
  }

  /** A message for the person at the terminal; `-q` leaves it out. */
  note(text: string): void {
    this.#progress?.hide();
    if (!this.quiet) process.stderr.write(`${text}\n`);
  }

  /** A message that matters even with `-q`. */
  warn(text: string): void {
    this.#progress?.hide();
    process.stderr.write(`clb: ${text}\n`);
  }

  /** Shows how far something is, until {@link endProgress}. */
  progress(what: string, total: number): Progress {
    this.endProgress();
    this.#progress = new Progress({ what, total, output: process.stderr, quiet: this.quiet });
    return this.#progress;
  }

  endProgress(): void {
    this.#progress?.hide();
    this.#progress = null;
  }

  /** A list in the format asked for; `id` is what `-q` prints of a row. */
  list<Row>(rows: readonly Row[], columns: readonly Column<Row>[], id: (row: Row) => string): void {
    if (this.quiet) for (const row of rows) this.line(id(row));
    else if (this.format === 'json') this.json(rows);
    else if (this.format === 'jsonl') for (const row of rows) this.line(JSON.stringify(row));
    else for (const line of table(columns, rows)) this.line(line);
  }

  /** One object in the format asked for; `text` writes it for a person. */
  object(value: unknown, id: string, text: () => void): void {
    if (this.quiet) this.line(id);
    else if (this.format === 'json') this.json(value);
    else if (this.format === 'jsonl') this.line(JSON.stringify(value));
    else text();
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value, null, 2));
  }
}

/** Resolves when the stream takes more: a slow reader slows the sender, it does not fill the memory. */
export function writeTo(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (stream.write(bytes)) resolve();
    else stream.once('drain', resolve);
  });
}

/** Whether to color: a terminal, and neither --no-color nor NO_COLOR (no-color.org: set and not empty). */
export function wantsColor(flag: boolean, env: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  return flag && isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}
