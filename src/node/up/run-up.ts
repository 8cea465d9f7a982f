import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { NodeFault } from '../faults.ts';
import type { RunUp, UpOptions } from '../options.ts';
import { Child } from './child.ts';
import { LogFile } from './log-file.ts';
import { PlainOutput, type UpOutput } from './output.ts';
import { NODE_FLAGS, planNodes } from './plan.ts';
import type { PlannedNode } from './plan.ts';

/** A node told to end exits within 10 s (contract §2); this is when patience ends. */
const KILL_AFTER_MS = 10_500;

/** Everything on this machine, until told to end; every process it started ends with it. */
export const runUp: RunUp = async (options) => {
  const nodes = planNodes(options);
  await refuseTakenPorts(nodes);
  makeFolder(options.dataDir);

  const script = process.argv[1];
  if (script === undefined) throw new NodeFault('CONFIG', 'clb up must be started through its command');

  let stop: (reason: NodeFault | null) => void = () => undefined;
  const stopped = new Promise<NodeFault | null>((resolve) => {
    stop = resolve;
  });
  const output = await outputFor(options, nodes);
  const waiting = new Set(nodes.map((node) => node.id));
  const env = { ...process.env, ...(options.token === null ? {} : { CLB_TOKEN: options.token }) };
  const children = nodes.map((node) => {
    makeFolder(join(options.dataDir, node.id));
    return new Child({
      node,
      command: [process.execPath, ...NODE_FLAGS, ...process.execArgv, script],
      env,
      logFile: new LogFile(join(options.dataDir, node.id, 'node.log')),
      onLine: (line) => output.line(line),
      onProblem: (text) => output.problem(text),
      onReady: () => {
        output.nodeUp(node.id);
        if (waiting.delete(node.id) && waiting.size === 0) output.allUp();
      },
      onDown: () => output.nodeDown(node.id),
      onGivenUp: (fault) => stop(new NodeFault('STORAGE', `${node.id} cannot run: ${fault.message}`)),
    });
  });

  let signals = 0;
  const onSignal = (): void => {
    signals += 1;
    if (signals === 1) stop(null);
    else for (const child of children) void child.stop(0);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);

  output.start();
  for (const child of children) child.start();
  const fault = await stopped;
  if (fault === null) output.stopping();
  await stopAll(children);
  output.end();
  if (fault !== null) throw fault;
};

async function outputFor(options: UpOptions, nodes: readonly PlannedNode[]): Promise<UpOutput> {
  if (options.screen === undefined) return new PlainOutput(banner(options, nodes));
  // Only a screen asks the cluster.
  const { lookAtCluster } = await import('./cluster-look.ts');
  const { LiveScreen } = await import('./live-screen.ts');
  return new LiveScreen({
    dataDir: options.dataDir,
    nodes,
    color: options.screen.color,
    output: process.stdout,
    look: lookAtCluster(nodes, options.token),
  });
}

/** Workers and the client first, so that what they give back still finds a master; the database last, for their lines. */
async function stopAll(children: readonly Child[]): Promise<void> {
  const deadline = performance.now() + KILL_AFTER_MS;
  const left = (): number => Math.max(500, deadline - performance.now());
  for (const kinds of [['client', 'worker'], ['server'], ['database']]) {
    await Promise.all(
      children.filter((child) => kinds.includes(child.kind)).map((child) => child.stop(left())),
    );
  }
}

function banner(options: UpOptions, nodes: readonly PlannedNode[]): string {
  const at = (id: string): string => `http://127.0.0.1:${nodes.find((node) => node.id === id)?.port ?? 0}`;
  const servers = nodes.filter((node) => node.kind === 'server');
  const workers = nodes.filter((node) => node.kind === 'worker');
  return [
    '',
    'CLB is running.',
    `  Send payloads, watch results   ${at('client')}`,
    `  All nodes' log lines           ${at('database')}/logging`,
    ...[...servers, ...workers].map(
      (node) => `  ${node.id.padEnd(30)} ${at(node.id)}/logging  ${at(node.id)}/stop`,
    ),
    `  Data in ${options.dataDir}; Ctrl-C stops everything, nothing is lost.`,
    '',
  ].join('\n');
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new NodeFault(
      'CONFIG',
      `the data folder ${path} can't be made: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** One clear line for each taken port, before anything is started. */
async function refuseTakenPorts(nodes: readonly PlannedNode[]): Promise<void> {
  const taken = (
    await Promise.all(
      nodes.map(async (node) =>
        (await portIsFree(node.port)) ? null : `port ${node.port} (${node.id}) is in use`,
      ),
    )
  ).filter((line) => line !== null);
  if (taken.length === 0) return;
  throw new NodeFault(
    'PORT_IN_USE',
    `${taken.join('\n')}\nIs CLB running already? Free the port${taken.length > 1 ? 's' : ''}, or start with --port-base N (another N).`,
  );
}

function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
