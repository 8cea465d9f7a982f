/**
 * The test bed of MIT 6.5840's Raft labs, for whole production nodes: driver, storage format and core, over stores in memory and a
 * network like labrpc's (servers can be disconnected; messages are lost, delayed and overtake one another). Time is virtual and
 * the chances come from a seed, so that minutes pass in milliseconds and a run can be repeated.
 */
import assert from 'node:assert/strict';
import type { LogIndex, Message, NodeId } from '../../../src/raft/core/types.ts';
import { silentLogger } from '../../../src/raft/raft-logger.ts';
import { RaftNode } from '../../../src/raft/raft-node.ts';
import type { RaftSettings } from '../../../src/raft/raft-settings.ts';
import type { CommittedCommand } from '../../../src/raft/state-machine.ts';
import { MemoryKv } from '../../../src/raft/storage/memory-kv.ts';
import type { MemoryDisk } from '../../../src/raft/storage/memory-kv.ts';
import type { KvOp } from '../../../src/raft/storage/kv-store.ts';
import type { Timers } from '../../../src/raft/timers.ts';
import { messageBytes } from '../../../src/raft/transport/codec.ts';
import type { RaftTransport } from '../../../src/raft/transport/transport.ts';
import { EventQueue } from '../../sim/event-queue.ts';
import { Random } from '../../sim/random.ts';
import { WordMachine } from '../node/word-machine.ts';

/** How long it may take to agree, as in the labs. */
const AGREE_MS_MAX = 10_000;
/** After this time without agreement a command is handed in again. */
const RETRY_MS = 2_000;
const POLL_MS = 20;

export interface LabServer {
  readonly id: NodeId;
  readonly disk: MemoryDisk;
  /** Of the disk: writes wait while it stalls. */
  readonly stall: DiskStall;
  connected: boolean;
  /** Only servers of the same side hear each other. */
  side: number;
  machine: WordMachine;
  node: RaftNode<string> | null;
}

/** How the network behaves, besides those that are disconnected. */
type Weather = 'reliable' | 'unreliable' | 'long reordering';

export class Lab {
  readonly servers: LabServer[] = [];
  weather: Weather = 'reliable';
  /** Messages that are lost, besides. */
  loses: (message: Message) => boolean = () => false;
  messages = 0;
  bytes = 0;
  /** What was applied at each index, by whoever did it first. */
  readonly applied = new Map<number, string>();
  readonly #queue = new EventQueue();
  readonly #random: Random;
  readonly #settings: Partial<RaftSettings>;
  readonly #transports = new Map<NodeId, LabTransport>();
  readonly #faults: unknown[] = [];

  private constructor(seed: number, settings: Partial<RaftSettings>) {
    this.#random = new Random(seed);
    this.#settings = settings;
  }

  static async start(count: number, seed: number, settings: Partial<RaftSettings> = {}): Promise<Lab> {
    const lab = new Lab(seed, settings);
    for (let n = 1; n <= count; n++) {
      const id = `server${n}` as NodeId;
      lab.servers.push({
        id,
        disk: new Map(),
        stall: new DiskStall(),
        connected: true,
        side: 0,
        machine: new WordMachine(),
        node: null,
      });
    }
    for (const server of lab.servers) await lab.restart(server);
    return lab;
  }

  get nowMs(): number {
    return this.#queue.nowMs;
  }

  below(bound: number): number {
    return this.#random.below(bound);
  }

  pick(): LabServer {
    return this.servers[this.below(this.servers.length)]!;
  }

