/**
 * A cluster of cores in memory, for scenarios a test steers message by message. Nothing happens by itself: a test ticks,
 * proposes, and lets messages flow by `settle`. Disks are instant unless a node's `holdWrites` is set.
 */
import assert from 'node:assert/strict';
import { asLogIndex, asNodeId, asProposalId, asReadId, asTerm } from '../../../src/raft/core/ids.ts';
import { RaftCore } from '../../../src/raft/core/raft-core.ts';
import type {
  Configuration,
  Effect,
  Entry,
  HardState,
  Input,
  LogIndex,
  Message,
  NodeId,
  RaftConfig,
  RaftStatus,
  RecoveredState,
  SnapshotMeta,
  Term,
} from '../../../src/raft/core/types.ts';

export const ELECTION_TICKS = 10;
export const HEARTBEAT_TICKS = 2;

export type PersistEffect = Extract<Effect, { kind: 'persist' }>;
export type MessageOf<K extends Message['kind']> = Extract<Message, { kind: K }>;

export function ids(count: number): NodeId[] {
  return Array.from({ length: count }, (_, i) => asNodeId(`n${String(i + 1)}`));
}

export function voters(list: readonly NodeId[], learners: readonly NodeId[] = []): Configuration {
  return { voters: list, learners };
}

export function testConfig(id: NodeId, overrides: Partial<RaftConfig> = {}): RaftConfig {
  return {
    id,
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: HEARTBEAT_TICKS,
    patienceBytes: 64 * 1024,
    patienceTicksMax: 50,
    messageBytesMax: 1024 * 1024,
    inflightMessagesMax: 64,
    inflightBytesMax: 4 * 1024 * 1024,
    uncommittedBytesMax: 16 * 1024 * 1024,
    proposalBytesMax: 1024 * 1024,
    unappliedBytesMax: 16 * 1024 * 1024,
    pendingReadsMax: 1000,
    ...overrides,
  };
}

/** Commands with these terms at indexes from `first` on; the payload names the place. */
export function logOfTerms(terms: readonly number[], first = 1): Entry[] {
  return terms.map((term, i) => command(first + i, term));
}

export function command(index: number, term: number, text = `${String(index)}@${String(term)}`): Entry {
  return { kind: 'command', index: asLogIndex(index), term: asTerm(term), payload: bytes(text) };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(entry: Entry): string {
  return entry.kind === 'command' ? new TextDecoder().decode(entry.payload) : entry.kind;
}

export function emptyState(config: Configuration): RecoveredState {
  return {
    hardState: { currentTerm: asTerm(0), votedFor: null },
    snapshot: { index: asLogIndex(0), term: asTerm(0), config },
    entries: [],
  };
}

/** What a disk holds: `persist` effects are carried out on it like a driver would. */
export class TestDisk {
  hardState: HardState;
  snapshot: SnapshotMeta;
  entries: Entry[];

  constructor(state: RecoveredState) {
    this.hardState = state.hardState;
    this.snapshot = state.snapshot;
    this.entries = state.entries.slice();
  }

  write(effect: PersistEffect): void {
    const { truncateFrom } = effect;
    if (truncateFrom !== null) this.entries = this.entries.filter((entry) => entry.index < truncateFrom);
    const last = this.entries.at(-1);
    const first = effect.append[0];
    if (first !== undefined && last !== undefined)
      assert.equal(first.index, last.index + 1, 'no gap on disk');
    this.entries.push(...effect.append);
    if (effect.hardState !== null) this.hardState = effect.hardState;
  }

  compact(through: LogIndex): void {
    this.entries = this.entries.filter((entry) => entry.index > through);
  }

  install(meta: SnapshotMeta): void {
    const kept = this.entries.find((entry) => entry.index === meta.index)?.term === meta.term;
    this.entries = kept ? this.entries.filter((entry) => entry.index > meta.index) : [];
    this.snapshot = meta;
  }

  recovered(): RecoveredState {
    return { hardState: this.hardState, snapshot: this.snapshot, entries: this.entries };
  }
}

export interface NodeOptions {
  readonly id: NodeId;
  readonly state: RecoveredState;
  readonly config?: Partial<RaftConfig>;
  /** The election timeout is electionTicks + this. */
  readonly timeoutOffset?: number;
}

export class TestNode {
  readonly id: NodeId;
  readonly disk: TestDisk;
  core: RaftCore;
  /** Effects of every kind but `persist`, `send` and `apply`, in order. */
  events: Effect[] = [];
  applied: Entry[] = [];
  /** Sent and not taken by the network yet. */
  outgoing: Message[] = [];
  /** Writes wait for {@link flush}. */
  holdWrites = false;
  /** `apply` effects are not reported back until {@link reportApplied}. */
  holdApplied = false;
  pendingWrites: PersistEffect[] = [];
  readonly #options: NodeOptions;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.id = options.id;
    this.disk = new TestDisk(options.state);
    this.core = this.#boot();
  }

  #boot(): RaftCore {
    const offset = this.#options.timeoutOffset ?? 0;
    return new RaftCore(
      testConfig(this.id, this.#options.config),
      this.disk.recovered(),
      (bound) => offset % bound,
    );
  }

  get status(): RaftStatus {
    return this.core.status();
  }
  get log(): readonly Entry[] {
    return this.core.entries(asLogIndex(1), asLogIndex(Number.MAX_SAFE_INTEGER));
  }
  get logTerms(): number[] {
    return this.log.map((entry) => entry.term);
  }

  /** Feeds an input and carries out what follows. @returns the effects of this input itself */
  step(input: Input): readonly Effect[] {
    const effects = this.core.step(input);
    for (const effect of effects) this.#carryOut(effect);
    return effects;
  }

  receive(message: Message): readonly Effect[] {
    return this.step({ kind: 'message', message });
  }

  tick(count = 1): void {
    for (let i = 0; i < count; i++) this.step({ kind: 'tick' });
  }

  propose(...payloads: string[]): void {
    const proposals = payloads.map((payload, i) => ({ id: asProposalId(i + 1), payload: bytes(payload) }));
    this.step({ kind: 'propose', proposals });
  }

  read(id: number): void {
    this.step({ kind: 'readIndex', readId: asReadId(id) });
  }

  /** Makes the oldest held writes durable. */
  flush(count = this.pendingWrites.length): void {
    for (const write of this.pendingWrites.splice(0, count)) this.#complete(write);
  }

  reportApplied(): void {
    const last = this.applied.at(-1);
    if (last !== undefined) this.step({ kind: 'applied', index: last.index });
  }

  /** The process dies with its held writes and comes back with what its disk has. */
  restart(): void {
    this.pendingWrites = [];
    this.outgoing = [];
    this.events = [];
    this.applied = [];
    this.holdWrites = false;
    this.core = this.#boot();
  }

  takeOutgoing(): Message[] {
    return this.outgoing.splice(0);
  }

  sent<K extends Message['kind']>(kind: K): MessageOf<K>[] {
    return this.outgoing.filter((m): m is MessageOf<K> => m.kind === kind);
  }

  eventsOf<K extends Effect['kind']>(kind: K): Extract<Effect, { kind: K }>[] {
    return this.events.filter((e): e is Extract<Effect, { kind: K }> => e.kind === kind);
  }

  /** Takes a snapshot as of what is applied and compacts. */
  compact(through = this.status.appliedIndex, index = this.status.appliedIndex): SnapshotMeta {
    const term = this.core.entries(index, index)[0]?.term ?? this.status.term;
    const meta = { index, term, config: this.core.configAt(index) };
    this.disk.snapshot = meta;
    this.disk.compact(through);
    this.step({ kind: 'snapshotTaken', meta, compactThrough: through });
    return meta;
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case 'persist':
        if (this.holdWrites) this.pendingWrites.push(effect);
        else this.#complete(effect);
        break;
      case 'send':
        this.outgoing.push(effect.message);
        break;
      case 'apply':
        this.applied.push(...effect.entries);
        if (!this.holdApplied) this.reportApplied();
        break;
      default:
        this.events.push(effect);
    }
  }

  #complete(write: PersistEffect): void {
    this.disk.write(write);
    this.step({ kind: 'persisted', writeId: write.writeId });
  }
}

