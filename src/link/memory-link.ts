import type { LinkConnection } from './protocol.ts';

/**
 * One end of a link inside one process, for tests. Messages pass as JSON (so nobody shares objects with the other end),
 * in order, in a later turn of the event loop than the one that sent them.
 */
export class MemoryLink<Out, In> implements LinkConnection<Out, In> {
  onMessage: ((message: In) => void) | null = null;
  onClose: ((reason: string) => void) | null = null;
  #peer: MemoryLink<In, Out> | null = null;
  #open = true;

  /** Both ends of a new link. */
  static pair<A, B>(): readonly [MemoryLink<A, B>, MemoryLink<B, A>] {
    const left = new MemoryLink<A, B>();
    const right = new MemoryLink<B, A>();
    left.#peer = right;
    right.#peer = left;
    return [left, right];
  }

  send(message: Out): void {
    if (!this.#open) return;
    const text = JSON.stringify(message);
    setImmediate(() => {
      const peer = this.#peer;
      if (peer !== null && peer.#open) peer.onMessage?.(JSON.parse(text) as Out);
    });
  }

  close(): void {
    this.#end('closed by this side', 'closed by the other side');
  }

  /** As if the network between the two was gone: both ends learn of it with the same reason. */
  break(reason: string): void {
    this.#end(reason, reason);
  }

  #end(here: string, there: string): void {
    if (!this.#open) return;
    setImmediate(() => {
      if (this.#peer !== null) this.#peer.#finish(there);
      this.#finish(here);
    });
  }

  #finish(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    const onClose = this.onClose;
    this.onClose = null;
    onClose?.(reason);
  }
}
