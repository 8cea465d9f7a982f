import { randomUUID } from 'node:crypto';
import type { LogLine } from '../api/log.ts';
import { Upstream } from '../web/upstream.ts';

/** Lines buffered while the database is away; beyond it the oldest half goes (it stays on the node's own /logging). */
export const SHIP_BUFFER_LINES_MAX = 50_000;
const SHIP_BATCH_LINES_MAX = 500;
const SHIP_TIMEOUT_MS = 5_000;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 15_000;

export interface ShipperOptions {
  readonly databaseUrl: string;
  readonly node: string;
  /** The node's own HTTP port, for the container registry. */
  readonly port: number;
  /** The number this node wants in `<Log 3, Container 1: …>`; null: the one of its name, or the next free one. */
  readonly container: number | null;
  readonly token: string | null;
  /** Called when delivery begins to fail and when it works again, not for each try. */
  readonly onStateChange: (delivering: boolean, reason: string) => void;
}

/**
 * Delivers a node's log lines to the database node, in order, at least once; the database drops what it has by
 * (node, boot, seq). Tasks never wait for it: while the database is away lines gather here, bounded.
 */
export class LogShipper {
  readonly #options: ShipperOptions;
  readonly #upstream = new Upstream();
  /** Tells the lines of this process life from those of an earlier one, whose numbers began at 1 too. */
  readonly #boot = randomUUID();
  #buffer: LogLine[] = [];
  #sending = false;
  #closed = false;
  #failing = false;
  #retryMs = RETRY_MS_MIN;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ShipperOptions) {
    this.#options = options;
  }

  /** Lines not delivered yet. */
  get buffered(): number {
    return this.#buffer.length;
  }

  readonly add = (line: LogLine): void => {
    if (this.#closed) return;
    this.#buffer.push(line);
    // Cut in big steps: dropping one line at a time would move the whole buffer for each.
    if (this.#buffer.length >= SHIP_BUFFER_LINES_MAX)
      this.#buffer = this.#buffer.slice(SHIP_BUFFER_LINES_MAX / 2);
    if (!this.#sending && this.#timer === null) this.#schedule(20);
  };

  /** Tries once more to deliver what is left, for at most `withinMs`; then gives up. */
  async close(withinMs: number): Promise<void> {
    this.#clearTimer();
    const deadline = performance.now() + withinMs;
    while (this.#buffer.length > 0 && !this.#failing && !this.#sending && performance.now() < deadline)
      await this.#ship();
    this.#closed = true;
    this.#clearTimer();
    this.#upstream.close();
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule(delayMs: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#ship();
    }, delayMs);
    this.#timer.unref();
  }

  async #ship(): Promise<void> {
    const lines = this.#buffer.slice(0, SHIP_BATCH_LINES_MAX);
    const last = lines.at(-1);
    if (last === undefined) return;
    this.#sending = true;
    try {
      await this.#post(lines);
      // The buffer may have lost its head meanwhile: drop by number, not by count.
      const firstLeft = this.#buffer.findIndex((line) => line.seq > last.seq);
      this.#buffer = firstLeft === -1 ? [] : this.#buffer.slice(firstLeft);
      this.#retryMs = RETRY_MS_MIN;
      if (this.#failing) this.#options.onStateChange(true, '');
      this.#failing = false;
      this.#sending = false;
      if (this.#buffer.length > 0) this.#schedule(0);
    } catch (error) {
      this.#sending = false;
      if (!this.#failing)
        this.#options.onStateChange(false, error instanceof Error ? error.message : String(error));
      this.#failing = true;
      this.#schedule(this.#retryMs);
      this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX);
    }
  }

  /** @throws Error where the database did not take them. (Not by axios, which costs each node 15 MB.) */
  async #post(lines: readonly LogLine[]): Promise<void> {
    const { databaseUrl, node, port, container, token } = this.#options;
    const own = container === null ? {} : { container };
    const exchange = await this.#upstream.exchange({
      address: new URL(databaseUrl).host,
      method: 'POST',
      path: '/v1/log-lines',
      headers: {
        'content-type': 'application/json',
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: Buffer.from(JSON.stringify({ node, port, boot: this.#boot, ...own, lines })),
      answerMsMax: SHIP_TIMEOUT_MS,
      signal: AbortSignal.timeout(2 * SHIP_TIMEOUT_MS),
    });
    switch (exchange.kind) {
      case 'answer': {
        const status = exchange.response.statusCode ?? 0;
        exchange.response.resume();
        if (status >= 300) throw new Error(`${databaseUrl} answered with status ${status}`);
        return;
      }
      case 'error':
        throw new Error(`${databaseUrl} answered with status ${exchange.status}`);
      case 'not-sent':
      case 'broken':
        throw new Error(`${databaseUrl}: ${exchange.reason}`);
    }
  }
}
