/** Handing over the lead, as a server's routes ask for it: what is refused, and what it answers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import type { NodeId } from '../../src/raft/core/types.ts';
import { TestCluster } from './test-cluster.ts';

interface Peers {
  readonly learners?: readonly string[];
  /** Milliseconds since server2 was last heard of; null: never. */
  readonly silentMs?: number | null;
  /** What becomes of the transfer. */
  readonly transfer?: (test: TestCluster, to: NodeId) => void;
}

/** server1 leads three voters; server2 is heard of and takes over unless told otherwise. */
async function leading({ learners = [], silentMs = 5, transfer }: Peers = {}): Promise<TestCluster> {
  const test = await TestCluster.leading();
  const { consensus } = test;
  const status = consensus.status.bind(consensus);
  const voters = ['server1', 'server2', 'server3'].map((id) => id as NodeId);
  Object.assign(consensus, {
    status: () => ({ ...status(), config: { voters, learners } }),
    lastContactMs: () => new Map([['server2', silentMs]]),
    transferLeadership: (to: NodeId) => {
      if (transfer === undefined) consensus.depose(to);
      else transfer(test, to);
      return Promise.resolve(consensus.status().leader === to);
    },
  });
  return test;
}

async function refusal(test: TestCluster, to: string): Promise<readonly unknown[]> {
  try {
    await test.cluster.transferLeadership(to);
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return [error.code, (error.details as { reason: string } | undefined)?.reason, error.message];
  }
  throw new Error('it was not refused');
}

describe('a transfer of the lead', () => {
  it('answers with the new master and its term, at once where that one leads already', async () => {
    const test = await leading();
    const { term } = test.consensus.status();
    assert.deepEqual(await test.cluster.transferLeadership('server1'), { leader: 'server1', term });
    assert.deepEqual(await test.cluster.transferLeadership('server2'), { leader: 'server2', term: term + 1 });
    assert.equal((await refusal(test, 'server3'))[0], 'NO_LEADER', 'only the master can');
  });

  it('names who is no voter', async () => {
    const test = await leading({ learners: ['server9'] });
    const stranger = await refusal(test, 'stranger');
    assert.equal(stranger[0], 'NOT_FOUND');
    assert.match(String(stranger[2]), /"stranger", there are server1, server2, server3/);
    assert.deepEqual((await refusal(test, 'server9')).slice(0, 2), ['CONFLICT', 'not_a_voter']);
  });

  it('is not begun with one that is silent', async () => {
    for (const silentMs of [null, 1_500]) {
      const test = await leading({ silentMs, transfer: () => assert.fail('it was begun') });
      const [code, reason, message] = await refusal(test, 'server2');
      assert.deepEqual([code, reason], ['CONFLICT', 'not_reachable']);
      assert.match(String(message), silentMs === null ? /never heard of/ : /1500 ms ago/);
      assert.equal(test.cluster.isLeader(), true);
    }
  });

  it('says who leads where the other one did not take over', async () => {
    const kept = await leading({ transfer: () => undefined });
    assert.deepEqual(
      [...(await refusal(kept, 'server2'))],
      ['CONFLICT', 'timed_out', 'server2 did not take the lead in time, server1 leads'],
    );
    const lost = await leading({ transfer: (test) => test.consensus.depose(null) });
    assert.match(String((await refusal(lost, 'server2'))[2]), /an election goes on/);
  });
});

describe('the queue', () => {
  it('tells how many tasks are not final, and whether it is paused', async () => {
    const test = await TestCluster.leading();
    const pausing = test.cluster.pauseQueue(true);
    await test.clock.settle();
    await pausing;
    assert.deepEqual(test.cluster.queue(), {
      paused: true,
      lengths: { scheduled: 0, queued: 0, assigned: 0, running: 0 },
    });
  });
});
