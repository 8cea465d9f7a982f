/**
 * Goal: a schedule of one time a second makes exactly one task for each of its times while masters are killed by kill -9; times that
 * passed while nobody led are counted as missed, and one of them is used.
 */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import type { ScheduleView } from '../../src/api/schedules.ts';
import type { TaskView } from '../../src/api/tasks.ts';
import { eventually, ProcessCluster } from './processes.ts';

const KILLS = 3;
const BETWEEN_KILLS_MS = 4_000;

describe('a schedule', { timeout: 300_000 }, () => {
  let cluster: ProcessCluster;
  before(async () => {
    cluster = await ProcessCluster.start({ only: ['server1', 'server2', 'server3', 'worker1'] });
  });
  after(async () => cluster.destroy());

  it(`runs once for each of its times, across ${KILLS} masters killed`, async () => {
    const request = { cron: '* * * * * *', task: { command: ['true'], name: 'tick' } };
    const made = await cluster.request<ScheduleView>('server1', 'POST', '/v1/schedules', request);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { id } = made.body;
    for (let kill = 0; kill < KILLS; kill += 1) {
      await wait(BETWEEN_KILLS_MS);
      const master = await cluster.master();
      await cluster.signal(master, 'SIGKILL');
      cluster.startNode(master);
    }
    await wait(BETWEEN_KILLS_MS);
    const schedule = await eventually('the schedule is told', async () => {
      const { schedules } = await cluster.getAny<{ schedules: readonly ScheduleView[] }>('/v1/schedules');
      return schedules.find((one) => one.id === id);
    });
    const removed = await eventually('it is removed', async () => {
      const answer = await cluster.request(await cluster.master(), 'DELETE', `/v1/schedules/${id}`);
      return answer.status === 200 || answer.status === 404;
    });
    assert.ok(removed);
    const tasks = (await cluster.allTasks()).filter((task) => task.labels['schedule'] === id);
    checkTimes(schedule, tasks);
    await eventually('all of them have run', async () =>
      (await cluster.allTasks()).every((task) => task.status === 'succeeded'),
    );
  });
});

/** Every second from the first time on made a task of its own, or was counted as missed. */
function checkTimes(schedule: ScheduleView, tasks: readonly TaskView[]): void {
  // What came after the schedule was asked for.
  const later = tasks.length - schedule.runs;
  assert.ok(later >= 0 && later <= 5, `${tasks.length} tasks of ${schedule.runs} runs`);
  const firstMs = Math.floor(Date.parse(schedule.createdAt) / 1_000) * 1_000 + 1_000;
  const lastMs = Date.parse(schedule.lastAt ?? '');
  const times = (lastMs - firstMs) / 1_000 + 1;
  assert.ok(times >= (KILLS + 1) * (BETWEEN_KILLS_MS / 1_000) - 2, `${times} times have come`);
  // The last time of a gap that was used may stand for those before it: they are its `missed`.
  assert.equal(schedule.runs + schedule.missed, times, JSON.stringify(schedule));
  assert.equal(new Set(tasks.map(({ id }) => id)).size, tasks.length);
  assert.ok(schedule.runs >= times / 2, `only ${schedule.runs} of ${times} were used`);
}
