import type { Entry, LogIndex, Message, NodeId, RaftStatus } from '../../src/raft/core/types.ts';
import { StorageError } from '../../src/raft/storage/storage-errors.ts';
import type { DurableState } from './durable-state.ts';
import type { EventQueue } from './event-queue.ts';
import type { FaultCounts } from './faults.ts';
import type { History } from './history.ts';
import type { DiskFailure, Host, Server, Surroundings } from './host.ts';
import type { Random } from './random.ts';
import { SimFailure } from './sim-failure.ts';
import type { Weather } from './swarm.ts';
import type { Trace } from './trace.ts';

/** Rounding. */
const EARLY_MS_MAX = 1e-6;

export interface SimNodeOptions<H extends Host> {
  readonly id: NodeId;
  readonly queue: EventQueue;
  readonly random: Random;
  readonly weather: () => Weather;
  readonly history: History;
  readonly trace: Trace;
  readonly server: Server<H>;
  readonly send: (message: Message) => void;
  readonly fail: (error: unknown) => void;
  /** The process has died of itself: an armed crash, or its disk failed. */
  readonly onDied: () => void;
  readonly faults: FaultCounts;
  /** It comes later, if at all ({@link SimNode.join}). */
  readonly isAbsent: boolean;
}

/** `absent`: not there yet; `gone`: its disk is lost or damaged, it never comes back. */
type Standing = 'absent' | 'present' | 'gone';

/** A server through its lives: up, paused, down. Its disk remains. */
export class SimNode<H extends Host> {
  readonly id: NodeId;
  readonly #options: SimNodeOptions<H>;
  #life = 0;
  #host: H | null = null;
  #isStarting = false;
  /** What happens to a paused process waits here. */
  #backlog: (() => void)[] | null = null;
  #dieAfterEffects: number | null = null;
  #dieAtChunk: { left: number; readonly before: boolean } | null = null;
  #diskFailure: DiskFailure | null = null;
  #standing: Standing;
  #wallOffsetMs = 0;
  #diskStalledUntilMs = 0;
  /** What the history was last told of. */
  #observed: RaftStatus | null = null;
  readonly #entries = (from: LogIndex, to: LogIndex): readonly Entry[] => this.#host?.entries(from, to) ?? [];
  /** Something happened since {@link observeIfTouched}. */
  #isTouched = false;
  /** Of its monotonic clock: its own milliseconds per true one. */
  #clockRate = 1;
  #clockSetAtMs = 0;
  #clockWasMs = 0;
  /** While it stands still. */
  #clockStoodAtMs: number | null = null;

  constructor(options: SimNodeOptions<H>) {
    this.#options = options;
    this.id = options.id;
    this.#standing = options.isAbsent ? 'absent' : 'present';
  }

  get host(): H | null {
    return this.#host;
  }
  get durable(): DurableState {
    return this.#options.server.durable;
  }
  get isPaused(): boolean {
    return this.#backlog !== null;
  }
  /** Its own monotonic time. */
  get clockMs(): number {
    return (
      this.#clockStoodAtMs ??
      this.#clockWasMs + (this.#options.queue.nowMs - this.#clockSetAtMs) * this.#clockRate
    );
  }
  checkDamage(random: Random): Promise<void> {
    return this.#options.server.checkDamage?.(random) ?? Promise.resolve();
  }
  get life(): number {
    return this.#life;
  }
  get isUp(): boolean {
    return this.#host !== null;
  }
  get isDown(): boolean {
    return this.#host === null && !this.#isStarting;
  }

  get isAbsent(): boolean {
    return this.#standing === 'absent';
  }
  get isGone(): boolean {
    return this.#standing === 'gone';
  }

  /** A server that was absent comes. */
  join(): void {
    this.#standing = 'present';
    this.start();
  }

  /** For good: its disk is lost or damaged. */
  leave(): void {
    this.crash();
    this.#standing = 'gone';
  }

