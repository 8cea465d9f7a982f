import { isIP, Socket } from 'node:net';
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ConnectionCut } from '../net/connection-cut.ts';
import { UpgradeRouter } from '../net/upgrade.ts';
import type { RaftLogger } from '../raft/raft-logger.ts';
import { systemTimers } from '../raft/timers.ts';
import { Complaints } from '../raft/transport/complaints.ts';
import { Guard, upgradeGuard } from '../web/guard.ts';
import { createHttpServer } from '../web/http-server.ts';
import type { Handle } from '../web/http-server.ts';
import { SessionStore } from '../web/sessions.ts';
import { NodeFault } from './faults.ts';
import type { HostPort, ListenOptions } from './options.ts';

/** Connections get this long to finish what they are about when the node ends. */
const CLOSE_MS = 1_000;

/** 127.0.0.0/8, ::1, localhost: only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** host:port under which others reach the node. */
export function advertised(options: ListenOptions): string {
  const address = options.advertise ?? { host: options.host, port: options.port };
  return formatAddress(address);
}

export function formatAddress(address: HostPort): string {
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/**
 * The guard of a node (contract §8).
 * @param peers names of other nodes: a request may have been meant for this one by any of them (a proxy, a port mapping)
 * @throws NodeFault if the node would be open to the network without anybody having said so
 */
export function createGuard(options: ListenOptions, peers: readonly string[]): Guard {
  if (!isLoopback(options.host) && options.token === null && !options.noToken) {
    throw new NodeFault(
      'CONFIG',
      `--host ${options.host} lets others reach this node, which runs commands for whoever asks: ` +
        'give a token (CLB_TOKEN or --token-file), or say --no-token if the network is private',
    );
  }
  return new Guard({
    token: options.token,
    names: [advertised(options), ...peers],
    allowHosts: options.allowHosts,
    sessions: options.token === null ? null : new SessionStore(options.id),
  });
}

/** The node's one port: HTTP, and the connections upgraded from it. */
export class HttpHost {
  readonly upgrades: UpgradeRouter;
  readonly #options: ListenOptions;
  readonly #server: Server;
  /** Upgraded connections among them, which node:http no longer counts as its own but still waits for. */
  readonly #sockets = new Set<Socket>();
  #isClosing = false;

  constructor(
    options: ListenOptions,
    guard: Guard,
    handle: Handle,
    stopped: () => boolean,
    cut: ConnectionCut | null = null,
    log: RaftLogger | null = null,
  ) {
    this.#options = options;
    this.#server = createHttpServer((req, res) => {
      // Who keeps a connection for one request after the other would keep this node from ending.
      if (this.#isClosing) res.setHeader('connection', 'close');
      handle(req, res);
    });
    if (log !== null) this.#tellBrokenRequests(log);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.upgrades = new UpgradeRouter(upgradeGuard(guard, stopped), (socket) => cut?.admit(socket) ?? true);
    this.upgrades.attach(this.#server);
  }

  /** What is no HTTP at all has been answered and closed (web/http-server.ts); somebody should look who sends it. */
  #tellBrokenRequests(log: RaftLogger): void {
    const complaints = new Complaints(log, systemTimers);
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
      if (error.code?.startsWith('HPE_') !== true) return;
      const from = socket instanceof Socket ? (socket.remoteAddress ?? 'somebody') : 'somebody';
      complaints.warn(`http: closed a connection from ${from}: this is not valid HTTP`);
    });
  }

  /** @throws NodeFault if the port can't be had. */
  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenFault(error, host, port)));
      this.#server.listen({ host, port, exclusive: true }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', () => undefined);
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, CLOSE_MS);
    await closed;
    clearTimeout(timer);
  }
}

function listenFault(error: NodeJS.ErrnoException, host: string, port: number): NodeFault {
  switch (error.code) {
    case 'EADDRINUSE':
      return new NodeFault(
        'PORT_IN_USE',
        `port ${port} on ${host} is in use by another program; free it or give another --port`,
        error,
      );
    case 'EACCES':
      return new NodeFault(
        'PORT_IN_USE',
        `port ${port} on ${host} needs more rights than this process has; give a --port above 1023`,
        error,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new NodeFault('CONFIG', `--host ${host} is not an address of this machine`, error);
    default:
      return new NodeFault('CONFIG', `can't listen on ${host}:${port}: ${error.message}`, error);
  }
}
