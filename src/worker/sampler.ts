import { availableParallelism, totalmem } from 'node:os';
import { currentLoad, mem } from 'systeminformation';
import type { ResourceSample } from '../link/protocol.ts';
import { readCgroupLimits } from './cgroup.ts';
import type { CgroupLimits } from './cgroup.ts';
import { monotonicMs } from './monotonic.ts';

export const SAMPLER = {
  /** From the first reading to the second: the first placement should have numbers to go by. */
  firstAfterMs: 250,
  /** While tasks run, or one was placed a moment ago: the next placement wants fresh numbers. */
  busyEveryMs: 1_000,
  /** Sampling costs CPU itself, and six idle nodes on one machine must not be felt. */
  idleEveryMs: 10_000,
  /** How long after touch() it stays busy. */
  busyForMs: 10_000,
} as const;

export interface NodeCapacity {
  /** Cores this node may use; may be a fraction in a control group. */
  readonly cpus: number;
  readonly memoryMb: number;
  /** Tasks at once, unless configured. */
  readonly slotsDefault: number;
}

const MIB = 1024 * 1024;

/** What this node, i.e. its control group and its CPU affinity, may use. */
export function nodeCapacity(limits: CgroupLimits = readCgroupLimits()): NodeCapacity {
  const cpus = Math.min(availableParallelism(), limits.cpu?.cores ?? Infinity);
  return {
    cpus,
    memoryMb: Math.floor(Math.min(totalmem(), limits.memory?.bytes ?? Infinity) / MIB),
    slotsDefault: Math.max(1, Math.floor(cpus)),
  };
}

/** Measures CPU and memory in percent of what the node may use: of its control group if that is limited, else of the machine. */
export class Sampler {
  /** Read at the start unless given. */
  #limits: CgroupLimits | null;
  readonly #onError: (error: unknown) => void;
  #latest: ResourceSample | null = null;
  /** The sample was handed out by take(). */
  #taken = true;
  #timer: NodeJS.Timeout | null = null;
  #running = false;
  #measuring = false;
  #busyUntilMs = 0;
  /** The group's CPU clock at the sample before. */
  #before: { readonly atMs: number; readonly usedMs: number } | null = null;

  constructor(onError: (error: unknown) => void, limits: CgroupLimits | null = null) {
    this.#limits = limits;
    this.#onError = onError;
  }

  start(): void {
    this.#running = true;
    this.#limits ??= readCgroupLimits();
    this.#schedule(0);
  }

  stop(): void {
    this.#running = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  get latest(): ResourceSample | null {
    return this.#latest;
  }

  /** The latest sample, if nobody took it yet. */
  take(): ResourceSample | null {
    if (this.#taken) return null;
    this.#taken = true;
    return this.#latest;
  }

  /** A task runs here, or was just placed here: sample often for a while. */
  touch(): void {
    const nowMs = monotonicMs();
    const wasIdle = nowMs >= this.#busyUntilMs;
    this.#busyUntilMs = nowMs + SAMPLER.busyForMs;
    if (wasIdle && this.#running && !this.#measuring) this.#schedule(SAMPLER.busyEveryMs);
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#tick(), delayMs);
  }

  async #tick(): Promise<void> {
    this.#measuring = true;
    try {
      const first = this.#latest === null && this.#before === null;
      const [cpu, memory] = await Promise.all([this.#cpuPercent(), this.#memoryPercent()]);
      if (cpu !== null) {
        this.#latest = { cpu: rounded(cpu), memory: rounded(memory) };
        this.#taken = false;
      }
      if (!this.#running) return;
      if (first) this.#schedule(SAMPLER.firstAfterMs);
      else this.#schedule(monotonicMs() < this.#busyUntilMs ? SAMPLER.busyEveryMs : SAMPLER.idleEveryMs);
    } catch (error) {
      this.#onError(error);
      if (this.#running) this.#schedule(SAMPLER.idleEveryMs);
    } finally {
      this.#measuring = false;
    }
  }

  /** null the first time: CPU use needs two readings. */
  async #cpuPercent(): Promise<number | null> {
    const limit = this.#limits?.cpu ?? null;
    const atMs = monotonicMs();
    const before = this.#before;
    if (limit === null) {
      const { currentLoad: percent } = await currentLoad();
      this.#before = { atMs, usedMs: 0 };
      return before === null ? null : percent;
    }
    const usedMs = limit.usedMs();
    this.#before = { atMs, usedMs };
    if (before === null || atMs <= before.atMs) return null;
    return ((usedMs - before.usedMs) / ((atMs - before.atMs) * limit.cores)) * 100;
  }

  async #memoryPercent(): Promise<number> {
    const limit = this.#limits?.memory ?? null;
    if (limit !== null) return (limit.usedBytes() / limit.bytes) * 100;
    const { total, available } = await mem();
    return ((total - available) / total) * 100;
  }
}

/** One decimal, within 0 to 100: accounting of a group can run a little ahead of its quota. */
function rounded(percent: number): number {
  return Math.round(Math.min(100, Math.max(0, percent)) * 10) / 10;
}
