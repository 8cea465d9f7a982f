import { ApiError } from '../api/errors.ts';
import type { Cluster } from '../api/cluster.ts';

const TICK_MS = 25;
/** A deposed master may still answer by itself what it can't do any more; after this we stop waiting for it. */
const DEPOSED_GRACE_MS = 1_000;
export const WAITERS_MAX = 10_000;

interface Waiter {
  readonly deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (error: ApiError) => void;
}

interface Watcher {
  readonly leader: string;
  readonly onDeposed: () => void;
  deposedAtMs: number | null;
}

export function noLeader(message = 'there is no master at the moment'): ApiError {
  return new ApiError('NO_LEADER', message, { retryAfterSeconds: 1 });
}

/**
 * Requests that wait for an election to end, and requests at a master that may be gone. One timer for all of them, and
 * none while there are none.
 */
export class LeaderWatch {
  readonly #cluster: () => Cluster | null;
  readonly #waiters = new Set<Waiter>();
  readonly #watchers = new Set<Watcher>();
  #timer: NodeJS.Timeout | null = null;
  #probing = false;

  constructor(cluster: () => Cluster | null) {
    this.#cluster = cluster;
  }

  /**
   * Resolves as soon as a leader is known.
   * @param deadlineMs of performance.now()
   * @throws ApiError NO_QUORUM as soon as the cluster says so; NO_LEADER at the deadline.
   */
  async wait(deadlineMs: number): Promise<void> {
    if (this.#hasLeader()) return;
    if (this.#waiters.size >= WAITERS_MAX) throw noLeader();
    await this.#probe();
    await new Promise<void>((resolve, reject) => {
      this.#waiters.add({ deadlineMs, resolve, reject });
      this.#run();
    });
  }

  /** Calls back once when `leader` has not been the known leader for a while; the function returned ends that. */
  onDeposed(leader: string, onDeposed: () => void): () => void {
    const watcher: Watcher = { leader, onDeposed, deposedAtMs: null };
    this.#watchers.add(watcher);
    this.#run();
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  #hasLeader(): boolean {
    const cluster = this.#cluster();
    return (
      cluster !== null && (cluster.isLeader() || (cluster.leader()?.id ?? cluster.nodeId) !== cluster.nodeId)
    );
  }

  /** Asks the cluster why there is no leader: an election goes on (NO_LEADER), or there can be none (NO_QUORUM). */
  async #probe(): Promise<void> {
    try {
      await this.#cluster()?.readBarrier();
    } catch (error) {
      if (error instanceof ApiError && error.code === 'NO_QUORUM') throw error;
    }
  }

  #run(): void {
    if (this.#timer !== null) return;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    if (this.#waiters.size === 0 && this.#watchers.size === 0 && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
      return;
    }
    this.#checkWatchers();
    if (this.#waiters.size === 0) return;
    if (this.#hasLeader()) this.#settle((waiter) => waiter.resolve());
    const nowMs = performance.now();
    for (const waiter of this.#waiters) {
      if (nowMs < waiter.deadlineMs) continue;
      this.#waiters.delete(waiter);
      waiter.reject(noLeader());
    }
    if (this.#waiters.size > 0) void this.#probeForAll();
  }

  async #probeForAll(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    try {
      await this.#probe();
    } catch (error) {
      if (error instanceof ApiError) this.#settle((waiter) => waiter.reject(error));
    } finally {
      this.#probing = false;
    }
  }

  #settle(settle: (waiter: Waiter) => void): void {
    for (const waiter of this.#waiters) settle(waiter);
    this.#waiters.clear();
  }

  #checkWatchers(): void {
    const cluster = this.#cluster();
    const leader = cluster?.leader()?.id ?? null;
    const nowMs = performance.now();
    for (const watcher of this.#watchers) {
      if (leader === watcher.leader) {
        watcher.deposedAtMs = null;
        continue;
      }
      watcher.deposedAtMs ??= nowMs;
      if (nowMs - watcher.deposedAtMs < DEPOSED_GRACE_MS) continue;
      this.#watchers.delete(watcher);
      watcher.onDeposed();
    }
  }
}
