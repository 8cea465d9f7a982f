/** Servers of one test: real LevelDB folders, real sockets on 127.0.0.1, all in this process. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UpgradeRouter } from '../../../src/net/upgrade.ts';
import type { NodeId } from '../../../src/raft/core/types.ts';
import { RaftNode } from '../../../src/raft/raft-node.ts';
import type { RaftSettings } from '../../../src/raft/raft-settings.ts';
import type { KvStore } from '../../../src/raft/storage/kv-store.ts';
import { LevelKv } from '../../../src/raft/storage/level-kv.ts';
import { systemTimers } from '../../../src/raft/timers.ts';
import { HttpTransport } from '../../../src/raft/transport/http-transport.ts';
import type { VersionRange } from '../../../src/raft/transport/versions.ts';
import { WordMachine } from './word-machine.ts';

/** Colleagues share the cores of the machine tests run on: slower elections than in production, fewer surprises. */
const CALM: Partial<RaftSettings> = { electionMs: 400, heartbeatMs: 50 };
/** For tests that count elections: those that a busy machine causes are none of theirs. */
export const PATIENT: Partial<RaftSettings> = { electionMs: 1_500, heartbeatMs: 100, transferMs: 5_000 };

export interface Member {
  readonly id: NodeId;
  readonly folder: string;
  readonly server: Server;
  readonly router: UpgradeRouter;
  readonly port: number;
  /** What the node is told of its disk. */
  readonly disk: { freeBytes: number | (() => Promise<number>) };
  machine: WordMachine;
  clusterId: string;
  /** What the transport speaks; null: what this program does. */
  versions: VersionRange | null;
  node: RaftNode<string> | null;
  transport: HttpTransport | null;
}

export class TestCluster {
  readonly members: Member[] = [];
  readonly fatal: unknown[] = [];
  /** What the transports logged. */
  readonly transportLines: string[] = [];
  /** What the nodes logged. */
  readonly lines: string[] = [];
  /** Who was told that it is no member any more. */
  readonly removed: NodeId[] = [];
  /** Where the members are by the word of whoever starts them. */
  addresses: Readonly<Record<string, string>> | null = null;
  /** Members learn where the others are by the configuration alone. */
  #byConfiguration = false;
  readonly #settings: Partial<RaftSettings>;

  private constructor(settings: Partial<RaftSettings>) {
    this.#settings = { ...CALM, ...settings };
  }

  static async start(count: number, settings: Partial<RaftSettings> = {}): Promise<TestCluster> {
    const cluster = new TestCluster(settings);
    for (let n = 1; n <= count; n++) await cluster.addMember(`server${n}` as NodeId);
    for (const member of cluster.members) await cluster.open(member);
    return cluster;
  }

  /** As {@link start}, with the addresses in the configuration and nowhere else. */
  static async startAddressed(count: number, settings: Partial<RaftSettings> = {}): Promise<TestCluster> {
    const cluster = new TestCluster(settings);
    cluster.#byConfiguration = true;
    for (let n = 1; n <= count; n++) await cluster.addMember(`server${n}` as NodeId);
    for (const member of cluster.members) await cluster.open(member);
    return cluster;
  }

  /** A running server that is no member and knows of the others only where they are. */
  async addNewcomer(id: NodeId, kv?: KvStore): Promise<Member> {
    const member = await this.addMember(id);
    await this.openNewcomer(member, kv);
    return member;
  }

  async openNewcomer(member: Member, kv?: KvStore): Promise<void> {
    await this.open(member, [], kv);
    for (const { id, port } of this.members) member.transport?.setPeer(id, { host: '127.0.0.1', port });
  }

  addressOf({ port }: Member): string {
    return `127.0.0.1:${port}`;
  }

