/** Pseudo-random numbers from a seed (sfc32): the only source of chance in a simulated run. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** Any whole number; equal seeds give equal sequences. */
  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = 0x9e3779b9;
    // The first numbers of similar seeds are similar.
    for (let i = 0; i < 15; i++) this.#next();
  }

  /** Uniform in [0, boundExclusive), a whole number. */
  readonly below = (boundExclusive: number): number => Math.floor(this.fraction() * boundExclusive);

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.#next() / 2 ** 32;
  }

  /** Uniform in [from, to], whole numbers. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new Error('picks from an empty list');
    return chosen;
  }

  /** Exponentially distributed around `mean`. */
  exponential(mean: number): number {
    return -Math.log(1 - this.fraction()) * mean;
  }

  /** Mostly near `typical`, sometimes many times that: a Pareto distribution, cut at `most`. */
  heavyTailed(typical: number, most: number): number {
    return Math.min(most, typical / Math.sqrt(1 - this.fraction()));
  }

  /** A generator of its own, so that two parts of a run do not disturb each other's sequence. */
  fork(): Random {
    return new Random(this.#next() * 2 ** 20 + (this.#next() >>> 12));
  }

  #next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }
}
