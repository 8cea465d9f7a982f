import type { Message, NodeId } from '../core/types.ts';
import type { Timers } from '../timers.ts';
import type { RaftTransport } from './transport.ts';

/** A network inside one process, for tests: reliable until {@link MemoryNetwork.cut}. */
export class MemoryNetwork {
  readonly #timers: Timers;
  readonly #members = new Map<NodeId, MemoryTransport>();
  readonly #cut = new Set<string>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  transport(id: NodeId): MemoryTransport {
    return new MemoryTransport(id, this, this.#timers);
  }

  /** Messages from `from` to `to` are lost until {@link heal}. One direction only. */
  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  join(member: MemoryTransport): void {
    this.#members.set(member.id, member);
  }

  leave(member: MemoryTransport): void {
    if (this.#members.get(member.id) === member) this.#members.delete(member.id);
  }

  carry(to: NodeId, message: Message): void {
    this.#timers.soon(() => {
      if (!this.#cut.has(`${message.from}>${to}`)) this.#members.get(to)?.deliver(message);
    });
  }
}

export class MemoryTransport implements RaftTransport {
  readonly id: NodeId;
  onMessage: ((message: Message) => void) | null = null;
  onPeerLost: ((peer: NodeId) => void) | null = null;
  readonly #network: MemoryNetwork;
  readonly #timers: Timers;
  readonly #heardAtMs = new Map<NodeId, number>();

  constructor(id: NodeId, network: MemoryNetwork, timers: Timers) {
    this.id = id;
    this.#network = network;
    this.#timers = timers;
  }

  start(): void {
    this.#network.join(this);
  }

  send(to: NodeId, message: Message): void {
    this.#network.carry(to, message);
  }

  deliver(message: Message): void {
    this.#heardAtMs.set(message.from, this.#timers.nowMs());
    this.onMessage?.(message);
  }

  lastContactMs(): ReadonlyMap<NodeId, number | null> {
    const now = this.#timers.nowMs();
    return new Map([...this.#heardAtMs].map(([id, heardAtMs]) => [id, now - heardAtMs]));
  }

  close(): Promise<void> {
    this.#network.leave(this);
    this.onMessage = null;
    return Promise.resolve();
  }
}
