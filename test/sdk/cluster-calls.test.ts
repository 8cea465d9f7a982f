/** Calls about the cluster as a whole: the queue, and who leads. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { ClbError } from '../../src/sdk/errors.ts';
import { clusterAndClient, endAllAfterwards } from './harness.ts';

endAllAfterwards();

describe('the queue', () => {
  it('is paused, resumed and looked at', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    await clb.submit({ command: ['true'] });
    const paused = await clb.pauseQueue(true);
    assert.deepEqual([paused.paused, cluster.paused], [true, true]);
    assert.deepEqual(await clb.queue(), {
      paused: true,
      lengths: { scheduled: 0, queued: 1, assigned: 0, running: 0 },
    });
    assert.equal((await clb.pauseQueue(false)).paused, false);
  });

  it('is paused though the first answer is lost: twice is the same as once', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    let lose = true;
    cluster.server(0).misbehave = ({ method }) => {
      if (method !== 'POST' || !lose) return null;
      lose = false;
      return { kind: 'lose-answer' };
    };
    assert.equal((await clb.pauseQueue(true)).paused, true);
    assert.equal(cluster.requests('POST', /queue/), 2);
  });
});

describe('a transfer of the lead', () => {
  it('resolves with the new master', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    assert.deepEqual(await clb.transferLeadership('server2'), { leader: 'server2', term: 4 });
    assert.equal(cluster.leader, 'server2');
  });

  it('fails at once where it is refused', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    cluster.stopped.add('server2');
    for (const [to, code] of [
      ['server2', 'CONFLICT'],
      ['server7', 'NOT_FOUND'],
    ] as const) {
      await assert.rejects(clb.transferLeadership(to), (error) => {
        return error instanceof ClbError && error.code === code;
      });
    }
    assert.equal(cluster.requests('POST', /transfer/), 2);
  });
});
