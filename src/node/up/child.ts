import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { isSupervisedMessage } from '../faults.ts';
import type { FaultMessage } from '../faults.ts';
import type { LogFile } from './log-file.ts';
import type { PlannedNode } from './plan.ts';

const RESTART_MS_MIN = 1_000;
const RESTART_MS_MAX = 30_000;
/** A node that lived this long starts its next restart from the shortest delay again. */
const HEALTHY_MS = 60_000;

export interface ChildOptions {
  readonly node: PlannedNode;
  /** The interpreter's arguments and the script of `clb`, to which the node's own are added. */
  readonly command: readonly [program: string, ...args: string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: LogFile;
  /** A line of the node's stdout (`CONTAINER_ID,LINE`). */
  readonly onLine: (line: string) => void;
  /** One clear line about a problem. */
  readonly onProblem: (message: string) => void;
  readonly onReady: () => void;
  /** Its process is gone; it is started again, or everything ends. */
  readonly onDown: () => void;
  /** The node will not be started again: someone has to change something first. */
  readonly onGivenUp: (fault: FaultMessage) => void;
}

/** One node of `clb up`: starts its process, restarts it when it dies, stops it. */
export class Child {
  readonly #options: ChildOptions;
  #process: ChildProcess | null = null;
  #restartMs = RESTART_MS_MIN;
  #retired: string | null = null;
  #startedAt = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopping = false;
  #fault: FaultMessage | null = null;
  #ended: () => void = () => undefined;

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#options.node.id;
  }

  get kind(): PlannedNode['kind'] {
    return this.#options.node.kind;
  }

  start(): void {
    const { node, command, env } = this.#options;
    this.#fault = null;
    this.#startedAt = performance.now();
    const [program, ...args] = command;
    // A session of its own, so that Ctrl-C in the terminal reaches only `clb up`, which then ends the nodes in order.
    const child = spawn(program, [...args, ...node.args], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#process = child;
    child.on('message', (message) => this.#onMessage(message));
    child.on('error', (error) =>
      this.#options.onProblem(`${node.id} could not be started: ${error.message}`),
    );
    child.on('close', (code, signal) => this.#onClose(code, signal));
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', this.#options.onLine);
    if (child.stderr !== null)
      createInterface({ input: child.stderr }).on('line', (line) => this.#onStderr(line));
  }

  /** SIGTERM, and SIGKILL after `killAfterMs`. Resolves when the process is gone. */
  stop(killAfterMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const child = this.#process;
    if (child === null) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      this.#ended = () => {
        clearTimeout(timer);
        resolve();
      };
      child.kill('SIGTERM');
    });
  }

  #onMessage(message: unknown): void {
    if (!isSupervisedMessage(message)) return;
    if (message.kind === 'ready') this.#options.onReady();
    else if (message.kind === 'retired') this.#retired = message.message;
    else this.#fault = message;
  }

  #onStderr(line: string): void {
    this.#options.logFile.write(`${line}\n`);
    const warning = parseWarning(line);
    if (warning !== null) this.#options.onProblem(`${this.id}: ${warning}`);
  }

  #onClose(code: number | null, signal: NodeJS.Signals | null): void {
    this.#process = null;
    this.#options.onDown();
    if (this.#stopping) {
      this.#ended();
      return;
    }
    if (this.#fault !== null && !this.#fault.restart) {
      this.#options.onGivenUp(this.#fault);
      return;
    }
    if (this.#retired !== null) {
      this.#options.onProblem(`${this.id}: ${this.#retired}`);
      return;
    }
    if (performance.now() - this.#startedAt > HEALTHY_MS) this.#restartMs = RESTART_MS_MIN;
    const how = signal === null ? `with code ${code ?? '?'}` : `by ${signal}`;
    this.#options.onProblem(`${this.id} ended ${how}; starting it again in ${this.#restartMs / 1_000} s`);
    this.#timer = setTimeout(() => this.start(), this.#restartMs);
    this.#restartMs = Math.min(2 * this.#restartMs, RESTART_MS_MAX);
  }
}

/** The text of a pino line of level error or above; a line that is not JSON (a crash of the runtime) as it is. */
function parseWarning(line: string): string | null {
  if (!line.startsWith('{')) return line.trim() === '' ? null : line;
  try {
    const record: unknown = JSON.parse(line);
    if (typeof record !== 'object' || record === null) return null;
    const level = 'level' in record && typeof record.level === 'number' ? record.level : 0;
    const text = 'msg' in record && typeof record.msg === 'string' ? record.msg : '';
    return level >= 50 && text !== '' ? text : null;
  } catch {
    return line;
  }
}
