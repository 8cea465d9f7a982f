import { SortedNumbers } from './sorted-numbers.ts';

/** Tasks that ask for the same (constraints, cores, memory): where one of them has no place, none has. */
export class ShapeQueue {
  readonly shape: string;
  readonly #byPriority = new Map<number, SortedNumbers>();
  /** Priorities that have tasks, highest first. */
  #priorities: number[] = [];
  #size = 0;

  constructor(shape: string) {
    this.shape = shape;
  }

  get size(): number {
    return this.#size;
  }

  add(priority: number, seq: number): void {
    let level = this.#byPriority.get(priority);
    if (level === undefined) {
      level = new SortedNumbers();
      this.#byPriority.set(priority, level);
      this.#priorities.push(priority);
      this.#priorities.sort((a, b) => b - a);
    }
    if (level.add(seq)) this.#size += 1;
  }

  remove(priority: number, seq: number): void {
    const level = this.#byPriority.get(priority);
    if (level === undefined || !level.delete(seq)) return;
    this.#size -= 1;
    if (level.size > 0) return;
    this.#byPriority.delete(priority);
    this.#priorities = this.#priorities.filter((present) => present !== priority);
  }

  /** How many stand before (priority, seq). */
  rank(priority: number, seq: number): number {
    let count = 0;
    for (const present of this.#priorities) {
      if (present < priority) break;
      const level = this.#byPriority.get(present);
      if (level !== undefined) count += present > priority ? level.size : level.rank(seq);
    }
    return count;
  }

  /** Submission numbers in the order of their turn. The queue must not change while this runs. */
  *inOrder(): Generator<{ readonly priority: number; readonly seq: number }, void, undefined> {
    for (const priority of this.#priorities) {
      const level = this.#byPriority.get(priority);
      if (level === undefined) continue;
      for (const seq of level.values()) yield { priority, seq };
    }
  }
}

/**
 * Who waits for a node: strictly by priority (higher first), then by submission, kept apart by shape so that a
 * thousand tasks for a node that is not there do not have to be stepped over again and again.
 */
export class TaskQueue {
  readonly #shapes = new Map<string, ShapeQueue>();
  /** All shapes together, so that a place is found without asking each of them. */
  readonly #all = new ShapeQueue('');

  get size(): number {
    return this.#all.size;
  }

  add(shape: string, priority: number, seq: number): void {
    let queue = this.#shapes.get(shape);
    if (queue === undefined) {
      queue = new ShapeQueue(shape);
      this.#shapes.set(shape, queue);
    }
    queue.add(priority, seq);
    this.#all.add(priority, seq);
  }

  remove(shape: string, priority: number, seq: number): void {
    const queue = this.#shapes.get(shape);
    if (queue === undefined) return;
    queue.remove(priority, seq);
    this.#all.remove(priority, seq);
    if (queue.size === 0) this.#shapes.delete(shape);
  }

  /** How many tasks have their turn before (priority, seq). O(log n). */
  rank(priority: number, seq: number): number {
    return this.#all.rank(priority, seq);
  }

  shapes(): Iterable<ShapeQueue> {
    return this.#shapes.values();
  }
}
