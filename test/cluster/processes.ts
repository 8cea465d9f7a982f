/**
 * A real cluster for tests: every node is a process of its own (the built `bin/clb.js`), with real disks and sockets.
 * Nodes can be killed, stopped in order, frozen and started again one by one.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { NodeView, RaftView } from '../../src/api/views.ts';
import type { TaskPage, TaskView } from '../../src/api/tasks.ts';
import { NODE_FLAGS, planNodes } from '../../src/node/up/plan.ts';
import type { PlannedNode } from '../../src/node/up/plan.ts';

export const CLB = resolve(import.meta.dirname, '../../bin/clb.js');

/** Polls something outside (another process) until it holds. `what` is named when time runs out. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== null && value !== undefined && value !== false) return value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: lastError });
    }
    await new Promise((wake) => setTimeout(wake, 25));
  }
}

/** A base such that base+1 … base+count are free now. */
export async function freePortBase(count: number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const base = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await Promise.all(Array.from({ length: count }, (_, i) => portIsFree(base + 1 + i)));
    if (free.every(Boolean)) return base;
  }
  throw new Error('no free ports');
}

function portIsFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const probe = createServer();
    probe.once('error', () => done(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => done(true)));
  });
}

export interface HttpAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** Ports beside those of the plan, for servers that join later. */
const SPARE_PORTS = 6;

export interface ProcessClusterOptions {
  readonly workers?: number;
  /** Voters of the first configuration, without client and database (default: the plan of `clb up`, three). */
  readonly servers?: number;
  /** Only these nodes (default: all six). */
  readonly only?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Path of the program that a node is started from, by its id; {@link CLB} otherwise. */
  readonly program?: (id: string) => string;
  /** Arguments for node itself (profiles). */
  readonly execArgv?: readonly string[];
  /** How a node is started otherwise than planned. */
  readonly change?: (node: PlannedNode) => PlannedNode;
  /** Words before the command of a node, by id (`ip netns exec NAME`). */
  readonly prefix?: Readonly<Record<string, readonly string[]>>;
  /** Where a node is reached, by id; 127.0.0.1 otherwise. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** Extra arguments by node kind. */
  readonly extraArgs?: Partial<Record<PlannedNode['kind'], readonly string[]>>;
}

interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
}

export class ProcessCluster {
  readonly folder: string;
  readonly portBase: number;
  readonly nodes: PlannedNode[];
  readonly #options: ProcessClusterOptions;
  readonly #running = new Map<string, Running>();

  private constructor(
    folder: string,
    portBase: number,
    nodes: PlannedNode[],
    options: ProcessClusterOptions,
  ) {
    this.folder = folder;
    this.portBase = portBase;
    this.nodes = nodes;
    this.#options = options;
  }

  /** Starts every node and waits until a master leads and all nodes that run tasks are ready. */
  static async start(options: ProcessClusterOptions = {}): Promise<ProcessCluster> {
    const cluster = await ProcessCluster.prepare(options);
    try {
      for (const node of cluster.nodes) cluster.startNode(node.id);
      await cluster.whenReady();
    } catch (error) {
      // Nobody else has it yet who could.
      await cluster.destroy();
      throw error;
    }
    return cluster;
  }

  /** Folders and ports only; nothing runs yet. */
  static async prepare(options: ProcessClusterOptions = {}): Promise<ProcessCluster> {
    const workers = options.workers ?? 1;
    const folder = mkdtempSync(join(tmpdir(), 'clb-cluster-'));
    const portBase = await freePortBase(6 + workers + SPARE_PORTS);
    const plan =
      options.servers === undefined
        ? planNodes({ dataDir: folder, portBase, workers, token: null })
        : serversOnly(folder, portBase, options.servers);
    const nodes = plan
      .filter((node) => options.only === undefined || options.only.includes(node.id))
      .map((node) => options.change?.(node) ?? node);
    return new ProcessCluster(folder, portBase, nodes, options);
  }

