/** Schedules on a master: their times come by its clock, and outlast it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ScheduleRequest, ScheduleView } from '../../src/api/schedules.ts';
import { TestCluster } from './test-cluster.ts';

async function added(test: TestCluster, request: Partial<ScheduleRequest> = {}): Promise<ScheduleView> {
  const adding = test.cluster.addSchedule({ cron: '* * * * * *', task: { command: ['true'] }, ...request });
  const [view] = await Promise.all([adding, test.clock.settle()]);
  return view;
}

describe('schedules on a master', () => {
  it('make a task each time, with what it was asked for and the label of the schedule', async () => {
    const test = await TestCluster.leading();
    const schedule = await added(test, {
      cron: '*/10 * * * * *',
      task: { command: ['date'], name: 'tick', labels: { team: 'x' } },
    });
    assert.equal(schedule.tz, 'UTC');
    await test.clock.advance(30_000);
    const tasks = test.machine.state.tasks.live();
    assert.equal(tasks.length, 3);
    assert.deepEqual(tasks[0]?.spec, {
      command: ['date'],
      name: 'tick',
      labels: { team: 'x', schedule: schedule.id },
    });
    const [now] = test.cluster.schedules();
    assert.deepEqual([now?.runs, now?.missed, now?.lastTask], [3, 0, tasks[2]?.id]);
    assert.ok(Date.parse(now?.nextAt ?? '') > test.clock.wallMs());
  });

  it('run once for each time across changes of master, and once for what an outage has missed', async () => {
    const test = await TestCluster.leading();
    await added(test, { cron: '*/10 * * * * *' });
    await test.clock.advance(10_000);
    assert.equal(test.cluster.schedules()[0]?.runs, 1);
    test.consensus.depose(null);
    await test.clock.advance(35_000);
    assert.equal(test.cluster.schedules()[0]?.runs, 1, 'nobody leads');
    test.consensus.elect();
    await test.clock.advance(200);
    const [after] = test.cluster.schedules();
    assert.deepEqual([after?.runs, after?.missed], [2, 2]);
    assert.equal(test.machine.state.tasks.liveCount, 2);
  });

  it('are refused with the reason, found by a prefix, and removed', async () => {
    const test = await TestCluster.leading();
    await assert.rejects(added(test, { cron: 'soon' }), { code: 'INVALID', message: /^cron: / });
    await assert.rejects(added(test, { tz: 'Nowhere' }), { code: 'INVALID', message: /^tz: / });
    await assert.rejects(added(test, { cron: '0 0 30 2 *' }), {
      code: 'INVALID',
      message: /no time to come/,
    });
    const { id } = await added(test);
    await assert.rejects(test.cluster.removeSchedule('zzzzzz'), { code: 'NOT_FOUND' });
    const removing = test.cluster.removeSchedule(id.slice(0, 8));
    await test.clock.settle();
    await removing;
    assert.deepEqual(test.cluster.schedules(), []);
    const before = test.machine.state.tasks.liveCount;
    await test.clock.advance(5_000);
    assert.equal(test.machine.state.tasks.liveCount, before);
  });
});
