const SLOTS_INITIAL = 1_024;

/**
 * A multimap from 32-bit hashes to positions, by open addressing in typed arrays: 12 bytes per entry at most, no
 * objects for the garbage collector. Entries are never taken out; the whole table goes when its page does.
 */
export class HashPositions {
  #hashes = new Uint32Array(SLOTS_INITIAL);
  /** position + 1; 0 marks a free slot. */
  #positions = new Uint32Array(SLOTS_INITIAL);
  #size = 0;

  add(hash: number, position: number): void {
    if (2 * (this.#size + 1) > this.#hashes.length) this.#grow();
    this.#place(hash, position + 1);
    this.#size += 1;
  }

  /** Calls back with each position added under this hash. */
  each(hash: number, found: (position: number) => void): void {
    const mask = this.#hashes.length - 1;
    for (let slot = scramble(hash) & mask; ; slot = (slot + 1) & mask) {
      const position = this.#positions[slot] ?? 0;
      if (position === 0) return;
      if (this.#hashes[slot] === hash) found(position - 1);
    }
  }

  #place(hash: number, position: number): void {
    const mask = this.#hashes.length - 1;
    let slot = scramble(hash) & mask;
    while (this.#positions[slot] !== 0) slot = (slot + 1) & mask;
    this.#hashes[slot] = hash;
    this.#positions[slot] = position;
  }

  #grow(): void {
    const hashes = this.#hashes;
    const positions = this.#positions;
    this.#hashes = new Uint32Array(2 * hashes.length);
    this.#positions = new Uint32Array(2 * positions.length);
    for (let slot = 0; slot < positions.length; slot += 1) {
      const position = positions[slot] ?? 0;
      if (position !== 0) this.#place(hashes[slot] ?? 0, position);
    }
  }
}

/** The low bits choose the slot, so they must depend on all bits. */
function scramble(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b);
  return mixed ^ (mixed >>> 16);
}
