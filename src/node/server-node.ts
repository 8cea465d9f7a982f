import type { Logger } from 'pino';
import { LINES } from '../api/log.ts';
import { ConnectionCut } from '../net/connection-cut.ts';
import { NodeMetrics } from '../web/metrics.ts';
import { createServerApp } from '../web/server-app.ts';
import type { WebApp } from '../web/server-app.ts';
import { stopNodeByHttp } from '../web/stop-node.ts';
import type { NodeReach } from '../web/stop-node.ts';
import { NodeFault, Retirement, storageFault } from './faults.ts';
import { InjectedFaults } from './injected-faults.ts';
import { createGuard, formatAddress, HttpHost } from './http-host.ts';
import { createLines } from './lines.ts';
import type { NodeLines } from './lines.ts';
import type { ServerOptions } from './options.ts';
import type { EndOfLife, RunnableNode } from './process-life.ts';
import { ServerCore } from './server-core.ts';
import { stopControl } from './stop-control.ts';
import type { NodeStop } from './stop-control.ts';
import { VERSION } from './version.ts';

/** A Raft voter with its HTTP side and its own worker. */
export class ServerNode implements RunnableNode {
  readonly #options: ServerOptions;
  readonly #log: Logger;
  readonly #life: EndOfLife;
  readonly #lines: NodeLines;
  readonly #metrics: NodeMetrics;
  readonly #stop: NodeStop;
  readonly #app: WebApp;
  readonly #stopNode: NodeReach;
  readonly #cut: ConnectionCut;
  readonly #faults: InjectedFaults | null;
  readonly #host: HttpHost;
  #core: ServerCore | null = null;
  /** Ends what waits for others before this server can take part. */
  readonly #ending = new AbortController();

  /** @throws NodeFault where the options contradict themselves or each other */
  constructor(options: ServerOptions, log: Logger, life: EndOfLife) {
    checkPeers(options);
    this.#options = options;
    this.#log = log;
    this.#life = life;
    this.#lines = createLines(options, options.databaseUrl, log);
    this.#metrics = new NodeMetrics({ id: options.id, version: VERSION });
    const guard = createGuard(options, options.peers.map(formatAddress));
    this.#stop = stopControl({
      onStop: async () => {
        this.#lines.lines.write(LINES.crash);
        const core = this.#core;
        this.#core = null;
        await core?.crash();
      },
      onStart: async () => {
        await this.#startCore();
        this.#lines.lines.write(LINES.recovered);
      },
    });
    const peerAddresses = new Map(options.peers.map((peer) => [peer.id, formatAddress(peer)]));
    // Workers are known by the address they registered with; servers by their configured one.
    this.#stopNode = stopNodeByHttp(
      (id) =>
        peerAddresses.get(id) ?? this.#core?.cluster.nodes().find((node) => node.id === id)?.address ?? null,
      options.token,
    );
    const cut = new ConnectionCut();
    this.#cut = cut;
    this.#faults = options.faultInjection
      ? new InjectedFaults({ node: options.id, role: 'server', cut, writeLine: this.#lines.lines.write })
      : null;
    this.#app = createServerApp({
      nodeId: options.id,
      version: VERSION,
      guard,
      token: options.token,
      cluster: () => this.#core?.cluster ?? null,
      lines: this.#lines.lines,
      stop: options.faultInjection ? this.#stop : null,
      faults: this.#faults,
      stopNode: this.#stopNode.stopNode,
      injectFault: this.#stopNode.injectFault,
      metrics: this.#metrics,
      log,
    });
    this.#host = new HttpHost(options, guard, this.#app.handle, () => this.#stop.stopped, cut, log);
  }

  async start(): Promise<void> {
    await this.#host.listen();
    this.#metrics.start();
    await this.#startCore();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#core?.stop(() => {
      this.#core = null;
    });
    this.#metrics.stop();
    this.#app.close();
    this.#stopNode.close();
    await Promise.all([this.#host.close(), this.#lines.close()]);
  }

  async #startCore(): Promise<void> {
    const { dataDir } = this.#options;
    try {
      this.#core = await ServerCore.start({
        options: this.#options,
        log: this.#log,
        writeLine: this.#lines.lines.write,
        metrics: this.#metrics,
        upgrades: this.#host.upgrades,
        dial: this.#cut.dial,
        fault: this.#faults,
        signal: this.#ending.signal,
        onRemoved: () => this.#life.end(new Retirement(removedLine(this.#options.id))),
        onFatal: (error) => this.#life.end(storageFault(error, dataDir)),
      });
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      throw storageFault(error, dataDir);
    }
  }
}

function removedLine(id: string): string {
  return (
    `${id} was removed from the cluster: it gives back its tasks and ends, and must not be started again; ` +
    'to bring this machine back, use a new --id and an empty --data folder'
  );
}

function checkPeers(options: ServerOptions): void {
  const ids = options.peers.map((peer) => peer.id);
  if (options.join.length > 0) {
    if (ids.length > 0) {
      throw new NodeFault(
        'CONFIG',
        '--join and --peers exclude each other: a server that joins learns who the others are',
      );
    }
    return;
  }
  if (!ids.includes(options.id)) {
    throw new NodeFault(
      'CONFIG',
      `--peers names ${ids.join(', ') || 'nobody'}, but not this server, ${options.id}`,
    );
  }
  if (new Set(ids).size !== ids.length) throw new NodeFault('CONFIG', '--peers names a server twice');
  if (![1, 3, 5].includes(ids.length)) {
    throw new NodeFault('CONFIG', `--peers names ${ids.length} servers; a cluster has 1, 3 or 5`);
  }
}
