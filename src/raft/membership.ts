import type { NodeId, SnapshotMeta } from './core/types.ts';
import type { AddMember, MembershipResult } from './node/membership-changes.ts';

export type { AddMember, MembershipRefusal, MembershipResult } from './node/membership-changes.ts';

/** What an operator does with a {@link ./consensus.ts} node beyond proposing and reading. */
export interface MembershipChange {
  readonly clusterId: string;
  /** Resolves when the server has its vote, or takes part as a learner. */
  addMember(member: AddMember): Promise<MembershipResult>;
  /** Resolves when it is committed. */
  removeMember(id: NodeId): Promise<MembershipResult>;
  /** Takes a snapshot of the local state now; null where that can't be. */
  takeSnapshot(): Promise<SnapshotMeta | null>;
}
