import type { AuditFolders } from '../node/offline-audit.ts';
import type { RecoverServer } from '../node/recover-server.ts';
import type { RunClient, RunDatabase, RunServer, RunUp, RunWorker } from '../node/options.ts';

/** What src/node exports: each runs until the process is told to end. */
export interface NodeRuntime {
  readonly runServer: RunServer;
  readonly runWorker: RunWorker;
  readonly runClient: RunClient;
  readonly runDatabase: RunDatabase;
  readonly runUp: RunUp;
  readonly auditFolders: AuditFolders;
  readonly recoverServer: RecoverServer;
}

/** Loaded only by the commands that start a node: it brings everything with it, LevelDB too. */
export type LoadNodeRuntime = () => Promise<NodeRuntime>;