  /** I19: the disk that it has left for good ({@link leave}) is damaged, and no start from it may come about; or it is empty. */
  refuseDamage(random: Random): void {
    const { server, faults, trace, fail } = this.#options;
    const attempt = async (): Promise<void> => {
      const damage = (await server.damage?.(random)) ?? null;
      faults.struck(damage ?? 'folder wiped');
      if (damage === null) return;
      this.#life++;
      try {
        (await server.start(this.#life, this.#surroundings(this.#life))).kill();
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        trace.add(this.id, 'refused', `${damage}: ${error.message}`);
        return;
      }
      throw new SimFailure('I19', `${this.id} has started from its disk although: ${damage}`);
    };
    attempt().catch(fail);
  }

  start(): void {
    if (!this.isDown || this.#standing !== 'present') return;
    this.#life++;
    const life = this.#life;
    this.#options.trace.add(this.id, 'start', `life ${String(life)}`);
    this.#isStarting = true;
    try {
      const started = this.#options.server.start(life, this.#surroundings(life));
      if (!(started instanceof Promise)) {
        this.#started(life, started);
        return;
      }
      started.then(
        (host) => this.#started(life, host),
        (error: unknown) => this.#options.fail(error),
      );
    } catch (error) {
      this.#options.fail(error);
    }
  }

  crash(): void {
    if (this.#host === null) return;
    this.#options.trace.add(this.id, 'crash');
    this.#host.kill();
    this.#host = null;
    this.#backlog = null;
    this.#restartClock();
    this.#dieAfterEffects = null;
    this.#dieAtChunk = null;
    this.#life++;
  }

  /** The process dies when it has carried out so many more effects. */
  armCrash(effects: number): void {
    this.#dieAfterEffects = effects;
  }

  /** The process dies before or after it sends or receives so many more chunks of snapshots. */
  armCrashAtChunk(chunks: number, before: boolean): void {
    this.#dieAtChunk = { left: chunks, before };
  }

  disarm(): void {
    this.#dieAfterEffects = null;
    this.#dieAtChunk = null;
  }

  /** Sends or receives a chunk of a snapshot, unless the process dies first. */
  passChunk(action: () => void): void {
    const armed = this.#dieAtChunk;
    if (armed !== null) armed.left--;
    if (armed === null || armed.left > 0) {
      action();
      return;
    }
    if (!armed.before) action();
    if (this.#host === null || this.#dieAtChunk !== armed) return;
    this.#options.faults.struck('crash at a snapshot chunk');
    this.crash();
    this.#options.onDied();
  }

  /**
   * Like SIGSTOP: nothing happens in the process, but its disk and the network go on. `clockToo`: like a virtual machine
   * that is suspended, whose monotonic clock stands still.
   */
  pause(clockToo: boolean): void {
    if (this.#host === null || this.#backlog !== null) return;
    this.#options.trace.add(this.id, 'pause', clockToo ? 'and its clock' : null);
    this.#backlog = [];
    if (clockToo) this.#clockStoodAtMs = this.clockMs;
  }

  resume(): void {
    const backlog = this.#backlog;
    if (backlog === null) return;
    this.#options.trace.add(this.id, 'resume', `${String(backlog.length)} events`);
    this.#backlog = null;
    this.#restartClock();
    for (const action of backlog) action();
  }

  #restartClock(): void {
    if (this.#clockStoodAtMs === null) return;
    this.#clockWasMs = this.#clockStoodAtMs;
    this.#clockSetAtMs = this.#options.queue.nowMs;
    this.#clockStoodAtMs = null;
  }

  setClockRate(rate: number): void {
    if (rate !== 1) this.#options.faults.struck('clock of another speed');
    this.#clockWasMs = this.clockMs;
    this.#clockSetAtMs = this.#options.queue.nowMs;
    this.#clockRate = rate;
  }

  stallDisk(forMs: number): void {
    this.#options.trace.add(this.id, 'disk', `stalls for ${forMs.toFixed(0)} ms`);
    this.#diskStalledUntilMs = this.#options.queue.nowMs + forMs;
  }

  jumpWallClock(byMs: number): void {
    this.#options.trace.add(this.id, 'wall clock', `jumps by ${byMs.toFixed(0)} ms`);
    this.#wallOffsetMs += byMs;
  }

  /** The first write of this life, and of those that follow, fails, until the disk is healed. */
  failDiskFor(failure: DiskFailure): void {
    this.#diskFailure = failure;
    this.touch((host) => host.failDisk?.(failure));
  }

  /** The disk works again. */
  healDisk(): void {
    this.#diskStalledUntilMs = 0;
    this.#diskFailure = null;
  }

  /** Something from outside happens to the process, if it runs. */
  touch(action: (host: H) => void): void {
    this.#inLife(this.#life, () => {
      if (this.#host !== null) action(this.#host);
    });
  }

  /** An answer of the process now running: one that has died in the meantime gives none. */
  whileAlive<T>(answer: (value: T) => void): (value: T) => void {
    const life = this.#life;
    return (value) => {
      if (life === this.#life) answer(value);
    };
  }

  /** After promises that its last event fulfilled have had their turn. */
  observeIfTouched(): void {
    if (!this.#isTouched) return;
    this.#isTouched = false;
    this.observe();
  }

  observe(): void {
    const host = this.#host;
    if (host === null) return;
    const status = host.status();
    // It is another object after every input.
    if (status === this.#observed) return;
    this.#observed = status;
    this.#options.history.observe({ id: this.id, life: this.#life, status, entries: this.#entries });
  }

  #started(life: number, host: H): void {
    this.#isStarting = false;
    if (life !== this.#life) {
      host.kill();
      return;
    }
    this.#host = host;
    if (this.#diskFailure !== null) host.failDisk?.(this.#diskFailure);
    this.observe();
  }

  /** Runs what belongs to one life of the process: late if it is paused, never if it is over. */
  #inLife(life: number, action: () => void): void {
    if (life !== this.#life) return;
    if (this.#backlog !== null) {
      this.#backlog.push(() => this.#inLife(life, action));
      return;
    }
    this.#isTouched = true;
    action();
    this.observe();
  }

  #after(life: number, delayMs: number, action: () => void): () => void {
    let isCanceled = false;
    const dueMs = this.clockMs + delayMs;
    const fire = (): void => {
      if (isCanceled) return;
      // The clock may have stood still meanwhile.
      const leftMs = dueMs - this.clockMs;
      if (leftMs > EARLY_MS_MAX) this.#options.queue.after(leftMs / this.#clockRate, onTime);
      else action();
    };
    const onTime = (): void => {
      if (!isCanceled) this.#inLife(life, fire);
    };
    this.#options.queue.after(delayMs / this.#clockRate, onTime);
    return () => {
      isCanceled = true;
    };
  }

  #surroundings(life: number): Surroundings {
    const { queue, random, weather, trace, send, fail, onDied, faults } = this.#options;
    return {
      random,
      weather,
      nowMs: () => this.clockMs,
      wallMs: () => queue.nowMs + this.#wallOffsetMs,
      struck: (kind) => faults.struck(kind),
      after: (delayMs, action) => this.#after(life, delayMs, action),
      afterAnyway: (delayMs, action) => queue.after(delayMs, action),
      observe: () => {
        if (life === this.#life) this.observe();
      },
      send: (message) => {
        if (life === this.#life) send(message);
      },
      trace: (what, detail) => trace.add(this.id, what, detail),
      diskMs: () => {
        const { diskMs, diskMaxMs } = weather();
        const stallMs = Math.max(0, this.#diskStalledUntilMs - queue.nowMs);
        return stallMs + random.heavyTailed(diskMs, diskMaxMs);
      },
      diskFailed: () => {
        if (life !== this.#life || this.#host === null) return;
        this.crash();
        onDied();
      },
      diesNow: () => {
        if (life !== this.#life) return true;
        if (this.#host === null || this.#dieAfterEffects === null) return false;
        this.#dieAfterEffects--;
        if (this.#dieAfterEffects > 0) return false;
        faults.struck('crash at an effect');
        this.crash();
        onDied();
        return true;
      },
      fail,
    };
  }
}
