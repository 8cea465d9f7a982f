/** The HTTP side of a server: the API, and the pages every node has. docs/http-api.md describes it from outside. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cluster } from '../api/cluster.ts';
import type { LogLines } from '../api/log.ts';
import type { WebLog } from './answers.ts';
import { mountClusterRoutes } from './cluster-routes.ts';
import { mountPeerRoutes } from './peer-routes.ts';
import { mountScheduleRoutes } from './schedule-routes.ts';
import type { InjectFault, StopNode } from './cluster-routes.ts';
import type { FaultControl } from './fault-routes.ts';
import { pathOf } from './guard.ts';
import type { Guard } from './guard.ts';
import { mountHome } from './home.ts';
import { memoryLogSource } from './log-source.ts';
import { MasterGate, starting } from './master-gate.ts';
import type { NodeMetrics } from './metrics.ts';
import { mountOpenApi } from './openapi/routes.ts';
import { WebShell } from './shell.ts';
import type { RouteName } from './shell.ts';
import type { StopControl } from './stop.ts';
import { BATCH_PATH, submitBatch, submitOne, SUBMIT_PATH } from './submit.ts';
import { mountTaskRoutes } from './task-routes.ts';

export interface ServerAppOptions {
  readonly nodeId: string;
  readonly version: string;
  readonly guard: Guard;
  /** For what is forwarded to the master; null: none is needed. */
  readonly token: string | null;
  /** The server as it is now; null while it is stopped or being built. */
  readonly cluster: () => Cluster | null;
  readonly lines: LogLines;
  /** null: fault injection is off. */
  readonly stop: StopControl | null;
  readonly faults?: FaultControl | null;
  readonly stopNode: StopNode | null;
  readonly injectFault?: InjectFault | null;
  readonly metrics: NodeMetrics;
  readonly log: WebLog;
}

export interface WebApp {
  /** For createHttpServer. Answers everything, whatever comes; never throws. */
  readonly handle: (req: IncomingMessage, res: ServerResponse) => void;
  /** Lets go of connections to other nodes. */
  readonly close: () => void;
}

export interface ServerApp extends WebApp {
  /** Those that were mounted. */
  readonly routes: readonly RouteName[];
}

export function createServerApp(options: ServerAppOptions): ServerApp {
  const { nodeId, cluster } = options;
  const shell = new WebShell({
    nodeId,
    role: 'server',
    version: options.version,
    guard: options.guard,
    logs: memoryLogSource(options.lines),
    stop: options.stop,
    faults: options.faults ?? null,
    metrics: options.metrics,
    log: options.log,
    cluster,
    identity: () => {
      const now = cluster();
      return { node: nodeId, leader: now?.leader()?.id ?? null, index: now?.appliedIndex() ?? 0 };
    },
    readiness: () => cluster()?.ready() ?? { ready: false, reason: 'starting' },
  });
  const gate = new MasterGate({ cluster, nodeId, token: options.token });
  const local = (): Cluster => {
    const now = cluster();
    if (now === null) throw starting();
    return now;
  };
  // express costs more than the whole submit: the routes that carry the load are answered ahead of it.
  const submit = { gate, bodies: shell.bodies, answers: shell.answers };
  const hot = [SUBMIT_PATH, BATCH_PATH].map((path) => ({ method: 'post', path }) as const);
  shell.hot(hot, (req, res) => {
    if (req.method !== 'POST') return null;
    const path = pathOf(req);
    if (path === SUBMIT_PATH) return submitOne(submit, req, res);
    return path === BATCH_PATH ? submitBatch(submit, req, res) : null;
  });
  const mayFault = options.stop !== null;
  const deps = {
    ...{ shell, gate, local, nodeId, faults: options.faults ?? null },
    stopNode: mayFault ? options.stopNode : null,
    injectFault: mayFault ? (options.injectFault ?? null) : null,
  };
  mountTaskRoutes(deps);
  mountClusterRoutes(deps);
  mountPeerRoutes(deps);
  mountScheduleRoutes(deps);
  mountOpenApi(shell, options.version);
  const links = ['/logging', '/v1/tasks', '/v1/nodes', '/v1/queue', '/v1/raft', '/v1/docs'];
  mountHome(shell, { nodeId, role: 'server', links });
  return { handle: shell.handle, close: () => gate.close(), routes: shell.routes };
}
