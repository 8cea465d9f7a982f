import { LIMITS } from '../api/limits.ts';
import type { EventMessage } from '../api/views.ts';

/** Events kept over all entries; they take about 300 bytes each. */
export const EVENTS_MAX = 100_000;

type Listener = (message: EventMessage) => void;

/** The latest entries' events, for readers that come back, and those who listen. */
export class EventRing {
  /** From #start on; what is before it is gone. */
  #messages: EventMessage[] = [];
  #start = 0;
  #events = 0;
  /** Entries after this index are complete here. */
  #completeAfter = 0;
  #latest = 0;
  readonly #listeners = new Set<Listener>();

  /** Events in memory, those included that are not given out any more. */
  get held(): number {
    return this.#messages.reduce((sum, { events }) => sum + events.length, 0);
  }

  /** All that happened after this index is here. */
  get completeAfter(): number {
    return this.#completeAfter;
  }

  /** What is kept, oldest first. */
  kept(): readonly EventMessage[] {
    return this.#messages.slice(this.#start);
  }

  push(message: EventMessage): void {
    this.#messages.push(message);
    this.#events += message.events.length;
    this.#latest = message.index;
    while (this.#messages.length - this.#start > LIMITS.eventEntriesMax || this.#events > EVENTS_MAX) {
      const oldest = this.#messages[this.#start];
      if (oldest === undefined || oldest === message) break;
      this.#events -= oldest.events.length;
      this.#completeAfter = oldest.index;
      this.#start += 1;
    }
    // What is dropped must go soon: a single entry may hold thousands of events. Halving keeps the cost per entry constant.
    if (this.#start > this.#messages.length / 2) {
      this.#messages = this.#messages.slice(this.#start);
      this.#start = 0;
    }
    for (const listener of this.#listeners) listener(message);
  }

  /** The state was replaced: what led to it is not known here. */
  reset(index: number): void {
    this.#messages = [];
    this.#start = 0;
    this.#events = 0;
    this.#completeAfter = index;
    this.#latest = index;
  }

  /** `afterIndex` null: from now on. 'reset' if entries after it are missing here. */
  subscribe(
    afterIndex: number | null,
    onMessage: Listener,
  ):
    | { readonly kind: 'ok'; readonly unsubscribe: () => void }
    | { readonly kind: 'reset'; readonly index: number } {
    if (afterIndex !== null && afterIndex < this.#completeAfter)
      return { kind: 'reset', index: this.#latest };
    // One listener may be subscribed several times, so each gets a function of its own.
    const listener: Listener = (message) => {
      if (afterIndex === null || message.index > afterIndex) onMessage(message);
    };
    if (afterIndex !== null) {
      for (let at = this.#start; at < this.#messages.length; at += 1) {
        const message = this.#messages[at];
        if (message !== undefined) listener(message);
      }
    }
    this.#listeners.add(listener);
    return { kind: 'ok', unsubscribe: () => void this.#listeners.delete(listener) };
  }
}
