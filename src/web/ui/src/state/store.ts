/** One immutable state and those who want to hear of its changes. */
export class Store<S> {
  #state: S;
  readonly #listeners = new Set<() => void>();

  constructor(initial: S) {
    this.#state = initial;
  }

  get(): S {
    return this.#state;
  }

  /** Replaces the state; nobody is told where `change` gives back the same object. */
  update(change: (state: S) => S): void {
    const next = change(this.#state);
    if (next === this.#state) return;
    this.#state = next;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Replaces some of the state's fields. */
  set(part: Partial<S>): void {
    this.update((state) => ({ ...state, ...part }));
  }

  /** Returns the unsubscriber. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
