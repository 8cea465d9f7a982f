interface Due {
  readonly at: number;
  readonly seq: number;
}

/**
 * When which scheduled task is due: a binary heap ordered by (time, submission). Nothing is ever taken out of its
 * middle: who pops checks whether the entry still holds. The order is total, so the sequence of pops does not depend on the
 * order of pushes and needs no place in a snapshot.
 */
export class DueHeap {
  #heap: Due[] = [];

  get size(): number {
    return this.#heap.length;
  }

  peek(): Due | undefined {
    return this.#heap[0];
  }

  push(at: number, seq: number): void {
    const heap = this.#heap;
    const item: Due = { at, seq };
    heap.push(item);
    let child = heap.length - 1;
    while (child > 0) {
      const parent = (child - 1) >>> 1;
      const above = heap[parent];
      if (above === undefined || !before(item, above)) break;
      heap[child] = above;
      child = parent;
    }
    heap[child] = item;
  }

  pop(): Due | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let parent = 0;
    for (;;) {
      const leftAt = 2 * parent + 1;
      const left = heap[leftAt];
      if (left === undefined) break;
      const right = heap[leftAt + 1];
      const [childAt, child] =
        right !== undefined && before(right, left) ? [leftAt + 1, right] : [leftAt, left];
      if (!before(child, last)) break;
      heap[parent] = child;
      parent = childAt;
    }
    heap[parent] = last;
    return top;
  }

  /** Throws away what does not hold any more. */
  compact(holds: (at: number, seq: number) => boolean): void {
    const kept = this.#heap.filter((due) => holds(due.at, due.seq));
    // A sorted array is a heap.
    this.#heap = kept.sort((a, b) => (before(a, b) ? -1 : 1));
  }
}

function before(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq);
}
