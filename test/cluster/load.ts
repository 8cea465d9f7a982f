/** Work that goes on while servers come and go, and what has to be true of it in the end. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TaskView } from '../../src/api/tasks.ts';
import { isFinal } from '../../src/api/tasks.ts';
import { beatingCommand, overlaps, readTrace } from './payloads.ts';
import { eventually } from './processes.ts';
import type { ProcessCluster } from './processes.ts';

/** Each submits one task after the other. */
const CLIENTS = 3;
const BEATS = 2;

/** Clients that submit without end, each task under its own key until it is accepted, at whichever server answers. */
export class Load {
  readonly #cluster: ProcessCluster;
  readonly #record: string;
  readonly #accepted = new Map<number, string>();
  readonly #clients: Promise<void>[] = [];
  readonly #refusals: string[] = [];
  #next = 0;
  #isOver = false;

  constructor(cluster: ProcessCluster) {
    this.#cluster = cluster;
    this.#record = join(cluster.folder, 'record');
  }

  start(): void {
    for (let n = 0; n < CLIENTS; n += 1) {
      const client = this.#client();
      // Looked at when the load is over; in a test that failed nobody does.
      client.catch(() => undefined);
      this.#clients.push(client);
    }
  }

  stop(): void {
    this.#isOver = true;
  }

  /** What servers answered to submits other than that they are accepted, since the last call. */
  takeRefusals(): readonly string[] {
    return this.#refusals.splice(0);
  }

  /** Resolves when so many more were accepted. */
  async accepts(count: number): Promise<void> {
    const wanted = this.#accepted.size + count;
    await eventually(`${count} more tasks`, () => Promise.resolve(this.#accepted.size >= wanted), 90_000);
  }

  /** Submits no more, and checks that all that was accepted is done, once. `others`: tasks that the test has submitted itself. */
  async finish(others = 0): Promise<void> {
    this.stop();
    await Promise.all(this.#clients);
    await eventually(
      'every task is done',
      async () => (await this.#cluster.allTasks()).every((task) => isFinal(task.status)),
      120_000,
    );
    const tasks = new Map((await this.#cluster.allTasks()).map((task) => [task.id, task]));
    assert.equal(tasks.size, this.#accepted.size + others, 'each was accepted once');
    for (const id of this.#accepted.values()) assert.equal(tasks.get(id)?.status, 'succeeded', id);
    assert.deepEqual(overlaps(readTrace(this.#record)), [], 'no task ran on two nodes at once');
  }

  async #client(): Promise<void> {
    while (!this.#isOver) {
      const n = this.#next++;
      await eventually(`task ${n} is accepted`, () => this.#submit(n), 60_000);
      await eventually(
        'the backlog is short',
        async () => {
          const { counts } = await this.#cluster.getAny<{ counts: Record<string, number> }>(
            '/v1/tasks?limit=1',
          );
          return (counts['queued'] ?? 0) + (counts['assigned'] ?? 0) < 10;
        },
        90_000,
      );
    }
  }

  async #submit(n: number): Promise<boolean> {
    const task = beatingCommand(this.#record, BEATS, `task ${n}`);
    const up = this.#cluster.serverIds.filter((id) => this.#cluster.isRunning(id));
    const id = up[n % up.length];
    if (id === undefined) return false;
    const headers = { 'idempotency-key': `task-${n}` };
    const answer = await this.#cluster.request<TaskView>(id, 'POST', '/v1/tasks', task, headers);
    if (answer.status !== 201 && answer.status !== 200) {
      this.#refusals.push(`${id}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return false;
    }
    this.#accepted.set(n, answer.body.id);
    return true;
  }
}
