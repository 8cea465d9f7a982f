/** /v1/schedules: here, through a follower, and what is refused. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import type { ScheduleView } from '../../src/api/schedules.ts';
import { ask, closeAll, startServer } from './nodes.ts';

after(closeAll);

const TASK = { command: ['true'] };

describe('/v1/schedules', () => {
  it('are added, listed and removed, also through a follower', async () => {
    const master = await startServer();
    const follower = await startServer({ nodeId: 'server2' });
    follower.cluster.leading = { id: 'server1', address: master.address };
    const added = await ask(follower.address, '/v1/schedules', {
      body: { cron: '0 3 * * *', tz: 'Europe/Berlin', task: TASK },
    });
    assert.equal(added.status, 201, added.text);
    const schedule = JSON.parse(added.text) as ScheduleView;
    assert.deepEqual([schedule.cron, schedule.tz, schedule.task], ['0 3 * * *', 'Europe/Berlin', TASK]);
    const listed = await ask(follower.address, '/v1/schedules');
    assert.deepEqual(JSON.parse(listed.text), { schedules: [schedule] });
    const removed = await ask(follower.address, `/v1/schedules/${schedule.id}`, { method: 'DELETE' });
    assert.deepEqual([removed.status, JSON.parse(removed.text)], [200, { id: schedule.id }]);
    assert.deepEqual(master.cluster.scheduled, []);
    assert.equal(
      (await ask(follower.address, `/v1/schedules/${schedule.id}`, { method: 'DELETE' })).status,
      404,
    );
  });

  it('are refused by field', async () => {
    const { address, cluster } = await startServer();
    const wrong: readonly (readonly [body: unknown, said: RegExp])[] = [
      [{ task: TASK }, /^cron: missing/],
      [{ cron: '* * * * *' }, /^task: missing/],
      [{ cron: '* * * * *', task: { ...TASK, priority: 101 } }, /^task\.priority: /],
      [{ cron: '* * * * *', zone: 'UTC', task: TASK }, /^zone: unknown field/],
    ];
    for (const [body, said] of wrong) {
      const answer = await ask(address, '/v1/schedules', { body });
      assert.equal(answer.status, 400);
      assert.match(answer.json.error.message, said);
    }
    assert.deepEqual(cluster.scheduled, []);
  });

  it('are read with the word of a majority, or stale', async () => {
    const { address, cluster } = await startServer();
    cluster.barrier = new ApiError('NO_QUORUM', 'no majority');
    assert.equal((await ask(address, '/v1/schedules')).status, 503);
    assert.equal((await ask(address, '/v1/schedules?stale=true')).status, 200);
  });
});
