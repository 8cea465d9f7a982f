import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import type { Dial } from '../../net/connection-cut.ts';
import { dialUpgrade } from '../../net/upgrade.ts';
import type { UpgradeRouter } from '../../net/upgrade.ts';
import { isMember } from '../core/configuration.ts';
import type { Configuration, Message, NodeId } from '../core/types.ts';
import type { RaftLogger } from '../raft-logger.ts';
import type { Timers } from '../timers.ts';
import { Complaints } from './complaints.ts';
import { InboundConnection, refuseInbound } from './inbound-connection.ts';
import { PeerConnection } from './peer-connection.ts';
import { probePeer } from './probe.ts';
import {
  HEADER_CLUSTER,
  HEADER_FOLDER,
  HEADER_NODE,
  HEADER_TARGET,
  HEADER_TARGET_FOLDER,
  parsePeerAddress,
  RAFT_PROTOCOL,
  REFUSAL_FOLDER,
  REFUSAL_REMOVED,
  TRANSPORT_DEFAULTS,
} from './transport-settings.ts';
import type { PeerAddress, TransportSettings } from './transport-settings.ts';
import type { RaftTransport } from './transport.ts';
import {
  commonVersion,
  describeVersions,
  PROTOCOL_VERSIONS,
  versionHeaders,
  versionsOf,
} from './versions.ts';
import type { VersionRange } from './versions.ts';

export interface HttpTransportOptions {
  readonly clusterId: string;
  readonly self: NodeId;
  /**
   * Where peers are dialed by the word of whoever started this server: it counts for more than what the configuration says.
   * Others come by the configuration, or by {@link HttpTransport.setPeer}.
   */
  readonly peers: ReadonlyMap<NodeId, PeerAddress>;
  /** Accepts the peers' connections. Its guard checks the token. */
  readonly router: UpgradeRouter;
  /** Sent as bearer token when dialing. */
  readonly token: string | null;
  readonly timers: Timers;
  readonly log: RaftLogger;
  readonly settings?: Partial<TransportSettings>;
  /** What it speaks; something else than this program's only in tests. */
  readonly versions?: VersionRange;
  /** Opens connections to peers; left out: {@link dialUpgrade}. */
  readonly dial?: Dial;
}

/** A connection on which a peer sends, and the name of its data folder, if it has one. */
interface Inbound {
  readonly connection: InboundConnection;
  readonly folder: string | null;
}

/**
 * Messages between servers over connections upgraded from HTTP, on the port each server already has: one per ordered
 * pair, dialed by the sender.
 */
export class HttpTransport implements RaftTransport {
  onMessage: ((message: Message) => void) | null = null;
  onPeerLost: ((peer: NodeId) => void) | null = null;
  onRemoved: ((by: NodeId) => void) | null = null;
  folder: string | null = null;
  folderOf: ((peer: NodeId) => string | null) | null = null;
  onFolder: ((peer: NodeId, folder: string) => Promise<boolean>) | null = null;
  onFolderRefused: ((by: NodeId) => void) | null = null;
  readonly #options: HttpTransportOptions;
  readonly #settings: TransportSettings;
  readonly #addresses: Map<NodeId, PeerAddress>;
  readonly #outbound = new Map<NodeId, PeerConnection>();
  readonly #inbound = new Map<NodeId, Inbound>();
  readonly #heardAtMs = new Map<NodeId, number>();
  readonly #complaints: Complaints;
  readonly #versions: VersionRange;
  /** The newest version each peer spoke when it last dialed, and the own one. */
  readonly #newestOf: Map<NodeId, number>;
  /** Members of old: turned away. */
  #removed: ReadonlySet<NodeId> = new Set();
  #stopAccepting: (() => void) | null = null;
  #cancelPing: (() => void) | null = null;
  #closed = false;

  constructor(options: HttpTransportOptions) {
    this.#options = options;
    this.#settings = { ...TRANSPORT_DEFAULTS, ...options.settings };
    this.#complaints = new Complaints(options.log, options.timers);
    this.#versions = options.versions ?? PROTOCOL_VERSIONS;
    this.#newestOf = new Map([[options.self, this.#versions.newest]]);
    this.#addresses = new Map(options.peers);
    this.#addresses.delete(options.self);
  }

  start(): void {
    this.#stopAccepting = this.#options.router.handle(RAFT_PROTOCOL, (socket, headers) =>
      this.#accept(socket, headers),
    );
    for (const [peer, address] of this.#addresses) this.#connect(peer, address);
    this.#schedulePing();
  }

  send(to: NodeId, message: Message): void {
    this.#outbound.get(to)?.send(message);
  }

