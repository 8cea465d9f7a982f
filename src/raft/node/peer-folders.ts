import { isMember } from '../core/configuration.ts';
import type { Configuration, NodeId } from '../core/types.ts';
import { encodePeerFolders, PEER_FOLDERS_KEY } from '../storage/folder-records.ts';
import type { KvRaftStorage } from '../storage/raft-storage.ts';
import type { Flusher } from './flusher.ts';

export interface PeerFoldersOptions {
  readonly storage: Pick<KvRaftStorage, 'peerFolders'>;
  readonly flusher: Pick<Flusher, 'background'>;
  readonly members: () => Configuration;
}

/**
 * Keeps out a member that lost its data folder and was started again under its old id with an empty one: it does not know any more
 * whom it voted for and what it acknowledged (raft.md item 37). Each folder has a name drawn by chance at its first start, which a
 * server tells when it dials, together with the name by which it knows the one it calls. Here it is remembered, durably and before the first message counts, by which folder each member is
 * known; under the same id with another one nobody gets in.
 *
 * So one peer that knew the member is enough to find it out. What nobody can find out is a member that was known only by those that
 * are away or lost as well.
 */
export class PeerFolders {
  readonly #options: PeerFoldersOptions;
  readonly #known: Map<NodeId, string>;
  /** Written already, or about to be. */
  readonly #writing = new Map<NodeId, Promise<void>>();

  constructor(options: PeerFoldersOptions) {
    this.#options = options;
    this.#known = new Map(options.storage.peerFolders);
  }

  /** By which folder a peer is known; null: it is not. */
  of(peer: NodeId): string | null {
    return this.#known.get(peer) ?? null;
  }

  /**
   * Whether `peer` is the one it was. Who is no member yet is let in, and is remembered when asked about as a member.
   * @throws FlusherStoppedError, or what the write threw
   */
  async isKnownOrNew(peer: NodeId, folder: string): Promise<boolean> {
    const known = this.#known.get(peer);
    if (known === undefined) {
      if (!isMember(this.#options.members(), peer)) return true;
      this.#known.set(peer, folder);
      const write = this.#options.flusher.background(() => [
        { kind: 'put', key: PEER_FOLDERS_KEY, value: encodePeerFolders(this.#known) },
      ]);
      this.#writing.set(peer, write);
    } else if (known !== folder) return false;
    await this.#writing.get(peer);
    this.#writing.delete(peer);
    return true;
  }
}
