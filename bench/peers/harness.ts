/**
 * What the benchmarks of the peers share around their measurements: options, a temporary folder with the processes of the
 * peer in it, and where a peer's client library comes from.
 */
import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** Where to find a program, if it is missing. */
const DEBIAN_PACKAGES: Readonly<Record<string, string>> = {
  etcd: 'etcd-server',
  'nats-server': 'nats-server',
  'redis-server': 'redis-server',
};

/** The numbers given on the command line as `--name 4`, with these names and defaults; and `--dir`, the folder for data. */
export function readOptions<Name extends string>(
  defaults: Readonly<Record<Name, number>>,
): Readonly<Record<Name, number>> & { readonly dir: string } {
  const names = Object.keys(defaults) as Name[];
  const { values } = parseArgs({
    options: Object.fromEntries([...names, 'dir'].map((name) => [name, { type: 'string' as const }])),
  });
  const numbers = Object.fromEntries(
    names.map((name) => [name, values[name] === undefined ? defaults[name] : Number(values[name])]),
  ) as Record<Name, number>;
  return { ...numbers, dir: typeof values['dir'] === 'string' ? values['dir'] : tmpdir() };
}

/** A folder of its own and the processes that write into it. Both go when this process ends, unless by SIGKILL. */
export class PeerProcesses {
  readonly folder: string;
  readonly #running = new Set<ChildProcess>();

  /** Makes the folder in `parent`. */
  constructor(parent: string) {
    this.folder = mkdtempSync(join(parent, 'clb-peer-'));
    process.on('exit', () => {
      for (const child of this.#running) child.kill('SIGKILL');
      rmSync(this.folder, { recursive: true, force: true });
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
  }

  /** Starts a program of the peer. What it writes goes to `NAME.log` in the folder. */
  start(name: string, program: string, args: readonly string[]): ChildProcess {
    const log = openSync(join(this.folder, `${name}.log`), 'a');
    const child = spawn(program, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    child.on('error', (error: NodeJS.ErrnoException) =>
      fail(
        error.code === 'ENOENT'
          ? `${program} is not installed (Debian's package ${DEBIAN_PACKAGES[program] ?? program})`
          : `${program} cannot be started: ${error.message}`,
      ),
    );
    return this.#track(child);
  }

  /** Runs a module of the benchmark in a process of its own, with a channel for messages. */
  fork(module: string, args: readonly (string | number)[]): ChildProcess {
    return this.#track(fork(join(import.meta.dirname, module), args.map(String)));
  }

  #track(child: ChildProcess): ChildProcess {
    this.#running.add(child);
    child.on('exit', () => this.#running.delete(child));
    return child;
  }
}

/** `kill -9`; resolves when the process is gone. */
export async function killNow(child: ChildProcess): Promise<void> {
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await gone;
}

/** The next message of a process that `matches`. */
export function messageOf<T>(child: ChildProcess, matches: (message: unknown) => message is T): Promise<T> {
  return new Promise((done, failed) => {
    const onMessage = (message: unknown): void => {
      if (!matches(message)) return;
      child.off('message', onMessage);
      child.off('exit', onExit);
      done(message);
    };
    const onExit = (): void => failed(new Error('a process of the benchmark ended too early'));
    child.on('message', onMessage);
    child.once('exit', onExit);
  });
}

/**
 * The client library of a peer. None is a dependency of this project: they are taken from the folder that the environment
 * variable BENCH_MODULES names.
 */
export function peerLibrary(name: string, alsoNeeded: readonly string[] = []): unknown {
  const folder = process.env['BENCH_MODULES'];
  const require = createRequire(
    folder === undefined ? import.meta.url : join(resolve(folder), 'package.json'),
  );
  try {
    for (const other of alsoNeeded) require.resolve(other);
    return require(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    const packages = [name, ...alsoNeeded].join(' ');
    return fail(
      `${packages}: not found in ${folder ?? 'this project'}. To get it: npm install --prefix FOLDER ${packages}; then set BENCH_MODULES=FOLDER`,
    );
  }
}

/** For times that belong to what is measured, as letting a cluster come to rest; never to wait for something. */
export function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
