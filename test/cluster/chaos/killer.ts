import { setTimeout as wait } from 'node:timers/promises';
import { join } from 'node:path';
import { Random } from '../../sim/random.ts';
import { launcherPids } from '../processes.ts';
import type { ProcessCluster } from '../processes.ts';

/** Times between two kills, and from a kill to the node's restart: half to one and a half of these. */
const PAUSE_MS = 2_500;
const DOWN_MS = 1_500;

/** Kills processes of the cluster with SIGKILL, any of them at any time, and starts them again. */
export class Killer {
  readonly kills: Record<string, number> = { process: 0, launcher: 0, both: 0 };
  readonly #cluster: ProcessCluster;
  readonly #random: Random;
  #over = false;

  constructor(cluster: ProcessCluster, seed: number) {
    this.#cluster = cluster;
    this.#random = new Random(seed);
  }

  /** Until {@link stop}; then everything runs again. */
  async run(): Promise<void> {
    const restarting: Promise<void>[] = [];
    while (!this.#isOver()) {
      await wait(this.#about(PAUSE_MS));
      if (this.#isOver()) break;
      restarting.push(this.#strike());
    }
    await Promise.all(restarting);
    this.#startAll();
  }

  stop(): void {
    this.#over = true;
  }

  /** A call, because it changes while one waits. */
  #isOver(): boolean {
    return this.#over;
  }

  async #strike(): Promise<void> {
    const { id, kind } = this.#random.pick(this.#cluster.nodes);
    const runsTasks = kind === 'server' || kind === 'worker';
    const what = runsTasks ? this.#random.pick(['process', 'launcher', 'both'] as const) : 'process';
    this.kills[what] = (this.kills[what] ?? 0) + 1;
    if (what !== 'process') {
      for (const pid of launcherPids(join(this.#cluster.folder, id))) killed(pid);
    }
    if (what !== 'launcher' && this.#cluster.isRunning(id)) await this.#cluster.signal(id, 'SIGKILL');
    await wait(this.#about(DOWN_MS));
    this.#startAll();
  }

  /** A node may also have ended by itself, because of what was killed. */
  #startAll(): void {
    for (const { id } of this.#cluster.nodes) if (!this.#cluster.isRunning(id)) this.#cluster.startNode(id);
  }

  #about(ms: number): number {
    return ms * (0.5 + this.#random.fraction());
  }
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It was gone already.
  }
}
