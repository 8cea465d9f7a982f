/** How far long work is: a bar on a terminal, now and then a line elsewhere. On stderr, so that data stays data. */
import { duration } from './format.ts';

/** Redrawn at most so often. */
const REDRAW_MS = 100;
/** Between lines where there is no terminal. */
const LINE_MS = 10_000;
const BAR_CELLS = 24;
const ERASE_LINE = '\r\u001b[K';

/** What a bar is drawn on. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** What is counted: `accepted`, `final`. */
  readonly what: string;
  readonly total: number;
  readonly output: ProgressOutput;
  readonly quiet: boolean;
  readonly nowMs?: () => number;
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  #done = 0;
  #failed = 0;
  #shownAtMs: number;
  #drawn = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#startedMs = this.#nowMs();
    this.#shownAtMs = options.output.isTTY === true ? Number.NEGATIVE_INFINITY : this.#startedMs;
    this.#show();
  }

  /** One more is done. */
  step(failed: boolean): void {
    this.#done += 1;
    if (failed) this.#failed += 1;
    this.#show();
  }

  /** Takes the bar away, so that a line can be printed; the next step draws it again. */
  hide(): void {
    if (!this.#drawn) return;
    this.#options.output.write(ERASE_LINE);
    this.#drawn = false;
    this.#shownAtMs = Number.NEGATIVE_INFINITY;
  }

  /** `4,000 of 10,000 accepted, 2 failed, in 1.2s` */
  summary(): string {
    const { what, total } = this.#options;
    const failed = this.#failed === 0 ? '' : `, ${grouped(this.#failed)} failed`;
    return `${grouped(this.#done)} of ${grouped(total)} ${what}${failed}, in ${duration(this.#nowMs() - this.#startedMs)}`;
  }

  #show(): void {
    const { output, quiet } = this.#options;
    if (quiet) return;
    const nowMs = this.#nowMs();
    const isTerminal = output.isTTY === true;
    if (nowMs - this.#shownAtMs < (isTerminal ? REDRAW_MS : LINE_MS)) return;
    this.#shownAtMs = nowMs;
    if (isTerminal) output.write(`\r${this.bar()}\u001b[K`);
    else output.write(`clb: ${this.summary()}\n`);
    this.#drawn = isTerminal;
  }

  /** The bar as it stands now, no wider than the terminal. */
  bar(): string {
    const { what, total, output } = this.#options;
    const share = total === 0 ? 1 : this.#done / total;
    const filled = Math.floor(share * BAR_CELLS);
    const elapsedMs = this.#nowMs() - this.#startedMs;
    const perMs = this.#done / Math.max(1, elapsedMs);
    const left = perMs > 0 && this.#done < total ? `  ${duration((total - this.#done) / perMs)} left` : '';
    const failed = this.#failed === 0 ? '' : `  ${grouped(this.#failed)} failed`;
    const text =
      `[${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}] ${Math.floor(share * 100)} %  ` +
      `${grouped(this.#done)}/${grouped(total)} ${what}${failed}${left}`;
    return text.slice(0, Math.max(10, (output.columns ?? 80) - 1));
  }
}

/** `10000` → `10,000` */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}
