/** What /metrics tells. Names begin with `clb_`; docs/metrics.md tells what each is good for. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { IntervalHistogram } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Cluster } from '../api/cluster.ts';
import { TASK_STATUSES } from '../api/tasks.ts';
import { EventMetrics } from './event-metrics.ts';

const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Each look wakes the process; longer than any delay one would not notice. */
const LOOP_RESOLUTION_MS = 200;

/** Metrics of one node. Others report into it (`raftCommit`, …); the rest is read when it is asked for. */
export class NodeMetrics {
  readonly #registry = new Registry();
  readonly #raftCommit = this.#histogram(
    'clb_raft_commit_seconds',
    'From proposal to commit, on the leader.',
  );
  readonly #raftFsync = this.#histogram('clb_raft_fsync_seconds', 'Synced writes of log and hard state.');
  readonly #elections = new Counter({
    name: 'clb_raft_elections_total',
    help: 'Elections this node began (pre-votes not counted).',
    registers: [this.#registry],
  });
  readonly #requests = new Counter({
    name: 'clb_http_requests_total',
    help: 'Answers by method and status.',
    labelNames: ['method', 'status'],
    registers: [this.#registry],
  });
  readonly #raft = {
    term: this.#gauge('clb_raft_term', 'Current term.'),
    commitIndex: this.#gauge('clb_raft_commit_index', 'Index of the last entry known to be committed.'),
    appliedIndex: this.#gauge('clb_raft_applied_index', 'Index of the last entry applied.'),
    lastIndex: this.#gauge('clb_raft_last_index', 'Index of the last entry of the log.'),
    snapshotIndex: this.#gauge('clb_raft_snapshot_index', 'Index the newest snapshot reaches to.'),
    leader: this.#gauge('clb_raft_is_leader', '1 on the leader (the master), else 0.'),
  };
  readonly #role = this.#gauge('clb_raft_role', '1 for the role this node has, 0 for the others.', ['role']);
  readonly #events = new EventMetrics(this.#registry);
  readonly #paused = this.#gauge('clb_queue_paused', '1 while the queue is paused.');
  readonly #peerLag = this.#gauge('clb_raft_peer_lag', 'Entries a peer is behind; on the leader.', ['peer']);
  readonly #tasks = this.#gauge('clb_tasks', 'Tasks kept, by status.', ['status']);
  readonly #queued = this.#gauge('clb_queue_tasks', 'Tasks waiting for a node.');
  readonly #nodes = this.#gauge('clb_nodes', 'Nodes that run tasks, by status; live on the master.', [
    'status',
  ]);
  readonly #loopDelay = this.#gauge(
    'clb_event_loop_delay_seconds',
    'Delay of the event loop since the last scrape.',
    ['quantile'],
  );
  readonly #process = {
    memory: this.#gauge('clb_process_resident_memory_bytes', 'Resident memory of the process.'),
    heap: this.#gauge('clb_process_heap_used_bytes', 'Used heap of the process.'),
    cpu: this.#gauge('clb_process_cpu_seconds', 'CPU time used by the process, user and system.'),
    uptime: this.#gauge('clb_process_uptime_seconds', 'Age of the process.'),
  };
  #loop: IntervalHistogram | null = null;

  constructor(node: { readonly id: string; readonly version: string }) {
    const info = this.#gauge('clb_build_info', 'Always 1; the labels tell node and version.', [
      'node',
      'version',
    ]);
    info.set({ node: node.id, version: node.version }, 1);
  }

  /** Begins to watch the event loop. */
  start(): void {
    this.#loop ??= monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
    this.#loop.enable();
  }

  stop(): void {
    this.#loop?.disable();
  }

  raftCommit(seconds: number): void {
    this.#raftCommit.observe(seconds);
  }

  raftFsync(seconds: number): void {
    this.#raftFsync.observe(seconds);
  }

  electionBegun(): void {
    this.#elections.inc();
  }

  answered(method: string, status: number): void {
    this.#requests.inc({ method: METHODS.has(method) ? method : 'other', status });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text of /metrics. `cluster` null: not a server, or not running at the moment. */
  async text(cluster: Cluster | null): Promise<string> {
    this.#readProcess();
    if (cluster !== null) await this.#readCluster(cluster);
    return this.#registry.metrics();
  }

  async #readCluster(cluster: Cluster): Promise<void> {
    const raft = cluster.raft();
    this.#raft.term.set(raft.term);
    this.#raft.commitIndex.set(raft.commitIndex);
    this.#raft.appliedIndex.set(raft.appliedIndex);
    this.#raft.lastIndex.set(raft.lastIndex);
    this.#raft.snapshotIndex.set(raft.snapshotIndex);
    this.#raft.leader.set(raft.role === 'leader' ? 1 : 0);
    for (const role of ROLES) this.#role.set({ role }, raft.role === role ? 1 : 0);
    this.#events.follow(cluster);
    this.#paused.set(cluster.queue().paused ? 1 : 0);
    this.#peerLag.reset();
    for (const [peer, { lag }] of Object.entries(raft.peers)) this.#peerLag.set({ peer }, lag);
    const { counts } = await cluster.listTasks({ limit: 1 });
    for (const status of TASK_STATUSES) this.#tasks.set({ status }, counts[status]);
    this.#queued.set(counts.queued);
    const byStatus = { ready: 0, draining: 0, disconnected: 0, down: 0 };
    for (const node of cluster.nodes()) byStatus[node.status] += 1;
    for (const [status, nodes] of Object.entries(byStatus)) this.#nodes.set({ status }, nodes);
  }

  #readProcess(): void {
    const { rss, heapUsed } = process.memoryUsage();
    this.#process.memory.set(rss);
    this.#process.heap.set(heapUsed);
    const { user, system } = process.cpuUsage();
    this.#process.cpu.set((user + system) / 1e6);
    this.#process.uptime.set(process.uptime());
    if (this.#loop === null) return;
    // The histogram measures whole intervals; what is above the interval is the delay.
    for (const [quantile, nanoseconds] of [
      ['0.5', this.#loop.percentile(50)],
      ['0.99', this.#loop.percentile(99)],
      ['1', this.#loop.max],
    ] as const) {
      this.#loopDelay.set({ quantile }, Math.max(0, nanoseconds / 1e9 - LOOP_RESOLUTION_MS / 1e3));
    }
    this.#loop.reset();
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({ name, help, buckets: SECONDS_BUCKETS, registers: [this.#registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> {
    return new Gauge<Label>({ name, help, labelNames, registers: [this.#registry] });
  }
}

const ROLES = ['leader', 'follower', 'candidate', 'learner'] as const;
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
