/** The commands that are a node: they run until they are told to end. */
import { Option, type Command } from 'commander';
import { LIMITS } from '../../api/limits.ts';
import type { HostPort, LeaderExecutes, PeerAddress } from '../../node/options.ts';
import { onRun, type Context } from '../context.ts';
import { usageError } from '../exit-code.ts';
import {
  collectHostPorts,
  collectPeers,
  parseDuration,
  parseNodeId,
  parsePath,
  parsePort,
  parseUrl,
  wholeNumber,
} from '../flags.ts';
import {
  addExecutorOptions,
  addListenOptions,
  executorOptions,
  listenOptions,
  type ExecutorFlags,
  type ListenFlags,
} from '../node-flags.ts';
import type { LoadNodeRuntime } from '../node-runtime.ts';

const CLIENT_PORT_DEFAULT = 3001;
const PORT_BASE_DEFAULT = 3000;
const WORKERS_MAX = 1_000;
/** Client, three servers, database. */
const NODES_BESIDE_WORKERS = 5;

export function addUp(program: Command, load: LoadNodeRuntime): void {
  const up = program
    .command('up')
    .summary('start everything on this machine')
    .description(
      'Start everything on this machine: web page, three servers, a worker and the database, each a process of its own. ' +
        'Ctrl-C ends them; what was accepted goes on at the next start. On a terminal it shows one live screen.',
    )
    .addOption(
      new Option('--data <dir>', 'folder for all that they keep')
        .argParser(parsePath)
        .default(parsePath('data'), './data'),
    )
    .option(
      '--port-base <n>',
      'the nodes listen on n+1, n+2, …',
      wholeNumber(0, 65_535 - NODES_BESIDE_WORKERS),
      PORT_BASE_DEFAULT,
    )
    .option('--workers <n>', 'workers beside the three servers', wholeNumber(0, WORKERS_MAX), 1)
    .option('--plain', 'plain lines on a terminal too, as in a pipe')
    .addHelpText(
      'after',
      `
Examples:
  clb up
  clb up --port-base 4000 --data /var/tmp/clb --workers 2`,
    );
  onRun(up, async (context, command) => {
    const flags = command.opts<UpFlags>();
    if (flags.portBase + NODES_BESIDE_WORKERS + flags.workers > 65_535) {
      throw usageError(`--port-base ${flags.portBase} leaves no ports for ${flags.workers} workers`);
    }
    const { runUp } = await load();
    await runUp({
      dataDir: flags.data,
      portBase: flags.portBase,
      workers: flags.workers,
      token: context.token,
      ...(showsScreen(context, flags) ? { screen: { color: context.terminal.color } } : {}),
    });
    return 0;
  });
}

interface UpFlags {
  readonly data: string;
  readonly portBase: number;
  readonly workers: number;
  readonly plain?: true;
}

/** A live screen where someone sits and looks; lines for whatever else reads. */
function showsScreen({ terminal }: Context, flags: UpFlags): boolean {
  const asksForLines = flags.plain === true || terminal.quiet || terminal.format !== 'table';
  return terminal.isInteractive && !asksForLines && process.env['TERM'] !== 'dumb';
}

interface ServerFlags extends ListenFlags, ExecutorFlags {
  readonly id: string;
  readonly peers?: readonly PeerAddress[];
  readonly leaderExecutes: LeaderExecutes;
  readonly join?: readonly HostPort[];
  readonly learner?: true;
  readonly clientPort: number;
  readonly queueLimit: number;
  readonly keepFor: number;
  readonly keepTasks: number;
}

export function addServer(program: Command, load: LoadNodeRuntime): void {
  const server = program
    .command('server')
    .summary('be one of the servers (a Raft voter)')
    .description('Be one of the servers: it votes, can be the master, and runs tasks.')
    .requiredOption('--id <id>', 'name of this node', parseNodeId)
    .option('--peers <id=host:port,…>', 'every server, this one included', collectPeers);
  addExecutorOptions(addListenOptions(server))
    .addOption(
      new Option('--leader-executes <when>', 'whether the master runs tasks itself')
        .choices(['fallback', 'always', 'never'])
        .default('fallback'),
    )
    .option('--join <host:port,…>', 'servers of a running cluster: be added to it', collectHostPorts)
    .option('--learner', 'with --join: have the log, but no vote')
    .option(
      '--queue-limit <n>',
      'tasks not yet done; beyond it submits are refused with 429',
      wholeNumber(1, LIMITS.queuedTasksMax),
      LIMITS.queuedTasksMax,
    )
    .addOption(
      new Option('--keep-for <duration>', 'how long finished tasks are kept')
        .argParser(parseDuration)
        .default(LIMITS.retentionMsDefault, '7d'),
    )
    .option(
      '--keep-tasks <n>',
      'how many finished tasks are kept at most',
      wholeNumber(0, LIMITS.retentionTasksMax),
      LIMITS.retentionTasksMax,
    )
    .option('--client-port <port>', 'port of the client node in log lines', parsePort, CLIENT_PORT_DEFAULT)
    .addHelpText(
      'after',
      `
Example (the first of three; the others with their own id, port and folder):
  clb server --id server1 --port 3002 --data data/server1 \\
      --peers server1=127.0.0.1:3002,server2=127.0.0.1:3004,server3=127.0.0.1:3005

One more, or one in the place of a lost one, while the others run:
  clb server --id server4 --port 3007 --data data/server4 --join 127.0.0.1:3002,127.0.0.1:3004`,
    );
  onRun(server, async (context, command) => {
    const flags = command.opts<ServerFlags>();
    const peers = checkedPeers(flags);
    const options = {
      ...listenOptions(context, flags.id, flags),
      ...executorOptions(flags),
      peers,
      leaderExecutes: flags.leaderExecutes,
      join: flags.join ?? [],
      learner: flags.learner ?? false,
      clientPort: flags.clientPort,
      queuedTasksMax: flags.queueLimit,
      retention: { ageMs: flags.keepFor, tasksMax: flags.keepTasks },
    };
    await (await load()).runServer(options);
    return 0;
  });
}

