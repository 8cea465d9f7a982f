import type { Socket } from 'node:net';
import { dialUpgrade } from './upgrade.ts';
import type { DialOptions } from './upgrade.ts';

/**
 * A simulated cut of the network for one node: its upgraded connections (consensus, and between workers and the master) are
 * closed, and until the cut ends it opens none and accepts none. Plain HTTP goes on, or nobody could look at the node or end
 * the cut.
 */
export class ConnectionCut {
  readonly #sockets = new Set<Socket>();
  #active = false;

  get active(): boolean {
    return this.#active;
  }

  set(active: boolean): void {
    this.#active = active;
    if (!active) return;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** For a connection that came in; false: it was closed. */
  admit(socket: Socket): boolean {
    if (this.#active) {
      socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    return true;
  }

  /** As {@link dialUpgrade}. @throws an error during the cut, else what dialUpgrade throws */
  readonly dial = async (options: DialOptions): Promise<Socket> => {
    if (this.#active) throw new Error('cut off from the network (fault injection)');
    const socket = await dialUpgrade(options);
    if (!this.admit(socket)) throw new Error('cut off from the network (fault injection)');
    return socket;
  };
}

/** Opens a connection and upgrades it: {@link dialUpgrade}, or one that can be cut off. */
export type Dial = (options: DialOptions) => Promise<Socket>;