  /** Adds a peer, moves it to another address, or (null) forgets it. */
  setPeer(peer: NodeId, address: PeerAddress | null): void {
    if (peer === this.#options.self || this.#closed) return;
    const known = this.#addresses.get(peer);
    if (address === null) this.#inbound.get(peer)?.connection.close();
    if (known?.host === address?.host && known?.port === address?.port) return;
    this.#outbound.get(peer)?.close();
    this.#outbound.delete(peer);
    if (address === null) {
      this.#addresses.delete(peer);
      return;
    }
    this.#addresses.set(peer, address);
    if (this.#stopAccepting !== null) this.#connect(peer, address);
  }

  configured(config: Configuration, isCommitted: boolean): void {
    if (this.#closed) return;
    const { self, peers } = this.#options;
    for (const peer of [...config.voters, ...config.learners]) {
      const text = config.addresses?.[peer];
      const address = peers.get(peer) ?? (text === undefined ? null : parsePeerAddress(text));
      if (address !== null) this.setPeer(peer, address);
    }
    for (const [peer, { folder }] of this.#inbound) {
      if (folder !== null) void this.#ifKnownBy(peer, folder, () => undefined);
    }
    // One that has not joined yet knows nobody by the log, but those it was told of.
    if (!isCommitted || config.voters.length === 0) return;
    this.#removed = new Set(config.removed);
    for (const peer of [...this.#addresses.keys(), ...this.#inbound.keys()]) {
      // Who was removed itself may hear from the others why.
      if (!isMember(config, peer) && isMember(config, self)) this.setPeer(peer, null);
    }
  }

  probe(peer: NodeId, address: string): Promise<string | null> {
    const parsed = parsePeerAddress(address);
    if (parsed === null) return Promise.resolve(`${JSON.stringify(address)} is not HOST:PORT`);
    return probePeer({
      headers: this.#headersFor(peer),
      address: parsed,
      timeoutMs: this.#settings.dialTimeoutMs,
    });
  }

  lastContactMs(): ReadonlyMap<NodeId, number | null> {
    const now = this.#options.timers.nowMs();
    const contacts = new Map<NodeId, number | null>();
    for (const peer of this.#addresses.keys()) {
      const heardAtMs = this.#heardAtMs.get(peer);
      contacts.set(peer, heardAtMs === undefined ? null : now - heardAtMs);
    }
    return contacts;
  }

  newestVersions(): ReadonlyMap<NodeId, number> {
    return this.#newestOf;
  }

  close(): Promise<void> {
    this.#closed = true;
    this.onMessage = null;
    this.onPeerLost = null;
    this.onRemoved = null;
    this.folderOf = null;
    this.onFolder = null;
    this.onFolderRefused = null;
    this.#stopAccepting?.();
    this.#cancelPing?.();
    for (const connection of this.#outbound.values()) connection.close();
    for (const { connection } of this.#inbound.values()) connection.close();
    this.#outbound.clear();
    this.#inbound.clear();
    return Promise.resolve();
  }

  #connect(peer: NodeId, address: PeerAddress): void {
    const { timers, log } = this.#options;
    const connection = new PeerConnection({
      peer,
      address,
      headers: () => this.#headersFor(peer),
      settings: this.#settings,
      timers,
      log,
      dial: this.#options.dial ?? dialUpgrade,
      onHeard: () => this.#heard(peer),
      onLost: () => this.onPeerLost?.(peer),
      onRefused: (reason) => {
        if (reason === REFUSAL_REMOVED) this.onRemoved?.(peer);
        if (reason === REFUSAL_FOLDER) this.onFolderRefused?.(peer);
      },
    });
    this.#outbound.set(peer, connection);
    connection.start();
  }

  #headersFor(peer: NodeId): Readonly<Record<string, string>> {
    const { clusterId, self, token } = this.#options;
    const expected = this.folderOf?.(peer) ?? null;
    return {
      [HEADER_CLUSTER]: clusterId,
      [HEADER_NODE]: self,
      [HEADER_TARGET]: peer,
      ...versionHeaders(this.#versions),
      ...(this.folder === null ? {} : { [HEADER_FOLDER]: this.folder }),
      ...(expected === null ? {} : { [HEADER_TARGET_FOLDER]: expected }),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    };
  }

  #accept(socket: Socket, headers: IncomingHttpHeaders): void {
    const refusal = this.#refusal(headers);
    const peer = String(headers[HEADER_NODE] ?? '') as NodeId;
    if (refusal !== null) {
      this.#refuse(socket, peer, refusal);
      return;
    }
    const expected = headers[HEADER_TARGET_FOLDER];
    if (this.folder !== null && expected !== undefined && expected !== this.folder) {
      this.#refuse(socket, peer, `it looks for ${this.#options.self} with another data folder than this one`);
      // A member's word counts, a stranger's does not: it may not end this server.
      if (this.#addresses.has(peer)) this.onFolderRefused?.(peer);
      return;
    }
    const folder = headers[HEADER_FOLDER];
    if (typeof folder !== 'string' || this.onFolder === null) this.#admit(socket, headers, peer, null);
    else void this.#ifKnownBy(peer, folder, () => this.#admit(socket, headers, peer, folder), socket);
  }

  #refuse(socket: Socket, peer: NodeId, refusal: string): void {
    this.#complaints.warn(`raft: refused a connection from ${JSON.stringify(peer)}: ${refusal}`);
    refuseInbound(socket, refusal, this.#options.timers);
  }

  /** Goes on with a peer that may be talked to; else refuses `socket`, or closes what there is. */
  async #ifKnownBy(peer: NodeId, folder: string, goOn: () => void, socket?: Socket): Promise<void> {
    let isKnown: boolean | undefined;
    try {
      isKnown = await this.onFolder?.(peer, folder);
    } catch {
      // The node ends: it says why.
    }
    if (this.#closed || isKnown === undefined || socket?.destroyed === true) socket?.destroy();
    else if (isKnown) goOn();
    else if (socket === undefined) this.#inbound.get(peer)?.connection.close();
    else this.#refuse(socket, peer, REFUSAL_FOLDER);
  }

  #admit(socket: Socket, headers: IncomingHttpHeaders, peer: NodeId, folder: string | null): void {
    const { self } = this.#options;
    this.#newestOf.set(peer, versionsOf(headers)?.newest ?? this.#versions.oldest);
    // A second one from the same peer is its new one; the old one may be half dead.
    this.#inbound.get(peer)?.connection.close();
    const connection: InboundConnection = new InboundConnection({
      socket,
      peer,
      self,
      frameBytesMax: this.#settings.frameBytesMax,
      onMessage: (message) => this.onMessage?.(message),
      onHeard: () => this.#heard(peer),
      onClosed: (fault) => {
        if (fault !== null) this.#complaints.warn(`raft: closed the connection from ${peer}: ${fault}`);
        if (this.#inbound.get(peer)?.connection !== connection) return;
        this.#inbound.delete(peer);
        if (this.#addresses.has(peer)) return;
        // Whoever dials can take a name: nothing is remembered of those that are not known here.
        this.#newestOf.delete(peer);
        this.#heardAtMs.delete(peer);
      },
    });
    this.#inbound.set(peer, { connection, folder });
  }

  /** Why a connection can't be accepted; null if it can. */
  #refusal(headers: IncomingHttpHeaders): string | null {
    const { clusterId, self } = this.#options;
    const versions = versionsOf(headers);
    if (versions === null) return 'it does not say which versions of the protocol it speaks';
    if (commonVersion(versions, this.#versions) === null) {
      return (
        `it speaks ${describeVersions(versions)} of the protocol, this server ${describeVersions(this.#versions)}: ` +
        'upgrade one version after the other (docs/operations.md)'
      );
    }
    const cluster = headers[HEADER_CLUSTER];
    if (cluster !== clusterId) return `it is of cluster ${String(cluster)}, this server of ${clusterId}`;
    const target = headers[HEADER_TARGET];
    if (target !== self) return `it looks for ${String(target)}, this is ${self}: check the peers' addresses`;
    const node = headers[HEADER_NODE];
    if (typeof node !== 'string' || node === '') return 'it does not say who it is';
    if (this.#removed.has(node as NodeId)) return REFUSAL_REMOVED;
    if (this.#isCrowdedFor(node as NodeId)) {
      return `there are ${this.#settings.strangersMax} connections of servers that are not known here already`;
    }
    if (node === self) return `it calls itself ${self}, as this server does: ids must be unique`;
    return null;
  }

  /** Known peers always get in; of others, such as one that is about to join, so many. */
  #isCrowdedFor(node: NodeId): boolean {
    if (this.#addresses.has(node) || this.#inbound.has(node)) return false;
    let strangers = 0;
    for (const peer of this.#inbound.keys()) if (!this.#addresses.has(peer)) strangers += 1;
    return strangers >= this.#settings.strangersMax;
  }

  #heard(peer: NodeId): void {
    this.#heardAtMs.set(peer, this.#options.timers.nowMs());
  }

  /** A peer that was heard a moment ago on whichever connection needs no question: each costs two machines a wake-up. */
  #test(peer: NodeId, connection: PeerConnection): void {
    const { pingEveryMs } = this.#settings;
    const silentMs = this.#options.timers.nowMs() - (this.#heardAtMs.get(peer) ?? -Infinity);
    if (silentMs < pingEveryMs) connection.spare();
    else connection.ping();
  }

  #schedulePing(): void {
    this.#cancelPing = this.#options.timers.after(this.#settings.pingEveryMs, () => {
      for (const [peer, connection] of this.#outbound) this.#test(peer, connection);
      for (const { connection } of this.#inbound.values()) connection.age();
      this.#schedulePing();
    });
  }
}