  async addMember(id: NodeId): Promise<Member> {
    const folder = await mkdtemp(join(tmpdir(), 'clb-raft-'));
    const router = new UpgradeRouter(() => ({ ok: true }));
    const server = createServer();
    router.attach(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const member: Member = {
      id,
      folder,
      server,
      router,
      port,
      disk: { freeBytes: Infinity },
      machine: new WordMachine(),
      clusterId: 'test',
      versions: null,
      node: null,
      transport: null,
    };
    this.members.push(member);
    return member;
  }

  /** Opens and starts a member, with the state machine of a fresh process. */
  async open(
    member: Member,
    bootstrap = this.members.map(({ id }) => id),
    kv?: KvStore,
  ): Promise<RaftNode<string>> {
    member.machine = new WordMachine();
    const founders = this.members.filter(({ id }) => bootstrap.includes(id));
    const addresses = Object.fromEntries(founders.map((founder) => [founder.id, this.addressOf(founder)]));
    const peers = this.#byConfiguration ? [] : this.members;
    const transport = new HttpTransport({
      clusterId: member.clusterId,
      self: member.id,
      peers: new Map(peers.map(({ id, port }) => [id, { host: '127.0.0.1', port }])),
      router: member.router,
      token: null,
      timers: systemTimers,
      log: {
        info: () => undefined,
        warn: (line) => this.transportLines.push(`${member.id}: ${line}`),
        error: (line) => this.transportLines.push(`${member.id}: ${line}`),
      },
      ...(member.versions === null ? {} : { versions: member.versions }),
    });
    const node = await RaftNode.open<string>({
      id: member.id,
      clusterId: member.clusterId,
      bootstrap: {
        voters: bootstrap,
        learners: [],
        ...(this.#byConfiguration ? { addresses } : {}),
      },
      ...(this.addresses === null ? {} : { addresses: this.addresses }),
      newFolderId: () => randomBytes(8).toString('hex'),
      kv: kv ?? (await LevelKv.open(join(member.folder, 'raft'))),
      transport,
      machine: member.machine,
      timers: systemTimers,
      random: (bound) => Math.floor(Math.random() * bound),
      log: {
        info: (line) => this.#note(member, line),
        warn: (line) => this.#note(member, line),
        error: (line) => this.#note(member, line),
      },
      onFatal: (error) => this.fatal.push(error),
      onRemoved: () => this.removed.push(member.id),
      diskFreeBytes: () => {
        const { freeBytes } = member.disk;
        return typeof freeBytes === 'number' ? Promise.resolve(freeBytes) : freeBytes();
      },
      settings: this.#settings,
    });
    member.node = node;
    member.transport = transport;
    node.start();
    return node;
  }

  /** Crashed, and its disk lost. */
  async wipe(member: Member): Promise<void> {
    await this.crash(member);
    await rm(member.folder, { recursive: true, force: true });
    await mkdir(member.folder);
  }

  async crash(member: Member): Promise<void> {
    const { node } = member;
    member.node = null;
    await node?.crash();
  }

  /** An orderly end. */
  async stop(member: Member): Promise<void> {
    const { node } = member;
    member.node = null;
    await node?.stop();
  }

  #note(member: Member, line: string): void {
    this.lines.push(`${member.id}: ${line}`);
  }

  running(): (Member & { readonly node: RaftNode<string> })[] {
    return this.members.filter(
      (member): member is Member & { node: RaftNode<string> } => member.node !== null,
    );
  }

  /** The member that leads, once there is one that a majority follows. */
  async leader(): Promise<Member & { readonly node: RaftNode<string> }> {
    return until('a leader', () => {
      const leader = this.running().find(({ node }) => node.status().role === 'leader');
      if (leader === undefined) return undefined;
      const followers = this.running().filter(({ node }) => node.status().leader === leader.id);
      return followers.length * 2 > leader.node.status().config.voters.length ? leader : undefined;
    });
  }

  async close(): Promise<void> {
    for (const member of this.members) {
      await this.crash(member);
      member.server.close();
      await rm(member.folder, { recursive: true, force: true });
    }
    if (this.fatal.length > 0) throw new Error('a node failed', { cause: this.fatal[0] });
  }
}

/** Polls (the outside state of several nodes has no single event) until `probe` gives something. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = 15_000,
): Promise<T> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Proposes words at once, to the leader of this moment. */
export async function sayAll(cluster: TestCluster, words: readonly string[]): Promise<void> {
  const { node } = await cluster.leader();
  const results = await Promise.all(words.map((word) => node.propose(Buffer.from(word))));
  for (const result of results)
    if (result.kind !== 'applied') throw new Error(`a word ended as ${result.kind}`);
}

/** Proposes one word until it is applied, following the leader. */
export async function say(cluster: TestCluster, word: string): Promise<string> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const { node } = await cluster.leader();
    const result = await node.propose(Buffer.from(word));
    if (result.kind === 'applied') return result.result;
    if (result.kind === 'unknown') throw new Error(`outcome of ${word} unknown: ${result.reason}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nobody accepts ${word}`);
}
