import type { Message, NodeId } from '../../src/raft/core/types.ts';
import type { DurableState } from './durable-state.ts';
import type { EventQueue } from './event-queue.ts';
import type { History } from './history.ts';
import type { Host, Server, Surroundings } from './host.ts';
import type { Random } from './random.ts';
import type { Weather } from './swarm.ts';
import type { Trace } from './trace.ts';

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
}

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
  #diskStalledUntilMs = 0;
  /** Something happened since {@link observeIfTouched}. */
  #isTouched = false;
  /** Of its monotonic clock: its own milliseconds per true one. */
  #clockRate = 1;
  #clockSetAtMs = 0;
  #clockWasMs = 0;

  constructor(options: SimNodeOptions<H>) {
    this.#options = options;
    this.id = options.id;
  }

  get host(): H | null {
    return this.#host;
  }
  get durable(): DurableState {
    return this.#options.server.durable;
  }
  /** Its own monotonic time. */
  get clockMs(): number {
    return this.#clockWasMs + (this.#options.queue.nowMs - this.#clockSetAtMs) * this.#clockRate;
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

  start(): void {
    if (!this.isDown) return;
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
    this.#dieAfterEffects = null;
    this.#life++;
  }

  /** The process dies when it has carried out so many more effects. */
  armCrash(effects: number): void {
    this.#dieAfterEffects = effects;
  }

  /** Like SIGSTOP: nothing happens in the process, but its disk and the network go on. */
  pause(): void {
    if (this.#host === null || this.#backlog !== null) return;
    this.#options.trace.add(this.id, 'pause');
    this.#backlog = [];
  }

  resume(): void {
    const backlog = this.#backlog;
    if (backlog === null) return;
    this.#options.trace.add(this.id, 'resume', `${String(backlog.length)} events`);
    this.#backlog = null;
    for (const action of backlog) action();
  }

  setClockRate(rate: number): void {
    this.#clockWasMs = this.clockMs;
    this.#clockSetAtMs = this.#options.queue.nowMs;
    this.#clockRate = rate;
  }

  stallDisk(forMs: number): void {
    this.#options.trace.add(this.id, 'disk', `stalls for ${forMs.toFixed(0)} ms`);
    this.#diskStalledUntilMs = this.#options.queue.nowMs + forMs;
  }

  /** The disk works again. */
  healDisk(): void {
    this.#diskStalledUntilMs = 0;
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
    this.#options.history.observe({
      id: this.id,
      life: this.#life,
      status: host.status(),
      entries: (from, to) => host.entries(from, to),
    });
  }

  #started(life: number, host: H): void {
    this.#isStarting = false;
    if (life !== this.#life) {
      host.kill();
      return;
    }
    this.#host = host;
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
    this.#options.queue.after(delayMs / this.#clockRate, () => {
      if (isCanceled) return;
      this.#inLife(life, () => {
        if (!isCanceled) action();
      });
    });
    return () => {
      isCanceled = true;
    };
  }

  #surroundings(life: number): Surroundings {
    const { queue, random, weather, trace, send, fail, onDied } = this.#options;
    return {
      random,
      weather,
      nowMs: () => this.clockMs,
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
        if (this.#dieAfterEffects === null) return false;
        this.#dieAfterEffects--;
        if (this.#dieAfterEffects > 0) return false;
        this.crash();
        onDied();
        return true;
      },
      fail,
    };
  }
}
