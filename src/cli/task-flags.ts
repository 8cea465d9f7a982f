/** The flags of `submit` and `run`, and the task they make. */
import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { LIMITS } from '../api/limits.ts';
import type { TaskRequest } from '../api/tasks.ts';
import type { Clb } from '../sdk/client.ts';
import { usageError } from './exit-code.ts';
import { inputFiles } from './input-files.ts';
import {
  collectList,
  collectExitCodes,
  collectPairs,
  collectTexts,
  durationWithin,
  parseCores,
  parseMemory,
  parseNodeFolder,
  textUpTo,
  wholeNumber,
  type StringMap,
} from './flags.ts';

export interface TaskFlags {
  readonly file?: string;
  readonly interpreter?: string;
  readonly name?: string;
  readonly env?: StringMap;
  readonly cwd?: string;
  readonly stdin?: true;
  readonly timeout?: number;
  readonly after?: readonly string[];
  readonly onDisconnect?: 'pause' | 'stop' | 'continue';
  readonly maxAttempts?: number;
  readonly backoff?: number;
  readonly priority?: number;
  readonly cpu?: number;
  readonly memory?: number;
  readonly label?: StringMap;
  readonly constraint?: StringMap;
  readonly delay?: number;
  readonly withFile?: readonly string[];
  readonly collect?: readonly string[];
  readonly giveUpOn?: readonly number[];
  readonly idempotencyKey?: string;
}

export function addTaskOptions(command: Command): Command {
  return command
    .argument('[command...]', 'program and arguments, after --')
    .option('-f, --file <file>', 'script to run (- reads it from stdin)')
    .option('--interpreter <bin>', 'what runs the script (default: python3)', textUpTo(LIMITS.pathCharsMax))
    .option('--name <name>', 'name shown in lists', textUpTo(LIMITS.nameCharsMax))
    .option('--env <key=value>', 'variable for the task (repeatable)', collectPairs)
    .option('--cwd <dir>', 'folder on the node to run in (default: a fresh one)', parseNodeFolder)
    .option('--stdin', 'pass stdin of this command on to the task')
    .option(
      '--timeout <duration>',
      'end it after this running time (60s, 5m)',
      durationWithin(1, LIMITS.timeoutMsMax),
    )
    .option('--after <id>', 'only after this task has succeeded (repeatable)', collectList)
    .addOption(
      new Option('--on-disconnect <what>', 'when its node loses the master').choices([
        'pause',
        'stop',
        'continue',
      ]),
    )
    .option('--max-attempts <n>', 'attempts if it fails (default: 1)', wholeNumber(1, LIMITS.maxAttemptsMax))
    .option(
      '--backoff <duration>',
      'pause before the next attempt (default: 1s)',
      durationWithin(0, LIMITS.backoffMsMax),
    )
    .option('--priority <n>', '0 to 100, higher runs first (default: 50)', wholeNumber(0, 100))
    .option('--cpu <n>', 'cores to reserve', parseCores)
    .option('--memory <size>', 'memory to reserve (256M, 2G)', parseMemory)
    .option('--label <key=value>', 'label of the task (repeatable)', collectPairs)
    .option('--constraint <key=value>', 'label the node must have (repeatable)', collectPairs)
    .option(
      '--delay <duration>',
      'start no earlier than so long from now',
      durationWithin(0, LIMITS.delayMsMax),
    )
    .option(
      '--with-file <file>',
      'put a file or folder, or NAME=FILE, into its working folder (repeatable)',
      collectTexts,
    )
    .option('--collect <glob>', 'keep these files of its working folder (repeatable)', collectTexts)
    .option('--give-up-on <code>', 'exit code that is never tried again (repeatable)', collectExitCodes)
    .option(
      '--idempotency-key <key>',
      'the same key never makes a second task',
      textUpTo(LIMITS.idempotencyKeyCharsMax),
    );
}

/** @throws CliError (usage) where flags contradict each other or a file can't be read. */
export function taskRequest(flags: TaskFlags, words: readonly string[]): TaskRequest {
  if (flags.file !== undefined && words.length > 0) {
    throw usageError('give a script (-f FILE) or a command (-- COMMAND ARG…), not both');
  }
  if (flags.file === undefined && words.length === 0) {
    throw usageError('nothing to run: give a script (-f FILE) or a command (-- COMMAND ARG…)');
  }
  if (flags.file === '-' && flags.stdin === true) {
    throw usageError('stdin can be the script (-f -) or the input of the task (--stdin), not both');
  }
  if (flags.interpreter !== undefined && flags.file === undefined) {
    throw usageError('--interpreter goes with a script (-f FILE)');
  }
  return {
    ...given({
      script: flags.file === undefined ? undefined : readScript(flags.file),
      command: words.length === 0 ? undefined : [...words],
      interpreter: flags.interpreter,
      stdin: flags.stdin === true ? readText(0, 'stdin') : undefined,
    }),
    ...commonFields(flags),
  };
}

/**
 * What the flags say of every task of a batch.
 * @throws CliError (usage) for flags that name what its lines name.
 */
export async function batchDefaults(
  flags: TaskFlags,
  context: { readonly clb: () => Promise<Clb> },
): Promise<TaskRequest> {
  const single = [
    [flags.file, '-f'],
    [flags.interpreter, '--interpreter'],
    [flags.stdin, '--stdin'],
  ].find(([value]) => value !== undefined);
  if (single !== undefined) throw usageError(`${String(single[1])} does not go with --batch`);
  const after =
    flags.after === undefined ? {} : { after: await resolveAfter(await context.clb(), flags.after) };
  return { ...commonFields(flags), ...after };
}

function commonFields(flags: TaskFlags): TaskRequest {
  return given({
    name: flags.name,
    env: flags.env,
    cwd: flags.cwd,
    timeoutMs: flags.timeout,
    maxAttempts: flags.maxAttempts,
    backoffMs: flags.backoff,
    priority: flags.priority,
    cpu: flags.cpu,
    memoryMb: flags.memory,
    labels: flags.label,
    constraints: flags.constraint,
    delayMs: flags.delay,
    onDisconnect: flags.onDisconnect,
    files: flags.withFile === undefined ? undefined : [...inputFiles(flags.withFile)],
    noRetryExitCodes: flags.giveUpOn === undefined ? undefined : [...flags.giveUpOn],
    collect: flags.collect === undefined ? undefined : [...flags.collect],
  });
}

type Optional<T> = { readonly [K in keyof T]: T[K] | undefined };

/** Without the fields that were not given: the cluster's defaults are its own. */
function given(fields: Partial<Optional<TaskRequest>>): TaskRequest {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** `after` wants full ids; on the command line a prefix will do. */
export async function resolveAfter(clb: Clb, ids: readonly string[]): Promise<string[]> {
  return Promise.all(ids.map(async (id) => (await clb.get(id)).id));
}

function readScript(file: string): string {
  const script = file === '-' ? readText(0, 'stdin') : readText(file, file);
  if (script === '') throw usageError(`${file === '-' ? 'stdin' : file} is empty: no script to run`);
  return script;
}

/** @throws CliError (usage) where it can't be read or is not UTF-8. */
export function readText(source: string | number, what: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(source);
  } catch (error) {
    throw usageError(`can't read ${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw usageError(`${what} is not UTF-8 text`);
  }
}
