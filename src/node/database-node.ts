import { join } from 'node:path';
import type { Logger } from 'pino';
import { createDatabaseApp } from '../web/database-app.ts';
import { DatabaseStore } from '../web/database-store.ts';
import { NodeMetrics } from '../web/metrics.ts';
import type { WebApp } from '../web/server-app.ts';
import { storageFault } from './faults.ts';
import { createGuard, HttpHost } from './http-host.ts';
import type { DatabaseOptions } from './options.ts';
import type { EndOfLife, RunnableNode } from './process-life.ts';
import { VERSION } from './version.ts';

interface Serving {
  readonly store: DatabaseStore;
  readonly app: WebApp;
  readonly host: HttpHost;
}

/** Collects the log lines of all nodes. Nothing depends on it: while it is away the nodes buffer. */
export class DatabaseNode implements RunnableNode {
  readonly #options: DatabaseOptions;
  readonly #log: Logger;
  readonly #life: EndOfLife;
  readonly #metrics: NodeMetrics;
  readonly #guard: ReturnType<typeof createGuard>;
  #serving: Serving | null = null;

  constructor(options: DatabaseOptions, log: Logger, life: EndOfLife) {
    this.#options = options;
    this.#log = log;
    this.#life = life;
    this.#metrics = new NodeMetrics({ id: options.id, version: VERSION });
    this.#guard = createGuard(options, []);
  }

  async start(): Promise<void> {
    const options = this.#options;
    const store = await this.#openStore();
    const app = createDatabaseApp({
      nodeId: options.id,
      version: VERSION,
      guard: this.#guard,
      store,
      metrics: this.#metrics,
      log: this.#log,
    });
    const host = new HttpHost(options, this.#guard, app.handle, () => false);
    try {
      await host.listen();
    } catch (error) {
      await store.close();
      throw error;
    }
    this.#metrics.start();
    this.#serving = { store, app, host };
  }

  async stop(): Promise<void> {
    this.#metrics.stop();
    this.#serving?.app.close();
    await this.#serving?.host.close();
    await this.#serving?.store.close();
  }

  async #openStore(): Promise<DatabaseStore> {
    const { dataDir } = this.#options;
    try {
      return await DatabaseStore.open(join(dataDir, 'lines'), {
        onFatal: (error) => this.#life.end(storageFault(error, dataDir)),
      });
    } catch (error) {
      throw storageFault(error, dataDir);
    }
  }
}
