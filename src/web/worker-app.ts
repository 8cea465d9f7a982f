import type { LogLines } from '../api/log.ts';
import type { WebLog } from './answers.ts';
import type { FaultControl } from './fault-routes.ts';
import type { Guard } from './guard.ts';
import { mountHome } from './home.ts';
import { memoryLogSource } from './log-source.ts';
import type { NodeMetrics } from './metrics.ts';
import type { WebApp } from './server-app.ts';
import { WebShell } from './shell.ts';
import type { Readiness } from './shell.ts';
import type { StopControl } from './stop.ts';

export interface WorkerAppOptions {
  readonly nodeId: string;
  readonly version: string;
  readonly guard: Guard;
  readonly lines: LogLines;
  /** null: fault injection is off. */
  readonly stop: StopControl | null;
  readonly faults?: FaultControl | null;
  readonly metrics: NodeMetrics;
  readonly log: WebLog;
  /** Connected to a master. */
  readonly readiness: () => Readiness;
  /** Id of the master the worker is connected to, as far as it knows. */
  readonly leader: () => string | null;
}

/** The HTTP side of a worker: it has no API of its own, the servers speak for it. */
export function createWorkerApp(options: WorkerAppOptions): WebApp {
  const { nodeId } = options;
  const shell = new WebShell({
    nodeId,
    role: 'worker',
    version: options.version,
    guard: options.guard,
    logs: memoryLogSource(options.lines),
    stop: options.stop,
    faults: options.faults ?? null,
    metrics: options.metrics,
    log: options.log,
    cluster: () => null,
    identity: () => ({ node: nodeId, leader: options.leader(), index: 0 }),
    readiness: options.readiness,
  });
  mountHome(shell, { nodeId, role: 'worker', links: ['/logging'] });
  return { handle: shell.handle, close: () => undefined };
}
