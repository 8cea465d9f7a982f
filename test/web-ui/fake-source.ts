import type { EventMessage } from '../../src/api/views.ts';
import type { EventSourceLike } from '../../src/web/ui/src/net/event-feed.ts';

type Listener = (event: { readonly data: unknown }) => void;

/** An EventSource without a network: a test opens it, breaks it and lets it receive. */
export class FakeSource implements EventSourceLike {
  readyState = 0;
  readonly #listeners = new Map<string, Listener[]>();

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  close(): void {
    this.readyState = 2;
  }

  open(): void {
    this.readyState = 1;
    this.#tell('open', null);
  }

  /** The connection broke; the browser will reconnect by itself. */
  drop(): void {
    this.readyState = 0;
    this.#tell('error', null);
  }

  /** An answer other than 200: the browser gives up. */
  refuse(): void {
    this.readyState = 2;
    this.#tell('error', null);
  }

  receive(message: EventMessage): void {
    this.#tell('message', JSON.stringify(message));
  }

  receiveText(data: string): void {
    this.#tell('message', data);
  }

  reset(): void {
    this.#tell('reset', '{"index":1}');
  }

  #tell(type: string, data: unknown): void {
    for (const listener of this.#listeners.get(type) ?? []) listener({ data });
  }
}
