import type { RoleChange } from '../consensus.ts';
import type { Input, NodeId, RaftStatus } from '../core/types.ts';
import type { Timers } from '../timers.ts';

export interface LeadershipTransfersOptions {
  readonly timers: Timers;
  /** How long a transfer may take before it is not waited for any more. */
  readonly transferMs: number;
  readonly isRunning: () => boolean;
  readonly status: () => RaftStatus;
  readonly input: (input: Input) => void;
}

/** Who leads, told to those who want to know; and the lead given to another (thesis section 3.10). */
export class LeadershipTransfers {
  readonly #options: LeadershipTransfersOptions;
  readonly #listeners = new Set<(change: RoleChange) => void>();

  constructor(options: LeadershipTransfersOptions) {
    this.#options = options;
  }

  /** Returns the unsubscriber. */
  onRoleChanged(listener: (change: RoleChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  roleChanged(change: RoleChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  /** Asks the leader (only it obeys) to hand over to `to`. Resolves true once `to` is known to lead. */
  async transfer(to: NodeId): Promise<boolean> {
    const { isRunning, status, input } = this.#options;
    if (!isRunning() || status().role !== 'leader') return false;
    input({ kind: 'transferLeadership', to });
    await this.#until((change) => change.role !== 'leader' && change.leader !== null);
    return status().leader === to;
  }

  /** If it leads: asks the most complete voter to take over, and waits a bounded time for it. */
  async handOver(): Promise<void> {
    const { isRunning, status, input } = this.#options;
    const { role, peers, config } = status();
    if (!isRunning() || role !== 'leader') return;
    const candidates = [...peers].filter(
      ([id, peer]) => config.voters.includes(id) && peer.state === 'replicate',
    );
    candidates.sort(([, a], [, b]) => b.matchIndex - a.matchIndex);
    const successor = candidates[0]?.[0];
    if (successor === undefined) return;
    input({ kind: 'transferLeadership', to: successor });
    await this.#until((change) => change.role !== 'leader');
  }

  /** Resolves when a change of role fulfils `condition`, or after `transferMs`. */
  #until(condition: (change: RoleChange) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        cancel();
        unsubscribe();
        resolve();
      };
      const cancel = this.#options.timers.after(this.#options.transferMs, settle);
      const unsubscribe = this.onRoleChanged((change) => {
        if (condition(change)) settle();
      });
    });
  }
}
