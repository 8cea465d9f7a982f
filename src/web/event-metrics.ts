import { Counter, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { Cluster } from '../api/cluster.ts';
import { ApiError } from '../api/errors.ts';
import type { ClusterEvent } from '../api/views.ts';

const PLACEMENT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 3_600];

/** What only the log's entries tell. It follows them from the first scrape on: a node nobody scrapes pays nothing. */
export class EventMetrics {
  readonly #placement: Histogram;
  readonly #lost: Counter;
  readonly #expiries: Counter;
  #followed: Cluster | null = null;
  #unfollow: () => void = () => undefined;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#placement = new Histogram({
      name: 'clb_task_placement_seconds',
      help: 'From submit (or the end of the delay) to the first assignment; on the master, tasks with `after` not counted.',
      buckets: PLACEMENT_BUCKETS,
      registers,
    });
    this.#lost = new Counter({
      name: 'clb_task_attempts_lost_total',
      help: 'Attempts lost with their node, or given back by it.',
      registers,
    });
    this.#expiries = new Counter({
      name: 'clb_node_lease_expiries_total',
      help: 'Nodes that were declared down, their lease being over.',
      labelNames: ['node'],
      registers,
    });
  }

  /** Counts the entries applied from now on. After a restart within the process the cluster is another one. */
  follow(cluster: Cluster): void {
    if (this.#followed === cluster) return;
    this.#unfollow();
    this.#followed = cluster;
    const subscribed = cluster.subscribe(null, ({ events }) => {
      for (const event of events) this.#count(cluster, event);
    });
    this.#unfollow = subscribed.kind === 'ok' ? subscribed.unsubscribe : () => undefined;
  }

  #count(cluster: Cluster, event: ClusterEvent): void {
    switch (event.kind) {
      case 'leader':
        return;
      case 'node':
        if (event.status === 'down') this.#expiries.inc({ node: event.id });
        return;
      case 'task':
        if (event.what === 'lost') this.#lost.inc();
        if (event.what === 'assigned' && event.attempt === 1 && cluster.isLeader())
          this.#placed(cluster, event.id);
    }
  }

  #placed(cluster: Cluster, id: string): void {
    try {
      const { submittedAt, delayMs, after, attempts } = cluster.getTask(id);
      const assignedAt = attempts[0]?.assignedAt;
      if (assignedAt === undefined || after.length > 0) return;
      const waitedMs = Date.parse(assignedAt) - Date.parse(submittedAt) - delayMs;
      this.#placement.observe(Math.max(0, waitedMs) / 1e3);
    } catch (error) {
      // It is called while entries are applied: a task that is gone again must not stop that.
      if (!(error instanceof ApiError)) throw error;
    }
  }
}
