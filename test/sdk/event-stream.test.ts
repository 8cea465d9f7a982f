import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import type { EventMessage } from '../../src/api/views.ts';
import { clusterAndClient, endAllAfterwards, until } from './harness.ts';

endAllAfterwards();

/** Takes so many messages and leaves. */
async function take(
  messages: AsyncGenerator<EventMessage>,
  count: number,
  indexes: number[] = [],
): Promise<number[]> {
  for await (const message of messages) {
    indexes.push(message.index);
    if (indexes.length === count) break;
  }
  return indexes;
}

describe('subscribe', () => {
  it('gives what is committed from now on, in order', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    cluster.publish([]);
    const taken = take(clb.subscribe(), 2);
    await until('it listens', () => cluster.server(0).streams === 1);
    cluster.publish([{ kind: 'node', id: 'worker1', status: 'down' }]);
    cluster.publish([]);
    assert.deepEqual(await taken, [12, 13]);
    await until('the connection is given back', () => cluster.server(0).streams === 0);
  });

  it('gives what came after lastEventId first', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    for (let n = 0; n < 5; n += 1) cluster.publish([]);
    assert.deepEqual(await take(clb.subscribe({ lastEventId: 13 }), 2), [14, 15]);
  });

  it('goes on at another server, nothing twice and nothing missing', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    const broken: string[] = [];
    const seen: number[] = [];
    const taken = take(clb.subscribe({ onBreak: (server) => broken.push(server) }), 4, seen);
    await until('it listens', () => cluster.server(0).streams === 1);
    cluster.publish([]);
    cluster.publish([]);
    await until('both came', () => seen.length === 2);
    await cluster.server(0).kill();
    cluster.publish([]);
    cluster.publish([]);
    assert.deepEqual(await taken, [11, 12, 13, 14]);
    assert.deepEqual(broken, [cluster.server(0).address]);
  });

  it('tells of a reset and goes on from there', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    for (let n = 0; n < 5; n += 1) cluster.publish([]);
    cluster.firstKept = 14;
    const resets: (number | null)[] = [];
    const taken = take(clb.subscribe({ lastEventId: 11, onReset: (index) => resets.push(index) }), 1);
    await until('it was reset', () => resets.length === 1);
    cluster.publish([]);
    assert.deepEqual([await taken, resets], [[16], [15]]);
  });

  it('ends by its signal with the reason', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const controller = new AbortController();
    const taken = take(clb.subscribe({ signal: controller.signal }), 1);
    await until('it listens', () => cluster.server(0).streams === 1);
    controller.abort(new Error('enough'));
    await assert.rejects(taken, /enough/);
  });
});
