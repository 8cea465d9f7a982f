import type { Clock } from '../model/clock.ts';

/** Draws are at least so far apart, however much changes: each has the browser lay out and paint every row anew. */
export const BEAT_MS = 100;
/** So long after somebody did something, everything is drawn at once. */
export const TOUCHED_MS = 300;

export interface DrawBeatOptions {
  readonly clock: Clock;
  /** Runs it when the code that is under way is done. */
  readonly soon: (draw: () => void) => void;
}

/** When the page is drawn: at once where nothing was lately or a person waits for it, else with the next beat. */
export class DrawBeat {
  readonly #options: DrawBeatOptions;
  #drawnMs = -Infinity;
  #touchedMs = -Infinity;
  #waiting: { readonly draw: () => void; readonly cancel: () => void } | null = null;

  constructor(options: DrawBeatOptions) {
    this.#options = options;
  }

  /** For Preact's `options.debounceRendering`: has `draw` called once; until then Preact does not ask again. */
  request(draw: () => void): void {
    const { clock, soon } = this.#options;
    const nowMs = clock.now();
    const waitMs = isWithin(nowMs - this.#touchedMs, TOUCHED_MS) ? 0 : this.#drawnMs + BEAT_MS - nowMs;
    // A wait of more than a beat means that the clock was put back.
    if (waitMs <= 0 || waitMs > BEAT_MS) soon(() => this.#draw(draw));
    else this.#waiting = { draw, cancel: clock.after(waitMs, () => this.#draw(draw)) };
  }

  /** A key was pressed, something was clicked: what follows from it should be seen now. */
  touched(): void {
    const waiting = this.#waiting;
    this.#touchedMs = this.#options.clock.now();
    if (waiting === null) return;
    waiting.cancel();
    this.#waiting = null;
    this.#options.soon(() => this.#draw(waiting.draw));
  }

  #draw(draw: () => void): void {
    this.#waiting = null;
    this.#drawnMs = this.#options.clock.now();
    draw();
  }
}

function isWithin(sinceMs: number, ms: number): boolean {
  return sinceMs >= 0 && sinceMs < ms;
}
