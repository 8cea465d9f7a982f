/** The last so many of what was pushed. */
export class LineBuffer<T> {
  readonly #max: number;
  #items: T[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  push(item: T): void {
    this.#items.push(item);
    // Cut now and then, not each time.
    if (this.#items.length >= 2 * this.#max) this.#items = this.#items.slice(-this.#max);
  }

  /** Oldest first. */
  all(): readonly T[] {
    return this.#items.slice(-this.#max);
  }
}
