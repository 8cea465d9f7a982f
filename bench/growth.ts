/**
 * Does anything grow with the number of finished tasks (goal P10 of docs/benchmarks.md)? One server's state machine and its store (real
 * LevelDB) go through task cycles; at 10³, 10⁴, … finished tasks the cost of a cycle is measured, and that of a page of the list. Then
 * the same with retention of few tasks: the folder stays as it is. `node --import tsx bench/growth.ts [--tasks 1000000] [--keep 20000]`.
 * Prints one JSON line.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KvOp } from '../src/raft/storage/kv-store.ts';
import { LevelKv } from '../src/raft/storage/level-kv.ts';
import type { LogIndex, Term } from '../src/raft/core/types.ts';
import { encodeRows } from '../src/scheduler/state/candidate-rows.ts';
import { encodeEntry } from '../src/scheduler/state/ops.ts';
import type { Op } from '../src/scheduler/state/ops.ts';
import { listTasks } from '../src/scheduler/task-search.ts';
import { TaskMachine } from '../src/scheduler/task-machine.ts';
import { restoreMachine, taskResult } from '../test/scheduler/machine-driver.ts';

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name);
  return at === -1 ? otherwise : Number(process.argv[at + 1]);
}
const TASKS = option('--tasks', 1_000_000);
const KEEP = option('--keep', 20_000);
const PER_ENTRY = 64;
/** Cycles over which a cost is measured. */
const WINDOW = 6_400;
const PAGES = 50;

class Server {
  readonly folder: string;
  readonly machine = new TaskMachine();
  finished = 0;
  readonly #store: LevelKv;
  #index = 0;

  private constructor(folder: string, store: LevelKv) {
    this.folder = folder;
    this.#store = store;
  }

  static async open(): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), 'clb-growth-'));
    const store = await LevelKv.open(folder);
    const server = new Server(folder, store);
    await restoreMachine(server.machine, 0, 0, [], store);
    await server.apply([
      {
        op: 'nodeUp',
        node: {
          ...{ id: 'w', role: 'worker', address: 'w:1', slots: PER_ENTRY, cpus: 2, memoryMb: 4_096 },
          ...{ labels: {}, instance: 'a' },
        },
      },
    ]);
    return server;
  }

  async apply(ops: readonly Op[]): Promise<void> {
    this.#index += 1;
    const texts = ops.map((op) => JSON.stringify(op));
    const payload = encodeEntry(Date.UTC(2026, 0, 1) + this.#index, texts);
    this.machine.apply({ index: this.#index as LogIndex, term: 1 as Term, payload });
    await this.write(this.machine.takeDirty());
  }

  async write(ops: readonly KvOp[]): Promise<void> {
    if (ops.length > 0) await this.#store.batch(ops, { sync: false });
  }

  /** `count` tasks from their submission to the archive. */
  async cycle(count: number): Promise<void> {
    for (let done = 0; done < count; done += PER_ENTRY) {
      const ids = Array.from({ length: PER_ENTRY }, (_, at) => idOf(this.finished + at));
      const rows = encodeRows([['w', 12.5, 33.1, 2, 4, 95.6, null, 0, 0, 1]]);
      await this.apply([
        ...ids.map((id): Op => ({
          op: 'submit',
          atomic: false,
          tasks: [
            { id, spec: { command: ['/bin/true'], name: `job ${id}` }, key: `key ${id}`, content: 'x' },
          ],
        })),
        ...ids.map((task): Op => ({
          op: 'assign',
          task,
          node: 'w',
          placement: { reason: 'the only node', rows },
        })),
      ]);
      const token = this.#index;
      await this.apply(
        ids.map((task): Op => ({
          ...{ op: 'finish', task, token, outcome: 'succeeded', reason: null, runMs: 3 },
          result: taskResult({ stdout: 'sum 42\n', stdoutBytes: 7 }),
        })),
      );
      this.finished += PER_ENTRY;
    }
  }

  async retire(keep: number): Promise<void> {
    await this.apply([{ op: 'retire', through: this.finished - keep }]);
    await this.write(this.machine.dropBefore(this.#index as LogIndex));
  }

  folderMb(): number {
    const bytes = readdirSync(this.folder).reduce(
      (sum, name) => sum + statSync(join(this.folder, name)).size,
      0,
    );
    return Math.round(bytes / 1024 / 102.4) / 10;
  }

  async destroy(): Promise<void> {
    await this.#store.close();
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(`${this.folder}.superblock`, { force: true });
  }
}

/** Spread like random ids, but the same in every run. */
function idOf(number: number): string {
  return (BigInt(number + 1) * 0x9e3779b97f4a7c15n).toString(32).padStart(16, '0').slice(-16);
}

async function microsecondsEach(count: number, run: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return Math.round((10 * (user + system)) / count) / 10;
}

async function measured(server: Server): Promise<Record<string, number>> {
  const cycle = await microsecondsEach(WINDOW, () => server.cycle(WINDOW));
  const { tasks } = server.machine.state;
  const page = await microsecondsEach(PAGES, async () => {
    for (let at = 0; at < PAGES; at += 1) await listTasks(tasks, { limit: 100 }, () => Promise.resolve());
  });
  const rare = await microsecondsEach(PAGES, async () => {
    const query = { limit: 100, name: `job ${idOf(at(tasks.archive.size))}` };
    for (let turn = 0; turn < PAGES; turn += 1) await listTasks(tasks, query, () => Promise.resolve());
  });
  return {
    finished: server.finished,
    cycle_us: cycle,
    page_us: page,
    by_name_us: rare,
    folder_mb: server.folderMb(),
    rss_mb: Math.round(process.memoryUsage().rss / 1024 / 1024),
  };
}

/** One of the newer ones. */
function at(size: number): number {
  return size - Math.min(size, 500);
}

const growing = await Server.open();
const growth: Record<string, number>[] = [];
await growing.cycle(WINDOW);
for (let finished = 10_000; finished <= TASKS; finished *= 10) {
  const missing = finished - growing.finished - WINDOW;
  if (missing > 0) await growing.cycle(missing);
  growth.push(await measured(growing));
}
await growing.destroy();

const retiring = await Server.open();
const retention: Record<string, number>[] = [];
for (let round = 1; round <= 10; round += 1) {
  for (let step = 0; step < 4; step += 1) {
    await retiring.cycle(KEEP / 4);
    if (retiring.finished > KEEP) await retiring.retire(KEEP);
  }
  retention.push({
    finished: retiring.finished,
    kept: retiring.machine.state.tasks.archive.size,
    folder_mb: retiring.folderMb(),
  });
}
await retiring.destroy();
console.log(JSON.stringify({ growth, retention }));
