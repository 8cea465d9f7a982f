import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { createClientApp } from '../web/client-app.ts';
import type { ClientApp } from '../web/client-app.ts';
import { SentTasks } from '../web/client-store.ts';
import { NodeMetrics } from '../web/metrics.ts';
import { storageFault } from './faults.ts';
import { createGuard, formatAddress, HttpHost } from './http-host.ts';
import { createLines } from './lines.ts';
import type { NodeLines } from './lines.ts';
import type { ClientOptions } from './options.ts';
import type { EndOfLife, RunnableNode } from './process-life.ts';
import { VERSION } from './version.ts';

/** The page as `npm run build` leaves it, seen from this file, built or not. */
const UI_DIR = fileURLToPath(new URL('../../dist/web/ui', import.meta.url));

interface Serving {
  readonly sent: SentTasks;
  readonly app: ClientApp;
  readonly host: HttpHost;
}

/** What people open: the page, and the API passed on to the servers. Remembers what was sent through it. */
export class ClientNode implements RunnableNode {
  readonly #options: ClientOptions;
  readonly #log: Logger;
  readonly #life: EndOfLife;
  readonly #lines: NodeLines;
  readonly #metrics: NodeMetrics;
  readonly #guard: ReturnType<typeof createGuard>;
  #serving: Serving | null = null;

  constructor(options: ClientOptions, log: Logger, life: EndOfLife) {
    this.#options = options;
    this.#log = log;
    this.#life = life;
    this.#lines = createLines(options, options.databaseUrl, log);
    this.#metrics = new NodeMetrics({ id: options.id, version: VERSION });
    this.#guard = createGuard(options, []);
  }

  async start(): Promise<void> {
    const options = this.#options;
    const sent = await this.#openSent();
    const app = createClientApp({
      nodeId: options.id,
      version: VERSION,
      guard: this.#guard,
      port: options.port,
      servers: options.servers.map(formatAddress),
      token: options.token,
      databaseUrl: options.databaseUrl,
      lines: this.#lines.lines,
      writeLine: this.#lines.lines.write,
      sent,
      uiDir: UI_DIR,
      metrics: this.#metrics,
      log: this.#log,
    });
    const host = new HttpHost(options, this.#guard, app.handle, () => false);
    try {
      await host.listen();
    } catch (error) {
      await sent.close();
      throw error;
    }
    this.#metrics.start();
    app.start();
    this.#serving = { sent, app, host };
  }

  async stop(): Promise<void> {
    this.#metrics.stop();
    await this.#serving?.app.stop();
    this.#serving?.app.close();
    await this.#serving?.host.close();
    await this.#serving?.sent.close();
    await this.#lines.close();
  }

  async #openSent(): Promise<SentTasks> {
    const { dataDir } = this.#options;
    try {
      return await SentTasks.open(join(dataDir, 'sent'), {
        onFatal: (error) => this.#life.end(storageFault(error, dataDir)),
      });
    } catch (error) {
      throw storageFault(error, dataDir);
    }
  }
}