function checkedPeers(flags: ServerFlags): readonly PeerAddress[] {
  const peers = flags.peers ?? [];
  if (peers.length === 0 && flags.join === undefined) {
    throw usageError('give --peers (every server, this one included), or --join a running cluster');
  }
  if (peers.length > 0 && flags.join !== undefined) {
    throw usageError('give --peers or --join, not both: a server that joins learns who the others are');
  }
  if (flags.learner === true && flags.join === undefined) throw usageError('--learner goes with --join');
  if (peers.length > 0 && !peers.some(({ id }) => id === flags.id)) {
    throw usageError(
      `--peers must name this server too: ${flags.id} is not among ${peers.map(({ id }) => id).join(', ')}`,
    );
  }
  return peers;
}

interface WorkerFlags extends ListenFlags, ExecutorFlags {
  readonly id: string;
  readonly servers: readonly HostPort[];
}

export function addWorker(program: Command, load: LoadNodeRuntime): void {
  const worker = program
    .command('worker')
    .summary('be a worker: it runs tasks, without a vote')
    .description('Be a worker: it runs tasks, without a vote and without a log.')
    .requiredOption('--id <id>', 'name of this node', parseNodeId)
    .requiredOption('--servers <host:port,…>', 'servers of the cluster', collectHostPorts);
  addExecutorOptions(addListenOptions(worker)).addHelpText(
    'after',
    `
Example:
  clb worker --id worker1 --port 3006 --data data/worker1 --label gpu=yes \\
      --servers 127.0.0.1:3002,127.0.0.1:3004,127.0.0.1:3005`,
  );
  onRun(worker, async (context, command) => {
    const flags = command.opts<WorkerFlags>();
    const options = {
      ...listenOptions(context, flags.id, flags),
      ...executorOptions(flags),
      servers: flags.servers,
    };
    await (await load()).runWorker(options);
    return 0;
  });
}

interface ClientFlags extends ListenFlags {
  readonly id: string;
  readonly servers: readonly HostPort[];
  readonly database?: string;
}

export function addClient(program: Command, load: LoadNodeRuntime): void {
  const client = program
    .command('client')
    .summary('be the web page for people')
    .description('Be the web page for people: it passes on to the servers what the browser asks.')
    .option('--id <id>', 'name of this node', parseNodeId, 'client')
    .requiredOption('--servers <host:port,…>', 'servers of the cluster', collectHostPorts);
  addListenOptions(client)
    .option('--database <url>', 'database node that collects the log lines (http://HOST:PORT)', parseUrl)
    .addHelpText(
      'after',
      `
Example:
  clb client --port 3001 --data data/client --servers 127.0.0.1:3002,127.0.0.1:3004,127.0.0.1:3005`,
    );
  onRun(client, async (context, command) => {
    const flags = command.opts<ClientFlags>();
    const options = {
      ...listenOptions(context, flags.id, flags),
      servers: flags.servers,
      databaseUrl: flags.database ?? null,
    };
    await (await load()).runClient(options);
    return 0;
  });
}

export function addDatabase(program: Command, load: LoadNodeRuntime): void {
  const database = program
    .command('database')
    .summary("keep every node's log lines")
    .description("Collect every node's log lines and keep them. Tasks run without it too.")
    .option('--id <id>', 'name of this node', parseNodeId, 'database');
  addListenOptions(database).addHelpText(
    'after',
    '\nExample:\n  clb database --port 3003 --data data/database',
  );
  onRun(database, async (context, command) => {
    const flags = command.opts<ListenFlags & { readonly id: string }>();
    await (await load()).runDatabase(listenOptions(context, flags.id, flags));
    return 0;
  });
}
