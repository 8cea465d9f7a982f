import type { Configuration, Message, NodeId } from '../core/types.ts';

/**
 * Carries messages between the servers of a cluster: one-way, unreliable. A message may be lost, doubled, delayed or
 * overtaken; Raft is made for that. So nothing here is acknowledged or kept for a peer that is not there.
 */
export interface RaftTransport {
  /** Begins to connect and to accept. */
  start(): void;
  /** Never blocks and never throws; drops the message if the peer is away or its queue is full. */
  send(to: NodeId, message: Message): void;
  /** Set before `start`. Called for each message that arrives for this server. */
  onMessage: ((message: Message) => void) | null;
  /** Set before `start`. What was sent to this peer lately may be lost. */
  onPeerLost: ((peer: NodeId) => void) | null;
  /** Set before `start`. This server is told that it takes no part any more: a peer knows of its removal. */
  onRemoved?: ((by: NodeId) => void) | null;
  /** Set before `start`. Names this server's data folder to the peers; null: it has no name. */
  folder?: string | null;
  /** Set before `start`. By which folder a peer is known here; null: it is not yet. */
  folderOf?: ((peer: NodeId) => string | null) | null;
  /**
   * Set before `start`. Asked about each peer that names its data folder, and again when the members change: whether it may be
   * talked to. Until that is answered nothing is passed on of what it sends.
   */
  onFolder?: ((peer: NodeId, folder: string) => Promise<boolean>) | null;
  /** Set before `start`. A peer knows this server by another data folder, and will not talk to it. */
  onFolderRefused?: ((by: NodeId) => void) | null;
  /**
   * Who takes part: called before `start`, and whenever that changes. As soon as a configuration is in the log its members
   * must be reached; those that are no members any more may be forgotten, and turned away, once it is committed. A transport
   * that finds everybody by itself need not know.
   */
  configured?(config: Configuration, isCommitted: boolean): void;
  /** Why no server `peer` of this cluster answers at host:port; null: it does. A transport without addresses need not know. */
  probe?(peer: NodeId, address: string): Promise<string | null>;
  /** Milliseconds since each peer was last heard of (whatever it sent); null: never. */
  lastContactMs(): ReadonlyMap<NodeId, number | null>;
  /**
   * The newest version of the protocol that each peer spoke when it was last connected, and this server's own
   * (versions.ts). Absent where all are one program.
   */
  newestVersions?(): ReadonlyMap<NodeId, number>;
  /** Drops everything that is queued or under way. Nothing is sent or received afterwards. */
  close(): Promise<void>;
}
