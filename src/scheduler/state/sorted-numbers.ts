/** A block is split when it grows beyond this: small enough to shift cheaply, large enough to keep few of them. */
const BLOCK_LENGTH_MAX = 512;

/**
 * An ordered set of numbers as a list of sorted blocks. Appending a new maximum and taking the minimum cost O(1),
 * anything else O(log n) to find plus a short shift. Costs about 8 bytes per number: a queue holds a million of them.
 */
export class SortedNumbers {
  #blocks: number[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The smallest. */
  first(): number | undefined {
    return this.#blocks[0]?.[0];
  }

  /** The largest. */
  last(): number | undefined {
    return this.#blocks.at(-1)?.at(-1);
  }

  has(value: number): boolean {
    const block = this.#blocks[this.#blockOf(value)];
    return block !== undefined && block[lowerBound(block, value)] === value;
  }

  /** False if it was there already. */
  add(value: number): boolean {
    const lastBlock = this.#blocks.at(-1);
    const last = lastBlock?.at(-1);
    if (lastBlock === undefined || last === undefined || value > last) {
      if (lastBlock === undefined || lastBlock.length >= BLOCK_LENGTH_MAX) this.#blocks.push([value]);
      else lastBlock.push(value);
      this.#size += 1;
      return true;
    }
    const blockAt = this.#blockOf(value);
    const block = this.#blocks[blockAt] ?? lastBlock;
    const at = lowerBound(block, value);
    if (block[at] === value) return false;
    block.splice(at, 0, value);
    this.#size += 1;
    if (block.length > BLOCK_LENGTH_MAX) {
      this.#blocks.splice(blockAt + 1, 0, block.splice(block.length >>> 1));
    }
    return true;
  }

  /** False if it was not there. */
  delete(value: number): boolean {
    const blockAt = this.#blockOf(value);
    const block = this.#blocks[blockAt];
    if (block === undefined) return false;
    const at = lowerBound(block, value);
    if (block[at] !== value) return false;
    if (at === 0) block.shift();
    else if (at === block.length - 1) block.pop();
    else block.splice(at, 1);
    if (block.length === 0) this.#blocks.splice(blockAt, 1);
    this.#size -= 1;
    return true;
  }

  /** The largest that is less than `value`. */
  below(value: number): number | undefined {
    const blockAt = this.#blockOf(value);
    const block = this.#blocks[blockAt];
    if (block !== undefined) {
      const at = lowerBound(block, value);
      if (at > 0) return block[at - 1];
    }
    return this.#blocks[blockAt - 1]?.at(-1);
  }

  /** How many are less than `value`. Adds up block lengths: two thousand steps for a million numbers. */
  rank(value: number): number {
    const blockAt = this.#blockOf(value);
    let count = 0;
    for (let at = 0; at < blockAt; at += 1) count += this.#blocks[at]?.length ?? 0;
    const block = this.#blocks[blockAt];
    return block === undefined ? count : count + lowerBound(block, value);
  }

  /** Ascending. The set must not be changed while this runs. */
  *values(): Generator<number, void, undefined> {
    for (const block of this.#blocks) yield* block;
  }

  /** Index of the first block whose last number is ≥ value; the number of blocks if there is none. */
  #blockOf(value: number): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = this.#blocks[middle];
      const last = block?.[block.length - 1];
      if (last !== undefined && last < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Index of the first number ≥ value. */
function lowerBound(block: readonly number[], value: number): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((block[middle] ?? Infinity) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
