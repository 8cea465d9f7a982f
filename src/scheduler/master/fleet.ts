import type { ResourceSample } from '../../link/protocol.ts';
import { pressureOf } from '../placement/placement.ts';
import type { PlacementNode } from '../placement/placement.ts';
import { SpeedBook, kindOf } from '../placement/speed.ts';
import type { NodeRecord, TaskRecord } from '../state/records.ts';
import type { WorkerSession } from './worker-session.ts';

/** A sample shows a task only some time after it was placed; until then its pressure counts. */
const PRESSURE_MS = 1_500;

/** What a task takes up on its node. */
interface Occupancy {
  /** null while its assignment is on its way into the log. */
  token: number | null;
  readonly cpu: number;
  readonly memoryMb: number;
  readonly pressure: number;
  /** null once a sample shows it. */
  placedAtMs: number | null;
}

/** A node as the master knows it now: what the log says, and what only the link can tell. */
export class FleetNode implements PlacementNode {
  record: NodeRecord;
  isMaster: boolean;
  /** The welcomed link; null while it is not connected. */
  session: WorkerSession | null = null;
  /** Receipt of its last acknowledged heartbeat; the election of this master if that was later. Monotonic ms. */
  leaseFromMs: number;
  /** It asked for no more work. */
  leaving = false;
  /** A nodeDown is on its way into the log. */
  declaringDown = false;
  lastSeenWallMs: number | null = null;
  lastConsideredMs = -Infinity;
  unable: string | null = 'is not connected';
  cpu: number | null = null;
  memory: number | null = null;
  cpuReserved = 0;
  memoryReservedMb = 0;
  pressure = 0;
  speed: number;
  lastPlaced = 0;
  readonly #tasks = new Map<string, Occupancy>();

  constructor(record: NodeRecord, isMaster: boolean, leaseFromMs: number, speed: number) {
    this.record = record;
    this.speed = speed;
    this.isMaster = isMaster;
    this.leaseFromMs = leaseFromMs;
  }

  get id(): string {
    return this.record.id;
  }
  get slots(): number {
    return this.record.slots;
  }
  get cpus(): number {
    return this.record.cpus;
  }
  get memoryMb(): number {
    return this.record.memoryMb;
  }
  get labels(): Readonly<Record<string, string>> {
    return this.record.labels;
  }
  get busy(): number {
    return this.#tasks.size;
  }

  /** The port of the node's own HTTP routes, for the log lines. */
  get port(): number {
    return Number(this.record.address.slice(this.record.address.lastIndexOf(':') + 1));
  }

  /** Counts a task as being there. `token` null: not yet in the log. */
  occupy(task: string, token: number | null, cpu: number, memoryMb: number, nowMs: number | null): void {
    const known = this.#tasks.get(task);
    if (known !== undefined) {
      known.token = token;
      return;
    }
    const pressure = pressureOf({ cpu, memoryMb }, this.cpus, this.memoryMb);
    this.#tasks.set(task, { token, cpu, memoryMb, pressure, placedAtMs: nowMs });
    this.cpuReserved += cpu;
    this.memoryReservedMb += memoryMb;
    if (nowMs !== null) this.pressure += pressure;
  }

  /** It is not there any more (or never got there). Another attempt of the same task, with another token, stays. */
  vacate(task: string, token: number | null): boolean {
    const known = this.#tasks.get(task);
    if (known?.token !== token) return false;
    this.#tasks.delete(task);
    if (this.#tasks.size === 0) {
      // Sums of fractions drift; an empty node has none.
      this.cpuReserved = 0;
      this.memoryReservedMb = 0;
      this.pressure = 0;
      return true;
    }
    this.cpuReserved -= known.cpu;
    this.memoryReservedMb -= known.memoryMb;
    if (known.placedAtMs !== null) this.pressure -= known.pressure;
    return true;
  }

  holds(task: string): boolean {
    return this.#tasks.has(task);
  }

  sampled(sample: ResourceSample, nowMs: number): void {
    this.cpu = sample.cpu;
    this.memory = sample.memory;
    this.pressure = 0;
    for (const occupancy of this.#tasks.values()) {
      if (occupancy.placedAtMs === null) continue;
      if (nowMs - occupancy.placedAtMs >= PRESSURE_MS) occupancy.placedAtMs = null;
      else this.pressure += occupancy.pressure;
    }
  }
}

/** All registered nodes, while this server is the master; and how fast they are, which every server follows. */
export class Fleet {
  readonly #speeds = new SpeedBook();
  readonly #self: string;
  readonly #freshMs: number;
  #nodes = new Map<string, FleetNode>();
  #list: readonly FleetNode[] = [];
  #placements = 0;

  /** `freshMs`: a node that was silent for longer gets nothing new. */
  constructor(self: string, freshMs: number) {
    this.#self = self;
    this.#freshMs = freshMs;
  }

  get(id: string): FleetNode | undefined {
    return this.#nodes.get(id);
  }

  /** In the order of their first registration. */
  all(): readonly FleetNode[] {
    return this.#list;
  }

  /** Takes a node as the log has it. `nowMs`: from when a node new to this master has its lease. */
  put(record: NodeRecord, nowMs: number): FleetNode {
    const known = this.#nodes.get(record.id);
    if (known !== undefined) {
      known.record = record;
      return known;
    }
    const speed = this.#speeds.speedOf(record.id);
    const node = new FleetNode(record, record.id === this.#self, nowMs, speed);
    this.#nodes.set(record.id, node);
    this.#list = [...this.#nodes.values()];
    return node;
  }

  /** Those that the log has forgotten go. */
  keepOnly(known: (id: string) => boolean): void {
    for (const [id, node] of this.#nodes) if (!known(id) && node.session === null) this.#nodes.delete(id);
    this.#list = [...this.#nodes.values()];
  }

  clear(): void {
    this.#nodes = new Map();
    this.#list = [];
  }

  /** Brings `unable` of every node up to date; before nodes are chosen among. */
  refresh(nowMs: number): void {
    for (const node of this.#list) node.unable = this.#whyUnable(node, nowMs);
  }

  #whyUnable(node: FleetNode, nowMs: number): string | null {
    if (!node.record.up) return 'is down';
    if (node.session === null) return 'is not connected';
    if (node.record.draining) return 'is draining';
    if (node.leaving) return 'is leaving';
    if (node.declaringDown || nowMs - node.leaseFromMs >= this.#freshMs)
      return 'has not been heard of lately';
    return null;
  }

  /**
   * Learns the speed of the node on which this task has just succeeded. All servers do it, from the entries they apply, so a new
   * master knows what the old one knew; it is advice, so no part of the replicated state.
   */
  learn(task: TaskRecord): void {
    const attempt = task.attempts.at(-1);
    if (attempt?.outcome !== 'succeeded' || attempt.startedAt === null || attempt.finishedAt === null) return;
    this.#speeds.learn(attempt.node, kindOf(task.spec), attempt.finishedAt - attempt.startedAt);
    const node = this.#nodes.get(attempt.node);
    if (node !== undefined) node.speed = this.#speeds.speedOf(node.id);
  }

  get speeds(): SpeedBook {
    return this.#speeds;
  }

  placed(node: FleetNode): void {
    this.#placements += 1;
    node.lastPlaced = this.#placements;
  }
}
