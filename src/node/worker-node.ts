import type { Logger } from 'pino';
import { LINES } from '../api/log.ts';
import { ConnectionCut } from '../net/connection-cut.ts';
import { NodeMetrics } from '../web/metrics.ts';
import type { WebApp } from '../web/server-app.ts';
import { createWorkerApp } from '../web/worker-app.ts';
import { Worker } from '../worker/worker.ts';
import type { EndOfLife, RunnableNode } from './process-life.ts';
import { storageFault } from './faults.ts';
import { advertised, createGuard, formatAddress, HttpHost } from './http-host.ts';
import { createLines } from './lines.ts';
import { InjectedFaults } from './injected-faults.ts';
import type { NodeLines } from './lines.ts';
import type { WorkerOptions } from './options.ts';
import { stopControl } from './stop-control.ts';
import type { NodeStop } from './stop-control.ts';
import { VERSION } from './version.ts';

/** A node that only runs tasks. `/stop` crashes the worker inside and starts a new one on the same folder. */
export class WorkerNode implements RunnableNode {
  readonly #options: WorkerOptions;
  readonly #log: Logger;
  readonly #life: EndOfLife;
  readonly #lines: NodeLines;
  readonly #metrics: NodeMetrics;
  readonly #stop: NodeStop;
  readonly #cut: ConnectionCut;
  readonly #app: WebApp;
  readonly #host: HttpHost;
  #worker: Worker | null = null;

  constructor(options: WorkerOptions, log: Logger, life: EndOfLife) {
    this.#options = options;
    this.#log = log;
    this.#life = life;
    this.#lines = createLines(options, options.databaseUrl, log);
    this.#metrics = new NodeMetrics({ id: options.id, version: VERSION });
    const guard = createGuard(options, options.servers.map(formatAddress));
    this.#stop = stopControl({
      onStop: async () => {
        this.#lines.lines.write(LINES.crash);
        const worker = this.#worker;
        this.#worker = null;
        await worker?.crash();
      },
      onStart: async () => {
        await this.#startWorker();
        this.#lines.lines.write(LINES.recovered);
      },
    });
    this.#cut = new ConnectionCut();
    const { write: writeLine } = this.#lines.lines;
    const faults = options.faultInjection
      ? new InjectedFaults({ node: options.id, role: 'worker', cut: this.#cut, writeLine })
      : null;
    this.#app = createWorkerApp({
      nodeId: options.id,
      version: VERSION,
      guard,
      lines: this.#lines.lines,
      stop: options.faultInjection ? this.#stop : null,
      faults,
      metrics: this.#metrics,
      log,
      readiness: () => this.#readiness(),
      leader: () => this.#worker?.master ?? null,
    });
    this.#host = new HttpHost(options, guard, this.#app.handle, () => this.#stop.stopped, this.#cut);
  }

  async start(): Promise<void> {
    await this.#host.listen();
    this.#metrics.start();
    await this.#startWorker();
  }

  async stop(): Promise<void> {
    await this.#worker?.stop();
    this.#metrics.stop();
    this.#app.close();
    await Promise.all([this.#host.close(), this.#lines.close()]);
  }

  async #startWorker(): Promise<void> {
    const options = this.#options;
    const worker = new Worker({
      id: options.id,
      role: 'worker',
      address: advertised(options),
      servers: options.servers.map(formatAddress),
      slots: options.slots,
      labels: options.labels,
      dataDir: options.dataDir,
      token: options.token,
      clusterHeaders: {},
      connect: this.#cut.dial,
      writeLine: this.#lines.lines.write,
      log: this.#log,
      onFatal: (error) => this.#life.end(storageFault(error, options.dataDir)),
    });
    try {
      await worker.start();
    } catch (error) {
      throw storageFault(error, options.dataDir);
    }
    this.#worker = worker;
  }

  #readiness(): { readonly ready: boolean; readonly reason: string } {
    if (this.#worker === null) return { ready: false, reason: this.#stop.stopped ? 'stopped' : 'starting' };
    const { master } = this.#worker;
    return master === null
      ? { ready: false, reason: 'no master found yet' }
      : { ready: true, reason: `connected to the master, ${master}` };
  }
}
