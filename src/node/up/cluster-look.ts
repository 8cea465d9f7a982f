import { Clb } from '../../sdk/clb.ts';
import type { PlannedNode } from './plan.ts';
import type { ClusterSeen } from './screen-text.ts';

/** A look must not take longer than the screen is old. */
const LOOK_MS_MAX = 1_000;

/** Asks the servers for what the screen shows; what one of them has will do where no majority is left. */
export function lookAtCluster(
  nodes: readonly PlannedNode[],
  token: string | null,
): () => Promise<ClusterSeen> {
  const clb = new Clb({
    servers: nodes.filter(({ kind }) => kind === 'server').map(({ port }) => `127.0.0.1:${port}`),
    timeoutMs: LOOK_MS_MAX,
    retryMs: LOOK_MS_MAX,
    hopelessMs: 0,
    ...(token === null ? {} : { token }),
  });
  return async () => {
    const [views, page, raft] = await Promise.all([
      clb.nodes({ stale: true }),
      clb.list({ limit: 1 }, { stale: true }),
      clb.raft(),
    ]);
    return { nodes: views, counts: page.counts, leader: raft.leader, term: raft.term };
  };
}
