/**
 * Runs attempts through the launcher process. Keeps no state that the launcher does not have too: after a crash of either,
 * the two find together again by what the launcher says on connecting.
 */
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { AttemptRef } from '../link/protocol.ts';
import { attemptKey } from '../link/messages.ts';
import type {
  Ending,
  Executor,
  ExecutorEvents,
  ExecutorHoldings,
  FileRequest,
  KillWhy,
  LaunchOrder,
  OutputChunk,
  OutputRequest,
} from './executor.ts';
import { launcherLayout, parseAttemptFolderName } from './launcher/layout.ts';
import { LAUNCHER_VERSION } from './launcher/protocol.ts';
import type { FromLauncher, ToLauncher } from './launcher/protocol.ts';
import { LAUNCHER_PROCESS, LauncherError, reachLauncher } from './launcher-process.ts';
import type { LauncherCommand, LauncherConnection } from './launcher-process.ts';
import { monotonicMs } from './monotonic.ts';
import { RecentKeys } from './recent-keys.ts';
import { readKeptFile, readOutputFile } from './output-files.ts';

export const LAUNCHER_EXECUTOR = {
  /** Tries to get a launcher before the node gives up. */
  connectsMax: 5,
  connectPauseMs: 200,
  /** An orderly end of the launcher; then it is killed. */
  stopMs: 2_000,
  /** The guard's work after the launcher was killed. */
  guardMs: 10_000,
  /** Between two looks whether a process is gone. */
  goneEveryMs: 5,
  /** Ended attempts remembered, so that "no output" and "not kept any more" can be told apart. */
  endedMin: 10_000,
} as const;

export interface LauncherExecutorOptions {
  /** The node's id, for messages to people. */
  readonly node: string;
  readonly dataDir: string;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
  /** How long a task may be paused; default: the launcher's. */
  readonly pausedMsMax?: number;
  /** What an attempt may keep in its scratch folder; default: the launcher's. */
  readonly scratchBytesMax?: number;
}

/** What a launcher says on connecting. */
interface Greeting extends ExecutorHoldings {
  readonly version: number;
  readonly pid: number;
  readonly guardPid: number;
}

export class LauncherExecutor implements Executor {
  readonly beginBeforeLaunch = true;
  readonly #command: LauncherCommand;
  readonly #options: LauncherExecutorOptions;
  #events: ExecutorEvents | null = null;
  #mode: 'new' | 'running' | 'over' = 'new';
  #connection: LauncherConnection | null = null;
  #launcherPid = 0;
  #guardPid = 0;
  /** In the launcher, not ended. */
  readonly #live = new Map<string, { readonly ref: AttemptRef; started: boolean }>();
  readonly #ended = new RecentKeys(LAUNCHER_EXECUTOR.endedMin);
  /** Done as soon as there is a launcher again. */
  #whenConnected: (() => void)[] = [];
  #leaseUntilMs = 0;

  constructor(options: LauncherExecutorOptions) {
    this.#options = options;
    const { node, dataDir } = options;
    const layout = launcherLayout(dataDir);
    const { pausedMsMax = null, scratchBytesMax = null } = options;
    this.#command = { node, dataDir, layout, pausedMsMax, scratchBytesMax };
  }

  /** Process ids, for operators and tests; 0 while there is none. */
  get pids(): { readonly launcher: number; readonly guard: number } {
    return { launcher: this.#launcherPid, guard: this.#guardPid };
  }

  async start(events: ExecutorEvents): Promise<ExecutorHoldings> {
    this.#events = events;
    this.#mode = 'running';
    const greeting = await this.#connect();
    for (const { task, token, started } of greeting.running) {
      this.#live.set(attemptKey({ task, token }), { ref: { task, token }, started });
    }
    for (const ref of greeting.ended) this.#ended.add(attemptKey(ref));
    setImmediate(() => this.#listen()); // when the caller has taken in what is returned here
    return greeting;
  }

  launch(order: LaunchOrder): void {
    this.#connected(() => {
      const { task, token, number, spec } = order;
      this.#live.set(attemptKey(order), { ref: { task, token }, started: false });
      this.#send({ kind: 'launch', task, token, number, spec });
    });
  }