/** Messages between nodes, delivered in order of sending; links can be cut one way or both. */
export class Network {
  readonly nodes = new Map<NodeId, TestNode>();
  /** Who refused an append, once per refusal. */
  readonly rejections: NodeId[] = [];
  readonly #cut = new Set<string>();
  #filter: (message: Message) => boolean = () => true;

  constructor(nodes: readonly TestNode[]) {
    for (const node of nodes) this.nodes.set(node.id, node);
  }

  /** A cluster of `count` voters with empty logs; n1 has the shortest timeout. */
  static ofVoters(count: number, config: Partial<RaftConfig> = {}): Network {
    const names = ids(count);
    const state = emptyState(voters(names));
    return new Network(names.map((id, i) => new TestNode({ id, state, config, timeoutOffset: i })));
  }

  node(name: string): TestNode {
    const node = this.nodes.get(asNodeId(name));
    assert(node, `node ${name}`);
    return node;
  }

  cutOneWay(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }
  cut(a: string, b: string): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }
  isolate(name: string): void {
    for (const other of this.nodes.keys()) if (other !== name) this.cut(name, other);
  }
  heal(): void {
    this.#cut.clear();
    this.#filter = () => true;
  }
  /** Messages for which `keep` is false are lost. */
  filter(keep: (message: Message) => boolean): void {
    this.#filter = keep;
  }

  /** Delivers messages until none is left. @returns what was delivered */
  settle(roundsMax = 1000): Message[] {
    const delivered: Message[] = [];
    for (let round = 0; round < roundsMax; round++) {
      const messages = [...this.nodes.values()].flatMap((node) => node.takeOutgoing());
      if (messages.length === 0) return delivered;
      for (const message of messages) {
        const to = this.nodes.get(message.to);
        if (to === undefined || this.#cut.has(`${message.from}>${message.to}`) || !this.#filter(message))
          continue;
        delivered.push(message);
        if (message.kind === 'appendRejected') this.rejections.push(message.from);
        to.receive(message);
      }
    }
    throw new Error(`the network did not come to rest in ${String(roundsMax)} rounds`);
  }

  /** Ticks everybody once and settles, `count` times. */
  tick(count = 1): void {
    for (let i = 0; i < count; i++) {
      for (const node of this.nodes.values()) node.tick();
      this.settle();
    }
  }

  /** Lets `name` time out alone and win, if the others let it. */
  elect(name: string): TestNode {
    const node = this.node(name);
    for (let i = 0; i < 4 * ELECTION_TICKS && node.status.role !== 'leader'; i++) {
      node.tick();
      this.settle();
    }
    assert.equal(node.status.role, 'leader', `${name} is elected`);
    return node;
  }

  leaders(): TestNode[] {
    return [...this.nodes.values()].filter((node) => node.status.role === 'leader');
  }
}

export function meta(index: number, term: number, config: Configuration): SnapshotMeta {
  return { index: asLogIndex(index), term: asTerm(term), config };
}

export function hardState(currentTerm: number, votedFor: NodeId | null = null): HardState {
  return { currentTerm: asTerm(currentTerm), votedFor };
}

export function termOf(value: number): Term {
  return asTerm(value);
}
