/**
 * The launcher: a small process of its own that owns the processes of a node's tasks (docs/execution.md). It serves one
 * client, the node's worker, over a Unix socket, and outlives a crash of the node: the next worker finds everything again.
 * It holds the lease clock, so that tasks are paused in time even when the node's process hangs.
 */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { FrameDecoder } from '../../net/frames.ts';
import type { AttemptRef } from '../../link/protocol.ts';
import type { Ending } from '../executor.ts';
import { monotonicMs } from '../monotonic.ts';
import { Attempt } from './attempt.ts';
import type { AttemptContext } from './attempt.ts';
import { AttemptGroups } from './attempt-groups.ts';
import { AttemptStore } from './attempt-store.ts';
import { FifoPool } from './fifo-pool.ts';
import { Guard } from './guard.ts';
import { launcherLayout, makeLayout } from './layout.ts';
import type { LauncherLayout } from './layout.ts';
import { MemoryKills } from './memory-kills.ts';
import { ProcessTree } from './process-tree.ts';
import type { TreeRoot } from './process-tree.ts';
import { processTable } from './process-table.ts';
import {
  decodeToLauncher,
  encodeMessage,
  LAUNCHER_FRAME_BYTES_MAX,
  LAUNCHER_QUEUE_BYTES_MAX,
  LAUNCHER_VERSION,
} from './protocol.ts';
import type { FromLauncher, ToLauncher } from './protocol.ts';
import { ScratchWatch } from './scratch-watch.ts';
import type { WatchedAttempt } from './scratch-watch.ts';
import { Sweeper } from './sweeper.ts';

export const LAUNCHER = {
  /** With nothing to run and no client it ends by itself after this time. */
  idleExitMs: 10_000,
  /** A task paused for longer is killed and given back (contract §7.4: stated limit). */
  pausedMsMax: 3_600_000,
  /** How often the memory of tasks that have a limit is looked at. */
  memoryCheckMs: 500,
  /** How often it looks whether its own socket is still where the node would look for it. */
  selfCheckMs: 5_000,
  /** How long its last messages may take to leave. */
  farewellMs: 500,
} as const;

export interface LauncherOptions {
  /** The node's id, for messages to people. */
  readonly node: string;
  readonly dataDir: string;
  readonly pausedMsMax: number;
  readonly scratchBytesMax: number;
  /** Ends the process. */
  readonly exit: (code: number, why: string) => void;
}

export class Launcher {
  readonly #options: LauncherOptions;
  readonly #layout: LauncherLayout;
  readonly #store: AttemptStore;
  readonly #fifos: FifoPool;
  readonly #guard: Guard;
  readonly #tree = new ProcessTree(processTable());
  readonly #sweeper = new Sweeper(this.#tree);
  #groups: AttemptGroups | null = null;
  readonly #scratchWatch: ScratchWatch;
  readonly #context: AttemptContext;
  readonly #server: Server;
  readonly #attempts = new Map<string, Attempt>();
  /** Not yet acknowledged. Their endings are on the disk: a worker that is away for long must not fill the memory. */
  readonly #ended = new Map<string, AttemptRef & { readonly number: number }>();
  /** Nobody is served before it is clear what an earlier launcher left. */
  readonly #ready: Promise<void>;
  #becomeReady: () => void = () => undefined;
  #client: Socket | null = null;
  #leaseUntilMs = 0;
  /** Whether attempts are allowed to run, i.e. what was done about the lease last. */
  #leased = false;
  #leaseTimer: NodeJS.Timeout | null = null;
  #idleTimer: NodeJS.Timeout | null = null;
  #memoryTimer: NodeJS.Timeout | null = null;
  #socketInode = 0;
  /** Set once it is to end. */
  #endingWhy: string | null = null;