  /** Plans a further server, which joins the others; at most {@link SPARE_PORTS} of them. Start it by {@link startNode}. */
  planJoin(id: string, through: readonly string[]): void {
    const port = Math.max(this.portBase + 6, ...this.nodes.map((node) => node.port)) + 1;
    const servers = through.map((server) => `127.0.0.1:${this.node(server).port}`).join(',');
    const args = ['server', '--id', id, '--port', String(port), '--data', join(this.folder, id)];
    this.nodes.push({ id, kind: 'server', port, args: [...args, '--join', servers] });
  }

  startNode(id: string): void {
    const node = this.node(id);
    if (this.#running.has(id)) throw new Error(`${id} runs already`);
    mkdirSync(join(this.folder, id), { recursive: true });
    const log = createWriteStream(join(this.folder, `${id}.log`), { flags: 'a' });
    const [program, ...words] = [...(this.#options.prefix?.[id] ?? []), process.execPath];
    const child = spawn(
      program,
      [
        ...words,
        ...NODE_FLAGS,
        ...(this.#options.execArgv ?? []),
        this.#options.program?.(id) ?? CLB,
        ...node.args,
        ...(this.#options.extraArgs?.[node.kind] ?? []),
      ],
      {
        env: { ...process.env, CLB_TOKEN: '', ...this.#options.env },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      },
    );
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    const ended = new Promise<void>((done) => {
      child.on('close', () => {
        if (this.#running.get(id)?.process === child) this.#running.delete(id);
        log.end();
        done();
      });
    });
    this.#running.set(id, { process: child, ended });
  }

  /** Sends a signal; for SIGKILL and SIGTERM resolves when the process is gone. */
  async signal(id: string, signal: NodeJS.Signals): Promise<void> {
    const running = this.#running.get(id);
    if (running === undefined) throw new Error(`${id} does not run`);
    running.process.kill(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await running.ended;
  }

  /** kill -9 of the node's process and of its launcher, as when the machine loses power (a guard may live on for a moment). */
  async killWithLauncher(id: string): Promise<void> {
    const launchers = launcherPids(join(this.folder, id));
    await Promise.all([
      this.isRunning(id) ? this.signal(id, 'SIGKILL') : Promise.resolve(),
      ...launchers.map((pid) => {
        process.kill(pid, 'SIGKILL');
        return Promise.resolve();
      }),
    ]);
  }

  /** Resolves when the node's process has ended, by itself or because it was told to. */
  async whenEnded(id: string): Promise<void> {
    await this.#running.get(id)?.ended;
  }

  isRunning(id: string): boolean {
    return this.#running.has(id);
  }

  pid(id: string): number {
    const pid = this.#running.get(id)?.process.pid;
    if (pid === undefined) throw new Error(`${id} does not run`);
    return pid;
  }

  node(id: string): PlannedNode {
    const node = this.nodes.find((planned) => planned.id === id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  url(id: string, path = ''): string {
    return `http://${this.#options.hosts?.[id] ?? '127.0.0.1'}:${this.node(id).port}${path}`;
  }

  /** host:port of every server, for the sdk and the CLI. */
  get servers(): readonly string[] {
    return this.nodes.filter((node) => node.kind === 'server').map((node) => `127.0.0.1:${node.port}`);
  }

  get serverIds(): readonly string[] {
    return this.nodes.filter((node) => node.kind === 'server').map((node) => node.id);
  }

  async request<T>(
    id: string,
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<HttpAnswer<T>> {
    const response = await fetch(this.url(id, path), {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    const isJson = (response.headers.get('content-type') ?? '').includes('json');
    return {
      status: response.status,
      headers: response.headers,
      body: (isJson ? JSON.parse(text) : text) as T,
    };
  }

  async get<T>(id: string, path: string): Promise<T> {
    const answer = await this.request<T>(id, 'GET', path);
    if (answer.status !== 200)
      throw new Error(`GET ${path} of ${id}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Asks any running node until one answers; for reading when some are down. */
  async getAny<T>(path: string): Promise<T> {
    const errors: unknown[] = [];
    for (const id of this.serverIds) {
      try {
        return await this.get<T>(id, path);
      } catch (error) {
        errors.push(error);
      }
    }
    throw new AggregateError(errors, `no server answered GET ${path}`);
  }

  /** Id of the master as at least a majority of those who answer see it. */
  async master(): Promise<string> {
    return eventually('a master', async () => {
      for (const id of this.serverIds) {
        const view = await this.raft(id).catch(() => null);
        if (view !== null && view.role === 'leader') return id;
      }
      return null;
    });
  }

  raft(id: string): Promise<RaftView> {
    return this.get<RaftView>(id, '/v1/raft');
  }

  async whenReady(
    expectNodes = this.nodes.filter((node) => node.kind === 'server' || node.kind === 'worker').length,
  ): Promise<void> {
    await eventually(
      'a master and all nodes ready',
      async () => {
        const { nodes } = await this.getAny<{ nodes: readonly NodeView[] }>('/v1/nodes');
        return nodes.filter((node) => node.status === 'ready').length >= expectNodes;
      },
      120_000,
    );
    for (const node of this.nodes) {
      await eventually(
        `${node.id} serves`,
        async () => (await this.request(node.id, 'GET', '/healthz')).status === 200,
      );
    }
  }

  /** Every task, page by page. */
  async allTasks(): Promise<readonly TaskView[]> {
    const tasks: TaskView[] = [];
    let cursor: string | null = null;
    do {
      const page: TaskPage = await this.getAny<TaskPage>(
        `/v1/tasks?limit=1000${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      tasks.push(...page.tasks);
      cursor = page.nextCursor;
    } while (cursor !== null);
    return tasks;
  }

  /** What the node printed (stdout and stderr), for messages and asserts. */
  output(id: string): string {
    try {
      return readFileSync(join(this.folder, `${id}.log`), 'utf8');
    } catch {
      return '';
    }
  }

  /** Kills everything that is left and removes the folder. */
  async destroy(): Promise<void> {
    for (const [id, running] of this.#running) {
      running.process.kill('SIGCONT');
      running.process.kill('SIGKILL');
      await running.ended;
      this.#running.delete(id);
    }
    await killAndRemove(this.folder);
  }
}

/** Servers and nothing else, all of the first configuration. */
function serversOnly(folder: string, portBase: number, count: number): PlannedNode[] {
  const ids = Array.from({ length: count }, (_, n) => `server${n + 1}`);
  const peers = ids.map((id, n) => `${id}=127.0.0.1:${portBase + 1 + n}`).join(',');
  return ids.map((id, n) => {
    const port = portBase + 1 + n;
    const args = ['server', '--id', id, '--port', String(port), '--data', join(folder, id), '--peers', peers];
    return { id, kind: 'server', port, args };
  });
}

/** Processes (launchers) that have the node's data folder among their arguments, by the process table. */
export function launcherPids(dataDir: string): number[] {
  return processesMatching(
    (commandLine) => /launcher.main\.[jt]s/.test(commandLine) && commandLine.split(' ').includes(dataDir),
  );
}

/**
 * Kills every process that names the folder in its command line, and removes the folder once they are gone: a file that one
 * of them writes in between would make it fail.
 */
export async function killAndRemove(folder: string): Promise<void> {
  await eventually(`the end of all processes of ${folder}`, () => {
    const pids = processesMatching((commandLine) => commandLine.includes(folder));
    for (const pid of pids) killIfThere(pid);
    return pids.length === 0;
  });
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}

/** Pids whose command line matches; Linux only. */
export function processesMatching(matches: (commandLine: string) => boolean): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const commandLine = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (commandLine !== '' && matches(commandLine)) found.push(Number(name));
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}
