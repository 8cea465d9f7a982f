/** Which address is asked, how long, and what is said in the end. */
import { setMaxListeners } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { AddressError } from '../../src/sdk/address.ts';
import { Clb } from '../../src/sdk/clb.ts';
import { NoServerError } from '../../src/sdk/errors.ts';
import { clientOf, clusterAndClient, endAllAfterwards, until } from './harness.ts';

endAllAfterwards();

describe('the addresses', () => {
  it('are host:port; anything else is refused by name', () => {
    for (const bad of ['', 'localhost', '127.0.0.1:0', '127.0.0.1:70000', 'https://a:1', 'a:1/x']) {
      assert.throws(() => new Clb({ servers: [bad] }), AddressError, bad);
    }
    assert.throws(() => new Clb({ servers: [] }), AddressError);
    assert.deepEqual(new Clb({ servers: ['http://a:1/', 'a:1', '[::1]:2'] }).servers, ['a:1', '[::1]:2']);
  });

  it('are tried in turn when one refuses connections', async () => {
    const { cluster } = await clusterAndClient(1);
    const clb = clientOf(['127.0.0.1:1', ...cluster.addresses]);
    assert.equal((await clb.nodes()).length, 1);
  });

  it('are tried in turn when one is stopped and answers 418 in plain text', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    cluster.server(0).misbehave = () => ({ kind: 'text', status: 418, text: 'I am simulating a crash' });
    await clb.nodes();
    await clb.nodes();
    assert.equal(cluster.server(0).requests.length, 1, 'the stopped one is not asked again for a while');
  });

  it('are tried in turn when one does not answer in time', async () => {
    const { cluster } = await clusterAndClient(2);
    const clb = clientOf(cluster.addresses, { timeoutMs: 200 });
    cluster.server(0).misbehave = () => ({ kind: 'hang' });
    await clb.nodes();
    assert.equal(cluster.server(1).requests.length, 1);
  });

  it('lead to the master: once its address is known it is asked first', async () => {
    const { cluster, clb } = await clusterAndClient(3);
    cluster.leader = 'server3';
    await clb.nodes();
    await until('the other servers said who they are', () => cluster.requests('GET', /healthz/) === 2);
    for (let calls = 0; calls < 50 && cluster.server(2).count('GET', /nodes/) === 0; calls += 1)
      await clb.nodes();
    assert.ok(cluster.server(2).count('GET', /nodes/) > 0);
    const before = cluster.server(0).requests.length;
    await clb.nodes();
    assert.equal(cluster.server(0).requests.length, before);
  });

  it('of the master is found behind a server that forwards to it', async () => {
    const asked: string[] = [];
    const answer = (name: string, headers: Record<string, string>) =>
      createServer((req, res) => {
        asked.push(`${name} ${req.url ?? ''}`);
        res.writeHead(200, { 'x-clb-leader': 'm', 'x-clb-index': '5', ...headers });
        res.end('{"nodes":[]}');
      });
    const follower = answer('follower', { 'x-clb-node': 'f' });
    const master = answer('master', { 'x-clb-node': 'm' });
    const addresses: string[] = [];
    for (const server of [follower, master]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      addresses.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    }
    const clb = clientOf(addresses);
    try {
      await clb.nodes();
      await until('the master told its name', () => asked.includes('master /healthz'));
      for (let calls = 0; calls < 50 && !asked.includes('master /v1/nodes'); calls += 1) await clb.nodes();
      assert.ok(asked.includes('master /v1/nodes'));
    } finally {
      clb.close();
      for (const server of [follower, master]) server.close();
    }
  });
});

describe('a call that nobody can do', () => {
  it('ends soon with what each address said', async () => {
    const clb = clientOf(['127.0.0.1:1', '127.0.0.1:2'], { hopelessMs: 100 });
    await assert.rejects(clb.nodes(), (error) => {
      assert.ok(error instanceof NoServerError);
      assert.equal(error.code, 'UNAVAILABLE');
      assert.deepEqual(
        error.servers.map(({ server, said }) => `${server} ${said}`),
        [
          '127.0.0.1:1 nobody listens (connection refused)',
          '127.0.0.1:2 nobody listens (connection refused)',
        ],
      );
      return true;
    });
  });

  it('tells a cluster that is stopped from one that is not there', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    cluster.server(0).misbehave = () => ({ kind: 'text', status: 418, text: 'stopped' });
    await assert.rejects(clb.nodes(), { code: 'STOPPED' });
  });

  it('can be aborted between two tries', async () => {
    const clb = clientOf(['127.0.0.1:1'], { hopelessMs: 60_000, retryMs: 60_000 });
    await assert.rejects(clb.nodes({ signal: AbortSignal.timeout(100) }), { name: 'TimeoutError' });
  });

  it('is not repeated where twice is not the same as once and it may have been done', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    const task = await clb.submit({ command: ['true'] });
    cluster.finish(task.id);
    for (const server of cluster.servers) {
      server.misbehave = ({ path }) => (path.endsWith('/retry') ? { kind: 'lose-answer' } : null);
    }
    await assert.rejects(clb.retry(task.id), { code: 'UNKNOWN_OUTCOME' });
    assert.equal(cluster.tasks().length, 2, 'done once, not once per server');
  });

  it('is repeated even then where it was surely not done', async () => {
    const { cluster, clb } = await clusterAndClient(2);
    const task = await clb.submit({ command: ['true'] });
    cluster.finish(task.id);
    cluster.server(0).misbehave = () => ({ kind: 'error', code: 'NO_LEADER' });
    assert.equal((await clb.retry(task.id)).retryOf, task.id);
    assert.equal(cluster.tasks().length, 2);
  });
});