  constructor(options: LauncherOptions) {
    this.#options = options;
    this.#ready = new Promise((resolve) => (this.#becomeReady = resolve));
    this.#layout = launcherLayout(options.dataDir);
    this.#store = new AttemptStore(this.#layout);
    this.#fifos = new FifoPool(this.#layout.fifo);
    this.#guard = new Guard((error) => this.#fail(error));
    this.#scratchWatch = new ScratchWatch({
      node: options.node,
      folder: this.#layout.attempts,
      bytesMax: options.scratchBytesMax,
      attempts: () => this.#watched(),
    });
    this.#server = createServer((socket) => this.#connected(socket));
    this.#context = {
      node: options.node,
      store: this.#store,
      fifos: this.#fifos,
      guard: this.#guard,
      tree: this.#tree,
      groups: () => this.#groups,
      memoryKills: new MemoryKills(),
      sweep: (root, startedAtMs) => this.#sweeper.sweep(root, startedAtMs),
      pausedMsMax: options.pausedMsMax,
      onStarted: (attempt) => this.#send({ kind: 'started', ...attempt.ref }),
      onEnded: (attempt, ending) => this.#attemptEnded(attempt, ending),
    };
  }

  /**
   * Takes the socket, then looks through what an earlier launcher left. @throws Error, EADDRINUSE among them: another
   * launcher serves this folder.
   */
  async start(): Promise<void> {
    makeLayout(this.#layout);
    await this.#listen();
    this.#groups = AttemptGroups.open(this.#layout.root); // now that it is clear that there is no other launcher
    this.#guard.start(this.#groups?.folder ?? null);
    this.#fifos.clear();
    await this.#adopt();
    this.#becomeReady();
    this.#armIdle();
    setInterval(() => this.#checkSocket(), LAUNCHER.selfCheckMs).unref();
  }

  /** Kills what runs, and ends the process. Endings stay on the disk for the next launcher to report. */
  shutdown(why: string): void {
    if (this.#endingWhy !== null) return;
    this.#endingWhy = why;
    for (const attempt of [...this.#attempts.values()]) attempt.killAtShutdown();
    this.#exitIfDone();
  }

  /** The client, if there is one, decides when this ends: it has to give the tasks back first. */
  get hasClient(): boolean {
    return this.#client !== null;
  }

  async #listen(): Promise<void> {
    const path = this.#layout.socket;
    if (await answers(path)) throw new Error(`another launcher serves ${this.#layout.root}`);
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, () => {
        this.#server.removeListener('error', reject);
        resolve();
      });
    });
    chmodSync(path, 0o600);
    this.#socketInode = lstatSync(path).ino;
  }

  /** What ran when an earlier launcher died was killed by its guard; make sure of it before it is given back. */
  async #adopt(): Promise<void> {
    const found = this.#store.open();
    const ran = found.filter(({ ending }) => ending === null);
    // All at once, so that they share each look at the machine's processes.
    await Promise.all(ran.map(({ task, number }) => this.#sweeper.sweepMarked(task, number)));
    for (const { task, token, number, ending } of found) {
      const ref = { task, token };
      if (ending === null) {
        const reason = `the launcher of ${this.#options.node} died and the task with it`;
        this.#store.writeEnding(ref, number, { kind: 'released', reason, fault: true });
        this.#store.cleanScratch(ref, number);
      }
      this.#ended.set(keyOf(ref), { task, token, number });
    }
  }

  #connected(socket: Socket): void {
    const decoder = new FrameDecoder(LAUNCHER_FRAME_BYTES_MAX);
    socket.on('data', (chunk: Buffer) => {
      this.#checkLease(); // first of all: this process may just have come back from a long stall
      for (const frame of decoder.push(chunk)) {
        const message = decodeToLauncher(frame);
        if (message.kind === 'hello') void this.#ready.then(() => this.#serve(socket));
        else if (this.#client === socket) this.#received(message);
      }
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      if (this.#client !== socket) return;
      this.#client = null;
      this.#armIdle();
    });
  }

  #serve(socket: Socket): void {
    if (socket.destroyed) return;
    // Only one worker at a time can have the node's data folder open: the newest is the living one.
    if (this.#client !== socket) this.#client?.destroy();
    this.#client = socket;
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    this.#send({
      kind: 'welcome',
      version: LAUNCHER_VERSION,
      pid: process.pid,
      guardPid: this.#guard.pid,
      running: [...this.#attempts.values()].map(({ ref, started }) => ({ ...ref, started })),
    });
    for (const { task, token, number } of this.#ended.values()) {
      const ending = this.#store.readEnding({ task, token }, number);
      if (ending !== null) this.#send({ kind: 'ended', task, token, ending });
    }
    this.#send({ kind: 'ready' });
  }

  #send(message: FromLauncher): void {
    const client = this.#client;
    if (client === null) return;
    client.write(encodeMessage(message));
    if (client.writableLength > LAUNCHER_QUEUE_BYTES_MAX) client.destroy(); // it comes back and is told everything anew
  }

  #received(message: Exclude<ToLauncher, { kind: 'hello' }>): void {
    switch (message.kind) {
      case 'launch':
        this.#launch(message);
        return;
      case 'kill':
        this.#attempts.get(keyOf(message))?.kill(message.why);
        return;
      case 'lease':
        this.#leaseUntilMs = message.untilMs;
        this.#checkLease();
        return;
      case 'acknowledge':
        this.#acknowledge(message);
        return;
      case 'forget':
        this.#store.forget(message.tasks);
        return;
      case 'shutdown':
        this.shutdown('told to');
        return;
    }
  }

  #launch(order: Extract<ToLauncher, { kind: 'launch' }>): void {
    const key = keyOf(order);
    if (this.#endingWhy !== null || this.#attempts.has(key) || this.#ended.has(key)) return;
    const attempt = new Attempt(order, order.number, order.spec, this.#context);
    this.#attempts.set(key, attempt);
    if (this.#leased || order.spec.onDisconnect === 'continue') attempt.start();
    this.#scratchWatch.arm();
    if (order.spec.memoryMb > 0) this.#armMemoryCheck();
  }

  /** What runs, for the watch over the disk. */
  #watched(): readonly WatchedAttempt[] {
    return [...this.#attempts.values()].flatMap((attempt) => {
      const { root } = attempt;
      if (root === null) return [];
      const pids = (): readonly number[] => (this.#tree.members([root])[0] ?? []).map(({ pid }) => pid);
      return [{ scratch: attempt.scratch, pids, end: (reason) => attempt.endForDisk(reason) }];
    });
  }

  #attemptEnded(attempt: Attempt, ending: Ending): void {
    const { ref, number } = attempt;
    const key = keyOf(ref);
    this.#attempts.delete(key);
    if (ending.kind === 'dropped') {
      this.#store.release(ref, number);
    } else {
      this.#store.writeEnding(ref, number, ending);
      this.#ended.set(key, { ...ref, number });
    }
    this.#send({ kind: 'ended', ...ref, ending });
    this.#exitIfDone();
    this.#armIdle();
  }

  #acknowledge(ref: AttemptRef): void {
    const key = keyOf(ref);
    const ended = this.#ended.get(key);
    if (ended === undefined) return;
    this.#ended.delete(key);
    this.#store.release(ref, ended.number);
  }

  /** Does what the lease clock says now. Called whenever this process does anything, and by the clock. */
  #checkLease(): void {
    const leftMs = this.#leaseUntilMs - monotonicMs();
    if (this.#leaseTimer !== null) clearTimeout(this.#leaseTimer);
    this.#leaseTimer = leftMs > 0 ? setTimeout(() => this.#checkLease(), leftMs + 1) : null;
    if (leftMs <= 0 && this.#leased) this.#leaseLost();
    else if (leftMs > 0 && !this.#leased) this.#leaseGained();
  }

  #leaseLost(): void {
    this.#leased = false;
    const toPause: Attempt[] = [];
    for (const attempt of this.#attempts.values()) {
      const { onDisconnect } = attempt.spec;
      if (onDisconnect === 'continue' || !attempt.started) continue;
      if (onDisconnect === 'pause' && !attempt.stopping) toPause.push(attempt);
      else attempt.killWithoutLease();
    }
    if (toPause.length === 0) return;
    this.#tree.freeze(rootsOf(toPause));
    for (const attempt of toPause) attempt.pause();
  }

  #leaseGained(): void {
    this.#leased = true;
    const paused = [...this.#attempts.values()].filter((attempt) => attempt.paused);
    if (paused.length > 0) this.#tree.signal(rootsOf(paused), 'SIGCONT');
    for (const attempt of paused) attempt.resume();
    for (const attempt of [...this.#attempts.values()]) attempt.start();
  }

  #armMemoryCheck(): void {
    if (this.#memoryTimer !== null) return;
    this.#memoryTimer = setTimeout(() => {
      this.#memoryTimer = null;
      const limited = [...this.#attempts.values()].filter(({ spec }) => spec.memoryMb > 0);
      if (limited.length === 0) return;
      const running = limited.filter(({ root }) => root !== null);
      const members = running.length === 0 ? [] : this.#tree.members(rootsOf(running));
      for (const [at, attempt] of running.entries()) {
        attempt.checkMemory((members[at] ?? []).reduce((sum, { rssBytes }) => sum + rssBytes, 0));
      }
      this.#armMemoryCheck();
    }, LAUNCHER.memoryCheckMs);
  }

  #armIdle(): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    if (this.#client !== null || this.#attempts.size > 0) return;
    this.#idleTimer = setTimeout(() => this.shutdown('nothing to do'), LAUNCHER.idleExitMs);
  }

  /** The data folder was removed or replaced: nobody will ever ask for these tasks again. */
  #checkSocket(): void {
    const stat = lstatSync(this.#layout.socket, { throwIfNoEntry: false });
    if (stat?.ino === this.#socketInode) return;
    this.shutdown(`${this.#layout.socket} is gone`);
  }

  #exitIfDone(): void {
    const why = this.#endingWhy;
    if (why === null || this.#attempts.size > 0) return;
    this.#guard.stop();
    this.#groups?.close();
    this.#server.close();
    const exit = (): void => this.#options.exit(0, why);
    if (this.#client === null) {
      exit();
      return;
    }
    this.#client.end(exit);
    setTimeout(exit, LAUNCHER.farewellMs);
  }

  #fail(error: Error): void {
    this.#options.exit(1, error.message);
  }
}

function keyOf(ref: AttemptRef): string {
  return `${ref.task}.${ref.token}`;
}

function rootsOf(attempts: readonly Attempt[]): readonly TreeRoot[] {
  return attempts.map(({ root }) => root).filter((root) => root !== null);
}

/** Whether somebody listens there. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
