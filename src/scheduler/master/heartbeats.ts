import type { Consensus } from '../../raft/consensus.ts';
import type { ApplyResult } from '../state/ops.ts';
import type { MasterClock } from './clock.ts';
import type { FleetNode } from './fleet.ts';
import type { WorkerSession } from './worker-session.ts';

interface Beat {
  readonly node: FleetNode;
  readonly session: WorkerSession;
  readonly seq: number;
  readonly receivedMs: number;
  /** Tasks of which the node keeps output, where it said so. */
  readonly kept: readonly string[];
}

/** Quorum rounds under way at the same time; when there are so many, the network is what is slow. */
const ROUNDS_MAX = 4;

/**
 * Acknowledges heartbeats, each only after a quorum round that began after its receipt: a master that was deposed
 * without knowing it can't renew a lease behind its successor's back. All share the rounds that the leader's own heartbeats
 * to the other servers are: a thousand workers cost no message between servers.
 */
export class Heartbeats {
  readonly #consensus: Pick<Consensus<ApplyResult>, 'readBarrier'>;
  readonly #clock: MasterClock;
  readonly #isKept: (task: string) => boolean;
  readonly #servers: () => readonly string[];
  /** By session, so that a node has at most one waiting. */
  #waiting = new Map<WorkerSession, Beat>();
  #rounds = 0;
  #scheduled = false;

  /**
   * `isKept`: whether the cluster still keeps a task; asked after the quorum round. `servers`: host:port of every server, told
   * to workers with the next acknowledgement after it changed.
   */
  constructor(
    consensus: Pick<Consensus<ApplyResult>, 'readBarrier'>,
    clock: MasterClock,
    isKept: (task: string) => boolean,
    servers: () => readonly string[] = () => [],
  ) {
    this.#consensus = consensus;
    this.#clock = clock;
    this.#isKept = isKept;
    this.#servers = servers;
  }

  received(node: FleetNode, session: WorkerSession, seq: number, kept: readonly string[] = []): void {
    // What an earlier one said that is still waiting must not get lost with it.
    const all = kept.length > 0 ? kept : (this.#waiting.get(session)?.kept ?? []);
    this.#waiting.set(session, { node, session, seq, receivedMs: this.#clock.nowMs(), kept: all });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#rounds >= ROUNDS_MAX || this.#waiting.size === 0) return;
    this.#scheduled = true;
    this.#clock.soon(() => {
      this.#scheduled = false;
      this.#startRound();
    });
  }

  #startRound(): void {
    const beats = [...this.#waiting.values()];
    this.#waiting = new Map();
    this.#rounds += 1;
    void this.#consensus
      .readBarrier({ lazy: true })
      .then(
        (result) => result.kind === 'ready',
        () => false,
      )
      .then((ready) => {
        this.#rounds -= 1;
        if (ready) {
          const servers = this.#servers();
          for (const beat of beats) acknowledge(beat, this.#isKept, servers);
          this.#schedule();
        } else {
          this.#putBack(beats);
        }
      });
  }

  /**
   * The round was refused, as when too many reads wait: that is no reason to let leases run out. They go with the next round, which
   * begins when another one ends or another heartbeat comes, not at once: it would be refused as well.
   */
  #putBack(beats: readonly Beat[]): void {
    for (const beat of beats) {
      const newer = this.#waiting.get(beat.session);
      if (newer === undefined) this.#waiting.set(beat.session, beat);
      else if (newer.kept.length === 0) this.#waiting.set(beat.session, { ...newer, kept: beat.kept });
    }
  }
}

function acknowledge(
  { node, session, seq, receivedMs, kept }: Beat,
  isKept: (task: string) => boolean,
  servers: readonly string[],
): void {
  // A node that is being declared lost must not hear that all is well.
  if (node.session !== session || node.declaringDown) return;
  node.leaseFromMs = Math.max(node.leaseFromMs, receivedMs);
  const forget = kept.filter((task) => !isKept(task));
  const news = session.serversToTell(servers);
  session.send({
    kind: 'heartbeatAck',
    seq,
    ...(forget.length === 0 ? {} : { forget }),
    ...(news === null ? {} : { servers: news }),
  });
}
