/** Flags that the commands starting a node have in common. */
import { InvalidArgumentError, type Command } from 'commander';
import type { ExecutorOptions, HostPort, ListenOptions } from '../node/options.ts';
import type { Context } from './context.ts';
import { usageError } from './exit-code.ts';
import {
  collectList,
  collectPairs,
  parseHostPort,
  parsePath,
  parsePort,
  parseUrl,
  wholeNumber,
  type StringMap,
} from './flags.ts';

const HOST_DEFAULT = '127.0.0.1';
const SLOTS_MAX = 10_000;
const CONTAINER_NUMBER_MAX = 1_000_000;

export interface ListenFlags {
  readonly port: number;
  readonly data: string;
  readonly host: string;
  readonly advertise?: HostPort;
  readonly allowHost?: readonly string[];
  readonly containerNumber?: number;
  /** Of `--no-token`: false where given. */
  readonly token: boolean;
}

export interface ExecutorFlags {
  readonly database?: string;
  readonly slots?: number;
  readonly label?: StringMap;
  readonly faultInjection?: true;
}

export function addListenOptions(command: Command): Command {
  return command
    .requiredOption('--port <port>', 'port to listen on', parsePort)
    .requiredOption('--data <dir>', 'folder for all that this node keeps', parsePath)
    .option('--host <host>', 'address to bind', parseHost, HOST_DEFAULT)
    .option('--advertise <host:port>', 'where others reach this node (default: as bound)', parseHostPort)
    .option('--allow-host <name>', 'further name accepted in Host headers (repeatable)', collectList)
    .option('--no-token', 'go without a token where none is given, although other machines can reach it')
    .option(
      '--container-number <n>',
      'number in the log lines (default: goes with the id)',
      wholeNumber(1, CONTAINER_NUMBER_MAX),
    );
}

export function addExecutorOptions(command: Command): Command {
  return command
    .option('--database <url>', 'database node that collects the log lines (http://HOST:PORT)', parseUrl)
    .option('--slots <n>', 'tasks at a time (default: the CPUs it may use)', wholeNumber(0, SLOTS_MAX))
    .option('--label <key=value>', 'label that tasks may ask for (repeatable)', collectPairs)
    .option('--fault-injection', 'serve /stop, the simulated crash');
}

function parseHost(text: string): string {
  if (/^[A-Za-z0-9._:-]+$/.test(text)) return text;
  throw new InvalidArgumentError('An address or host name is wanted.');
}

/** @throws CliError (usage) where others could reach a node that runs commands for anyone. */
export function listenOptions(context: Context, id: string, flags: ListenFlags): ListenOptions {
  const noToken = !flags.token;
  if (!isLoopback(flags.host) && context.token === null && !noToken) {
    throw usageError(
      `--host ${flags.host} lets other machines in, and whoever gets in runs commands here: give a token ` +
        '(CLB_TOKEN or --token-file), or say --no-token if the network is closed',
    );
  }
  return {
    id,
    port: flags.port,
    host: flags.host,
    advertise: flags.advertise ?? null,
    dataDir: flags.data,
    // A token that is given counts in any case: compose says --no-token for those who set none.
    token: context.token,
    noToken: noToken && context.token === null,
    allowHosts: flags.allowHost ?? [],
    containerNumber: flags.containerNumber ?? null,
  };
}

export function executorOptions(flags: ExecutorFlags): ExecutorOptions {
  return {
    databaseUrl: flags.database ?? null,
    slots: flags.slots ?? null,
    labels: flags.label ?? {},
    faultInjection: flags.faultInjection ?? false,
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