describe('a kept connection', () => {
  it('that the server has closed as idle costs nothing but a new one', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    await clb.nodes();
    let reset = true;
    cluster.server(0).misbehave = () => {
      if (!reset) return null;
      reset = false;
      return { kind: 'reset' };
    };
    await clb.nodes();
    assert.equal(cluster.server(0).requests.length, 3);
  });
});

describe('the token', () => {
  it('goes with every request; without it the answer is UNAUTHORIZED', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    cluster.token = 'secret';
    await assert.rejects(clb.nodes(), { code: 'UNAUTHORIZED', status: 401 });
    const trusted = clientOf(cluster.addresses, {
      token: 'secret',
      headers: { 'x-clb-client-port': '3001' },
    });
    assert.equal((await trusted.nodes()).length, 1);
    assert.equal(cluster.server(0).requests.at(-1)?.headers['x-clb-client-port'], '3001');
  });
});

describe('something else than CLB', () => {
  it('is told from it by its answers', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    cluster.server(0).misbehave = () => ({ kind: 'text', status: 200, text: '<html>' });
    await assert.rejects(clb.nodes(), { code: 'INTERNAL', message: /is no JSON: <html>/ });
    cluster.server(0).misbehave = () => ({ kind: 'text', status: 404, text: 'Cannot GET /' });
    await assert.rejects(clb.nodes(), { code: 'NOT_FOUND', message: 'answered 404: Cannot GET /' });
  });
});

describe('streams', () => {
  it('leave the connections of other calls alone, however many are open', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const followers = Array.from({ length: 80 }, async () => {
      for await (const message of clb.subscribe({ signal: stop.signal })) assert.fail(String(message.index));
    });
    await until('all listen', () => cluster.server(0).streams === 80);
    await clb.nodes();
    stop.abort();
    for (const ended of await Promise.allSettled(followers)) assert.equal(ended.status, 'rejected');
  });
});

describe('the remaining calls', () => {
  it('ask for what they say', async () => {
    const { cluster, clb } = await clusterAndClient(3);
    const task = await clb.submit({ command: ['true'] });
    assert.equal((await clb.get(task.id.slice(0, 8))).id, task.id);
    assert.deepEqual(
      (await clb.list({ status: 'queued', limit: 5 })).tasks.map(({ id }) => id),
      [task.id],
    );
    assert.equal((await clb.events(task.id)).length, 2);
    await clb.drain('server1', { deadlineMs: 5_000 });
    assert.deepEqual(cluster.drains, [{ node: 'server1', drain: true, deadlineMs: 5_000 }]);
    await clb.stopNode('server2', true);
    assert.ok(cluster.stopped.has('server2'));
    assert.deepEqual(
      (await clb.raftLog({ from: 2, to: 3 })).map(({ index }) => index),
      [2, 3],
    );
    await clb.nodes({ stale: true });
    assert.equal(cluster.requests('GET', /nodes/), 1);
    const asked = cluster.servers
      .flatMap(({ requests }) => requests)
      .find(({ path }) => path === '/v1/nodes');
    assert.equal(asked?.query.get('stale'), 'true');
  });

  it('raftAll asks every address and reports those that do not answer', async () => {
    const { cluster } = await clusterAndClient(2);
    const clb = clientOf([...cluster.addresses, '127.0.0.1:1']);
    const rows = await clb.raftAll();
    assert.deepEqual(
      rows.map((row) => (row.kind === 'ok' ? row.raft.role : row.error.code)),
      ['leader', 'follower', 'UNAVAILABLE'],
    );
  });

  it('cancel finds out whether it was done when its answer was lost', async () => {
    const { cluster, clb } = await clusterAndClient(1);
    const task = await clb.submit({ command: ['true'] });
    cluster.server(0).misbehave = ({ path }) => (path.endsWith('/cancel') ? { kind: 'lose-answer' } : null);
    assert.equal((await clb.cancel(task.id)).status, 'canceled');
    await assert.rejects(clb.cancel('ffffffff'), { code: 'NOT_FOUND' });
  });
});
