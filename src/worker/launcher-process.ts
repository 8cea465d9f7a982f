/** Starts the launcher, or finds the one that is there, and speaks to it. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { FrameDecoder } from '../net/frames.ts';
import { makeLayout } from './launcher/layout.ts';
import type { LauncherLayout } from './launcher/layout.ts';
import {
  decodeFromLauncher,
  encodeMessage,
  LAUNCHER_FRAME_BYTES_MAX,
  LAUNCHER_QUEUE_BYTES_MAX,
} from './launcher/protocol.ts';
import type { FromLauncher, ToLauncher } from './launcher/protocol.ts';
import { monotonicMs } from './monotonic.ts';

export const LAUNCHER_PROCESS = {
  /** From the fork until its socket answers. */
  startMs: 20_000,
  /** Between two tries to reach its socket. */
  connectEveryMs: 10,
  /** From hello to ready. */
  helloMs: 20_000,
  /** The launcher's log is cut when it is longer than this at the start. */
  logBytesMax: 1024 * 1024,
  /** Its heap; what it holds is bounded, and small. */
  heapMib: 32,
} as const;

/** The launcher could not be started or does not answer. */
export class LauncherError extends Error {
  readonly code = 'LAUNCHER';
}

export interface LauncherCommand {
  readonly node: string;
  readonly dataDir: string;
  readonly layout: LauncherLayout;
  /** How long a task may be paused; null: as the launcher has it. */
  readonly pausedMsMax: number | null;
  /** What an attempt may keep in its scratch folder; null: as the launcher has it. */
  readonly scratchBytesMax: number | null;
}

/** A connection to the launcher. What comes in while there is no handler is held back for the next one. */
export class LauncherConnection {
  readonly #socket: Socket;
  #onMessage: ((message: FromLauncher) => void) | null = null;
  #onClose: (() => void) | null = null;
  #held: FromLauncher[] = [];
  #isClosed = false;
  #unsent: Buffer[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    const decoder = new FrameDecoder(LAUNCHER_FRAME_BYTES_MAX);
    socket.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) this.#held.push(decodeFromLauncher(frame));
      this.#deliver();
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      this.#isClosed = true;
      this.#deliver();
    });
  }

  /** `onClose` is called once, after the last message. null holds everything back. */
  handle(handlers: { onMessage: (message: FromLauncher) => void; onClose: () => void } | null): void {
    this.#onMessage = handlers?.onMessage ?? null;
    this.#onClose = handlers?.onClose ?? null;
    this.#deliver();
  }

  #deliver(): void {
    for (;;) {
      if (this.#onMessage === null) return;
      const message = this.#held.shift();
      if (message === undefined) break;
      this.#onMessage(message);
    }
    if (!this.#isClosed) return;
    const onClose = this.#onClose;
    this.#onClose = null;
    onClose?.();
  }

  /** Messages of one turn of the event loop leave in one write. */
  send(message: ToLauncher): void {
    if (this.#unsent.length === 0) setImmediate(() => this.flush());
    this.#unsent.push(encodeMessage(message));
  }

  flush(): void {
    if (this.#unsent.length === 0) return;
    const unsent = this.#unsent;
    this.#unsent = [];
    if (this.#socket.writableLength > LAUNCHER_QUEUE_BYTES_MAX) {
      this.#socket.destroy(); // it does not read any more
      return;
    }
    this.#socket.write(unsent.length === 1 && unsent[0] !== undefined ? unsent[0] : Buffer.concat(unsent));
  }

  close(): void {
    this.#socket.destroy();
  }
}

/**
 * A connection to the launcher of this data folder, which is started if there is none. `frugal`: with flags that keep it
 * small, which some later version of Node might not know. @throws LauncherError
 */
export async function reachLauncher(command: LauncherCommand, frugal: boolean): Promise<LauncherConnection> {
  const { layout } = command;
  makeLayout(layout);
  const running = await connect(layout.socket);
  if (running !== null) return new LauncherConnection(running);
  const state = startLauncher(command, frugal);
  const deadlineMs = monotonicMs() + LAUNCHER_PROCESS.startMs;
  while (monotonicMs() < deadlineMs) {
    const socket = await connect(layout.socket);
    if (socket !== null) return new LauncherConnection(socket);
    if (state.ended) throw new LauncherError(`the launcher ended: ${lastLines(layout.log)}`);
    await new Promise((resolve) => setTimeout(resolve, LAUNCHER_PROCESS.connectEveryMs));
  }
  throw new LauncherError(`the launcher did not answer within ${LAUNCHER_PROCESS.startMs} ms`);
}

/**
 * What the launcher does is nearly all system calls: optimized machine code and a large young generation would cost it
 * 10 MB and gain nothing.
 */
const FRUGAL_FLAGS: readonly string[] = [
  `--max-old-space-size=${LAUNCHER_PROCESS.heapMib}`,
  '--max-semi-space-size=1',
  '--optimize-for-size',
  '--no-turbofan',
  '--v8-pool-size=0',
];

/** Detached, so that it outlives this process; with an environment of its own, so that payloads can't inherit ours. */
function startLauncher(command: LauncherCommand, frugal: boolean): { readonly ended: boolean } {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const entry = fileURLToPath(new URL(`./launcher/main.${extension}`, import.meta.url));
  const loader = extension === 'ts' ? ['--import', import.meta.resolve('tsx')] : [];
  const small = frugal ? FRUGAL_FLAGS : [];
  const limits = [command.pausedMsMax, command.scratchBytesMax].map((limit) => String(limit ?? '-'));
  const log = openLog(command.layout.log);
  const child = spawn(
    process.execPath,
    [...small, ...loader, entry, command.node, command.dataDir, ...limits],
    { detached: true, stdio: ['ignore', log, log], env: launcherEnvironment(), cwd: command.layout.root },
  );
  closeSync(log);
  const state = { ended: child.pid === undefined };
  child.on('error', () => (state.ended = true));
  child.on('exit', () => (state.ended = true));
  child.unref();
  return state;
}

/** Never the whole: it may hold the cluster's token. */
function launcherEnvironment(): NodeJS.ProcessEnv {
  // One arena of the allocator for its few threads: a smaller process forks faster, too.
  const kept: NodeJS.ProcessEnv = { MALLOC_ARENA_MAX: '1' };
  for (const name of ['PATH', 'LANG', 'TMPDIR', 'TZ']) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

function openLog(path: string): number {
  const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (sizeBytes > LAUNCHER_PROCESS.logBytesMax) truncateSync(path, 0);
  return openSync(path, 'a', 0o600);
}

function lastLines(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').slice(-3).join(' / ');
  } catch {
    return `(no ${path})`;
  }
}

/** null if nobody listens there. */
function connect(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const refused = (): void => resolve(null);
    socket.once('error', refused);
    socket.once('connect', () => {
      socket.removeListener('error', refused);
      resolve(socket);
    });
  });
}
