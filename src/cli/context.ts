/** What every command has: the global options, the terminal, the client. */
import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import type { Clb } from '../sdk/client.ts';
import type { ReadOptions } from '../sdk/options.ts';
import { NoServerError } from '../sdk/errors.ts';
import { CliError, EXIT, usageError } from './exit-code.ts';
import { collectList } from './flags.ts';
import { Terminal, wantsColor, type Format } from './terminal.ts';

interface GlobalFlags {
  readonly server?: readonly string[];
  readonly token?: string;
  readonly tokenFile?: string;
  readonly output: Format;
  readonly quiet?: true;
  readonly color: boolean;
}

export interface Context {
  readonly terminal: Terminal;
  readonly token: string | null;
  /** The client, loaded when first needed: axios takes longer to load than most commands to parse. */
  readonly clb: () => Promise<Clb>;
}

export function addGlobalOptions(program: Command): void {
  program
    .addOption(
      new Option(
        '--server <host:port,…>',
        'servers of the cluster, any of them will do (default: those of `clb up`)',
      )
        .env('CLB_SERVERS')
        .argParser<readonly string[]>(collectList),
    )
    .addOption(new Option('--token <token>', 'token of the cluster').env('CLB_TOKEN'))
    .option('--token-file <file>', 'file with the token of the cluster')
    .addOption(
      new Option('-o, --output <format>', 'form of the data on stdout')
        .choices(['table', 'json', 'jsonl'])
        .default('table'),
    )
    .option('-q, --quiet', 'ids only, no messages')
    .option('--no-color', 'no colors (also NO_COLOR)');
}

/** Makes the command's function get its context; what it returns is the exit code (nothing: 0). */
export function onRun(
  command: Command,
  run: (context: Context, command: Command) => Promise<number | undefined>,
): void {
  command.action(async () => {
    try {
      process.exitCode = (await run(contextOf(command), command)) ?? 0;
    } catch (error) {
      if (!(error instanceof CliError) || error.exitCode !== EXIT.usage) throw error;
      throw new CliError(EXIT.usage, `${error.message}\nSee \`${wordsOf(command)} --help\`.`, {
        cause: error,
      });
    }
  });
}

/** What is typed to get to it: `clb raft log`. */
function wordsOf(command: Command): string {
  return command.parent === null ? command.name() : `${wordsOf(command.parent)} ${command.name()}`;
}

function contextOf(command: Command): Context {
  const root = rootOf(command);
  const flags = root.opts<GlobalFlags>();
  let client: Promise<Clb> | null = null;
  const token = tokenOf(flags);
  return {
    terminal: new Terminal({
      format: flags.output,
      quiet: flags.quiet ?? false,
      color: wantsColor(flags.color, process.env, process.stdout.isTTY),
    }),
    token,
    clb: () => (client ??= loadClient(flags.server, token)),
  };
}

async function loadClient(servers: readonly string[] | undefined, token: string | null): Promise<Clb> {
  const { Clb } = await import('../sdk/clb.ts');
  return new Clb({
    ...(servers === undefined || servers.length === 0 ? {} : { servers }),
    ...(token === null ? {} : { token }),
  });
}

function rootOf(command: Command): Command {
  let root = command;
  while (root.parent !== null) root = root.parent;
  return root;
}

/** A variable set to nothing means no token, as compose files do it. */
function tokenOf(flags: GlobalFlags): string | null {
  const given = flags.token?.trim() ?? '';
  const token = flags.tokenFile === undefined ? given : readTokenFile(flags.tokenFile);
  // It goes into a header: anything else would only fail later, and less clearly.
  if (/[^\x21-\x7e]/.test(token))
    throw usageError('the token must consist of printable ASCII without blanks');
  return token === '' ? null : token;
}

function readTokenFile(path: string): string {
  let token: string;
  try {
    token = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw usageError(`--token-file: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (token === '') throw usageError(`--token-file: ${path} is empty`);
  return token;
}

/**
 * Reads with a majority's word; where there is none, what some server has, and says so: it may be out of date.
 */
export async function readOrStale<T>(
  context: Context,
  read: (options: ReadOptions) => Promise<T>,
): Promise<T> {
  try {
    return await read({});
  } catch (error) {
    const noMajority =
      error instanceof NoServerError && (error.code === 'NO_QUORUM' || error.code === 'NO_LEADER');
    if (!noMajority) throw error;
    const value = await read({ stale: true });
    context.terminal.warn(
      'no majority of the servers can be reached: this is what one of them has, and may be out of date',
    );
    return value;
  }
}
