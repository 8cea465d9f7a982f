/** How a payload is started: its environment, its command line, and what to tell a person when that fails. */
import { statSync } from 'node:fs';
import type { RunSpec } from '../../link/protocol.ts';
import type { AttemptFolder } from './attempt-store.ts';

/** For a script that does not say which (contract: `interpreter`, default python3). */
const DEFAULT_INTERPRETER = 'python3';
const FALLBACK_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface CommandLine {
  readonly program: string;
  readonly args: readonly string[];
}

export function commandLine(spec: RunSpec, folder: AttemptFolder): CommandLine {
  if (spec.command === null)
    return { program: spec.interpreter ?? DEFAULT_INTERPRETER, args: [folder.script] };
  const [program = '', ...args] = spec.command;
  return { program, args };
}

/**
 * Exactly what a payload sees: PATH and LANG as the node has them, HOME and TMPDIR in its own scratch folder, what it was
 * given, and its marker, which it can't change because its processes are found by it.
 */
export function payloadEnvironment(
  task: string,
  number: number,
  spec: RunSpec,
  folder: AttemptFolder,
): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? FALLBACK_PATH,
    LANG: process.env['LANG'] ?? 'C.UTF-8',
    HOME: folder.scratch,
    TMPDIR: folder.tmp,
    ...spec.env,
    CLB_TASK_ID: task,
    CLB_ATTEMPT: String(number),
  };
}

/** A sentence for a person: why the process could not be made. */
export function describeSpawnFailure(error: NodeJS.ErrnoException, spec: RunSpec, node: string): string {
  if (spec.cwd !== null) {
    const stat = statSync(spec.cwd, { throwIfNoEntry: false });
    if (stat === undefined) return `folder ${spec.cwd} (cwd) does not exist on ${node}`;
    if (!stat.isDirectory()) return `${spec.cwd} (cwd) is not a folder on ${node}`;
  }
  const isScript = spec.command === null;
  const program = isScript ? (spec.interpreter ?? DEFAULT_INTERPRETER) : (spec.command[0] ?? '');
  const what = isScript ? 'interpreter' : 'program';
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return `${what} ${program} not found on ${node}; install it there or give another one`;
    case 'EACCES':
      return spec.cwd === null
        ? `${what} ${program} on ${node} is not executable for the user that runs the node`
        : `${what} ${program} or folder ${spec.cwd} on ${node} is not open to the user that runs the node`;
    case 'ENOEXEC':
      return `${what} ${program} on ${node} is not a program (a script needs a #! line)`;
    case 'E2BIG':
      return `command line and environment are too long for ${node}; hand large input over as stdin`;
    default:
      return `${what} ${program} could not be started on ${node}: ${error.message}`;
  }
}
