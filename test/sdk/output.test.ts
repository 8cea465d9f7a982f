/** A task's output as one sequence of bytes, whatever breaks on the way. */
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { clusterAndClient, endAllAfterwards, until } from './harness.ts';

endAllAfterwards();

async function text(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString();
}

async function runningTask(servers = 1) {
  const { cluster, clb } = await clusterAndClient(servers);
  const { id } = await clb.submit({ command: ['true'] });
  cluster.startTask(id);
  return { cluster, clb, id };
}

describe('logs', () => {
  it('gives what is there, of either stream, from an offset', async () => {
    const { cluster, clb, id } = await runningTask();
    cluster.write(id, 'stdout', 'one two');
    cluster.write(id, 'stderr', 'oops');
    assert.equal(await text(clb.logs(id)), 'one two');
    assert.equal(await text(clb.logs(id, { offset: 4 })), 'two');
    assert.equal(await text(clb.logs(id, { stream: 'stderr' })), 'oops');
    await assert.rejects(text(clb.logs('ffffffff')), { code: 'NOT_FOUND' });
  });

  it('keeps bytes that are no text as they are', async () => {
    const { cluster, clb, id } = await runningTask();
    const bytes = Buffer.from([0, 255, 254, 10, 195]);
    cluster.write(id, 'stdout', bytes);
    const parts: Uint8Array[] = [];
    for await (const part of clb.logs(id)) parts.push(part);
    assert.deepEqual(Buffer.concat(parts), bytes);
  });

  it('with follow goes on until the task is final', async () => {
    const { cluster, clb, id } = await runningTask();
    const all = text(clb.logs(id, { follow: true }));
    await until('it follows', () => cluster.server(0).streams === 1);
    cluster.write(id, 'stdout', 'a');
    cluster.write(id, 'stdout', 'b');
    cluster.finish(id);
    assert.equal(await all, 'ab');
  });

  it('with follow waits for a task that has not started', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const { id } = await clb.submit({ command: ['true'] });
    const all = text(clb.logs(id, { follow: true }));
    await until('it asked', () => cluster.requests('GET', /logs/) > 0);
    cluster.startTask(id);
    cluster.write(id, 'stdout', 'late');
    cluster.finish(id);
    assert.equal(await all, 'late');
  });

  it('goes on where it broke off, on another server', async () => {
    const { cluster, clb, id } = await runningTask(2);
    cluster.write(id, 'stdout', 'before ');
    const seen: string[] = [];
    const all = (async () => {
      for await (const chunk of clb.logs(id, { follow: true })) seen.push(Buffer.from(chunk).toString());
    })();
    await until('the beginning came', () => seen.join('') === 'before ');
    await cluster.server(0).kill();
    cluster.write(id, 'stdout', 'after');
    await until('the rest came', () => seen.join('') === 'before after');
    cluster.finish(id);
    await all;
    assert.equal(seen.join(''), 'before after');
    const resumed = cluster.server(1).requests.find(({ path }) => path.endsWith('/logs'));
    assert.equal(resumed?.query.get('offset'), '7');
  });

  it('begins anew with another attempt, and says so', async () => {
    const { cluster, clb, id } = await runningTask();
    const attempts: string[] = [];
    let seen = '';
    const all = (async () => {
      const chunks = clb.logs(id, {
        follow: true,
        onAttempt: (n, on) => attempts.push(`attempt ${n} on ${on ?? '?'}`),
      });
      for await (const chunk of chunks) seen += Buffer.from(chunk).toString();
    })();
    cluster.write(id, 'stdout', 'first ');
    await until('it came', () => seen === 'first ');
    cluster.loseAttempt(id, 'worker1 was lost');
    cluster.startTask(id, 'worker2');
    cluster.write(id, 'stdout', 'second');
    cluster.finish(id);
    await all;
    assert.equal(seen, 'first second');
    assert.deepEqual(attempts, ['attempt 2 on worker2']);
  });

  it('ends by its signal', async () => {
    const { cluster, clb, id } = await runningTask();
    const controller = new AbortController();
    const all = text(clb.logs(id, { follow: true, signal: controller.signal }));
    await until('it follows', () => cluster.server(0).streams === 1);
    controller.abort();
    await assert.rejects(all, { name: 'AbortError' });
  });
});
