import type { LogLine, LogLines } from '../api/log.ts';

/** Lines a node keeps for its /logging page; older ones go. */
export const KEPT_LINES_MAX = 10_000;

/** How long a line may wait for others to be printed with. */
const PRINT_MS = 20;

/**
 * The node's own log lines in the original's wording: kept for /logging, printed as `CONTAINER_ID,LINE`, and handed to
 * whoever listens (the page, the shipper to the database).
 */
export class LineLog implements LogLines {
  readonly #label: string;
  readonly #print: (text: string) => void;
  readonly #listeners = new Set<(line: LogLine) => void>();
  /** A ring would save the occasional slice; lines come at most some thousands a second, so this is enough. */
  #kept: LogLine[] = [];
  #lastSeq = 0;
  /** The time as text, made once a millisecond: under load dozens of lines share it. */
  #nowMs = -1;
  #nowText = '';
  #unprinted: string[] = [];

  constructor(label: string, print: (text: string) => void) {
    this.#label = label;
    this.#print = print;
  }

  readonly write = (text: string): void => {
    this.#lastSeq += 1;
    const now = Date.now();
    if (now !== this.#nowMs) {
      this.#nowMs = now;
      this.#nowText = new Date(now).toISOString();
    }
    const line: LogLine = { seq: this.#lastSeq, at: this.#nowText, text };
    this.#kept.push(line);
    if (this.#kept.length >= 2 * KEPT_LINES_MAX) this.#kept = this.#kept.slice(-KEPT_LINES_MAX);
    // One write for what comes within a moment: thousands of single writes to a terminal would slow the node down.
    this.#unprinted.push(`${this.#label},${text}\n`);
    if (this.#unprinted.length === 1) setTimeout(() => this.flush(), PRINT_MS);
    for (const listener of this.#listeners) listener(line);
  };

  lines(): readonly LogLine[] {
    return this.#kept.length > KEPT_LINES_MAX ? this.#kept.slice(-KEPT_LINES_MAX) : this.#kept.slice();
  }

  subscribe(listener: (line: LogLine) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Prints what waits to be printed. */
  flush(): void {
    if (this.#unprinted.length === 0) return;
    const text = this.#unprinted.join('');
    this.#unprinted = [];
    this.#print(text);
  }
}
