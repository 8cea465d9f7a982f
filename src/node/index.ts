/** Composition: the only place that knows every part. Each function runs one node until the process is told to end. */
import { mkdirSync } from 'node:fs';
import type { Logger } from 'pino';
import { ClientNode } from './client-node.ts';
import { DatabaseNode } from './database-node.ts';
import { NodeFault } from './faults.ts';
import { createLogger } from './logger.ts';
import type { ListenOptions, RunClient, RunDatabase, RunServer, RunWorker } from './options.ts';
import { EndOfLife, runNode } from './process-life.ts';
import type { RunnableNode } from './process-life.ts';
import { ServerNode } from './server-node.ts';
import { WorkerNode } from './worker-node.ts';

export { auditFolders } from './offline-audit.ts';
export { recoverServer } from './recover-server.ts';
export { runUp } from './up/run-up.ts';

export const runServer: RunServer = (options) => run(options, ServerNode);
export const runWorker: RunWorker = (options) => run(options, WorkerNode);
export const runClient: RunClient = (options) => run(options, ClientNode);
export const runDatabase: RunDatabase = (options) => run(options, DatabaseNode);

type NodeClass<Options> = new (options: Options, log: Logger, life: EndOfLife) => RunnableNode;

async function run<Options extends ListenOptions>(options: Options, kind: NodeClass<Options>): Promise<void> {
  const log = createLogger(options.id);
  const life = new EndOfLife();
  await runNode(
    () => {
      makeDataFolder(options.dataDir);
      return new kind(options, log, life);
    },
    life,
    log,
  );
}

/** Only for this user: it holds what tasks were given and what they said. */
function makeDataFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new NodeFault(
      'CONFIG',
      `the data folder ${path} can't be made: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}
