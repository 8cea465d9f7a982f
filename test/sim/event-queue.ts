interface Event {
  readonly atMs: number;
  /** Breaks ties in the order of scheduling, so that a run is the same every time. */
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time: what is to happen, in order. Nothing happens but by {@link EventQueue.runNext}. */
export class EventQueue {
  #heap: Event[] = [];
  #nowMs = 0;
  #scheduled = 0;

  get nowMs(): number {
    return this.#nowMs;
  }
  get size(): number {
    return this.#heap.length;
  }

  after(delayMs: number, run: () => void): void {
    this.#scheduled++;
    this.#push({ atMs: this.#nowMs + Math.max(0, delayMs), order: this.#scheduled, run });
  }

  /** Advances the time to the next event and runs it. @returns false if there is none */
  runNext(): boolean {
    const event = this.#pop();
    if (event === undefined) return false;
    this.#nowMs = event.atMs;
    event.run();
    return true;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || !isBefore(event, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      let child = heap[childAt];
      if (child === undefined) break;
      const right = heap[childAt + 1];
      if (right !== undefined && isBefore(right, child)) {
        childAt++;
        child = right;
      }
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
