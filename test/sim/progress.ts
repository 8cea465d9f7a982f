import type { RunReport } from './world.ts';

const REFRESH_MS = 500;
/** Where there is no terminal, a line after so many seeds. */
const LINE_EVERY_SEEDS = 500;

/** Counts what is done, and shows it in one line where there is a terminal. */
export class Progress {
  readonly #seedsMax: number | null;
  readonly #startedMs = performance.now();
  #shownMs = 0;
  #seeds = 0;
  #events = 0;
  #committed = 0;
  #virtualMs = 0;
  #cpuMs = 0;

  /** @param seedsMax null: it is not known beforehand */
  constructor(seedsMax: number | null) {
    this.#seedsMax = seedsMax;
  }

  get seeds(): number {
    return this.#seeds;
  }

  done({ events, committed, virtualMs, cpuMs }: RunReport): void {
    this.#seeds++;
    this.#events += events;
    this.#committed += committed;
    this.#virtualMs += virtualMs;
    this.#cpuMs += cpuMs;
    const nowMs = performance.now();
    const of = this.#seedsMax === null ? '' : ` of ${String(this.#seedsMax)}`;
    const line = `${String(this.#seeds)}${of} seeds, ${this.summary()}`;
    if (!process.stderr.isTTY) {
      if (this.#seeds % LINE_EVERY_SEEDS === 0) console.error(line);
      return;
    }
    if (nowMs - this.#shownMs < REFRESH_MS) return;
    this.#shownMs = nowMs;
    process.stderr.write(`\r\x1b[K${line}`);
  }

  /** Wipes the line. */
  clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }

  summary(): string {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const speed = this.#cpuMs === 0 ? 0 : this.#virtualMs / this.#cpuMs;
    return (
      `${String(this.#events)} events, ${String(this.#committed)} entries committed, ` +
      `${(this.#virtualMs / 1000).toFixed(0)} simulated seconds in ${seconds.toFixed(1)} s, ` +
      `${speed.toFixed(0)} per second of a core`
    );
  }
}
