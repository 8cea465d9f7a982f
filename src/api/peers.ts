import { z } from 'zod';

/** Who takes part in consensus, as the node asked knows it: answer of GET /v1/raft/peers and of every change of it. */
export interface PeersView {
  /** Fixed by the first start; nodes of other clusters are turned away. */
  readonly clusterId: string;
  readonly peers: readonly PeerView[];
  /** Ids of former members: they are never used again. */
  readonly removed: readonly string[];
}

export interface PeerView {
  readonly id: string;
  /** host:port; null: not known (written by a version that kept none). */
  readonly address: string | null;
  /** A learner has the log, but no vote. */
  readonly role: 'voter' | 'learner';
}

/** Where a snapshot is now: answer of POST /v1/raft/snapshot. */
export interface SnapshotView {
  readonly id: string;
  /** The last log entry it stands for. */
  readonly index: number;
  readonly term: number;
  /** First entry still in the log. */
  readonly firstIndex: number;
}

export const peersSchema = z.object({
  clusterId: z.string(),
  peers: z.array(
    z.object({ id: z.string(), address: z.string().nullable(), role: z.enum(['voter', 'learner']) }),
  ),
  removed: z.array(z.string()),
}) satisfies z.ZodType<PeersView>;

const wholeNumber = z.int().min(0);

export const snapshotSchema = z.object({
  id: z.string(),
  index: wholeNumber,
  term: wholeNumber,
  firstIndex: wholeNumber,
}) satisfies z.ZodType<SnapshotView>;

const ADDRESS_CHARS_MAX = 300;
/** HOST:PORT, an IPv6 host in brackets, the port from 1 to 65535. */
const ADDRESS =
  /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})$/;

/** Body of POST /v1/raft/peers/:id. */
export const addPeerRequestSchema = z.strictObject({
  /** Where the other servers reach it. */
  address: z.string().max(ADDRESS_CHARS_MAX).regex(ADDRESS, 'must be HOST:PORT, the port from 1 to 65535'),
  /** It stays a learner, without a vote. */
  learner: z.boolean().optional(),
});

export type AddPeerRequest = z.infer<typeof addPeerRequestSchema>;

/** What a server offers concerning who takes part. Part of Cluster. */
export interface Peers {
  /** As this server knows it. */
  peers(): PeersView;
  /**
   * (master) Resolves once the server has its vote (or, with `learner`, takes part). CONFLICT with `details.reason`
   * `used_id`, `used_address`, `not_now`, `not_reachable`, `not_caught_up` or `would_lose_quorum`.
   */
  addPeer(id: string, request: AddPeerRequest): Promise<PeersView>;
  /**
   * (master) Resolves once the removal is committed. NOT_FOUND where there is no such server; CONFLICT with
   * `details.reason` `last_voter`, `would_lose_quorum` or `not_now`.
   */
  removePeer(id: string): Promise<PeersView>;
  /** Takes a snapshot of this server and drops the log before it. CONFLICT where that cannot be now. */
  takeSnapshot(): Promise<SnapshotView>;
}
