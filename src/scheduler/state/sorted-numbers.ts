/** A block is split when it grows beyond this: small enough to shift cheaply, large enough to keep few of them. */
const BLOCK_LENGTH_MAX = 512;

/**
 * An ordered set of numbers as a list of sorted blocks. Appending a new maximum and taking the minimum cost O(1),
 * anything else O(log n) to find plus a short shift. Costs about 8 bytes per number: a queue holds a million of them.
 */
export class SortedNumbers {
  #blocks: number[][] = [];
  #size = 0;
  /** Lengths of the blocks as a Fenwick tree (from 1), for {@link rank}; null until asked for, and after blocks came or went. */
  #lengths: Int32Array | null = null;

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
      if (lastBlock === undefined || lastBlock.length >= BLOCK_LENGTH_MAX) {
        this.#blocks.push([value]);
        this.#lengths = null;
      } else {
        lastBlock.push(value);
        this.#lengthChanged(this.#blocks.length - 1, 1);
      }
      this.#size += 1;
      return true;
    }
    const blockAt = this.#blockOf(value);
    const block = this.#blocks[blockAt] ?? lastBlock;
    const at = lowerBound(block, value);
    if (block[at] === value) return false;
    block.splice(at, 0, value);
    this.#size += 1;
    this.#lengthChanged(blockAt, 1);
    if (block.length > BLOCK_LENGTH_MAX) {
      this.#lengths = null;
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
    this.#lengthChanged(blockAt, -1);
    if (block.length === 0) {
      this.#blocks.splice(blockAt, 1);
      this.#lengths = null;
    }
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

  /**
   * How many are less than `value`. O(log n), but for the first call after a block came or went, which adds up all block
   * lengths (two thousand for a million numbers).
   */
  rank(value: number): number {
    const blockAt = this.#blockOf(value);
    const lengths = (this.#lengths ??= fenwickTree(this.#blocks));
    let count = 0;
    for (let at = blockAt; at > 0; at -= at & -at) count += lengths[at] ?? 0;
    const block = this.#blocks[blockAt];
    return block === undefined ? count : count + lowerBound(block, value);
  }

  #lengthChanged(blockAt: number, by: number): void {
    const lengths = this.#lengths;
    if (lengths === null) return;
    for (let at = blockAt + 1; at < lengths.length; at += at & -at) lengths[at] = (lengths[at] ?? 0) + by;
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

function fenwickTree(blocks: readonly (readonly number[])[]): Int32Array {
  const tree = new Int32Array(blocks.length + 1);
  blocks.forEach((block, blockAt) => {
    const at = blockAt + 1;
    tree[at] = (tree[at] ?? 0) + block.length;
    const parent = at + (at & -at);
    if (parent < tree.length) tree[parent] = (tree[parent] ?? 0) + (tree[at] ?? 0);
  });
  return tree;
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
