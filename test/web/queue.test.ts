/** The queue as a whole, and handing over the lead: here, through a follower, and what is refused. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import type { LeadView, QueueView } from '../../src/api/views.ts';
import { ask, closeAll, startServer } from './nodes.ts';
import type { TestAnswer, TestServer } from './nodes.ts';

after(closeAll);

function queueOf(answer: TestAnswer): QueueView {
  assert.equal(answer.status, 200, answer.text);
  return JSON.parse(answer.text) as QueueView;
}

function leadOf(answer: TestAnswer): LeadView {
  assert.equal(answer.status, 200, answer.text);
  return JSON.parse(answer.text) as LeadView;
}

/** server1 leads, server2 knows it. */
async function startPair(): Promise<{ master: TestServer; follower: TestServer }> {
  const master = await startServer();
  const follower = await startServer({ nodeId: 'server2' });
  follower.cluster.leading = { id: 'server1', address: master.address };
  return { master, follower };
}

describe('/v1/queue', () => {
  it('is paused and resumed, and tells how many tasks are not final', async () => {
    const { address, cluster } = await startServer();
    cluster.add({ status: 'running' });
    cluster.add({ status: 'queued' });
    cluster.add({ status: 'queued' });
    cluster.add({ status: 'failed' });
    const lengths = { scheduled: 0, queued: 2, assigned: 0, running: 1 };
    assert.deepEqual(queueOf(await ask(address, '/v1/queue')), { paused: false, lengths });
    assert.deepEqual(queueOf(await ask(address, '/v1/queue', { body: { paused: true } })), {
      paused: true,
      lengths,
    });
    assert.equal(cluster.paused, true);
    assert.equal(queueOf(await ask(address, '/v1/queue', { body: { paused: false } })).paused, false);
  });

  it('names what is wrong, and asks a majority unless stale=true', async () => {
    const { address, cluster } = await startServer();
    const wrong: readonly (readonly [body: unknown, said: RegExp])[] = [
      [{ paused: 'yes' }, /^paused: "yes" is not a boolean/],
      [{}, /^paused: missing/],
      [{ paused: true, for: 1 }, /^for: unknown field/],
      [[], /^body: an array of 0 is not an object/],
    ];
    for (const [body, said] of wrong) {
      const answer = await ask(address, '/v1/queue', { body });
      assert.equal(answer.status, 400);
      assert.match(answer.json.error.message, said);
    }
    assert.equal(cluster.paused, false);
    cluster.barrier = new ApiError('NO_QUORUM', 'no majority');
    assert.equal((await ask(address, '/v1/queue')).json.error.code, 'NO_QUORUM');
    assert.equal((await ask(address, '/v1/queue?stale=true')).status, 200);
  });

  it('is the master’s, whoever is asked', async () => {
    const { master, follower } = await startPair();
    assert.equal(queueOf(await ask(follower.address, '/v1/queue', { body: { paused: true } })).paused, true);
    assert.deepEqual([master.cluster.paused, follower.cluster.paused], [true, false]);
    assert.equal(queueOf(await ask(follower.address, '/v1/queue')).paused, true);
  });
});

describe('POST /v1/raft/transfer', () => {
  it('makes the one named the master, and answers with it', async () => {
    const { address, cluster } = await startServer();
    const asked: string[] = [];
    cluster.onTransfer = (to) => void asked.push(to);
    const moved = await ask(address, '/v1/raft/transfer', { body: { to: 'server3' } });
    assert.deepEqual(leadOf(moved), { leader: 'server3', term: 4 });
    const itself = await ask(address, '/v1/raft/transfer', { body: { to: 'server1' } });
    assert.equal(leadOf(itself).leader, 'server1');
    assert.deepEqual(asked, ['server3']);
  });

  it('passes on why it could not be', async () => {
    const { address, cluster } = await startServer();
    cluster.onTransfer = () => {
      throw new ApiError('CONFLICT', 'server2 was never heard of', { details: { reason: 'not_reachable' } });
    };
    const silent = await ask(address, '/v1/raft/transfer', { body: { to: 'server2' } });
    assert.deepEqual([silent.status, silent.json.error.code], [409, 'CONFLICT']);
    assert.match(silent.text, /"reason":"not_reachable"/);
    const stranger = await ask(address, '/v1/raft/transfer', { body: { to: 'stranger' } });
    assert.equal(stranger.json.error.code, 'NOT_FOUND');
    for (const body of [{}, { to: 7 }, { to: '' }, { to: 'x'.repeat(65) }, { to: 'server2', now: true }]) {
      assert.equal((await ask(address, '/v1/raft/transfer', { body })).json.error.code, 'INVALID');
    }
    assert.equal((await ask(address, '/v1/raft/transfer')).status, 404, 'GET is not one of its methods');
  });

  it('asked of the one that is to lead, is answered though the old master is no longer one', async () => {
    const { master, follower } = await startPair();
    master.cluster.onTransfer = async () => {
      master.cluster.leading = { id: 'server2', address: follower.address };
      follower.cluster.leading = { id: 'server2', address: follower.address };
      // The answer never comes: the follower hears of the election first.
      await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
    };
    const moved = await ask(follower.address, '/v1/raft/transfer', { body: { to: 'server2' } });
    assert.equal(leadOf(moved).leader, 'server2');
  });
});
