/** Remembers at least the last `keysMin` keys, at most twice as many. Forgets in bulk, so that nothing costs more than O(1). */
export class RecentKeys {
  readonly #keysMin: number;
  #newer = new Set<string>();
  #older = new Set<string>();

  constructor(keysMin: number) {
    this.#keysMin = keysMin;
  }

  add(key: string): void {
    this.#newer.add(key);
    if (this.#newer.size < this.#keysMin) return;
    this.#older = this.#newer;
    this.#newer = new Set();
  }

  has(key: string): boolean {
    return this.#newer.has(key) || this.#older.has(key);
  }
}
