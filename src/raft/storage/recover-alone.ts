/**
 * The last resort after a majority is lost for good: makes a STOPPED server's store that of a cluster of this server alone, under
 * a new cluster id (docs/recovery.md). What only the lost servers had is gone; what this one has, committed or not, counts.
 *
 * What changes, in one batch: the identity's cluster id; the term (one higher, so that nothing of the old cluster counts); and one
 * entry at the end of the log, a configuration with this server as the only voter. The superblock is made anew afterwards.
 */
import { randomBytes } from 'node:crypto';
import type { Configuration, LogIndex, NodeId, Term } from '../core/types.ts';
import type { KvStore } from './kv-store.ts';
import { encodeIdentity, IDENTITY_KEY } from './records.ts';
import { KvRaftStorage } from './raft-storage.ts';
import { storedIdentity } from './stored-identity.ts';
import { StorageError } from './storage-errors.ts';
import { Superblock } from './superblock.ts';

export interface RecoverOptions {
  /** Whose store it is: checked. */
  readonly nodeId: NodeId;
  /** Where it will be reached; null: as the configuration has it. */
  readonly address: string | null;
}

export interface Recovered {
  readonly oldClusterId: string;
  readonly newClusterId: string;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly term: number;
  /** Those that took part before, without this server. */
  readonly former: readonly NodeId[];
}

/** The configuration in force at the end of the log. */
function configurationOf(recovered: {
  readonly snapshot: { readonly config: Configuration };
  readonly entries: readonly { readonly kind: string; readonly config?: Configuration }[];
}): Configuration {
  return recovered.entries.findLast(({ kind }) => kind === 'config')?.config ?? recovered.snapshot.config;
}

/**
 * Does not close `kv`. If it is cut off in the middle it can be called again.
 * @throws StorageError as when the server starts: a damaged store is refused here, too
 */
export async function recoverAlone(kv: KvStore, options: RecoverOptions): Promise<Recovered> {
  const { nodeId, address } = options;
  const stored = storedIdentity(kv);
  if (stored === null) {
    throw new StorageError(
      'STORAGE_UNAVAILABLE',
      'there is no state of a server in this folder: is it the right one?',
    );
  }
  const oldClusterId = stored.clusterId;
  await finishInterrupted(kv, oldClusterId, nodeId);
  const bootstrap: Configuration = { voters: [], learners: [] };
  const { storage, recovered } = await KvRaftStorage.open(kv, {
    identity: { clusterId: oldClusterId, nodeId },
    bootstrap,
  });
  const config = configurationOf(recovered);
  const former = [...config.voters, ...config.learners].filter((id) => id !== nodeId);
  const own = address ?? config.addresses?.[nodeId];
  const newClusterId = randomBytes(8).toString('hex');
  const term = (recovered.hardState.currentTerm + 1) as Term;
  const alone: Configuration = {
    voters: [nodeId],
    learners: [],
    ...(own === undefined ? {} : { addresses: { [nodeId]: own } }),
    removed: [...new Set([...(config.removed ?? []), ...former])].filter((id) => id !== nodeId),
  };
  const ops = storage.composeLog({
    hardState: { currentTerm: term, votedFor: null },
    truncateFrom: null,
    append: [{ kind: 'config', index: (storage.lastIndex + 1) as LogIndex, term, config: alone }],
  });
  const identity = encodeIdentity({ clusterId: newClusterId, nodeId });
  await storage.write([...ops, { kind: 'put', key: IDENTITY_KEY, value: identity }]);
  await storage.renameCluster(newClusterId);
  return {
    oldClusterId,
    newClusterId,
    lastIndex: storage.lastIndex,
    lastTerm: recovered.entries.at(-1)?.term ?? recovered.snapshot.term,
    term,
    former,
  };
}

/** The batch was written, the superblock after it not: it is of the cluster before. */
async function finishInterrupted(kv: KvStore, clusterId: string, nodeId: NodeId): Promise<void> {
  const superblock = await Superblock.open(kv.slots);
  const { state } = superblock;
  if (state === null || state.clusterId === clusterId || state.nodeId !== nodeId) return;
  await superblock.create({ ...state, clusterId });
}
