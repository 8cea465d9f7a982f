/**
 * Goal: 500 short real tasks over the four nodes while the master is killed every few seconds: none lost, none recorded
 * twice, and no task's process ever alive on two nodes at once. The payloads record their own starts, beats and ends.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { join } from 'node:path';
import type { TaskEvent, TaskView } from '../../src/api/tasks.ts';
import { isFinal } from '../../src/api/tasks.ts';
import { beatingCommand, overlaps, readTrace } from './payloads.ts';
import { eventually, ProcessCluster } from './processes.ts';

const TASKS = 500;
const CLIENTS = 8;
const KILL_EVERY_MS = 4_000;

describe('churn', { timeout: 1_500_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.start();
  });
  after(async () => cluster.destroy());

  it(`${TASKS} tasks while the master is killed every ${KILL_EVERY_MS / 1_000} s`, async () => {
    const record = join(cluster.folder, 'record');
    const accepted = new Map<number, string>();
    let kills = 0;
    const load = { over: false };

    /** Submits task n until some server says 201 or 200, always under the same key: as any careful client does. */
    const submit = async (n: number): Promise<void> => {
      const task = { ...beatingCommand(record, 3, `task ${n}`), name: `churn-${n}` };
      await eventually(
        `task ${n} is accepted`,
        async () => {
          const id = cluster.serverIds[(n + Math.floor(Math.random() * 3)) % 3]!;
          const answer = await cluster.request<TaskView>(id, 'POST', '/v1/tasks', task, {
            'idempotency-key': `churn-${n}`,
          });
          if (answer.status !== 201 && answer.status !== 200) return false;
          accepted.set(n, answer.body.id);
          return true;
        },
        120_000,
      );
    };
    let next = 0;
    const client = async (): Promise<void> => {
      for (let n = next++; n < TASKS; n = next++) {
        await submit(n);
        // Spread over the kills: at most so many ahead of what is finished.
        if (n % 25 === 24) await eventually('the backlog is short', backlogIsShort, 400_000);
      }
    };
    /** Throws what is still open, for the message of a time-out. */
    const backlogIsShort = async (): Promise<boolean> => {
      const { counts } = await cluster.getAny<{ counts: Record<string, number> }>('/v1/tasks?limit=1');
      if (counts['queued']! + counts['assigned']! + counts['running']! < 60) return true;
      const open = (await cluster.allTasks()).filter((task) => !isFinal(task.status));
      const sample = open
        .slice(-8)
        .map(({ id, status, pendingReason, attempts }) => ({ id, status, pendingReason, attempts }));
      throw new Error(JSON.stringify({ counts, kills, sample }));
    };
    const killer = async (): Promise<void> => {
      for (;;) {
        await new Promise((wake) => setTimeout(wake, KILL_EVERY_MS));
        if (load.over) return;
        const master = await cluster.master();
        if (kills % 2 === 0) await cluster.signal(master, 'SIGKILL');
        else await cluster.killWithLauncher(master);
        kills += 1;
        cluster.startNode(master);
      }
    };

    const killing = killer();
    await Promise.all(Array.from({ length: CLIENTS }, client));
    const tasks = await eventually(
      'all are final',
      async () => {
        const all = await cluster.allTasks();
        return all.length >= TASKS && all.every((task) => isFinal(task.status)) ? all : null;
      },
      600_000,
    );
    load.over = true;
    await killing;
    await cluster.whenReady();

    assert.ok(kills >= 3, `the master was killed ${kills} times`);
    assert.equal(tasks.length, TASKS, 'one task for each key');
    const byId = new Map(tasks.map((task) => [task.id, task]));
    for (let n = 0; n < TASKS; n += 1) {
      const task = byId.get(accepted.get(n)!);
      assert.ok(task?.status === 'succeeded', `task ${n}: ${JSON.stringify(task)}`);
      assert.equal(task.result?.stdout, `task ${n}\n`);
    }
    const trace = readTrace(record);
    assert.deepEqual(overlaps(trace), [], 'no task was alive twice at once');
    assert.equal(
      new Set(trace.filter((entry) => entry.what === 'end').map((entry) => entry.task)).size,
      TASKS,
      'each ran to its end',
    );

    for (const task of tasks.filter((one) => one.attempts.length > 1).slice(0, 50)) {
      const { events } = await cluster.getAny<{ events: readonly TaskEvent[] }>(
        `/v1/tasks/${task.id}/events`,
      );
      assert.equal(
        events.filter((event) => event.what === 'finished').length,
        1,
        `recorded once: ${JSON.stringify(events)}`,
      );
    }
  });
});
