import { ApiError } from '../api/errors.ts';
import type { AddPeerRequest, PeersView, PeerView, SnapshotView } from '../api/peers.ts';
import type { LeadView } from '../api/views.ts';
import type { Consensus } from '../raft/consensus.ts';
import type { NodeId } from '../raft/core/types.ts';
import type { MembershipChange, MembershipResult } from '../raft/membership.ts';

const RETRY_AFTER_SECONDS = 1;

/** A voter that was silent for longer is not asked to lead: the cluster takes no proposals while a transfer goes on. */
const TRANSFER_SILENT_MS_MAX = 1_000;

/** Resolves true once `to` is known to lead. Absent where there is nobody to hand the lead to. */
export interface LeadershipTransfer {
  transferLeadership?(to: NodeId): Promise<boolean>;
}

export interface PeerBookOptions {
  readonly nodeId: string;
  readonly consensus: Consensus<unknown> & LeadershipTransfer & Partial<MembershipChange>;
  /** host:port of a server, by its id. */
  readonly serverAddress: (id: string) => string | null;
}

/** Who takes part, and its changes, in the words of the API. */
export class PeerBook {
  readonly #options: PeerBookOptions;

  constructor(options: PeerBookOptions) {
    this.#options = options;
  }

  view(): PeersView {
    const { consensus, serverAddress } = this.#options;
    const { config } = consensus.status();
    const peer = (role: PeerView['role']) => (id: NodeId) => ({ id, address: serverAddress(id), role });
    return {
      clusterId: consensus.clusterId ?? '',
      peers: [...config.voters.map(peer('voter')), ...config.learners.map(peer('learner'))],
      removed: config.removed ?? [],
    };
  }

  /** @throws ApiError */
  async add(id: string, { address, learner = false }: AddPeerRequest): Promise<PeersView> {
    return this.#told(await this.#changer().addMember({ id: id as NodeId, address, learner }));
  }

  /** @throws ApiError */
  async remove(id: string): Promise<PeersView> {
    return this.#told(await this.#changer().removeMember(id as NodeId));
  }

  /** @throws ApiError */
  async transferLeadership(to: string): Promise<LeadView> {
    const { consensus } = this.#options;
    const { role, term, config } = consensus.status();
    if (role !== 'leader') throw noLeader();
    const id = to as NodeId;
    if (config.learners.includes(id)) {
      throw cannotLead('not_a_voter', `${to} is a learner: it can lead once it is a voter`);
    }
    if (!config.voters.includes(id)) {
      const shown = JSON.stringify(to);
      throw new ApiError('NOT_FOUND', `no voter ${shown}, there are ${config.voters.join(', ')}`);
    }
    if (to === this.#options.nodeId) return { leader: to, term };
    const silentMs = consensus.lastContactMs().get(id) ?? null;
    if (silentMs === null || silentMs > TRANSFER_SILENT_MS_MAX) {
      const silent =
        silentMs === null ? 'was never heard of' : `was last heard of ${Math.round(silentMs)} ms ago`;
      throw cannotLead('not_reachable', `${to} ${silent}: the lead stays here`);
    }
    await consensus.transferLeadership?.(id);
    const now = consensus.status();
    if (now.leader === id) return { leader: to, term: now.term };
    const leads = now.leader === null ? 'an election goes on' : `${now.leader} leads`;
    throw cannotLead('timed_out', `${to} did not take the lead in time, ${leads}`);
  }

  /** @throws ApiError */
  async takeSnapshot(): Promise<SnapshotView> {
    const meta = await this.#changer().takeSnapshot();
    if (meta === null) {
      throw new ApiError(
        'CONFLICT',
        'a snapshot from the master is being taken in, or this server is ending',
        {
          details: { reason: 'not_now' },
        },
      );
    }
    const { firstIndex } = this.#options.consensus.status();
    return { id: this.#options.nodeId, index: meta.index, term: meta.term, firstIndex };
  }

  #changer(): Omit<MembershipChange, 'clusterId'> {
    const { consensus } = this.#options;
    const { addMember, removeMember, takeSnapshot } = consensus;
    if (addMember === undefined || removeMember === undefined || takeSnapshot === undefined) {
      throw new ApiError('UNAVAILABLE', 'the members of this cluster cannot be changed');
    }
    return {
      addMember: addMember.bind(consensus),
      removeMember: removeMember.bind(consensus),
      takeSnapshot: takeSnapshot.bind(consensus),
    };
  }

  #told(result: MembershipResult): PeersView {
    switch (result.kind) {
      case 'done':
        return this.view();
      case 'notLeader':
        throw noLeader();
      case 'unknown':
        throw new ApiError('UNKNOWN_OUTCOME', `${result.reason}: the change may or may not have been made`);
      case 'refused': {
        const { reason, message } = result;
        if (reason === 'no_member') throw new ApiError('NOT_FOUND', message);
        throw new ApiError('CONFLICT', message, { details: { reason } });
      }
    }
  }
}

/** For what only a master may do. */
export function noLeader(): ApiError {
  return new ApiError('NO_LEADER', 'this server is not the master', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

function cannotLead(reason: 'not_a_voter' | 'not_reachable' | 'timed_out', message: string): ApiError {
  return new ApiError('CONFLICT', message, { details: { reason } });
}