  kill(ref: AttemptRef, why: KillWhy): void {
    this.#connected(() => this.#send({ kind: 'kill', task: ref.task, token: ref.token, why }));
  }

  extendLease(untilMonotonicMs: number): void {
    this.#leaseUntilMs = untilMonotonicMs;
    // Ahead of everything else: it must not wait for the end of a busy turn.
    this.#send({ kind: 'lease', untilMs: untilMonotonicMs });
    this.#connection?.flush();
  }

  acknowledge(ref: AttemptRef): void {
    this.#connected(() => this.#send({ kind: 'acknowledge', task: ref.task, token: ref.token }));
  }

  readOutput(ref: AttemptRef, request: OutputRequest): Promise<OutputChunk> {
    const key = attemptKey(ref);
    return readOutputFile(this.#command.layout, ref, request, () => {
      if (this.#live.has(key)) return 'live';
      return this.#ended.has(key) ? 'ended' : 'unknown';
    });
  }

  readFile(ref: AttemptRef, request: FileRequest): Promise<OutputChunk> {
    return readKeptFile(this.#command.layout, ref, request);
  }

  async keptTasks(): Promise<readonly string[]> {
    const names = await readdir(this.#command.layout.kept);
    const tasks = names
      .map((name) => parseAttemptFolderName(name)?.task)
      .filter((task) => task !== undefined);
    return [...new Set(tasks)];
  }

  forget(tasks: readonly string[]): void {
    this.#connected(() => this.#send({ kind: 'forget', tasks }));
  }

  async stop(): Promise<void> {
    if (this.#mode !== 'running') return;
    this.#mode = 'over';
    this.#send({ kind: 'shutdown' });
    this.#connection?.flush();
    if (!(await this.#gone(LAUNCHER_EXECUTOR.stopMs))) killProcess(this.#launcherPid);
    await this.#gone(LAUNCHER_EXECUTOR.guardMs);
    this.#connection?.close();
  }

  async crash(): Promise<void> {
    this.#mode = 'over';
    killProcess(this.#launcherPid); // its guard kills what it leaves
    this.#connection?.close();
    if (await this.#gone(LAUNCHER_EXECUTOR.guardMs)) return;
    this.#options.log.warn({ ...this.pids }, 'the guard is still at work');
  }

  /** Gets hold of a launcher, this version's. @throws LauncherError */
  async #connect(): Promise<Greeting> {
    for (let tries = 1; ; tries += 1) {
      try {
        const connection = await reachLauncher(this.#command, tries === 1);
        const greeting = await greet(connection);
        this.#launcherPid = greeting.pid;
        this.#guardPid = greeting.guardPid;
        if (this.#isOver()) {
          // Came too late: nobody wants it any more, and what it runs must not stay behind.
          killProcess(greeting.pid);
          connection.close();
          throw new LauncherError('stopped while the launcher was being started');
        }
        if (greeting.version !== LAUNCHER_VERSION) {
          this.#options.log.warn({ pid: greeting.pid }, 'ending the launcher of another version');
          killProcess(greeting.pid);
          connection.close();
          await this.#gone(LAUNCHER_EXECUTOR.guardMs);
          continue;
        }
        this.#connection = connection;
        this.#options.log.info(
          { pid: greeting.pid, running: greeting.running.length },
          'connected to the launcher',
        );
        return greeting;
      } catch (error) {
        if (this.#isOver() || tries >= LAUNCHER_EXECUTOR.connectsMax) throw error;
        this.#options.log.warn({ err: error }, 'no launcher yet');
        await new Promise((resolve) => setTimeout(resolve, LAUNCHER_EXECUTOR.connectPauseMs));
      }
    }
  }

  // A call, because the mode changes while one waits.
  #isOver(): boolean {
    return this.#mode === 'over';
  }

  #lost(): void {
    this.#connection = null;
    if (this.#isOver()) return;
    this.#options.log.warn({ pid: this.#launcherPid }, 'lost the launcher');
    this.#reconnect().catch((error: unknown) => {
      if (this.#isOver()) return;
      this.#events?.onFatal(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** Tells the worker what became of the attempts in the meantime. */
  async #reconnect(): Promise<void> {
    // If it died, its guard is at work: what it kills had better be gone before the attempts are given back.
    if (!isAlive(this.#launcherPid)) await this.#gone(LAUNCHER_EXECUTOR.guardMs);
    const greeting = await this.#connect();
    const events = this.#events;
    if (events === null) return;
    this.#send({ kind: 'lease', untilMs: this.#leaseUntilMs });
    for (const { task, token, ending } of greeting.ended) this.#onEnded({ task, token }, ending);
    const running = new Map(greeting.running.map((attempt) => [attemptKey(attempt), attempt]));
    for (const [key, attempt] of [...this.#live]) {
      const now = running.get(key);
      const reason = `the launcher of ${this.#options.node} died before it could start the task`;
      if (now === undefined) this.#onEnded(attempt.ref, { kind: 'released', reason });
      else if (now.started) this.#onStarted(attempt.ref);
    }
    for (const call of this.#whenConnected.splice(0)) call();
    this.#listen();
  }

  #listen(): void {
    this.#connection?.handle({
      onMessage: (message) => this.#received(message),
      onClose: () => this.#lost(),
    });
  }

  #connected(call: () => void): void {
    if (this.#connection !== null) call();
    else if (!this.#isOver()) this.#whenConnected.push(call);
  }

  #send(message: ToLauncher): void {
    this.#connection?.send(message);
  }

  #received(message: FromLauncher): void {
    switch (message.kind) {
      case 'started':
        this.#onStarted({ task: message.task, token: message.token });
        return;
      case 'ended':
        this.#onEnded({ task: message.task, token: message.token }, message.ending);
        return;
      case 'welcome':
      case 'ready':
        return; // only ever in answer to the hello
    }
  }

  #onStarted(ref: AttemptRef): void {
    const attempt = this.#live.get(attemptKey(ref));
    if (attempt === undefined || attempt.started) return;
    attempt.started = true;
    this.#events?.onStarted(ref);
  }

  #onEnded(ref: AttemptRef, ending: Ending): void {
    const key = attemptKey(ref);
    this.#live.delete(key);
    this.#ended.add(key);
    this.#events?.onEnded(ref, ending);
  }

  /** Waits until launcher and guard are gone; false if they are not after that time. */
  async #gone(waitMs: number): Promise<boolean> {
    const deadlineMs = monotonicMs() + waitMs;
    for (;;) {
      if (!isAlive(this.#launcherPid) && !isAlive(this.#guardPid)) return true;
      if (monotonicMs() > deadlineMs) return false;
      await new Promise((resolve) => setTimeout(resolve, LAUNCHER_EXECUTOR.goneEveryMs));
    }
  }
}

/** Says hello and waits for everything that belongs to the answer. */
function greet(connection: LauncherConnection): Promise<Greeting> {
  return new Promise((resolve, reject) => {
    let welcome: Extract<FromLauncher, { kind: 'welcome' }> | null = null;
    const ended: (AttemptRef & { readonly ending: Ending })[] = [];
    const fail = (why: string): void => {
      clearTimeout(timer);
      connection.handle(null);
      connection.close();
      reject(new LauncherError(why));
    };
    const timer = setTimeout(() => fail('the launcher does not answer'), LAUNCHER_PROCESS.helloMs);
    connection.handle({
      onClose: () => fail('the launcher closed the connection'),
      onMessage: (message) => {
        if (message.kind === 'welcome') welcome = message;
        if (message.kind === 'ended') {
          ended.push({ task: message.task, token: message.token, ending: message.ending });
        }
        if (message.kind !== 'ready' || welcome === null) return;
        clearTimeout(timer);
        connection.handle(null);
        const { version, pid, guardPid, running } = welcome;
        resolve({ version, pid, guardPid, running, ended });
      },
    });
    connection.send({ kind: 'hello' });
  });
}

function killProcess(pid: number): void {
  if (pid <= 1) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone already
  }
}

/** A zombie, which waits for its parent only, counts as gone. */
function isAlive(pid: number): boolean {
  if (pid <= 1) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  if (!existsSync('/proc/self/stat')) return true;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
  } catch {
    return false;
  }
}