  /** A new process over what the server's disk has. */
  async restart(server: LabServer): Promise<void> {
    server.machine = new LabMachine(this, server);
    const transport = new LabTransport(this, server);
    server.node = await RaftNode.open<string>({
      id: server.id,
      clusterId: 'lab',
      bootstrap: { voters: this.servers.map(({ id }) => id), learners: [] },
      kv: new LabKv(server.disk, server.stall),
      transport,
      machine: server.machine,
      timers: this.#timers(),
      random: (bound) => this.#random.below(bound),
      log: silentLogger,
      onFatal: (error) => this.#faults.push(error),
      settings: { applySliceMs: 1_000, ...this.#settings },
    });
    this.#transports.set(server.id, transport);
    server.node.start();
  }

  async crash(server: LabServer): Promise<void> {
    const { node } = server;
    server.node = null;
    server.stall.end();
    await node?.crash();
  }

  async end(): Promise<void> {
    for (const server of this.servers) await this.crash(server);
    if (this.#faults.length > 0) throw new Error('a node failed', { cause: this.#faults[0] });
  }

  after(delayMs: number, action: () => void): void {
    this.#queue.after(delayMs, action);
  }

  /** Lets virtual time pass. */
  async pass(ms: number): Promise<void> {
    let isOver = false;
    this.#queue.after(ms, () => {
      isOver = true;
    });
    while (!isOver) {
      this.#queue.runNext();
      // What the event began (writes, reads of the store) ends before the next one.
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(this.#faults, []);
  }

  /** Lets time pass until there is something. */
  async until<T>(what: string, probe: () => T | undefined | false, limitMs = AGREE_MS_MAX): Promise<T> {
    const endMs = this.nowMs + limitMs;
    for (;;) {
      const found = probe();
      if (found !== undefined && found !== false) return found;
      if (this.nowMs >= endMs) assert.fail(`waited ${limitMs} ms in vain for ${what}`);
      await this.pass(POLL_MS);
    }
  }

  connected(): (LabServer & { readonly node: RaftNode<string> })[] {
    return this.servers.filter(
      (server): server is LabServer & { node: RaftNode<string> } => server.connected && server.node !== null,
    );
  }

  /** The one leader of the newest term among the connected servers; a majority of all is connected. */
  checkOneLeader(): Promise<LabServer> {
    return this.until('a leader', () => {
      const leaders = this.connected().filter(({ node }) => node.status().role === 'leader');
      const terms = leaders.map(({ node }) => node.status().term);
      assert.equal(new Set(terms).size, terms.length, `two leaders in one term: ${terms.join()}`);
      const newest = Math.max(...terms);
      return leaders.find(({ node }) => node.status().term === newest && node.quorumReachable());
    });
  }

  checkNoLeader(): void {
    const leaders = this.connected().filter(({ node }) => node.status().role === 'leader');
    assert.deepEqual(
      leaders.map(({ id }) => id),
      [],
    );
  }

  /** The term all connected servers agree on. */
  checkTerms(): number {
    const terms = new Set(this.connected().map(({ node }) => node.status().term));
    assert.equal(terms.size, 1, `servers disagree on the term: ${[...terms].join()}`);
    return [...terms][0]!;
  }

  /** How many servers have applied this word. */
  countOf(word: string): number {
    return this.servers.filter(({ machine }) => machine.words.includes(word)).length;
  }

  /** Hands a word to the leader; @returns where it was put, or null if nobody leads. */
  begin(word: string): { readonly leader: LabServer; readonly index: number } | null {
    const leader = this.connected().find(({ node }) => node.status().role === 'leader');
    if (leader === undefined) return null;
    void leader.node.propose(Buffer.from(word));
    return { leader, index: leader.node.status().lastIndex + 1 };
  }

  /** Agrees on a word on at least `expected` servers; `retry`: hands it in again if that takes long. */
  async one(word: string, expected: number, retry = true): Promise<void> {
    const endMs = this.nowMs + AGREE_MS_MAX;
    while (this.nowMs < endMs) {
      const begun = this.begin(word);
      const retryAtMs = this.nowMs + (begun === null ? POLL_MS : RETRY_MS);
      while (this.nowMs < retryAtMs) {
        if (this.countOf(word) >= expected) return;
        await this.pass(POLL_MS);
      }
      if (begun !== null && !retry) break;
    }
    assert.fail(`${word} was not agreed on by ${expected} servers`);
  }

  noteApplied(server: LabServer, index: LogIndex, word: string): void {
    const before = this.applied.get(index);
    if (before === undefined) this.applied.set(index, word);
    else assert.equal(word, before, `${server.id} applies something else at ${index}`);
  }

  carry(from: LabServer, to: NodeId, message: Message): void {
    this.messages++;
    this.bytes += messageBytes(message);
    const target = this.servers.find(({ id }) => id === to);
    if (!from.connected || target?.connected !== true || target.side !== from.side) return;
    if (this.loses(message)) return;
    const { weather } = this;
    if (weather !== 'reliable' && this.below(10) === 0) return;
    let delayMs = weather === 'reliable' ? 1 : this.below(27);
    const isAnswer = !['append', 'heartbeat', 'voteRequest', 'snapshotChunk'].includes(message.kind);
    if (weather === 'long reordering' && isAnswer && this.below(3) > 0)
      delayMs += 200 + this.below(1 + this.below(2_000));
    this.#queue.after(delayMs, () => {
      if (target.connected && from.connected && target.side === from.side)
        this.#transports.get(to)?.deliver(message);
    });
  }

