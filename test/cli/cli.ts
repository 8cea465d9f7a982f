/** Runs `clb` as its users do: as a process of its own. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { FakeCluster } from '../sdk/fake-cluster.ts';
import { compileCli } from './compile.ts';

const LIMIT_MS = 30_000;
const compiled = await compileCli();
after(() => compiled.remove());

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly servers?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

export class RunningCli {
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;
  readonly #process: ChildProcessWithoutNullStreams;

  constructor(args: readonly string[], options: CliOptions) {
    this.#process = spawn(process.execPath, [compiled.main, ...args], {
      env: {
        ...process.env,
        NO_COLOR: '',
        CLB_TOKEN: '',
        CLB_SERVERS: (options.servers ?? []).join(','),
        ...options.env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#process.stdin.on('error', () => undefined);
    this.#process.stdin.end(options.stdin ?? '');
    this.#process.stdout.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.#process.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    const limit = setTimeout(() => this.#process.kill('SIGKILL'), LIMIT_MS);
    this.ended = new Promise((resolve) => {
      this.#process.on('close', (code, signal) => {
        clearTimeout(limit);
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** As `| head -1` does: takes no more. */
  closeStdout(): void {
    this.#process.stdout.destroy();
  }
}

export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  return new RunningCli(args, options);
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  return startCli(args, options).ended;
}

/** A cluster, and `clb` against it; both are ended with the file. */
export async function fakeApi(servers = 1): Promise<{
  readonly cluster: FakeCluster;
  readonly clb: (...args: string[]) => Promise<Ended>;
  readonly start: (args: readonly string[], options?: CliOptions) => RunningCli;
}> {
  const cluster = await FakeCluster.start(servers);
  after(() => cluster.stop());
  const start = (args: readonly string[], options: CliOptions = {}): RunningCli =>
    startCli(args, { servers: cluster.addresses, ...options });
  return { cluster, start, clb: (...args) => start(args).ended };
}

/** Makes every submitted task run and end at once. */
export function runAtOnce(
  cluster: FakeCluster,
  run: (id: string) => void = (id) => {
    cluster.write(id, 'stdout', 'hello\n');
    cluster.finish(id);
  },
): void {
  cluster.onSubmit = ({ id }) => {
    cluster.startTask(id);
    run(id);
  };
}

export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'clb-cli-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
