import { isMember, withLearner, withVoter, without } from '../../src/raft/core/configuration.ts';
import type { Configuration, NodeId } from '../../src/raft/core/types.ts';
import type { FaultCounts } from './faults.ts';
import type { Host } from './host.ts';
import type { SimNode } from './sim-node.ts';
import type { Trace } from './trace.ts';

interface Task {
  readonly gone: SimNode<Host>;
  readonly fresh: SimNode<Host>;
  readonly asVoter: boolean;
}

export interface OperatorOptions {
  readonly nodes: readonly SimNode<Host>[];
  readonly leader: () => SimNode<Host> | null;
  readonly trace: Trace;
  readonly faults: FaultCounts;
}

/**
 * Whoever runs the cluster: when a server has lost its disk for good, its id is removed, and a new server with an empty disk
 * and an id of its own is added as a learner and then promoted (docs/recovery.md). One at a time.
 */
export class Operator {
  readonly #options: OperatorOptions;
  #task: Task | null = null;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** What it is doing, or null. */
  get busyWith(): string | null {
    return this.#task === null ? null : `${this.#task.gone.id} is not yet replaced by ${this.#task.fresh.id}`;
  }

  /** Only where the others are a majority without it, and nothing else about the members is under way. */
  mayLose(node: SimNode<Host>): boolean {
    if (this.#task !== null || this.#fresh() === null) return false;
    const config = this.#options.leader()?.host?.status().config;
    if (config === undefined) return false;
    const members = [...config.voters, ...config.learners];
    if (!members.includes(node.id)) return false;
    if (config.voters.includes(node.id) && config.voters.length < 3) return false;
    // A configuration that only one of them knows of could come in force without that one; so could a change that waits
    // in a paused process.
    return this.#options.nodes.every(({ id, host, isPaused }) => {
      if (!members.includes(id) || id === node.id) return true;
      return host !== null && !isPaused && sameMembers(host.status().config, config);
    });
  }

  /** The node's disk is lost, or damaged: it must not be started from that again (docs/recovery.md). */
  replace(gone: SimNode<Host>): void {
    const fresh = this.#fresh();
    const config = this.#options.leader()?.host?.status().config;
    if (fresh === null || config === undefined) throw new Error('nobody may be lost now');
    this.#options.trace.add(gone.id, 'gone', `${fresh.id} takes its place`);
    gone.leave();
    fresh.join();
    this.#task = { gone, fresh, asVoter: config.voters.includes(gone.id) };
  }

  /** To be called again and again: takes the next step. */
  goOn(): void {
    const task = this.#task;
    const leader = this.#options.leader();
    if (task === null || leader?.host == null) return;
    const next = nextStep(leader.host.status().config, task);
    if (next !== null) {
      leader.touch((host) => host.proposeConfig(next));
      return;
    }
    this.#options.trace.add(task.fresh.id, 'joined', `for ${task.gone.id}`);
    this.#options.faults.struck('server replaced');
    this.#task = null;
  }

  #fresh(): SimNode<Host> | null {
    return this.#options.nodes.find((node) => node.isAbsent) ?? null;
  }
}

/** @returns null if nothing is left to do */
function nextStep(config: Configuration, { gone, fresh, asVoter }: Task): Configuration | null {
  if (isMember(config, gone.id)) return without(config, gone.id);
  if (config.voters.includes(fresh.id)) return null;
  if (!config.learners.includes(fresh.id)) return withLearner(config, fresh.id, addressOf(fresh.id));
  return asVoter ? withVoter(config, fresh.id) : null;
}

export function addressOf(id: NodeId): string {
  return `${id}:3002`;
}

function sameMembers(a: Configuration, b: Configuration): boolean {
  return a.voters.join() === b.voters.join() && a.learners.join() === b.learners.join();
}