  /** Each process has its own: what a dead one waited for does not happen. */
  #timers(): Timers {
    const after = (delayMs: number, action: () => void): (() => void) => {
      let isCanceled = false;
      this.#queue.after(delayMs, () => {
        if (!isCanceled) action();
      });
      return () => {
        isCanceled = true;
      };
    };
    return { nowMs: () => this.#queue.nowMs, after, soon: (action) => void after(0, action) };
  }
}

/** A disk that does not answer for a while: it fails nothing, it is silent. */
class DiskStall {
  #waiting: (() => void)[] | null = null;

  begin(): void {
    this.#waiting ??= [];
  }

  end(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const go of waiting) go();
  }

  over(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting === null) resolve();
      else this.#waiting.push(resolve);
    });
  }
}

class LabKv extends MemoryKv {
  readonly #stall: DiskStall;

  constructor(disk: MemoryDisk, stall: DiskStall) {
    super(disk);
    this.#stall = stall;
  }

  override async batch(ops: readonly KvOp[], options: { readonly sync: boolean }): Promise<void> {
    await this.#stall.over();
    await super.batch(ops, options);
  }
}

/** Applies words, and tells the lab, which compares them with what the others have applied. */
class LabMachine extends WordMachine {
  readonly #lab: Lab;
  readonly #server: LabServer;

  constructor(lab: Lab, server: LabServer) {
    super();
    this.#lab = lab;
    this.#server = server;
  }

  override apply(command: CommittedCommand): string {
    assert.ok(command.index > this.appliedIndex, `${this.#server.id} applies ${command.index} out of order`);
    this.#lab.noteApplied(this.#server, command.index, Buffer.from(command.payload).toString());
    return super.apply(command);
  }
}

class LabTransport implements RaftTransport {
  onMessage: ((message: Message) => void) | null = null;
  onPeerLost: ((peer: NodeId) => void) | null = null;
  readonly #lab: Lab;
  readonly #server: LabServer;
  readonly #heardAtMs = new Map<NodeId, number>();

  constructor(lab: Lab, server: LabServer) {
    this.#lab = lab;
    this.#server = server;
  }

  start(): void {
    // There is nothing to connect.
  }

  send(to: NodeId, message: Message): void {
    if (this.onMessage !== null) this.#lab.carry(this.#server, to, message);
  }

  deliver(message: Message): void {
    this.#heardAtMs.set(message.from, this.#lab.nowMs);
    this.onMessage?.(message);
  }

  lastContactMs(): ReadonlyMap<NodeId, number | null> {
    return new Map([...this.#heardAtMs].map(([id, heardAtMs]) => [id, this.#lab.nowMs - heardAtMs]));
  }

  close(): Promise<void> {
    this.onMessage = null;
    return Promise.resolve();
  }
}
