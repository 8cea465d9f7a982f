/** Makes the process of an attempt, with its pipes. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { RunSpec } from '../../link/protocol.ts';
import type { AttemptFolder } from './attempt-store.ts';
import type { AttemptGroups } from './attempt-groups.ts';
import { Capture } from './capture.ts';
import type { FifoPool, OpenFifo } from './fifo-pool.ts';
import { commandLine, payloadEnvironment } from './payload.ts';
import type { ProcessTree, TreeRoot } from './process-tree.ts';

export const PAYLOAD = {
  /** Payloads yield to everything else on the machine: a voter must not starve. */
  niceness: 10,
  /** Should memory run out, the kernel kills a payload rather than a node (0 to 1000). */
  oomScoreAdj: 300,
} as const;

/** A process that runs. */
export interface Payload {
  readonly root: TreeRoot;
  readonly streams: Readonly<
    Record<'stdout' | 'stderr', { readonly fifo: OpenFifo; readonly capture: Capture }>
  >;
}

export interface PayloadEvents {
  /** The system refused to make the process. */
  readonly onFailed: (error: NodeJS.ErrnoException) => void;
  readonly onExit: (code: number | null, signal: NodeJS.Signals | null) => void;
}

/** As handed to a payload; `stdin` null: /dev/null. */
interface Pipes {
  readonly stdin: number | null;
  readonly stdout: OpenFifo;
  readonly stderr: OpenFifo;
}

/**
 * Starts it in a session and process group of its own, with everything it needs from `folder`. Returns null if the system
 * refused, which onFailed tells later. @throws refusals that Node throws instead (an argument too long, no more pipes).
 */
export function spawnPayload(
  task: string,
  number: number,
  spec: RunSpec,
  folder: AttemptFolder,
  context: {
    readonly fifos: FifoPool;
    readonly tree: ProcessTree;
    readonly groups: AttemptGroups | null;
  },
  events: PayloadEvents,
): Payload | null {
  const { program, args } = commandLine(spec, folder);
  const pipes = openPipes(context.fifos, spec.stdin === null ? null : folder.stdin);
  let child: ChildProcess;
  try {
    child = spawn(program, args, {
      cwd: spec.cwd ?? folder.scratch,
      env: payloadEnvironment(task, number, spec, folder),
      detached: true, // setsid
      stdio: [pipes.stdin ?? 'ignore', pipes.stdout.writeFd, pipes.stderr.writeFd],
    });
  } catch (error) {
    closePipes(context.fifos, pipes);
    throw error;
  }
  if (child.pid === undefined) {
    closePipes(context.fifos, pipes);
    child.once('error', events.onFailed);
    return null;
  }
  const group = context.groups?.create(`${task}.${number}`, spec.memoryMb) ?? null;
  const root: TreeRoot = { pid: child.pid, task, number, group };
  group?.join(child.pid);
  yieldToOthers(root, context.tree);
  closePayloadEnds(pipes);
  child.once('exit', events.onExit);
  const { stdout, stderr } = pipes;
  return {
    root,
    streams: {
      stdout: { fifo: stdout, capture: new Capture(stdout.readFd, folder.stdout) },
      stderr: { fifo: stderr, capture: new Capture(stderr.readFd, folder.stderr) },
    },
  };
}

function openPipes(fifos: FifoPool, stdinFile: string | null): Pipes {
  const stdin = stdinFile === null ? null : openSync(stdinFile, 'r');
  let stdout: OpenFifo | null = null;
  try {
    stdout = fifos.open();
    return { stdin, stdout, stderr: fifos.open() };
  } catch (error) {
    if (stdin !== null) closeSync(stdin);
    if (stdout !== null) {
      closeSync(stdout.readFd);
      closeSync(stdout.writeFd);
      fifos.giveBack(stdout.path);
    }
    throw error;
  }
}

function closePipes(fifos: FifoPool, pipes: Pipes): void {
  closePayloadEnds(pipes);
  for (const { path, readFd } of [pipes.stdout, pipes.stderr]) {
    closeSync(readFd);
    fifos.giveBack(path);
  }
}

/** The payload has its own copies. */
function closePayloadEnds(pipes: Pipes): void {
  if (pipes.stdin !== null) closeSync(pipes.stdin);
  closeSync(pipes.stdout.writeFd);
  closeSync(pipes.stderr.writeFd);
}

/**
 * Lower priority, first choice of the kernel when memory runs out, and its control group. Children inherit all of it; those
 * it had before its own were set are looked for. None is worth failing for.
 */
function yieldToOthers(root: TreeRoot, tree: ProcessTree): void {
  const done = new Set<number>();
  let found: readonly number[] = [root.pid];
  try {
    while (found.length > 0) {
      for (const pid of found) {
        done.add(pid);
        if (pid !== root.pid) root.group?.join(pid);
        setPriority(pid, PAYLOAD.niceness);
        if (process.platform === 'linux') {
          writeFileSync(`/proc/${pid}/oom_score_adj`, String(PAYLOAD.oomScoreAdj));
        }
      }
      found = tree.early(root).filter((pid) => !done.has(pid));
    }
  } catch {
    // Refused by a sandbox, or the process is over already.
  }
}
