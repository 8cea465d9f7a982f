/** Exit codes of the command line (docs/cli.md) and what an error says to the user. */
import { constants } from 'node:os';
import { CommanderError } from 'commander';
import type { TaskView } from '../api/tasks.ts';
import { AddressError } from '../sdk/address.ts';
import { ClbError, NoServerError } from '../sdk/errors.ts';

export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  noMaster: 4,
  timedOut: 124,
  /** Instead of 1, 3 and 4 where the code is otherwise the task's own. */
  clbFailed: 125,
  signalBase: 128,
  interrupted: 130,
  terminated: 143,
} as const;

/** Ends the command with this code; the message goes to stderr (an empty one: nothing more to say). */
export class CliError extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

export function usageError(message: string): CliError {
  return new CliError(EXIT.usage, message);
}

/** The code `run`, `wait` and `submit --wait` end with: the task's own. */
export function exitCodeOfTask(task: TaskView): number {
  switch (task.status) {
    case 'succeeded':
      return EXIT.ok;
    case 'timed_out':
      return EXIT.timedOut;
    case 'canceled':
      return EXIT.interrupted;
    case 'failed': {
      const signal = task.result?.signal ?? null;
      if (signal !== null) return EXIT.signalBase + signalNumber(signal);
      const code = task.result?.exitCode ?? null;
      // It never came to run a process (no such program, lost too often): that is not the task's doing.
      return code === null || code === 0 ? EXIT.clbFailed : code;
    }
    case 'scheduled':
    case 'queued':
    case 'assigned':
    case 'running':
      return EXIT.clbFailed;
  }
}

function signalNumber(name: string): number {
  const numbers: Readonly<Record<string, number | undefined>> = constants.signals;
  return numbers[name] ?? 0;
}

/** `ofTask`: the command passes a task's code on, so failures of CLB get a code of their own. */
export function exitCodeOfError(error: unknown, ofTask = false): number {
  const code = plainExitCode(error);
  const isClbs = code === EXIT.error || code === EXIT.notFound || code === EXIT.noMaster;
  return ofTask && isClbs ? EXIT.clbFailed : code;
}

function plainExitCode(error: unknown): number {
  if (error instanceof CliError) return error.exitCode;
  // Commander's own code for a usage error is 1; after --help and --version it throws with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof AddressError) return EXIT.usage;
  if (error instanceof ClbError) {
    switch (error.code) {
      case 'NOT_FOUND':
        return EXIT.notFound;
      case 'INVALID':
        return EXIT.usage;
      case 'NO_LEADER':
      case 'NO_QUORUM':
        return EXIT.noMaster;
      default:
        return error instanceof NoServerError && error.code !== 'QUEUE_FULL' ? EXIT.noMaster : EXIT.error;
    }
  }
  if (error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number')
    return error.exitCode;
  return EXIT.error;
}

/** What went wrong and what to do about it, one line each. */
export function explain(error: unknown): readonly string[] {
  // It has been said already.
  if (error instanceof CommanderError) return [];
  if (!(error instanceof Error)) return [String(error)];
  if (!(error instanceof ClbError)) return error.message === '' ? [] : [error.message];
  const lines = error instanceof NoServerError ? [noServerText(error)] : [error.message];
  const hint = hintOf(error);
  return hint === null ? lines : [...lines, hint];
}

function noServerText(error: NoServerError): string {
  const [headline = error.message] = error.message.split(' (');
  return [headline, ...error.servers.map(({ server, said }) => `  ${server}  ${said}`)].join('\n');
}

function hintOf(error: ClbError): string | null {
  switch (error.code) {
    case 'UNAUTHORIZED':
      return 'Give the token of the cluster with --token, --token-file or CLB_TOKEN.';
    case 'FORBIDDEN':
      return 'The node knows itself by other names; name it as it does, or start it with --allow-host NAME.';
    case 'NOT_FOUND':
      return 'An id may be shortened to 6 characters or more; `clb tasks` and `clb nodes` list what there is.';
    case 'NO_QUORUM':
      return 'Nothing is lost. It goes on as soon as a majority of the servers runs again; `clb raft` shows which do.';
    case 'NO_LEADER':
      return 'An election takes less than a second as a rule; `clb raft` shows who is there.';
    case 'STOPPED':
      return 'Start them again with `clb start NODE`.';
    case 'UNAVAILABLE':
      return 'Start a cluster with `clb up`, or name its servers with --server HOST:PORT,… (CLB_SERVERS).';
    case 'QUEUE_FULL':
      return 'Try again when some tasks are done; `clb tasks` shows how many wait.';
    case 'UNKNOWN_OUTCOME':
      return unknownHint(error);
    case 'INVALID':
    case 'CONFLICT':
    case 'TOO_LARGE':
    case 'INTERNAL':
      return null;
  }
}

function unknownHint(error: ClbError): string {
  const key = error instanceof NoServerError ? error.idempotencyKey : null;
  return key === null
    ? 'See with `clb tasks` what became of it before you repeat it.'
    : `Repeat it with --idempotency-key ${key}: that never makes a second task.`;
}
