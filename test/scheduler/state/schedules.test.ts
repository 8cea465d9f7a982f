import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Op } from '../../../src/scheduler/state/ops.ts';
import { STATE_LIMITS } from '../../../src/scheduler/state/limits.ts';
import { TaskMachine } from '../../../src/scheduler/task-machine.ts';
import { MachineDriver, newTask, restoreMachine } from '../machine-driver.ts';

const add = (id: string, nextAt: number): Op => ({
  op: 'scheduleAdd',
  schedule: { id, cron: '* * * * *', tz: 'UTC', spec: { command: ['true'] }, nextAt },
});
const tick = (schedule: string, time: number, nextAt: number | null, task: string, missed = 0): Op => ({
  ...{ op: 'scheduleTick', schedule, time, nextAt, missed, task: newTask(task) },
});

describe('a schedule', () => {
  it('makes one task for each time, whoever says twice that it has come', async () => {
    const driver = await MachineDriver.create();
    const { schedules, tasks } = driver.machine.state;
    assert.deepEqual(driver.one(add('s1', 2_000)), { kind: 'done' });
    assert.equal(schedules.nextAt(), 2_000);
    assert.deepEqual(driver.one(tick('s1', 2_000, 3_000, 'a')), { kind: 'done' });
    assert.deepEqual(driver.one(tick('s1', 2_000, 3_000, 'b')), { kind: 'duplicate' });
    assert.deepEqual(driver.one(tick('s1', 2_500, 3_000, 'c')), { kind: 'duplicate' });
    assert.equal(tasks.liveCount, 1);
    assert.equal(tasks.get('a')?.status, 'queued');
    driver.one(tick('s1', 3_000, null, 'd', 4));
    const record = schedules.get('s1');
    assert.deepEqual(
      [record?.nextAt, record?.lastAt, record?.lastTask, record?.runs, record?.missed],
      [null, 3_000, 'd', 2, 4],
    );
    assert.equal(schedules.nextAt(), null);
  });

  it('goes on when a time could make no task, and says why', async () => {
    const driver = await MachineDriver.create();
    driver.apply({ op: 'submit', atomic: true, tasks: [newTask('taken')] });
    driver.one(add('s1', 2_000));
    driver.one(tick('s1', 2_000, 3_000, 'taken'));
    const record = driver.machine.state.schedules.get('s1');
    assert.deepEqual([record?.nextAt, record?.runs, record?.lastTask], [3_000, 0, null]);
    assert.match(record?.problem ?? '', /taken is there already/);
  });

  it('is removed, after which its times are refused', async () => {
    const driver = await MachineDriver.create();
    driver.one(add('s1', 2_000));
    assert.equal(driver.one(add('s1', 2_000)).kind, 'refused');
    assert.deepEqual(driver.one({ op: 'scheduleRemove', schedule: 's1' }), { kind: 'done' });
    assert.equal(driver.one({ op: 'scheduleRemove', schedule: 's1' }).kind, 'refused');
    assert.equal(driver.one(tick('s1', 2_000, 3_000, 'a')).kind, 'refused');
    assert.equal(driver.machine.state.tasks.liveCount, 0);
  });

  it('finds its place among others by time, and there is a limit', async () => {
    const driver = await MachineDriver.create();
    const { schedules } = driver.machine.state;
    for (let n = 0; n < STATE_LIMITS.schedulesMax; n += 1) driver.one(add(`s${n}`, 5_000 - n));
    const refused = driver.one(add('one-more', 1));
    assert.match(refused.kind === 'refused' ? refused.message : '', /1000 schedules, which is the limit/);
    assert.equal(schedules.nextAt(), 4_001);
    assert.deepEqual(
      schedules.due(4_003).map(({ id }) => id),
      ['s997', 's998', 's999'],
    );
  });

  it('is in the snapshot and in the hash of the state', async () => {
    const driver = await MachineDriver.create();
    const before = driver.machine.stateHash();
    driver.one(add('s1', 2_000));
    driver.one(tick('s1', 2_000, 3_000, 'a', 1));
    assert.notEqual(driver.machine.stateHash(), before);
    const other = new TaskMachine();
    await restoreMachine(other, driver.index, driver.term, await driver.snapshot(), driver.kv);
    assert.deepEqual(other.state.schedules.all(), driver.machine.state.schedules.all());
    assert.equal(other.state.schedules.nextAt(), 3_000);
    assert.equal(other.stateHash(), driver.machine.stateHash());
  });
});
