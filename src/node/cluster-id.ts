import { createHash } from 'node:crypto';
import { formatAddress } from './http-host.ts';
import type { PeerAddress } from './options.ts';

/**
 * Names a cluster, so that nodes of two clusters never talk: derived from the servers of the first start, as they were
 * given. It is fixed by the first start; a data folder remembers it.
 */
export function clusterIdOf(peers: readonly PeerAddress[]): string {
  const members = peers.map((peer) => `${peer.id}=${formatAddress(peer)}`).sort();
  return createHash('sha256').update(members.join(',')).digest('hex').slice(0, 16);
}
