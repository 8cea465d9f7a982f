/** The routes of a server that is the master: reads, changes, output, pages. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import { ask, closeAll, readStream, startServer, until } from './nodes.ts';

after(closeAll);

describe('GET /v1/tasks', () => {
  it('lists newest first with counts and a cursor; with brief=true without scripts and output', async () => {
    const { address, cluster } = await startServer();
    const result = {
      exitCode: 0,
      signal: null,
      stdout: 'long output',
      stderr: '',
      stdoutBytes: 11,
      stderrBytes: 0,
      truncated: false,
    };
    cluster.add({ script: 'secret script', status: 'succeeded', result });
    cluster.add({ name: 'second' });
    cluster.add({ name: 'third' });
    const first = await ask(address, '/v1/tasks?limit=2');
    assert.deepEqual(
      first.json.tasks.map(({ name }) => name),
      ['third', 'second'],
    );
    assert.deepEqual([first.json.counts['queued'], first.json.counts['succeeded']], [2, 1]);
    const second = await ask(address, `/v1/tasks?limit=2&cursor=${first.json.nextCursor ?? ''}`);
    assert.equal(second.json.tasks.length, 1);
    assert.equal(second.json.nextCursor, null);
    assert.match(second.text, /long output/);
    assert.match(second.text, /secret script/);
    const brief = await ask(address, '/v1/tasks?brief=true');
    assert.match(brief.text, /"stdoutBytes":11/);
    assert.doesNotMatch(brief.text, /long output|secret script/);
    const one = await ask(address, '/v1/tasks?status=succeeded&label=a%3Db&q=x');
    assert.equal(one.json.tasks.length, 1);
  });

  it('names the query parameter that is wrong', async () => {
    const { address } = await startServer();
    const wrong: readonly (readonly [query: string, message: RegExp])[] = [
      ['status=done', /^status: "done" is not one of scheduled, queued/],
      ['limit=0', /^limit: "0" is not a whole number from 1 to 1000/],
      ['limit=1001', /^limit: /],
      ['limit=ten', /^limit: /],
      ['limit=1&limit=2', /^limit: given more than once/],
      ['state=queued', /^state: unknown query parameter, there are status, label/],
      ['label=', /^label: must not be empty/],
      [`q=${'x'.repeat(201)}`, /^q: .* limit of 200 characters/],
      ['stale=yes', /^stale: "yes" is neither true nor false/],
    ];
    for (const [query, message] of wrong) {
      const answer = await ask(address, `/v1/tasks?${query}`);
      assert.equal(answer.status, 400, query);
      assert.match(answer.json.error.message, message);
    }
  });

  it('asks a majority first, unless stale=true', async () => {
    const { address, cluster } = await startServer();
    const task = cluster.add({});
    cluster.barrier = new ApiError('NO_QUORUM', 'no majority');
    for (const path of ['/v1/tasks', `/v1/tasks/${task.id}`, `/v1/tasks/${task.id}/events`, '/v1/nodes']) {
      const refused = await ask(address, path);
      assert.deepEqual([refused.status, refused.json.error.code], [503, 'NO_QUORUM'], path);
      assert.equal(refused.headers['retry-after'], '1');
      assert.equal((await ask(address, `${path}?stale=true`)).status, 200, path);
    }
    assert.equal(cluster.barriers, 4);
  });
});

describe('GET /v1/tasks/:id', () => {
  it('gives a task by id or prefix, 404 and 409 where there is none or more than one', async () => {
    const { address, cluster } = await startServer();
    const task = cluster.add({ name: 'x' });
    cluster.add({});
    assert.equal((await ask(address, `/v1/tasks/${task.id}`)).json.name, 'x');
    assert.equal((await ask(address, '/v1/tasks/task000001')).json.name, 'x');
    assert.equal((await ask(address, '/v1/tasks/task00')).json.error.code, 'CONFLICT');
    assert.equal((await ask(address, '/v1/tasks/nothing')).json.error.code, 'NOT_FOUND');
    assert.equal((await ask(address, `/v1/tasks/${'x'.repeat(1000)}`)).status, 404);
    assert.equal((await ask(address, '/v1/tasks/%E0%A4%A')).status, 400);
  });

  it('with wait returns as soon as it is final, or after that time', async () => {
    const { address, cluster } = await startServer();
    const task = cluster.add({});
    const early = await ask(address, `/v1/tasks/${task.id}?wait=20ms`);
    assert.equal(early.json.status, 'queued');
    const waiting = ask(address, `/v1/tasks/task000001?wait=30s`);
    await until(() => cluster.barriers === 2, 'the wait has begun');
    cluster.change(task.id, { status: 'failed' });
    assert.equal((await waiting).json.status, 'failed');
    for (const wait of ['61s', '30', '-1s', '2h', '']) {
      const answer = await ask(address, `/v1/tasks/${task.id}?wait=${wait}`);
      assert.match(answer.json.error.message, /^wait: .* is not a duration from 0ms to 60s/, wait);
    }
  });
});

describe('the output of a task', () => {
  it('is passed on as raw bytes from an offset, live with follow', async () => {
    const { address, cluster } = await startServer();
    const task = cluster.add({});
    let end = (): void => undefined;
    cluster.outputEnds = new Promise((resolve) => (end = resolve));
    cluster.output = [Buffer.from([0xff, 0x41, 0x42]), Buffer.from('later')];
    const live = readStream(address, `/v1/tasks/${task.id}/logs?follow=true&offset=1`, () => false);
    const head = await readStream(address, `/v1/tasks/${task.id}/logs?follow=true`, (text) => text !== '');
    assert.match(String(head.headers['content-type']), /^text\/plain/);
    assert.equal(head.headers['x-content-type-options'], 'nosniff');
    assert.equal(head.headers['x-clb-attempt'], '1', 'the first one is waited for');
    end();
    assert.equal((await live).text, 'ABlater');
    const errors: readonly (readonly [path: string, status: number])[] = [
      [`/v1/tasks/${task.id}/logs?stream=both`, 400],
      [`/v1/tasks/${task.id}/logs?offset=-1`, 400],
      ['/v1/tasks/nothing/logs?follow=true', 404],
    ];
    for (const [path, status] of errors) assert.equal((await ask(address, path)).status, status, path);
  });

  it('sends the headers at once though there is nothing yet, and empty output is an empty answer', async () => {
    const { address, cluster } = await startServer();
    const task = cluster.add({});
    let end = (): void => undefined;
    cluster.outputEnds = new Promise((resolve) => (end = resolve));
    const headers = await new Promise<string>((resolve) => {
      const socket = connect(Number(address.split(':')[1]), '127.0.0.1', () =>
        socket.write(`GET /v1/tasks/${task.id}/logs?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n`),
      );
      socket.once('data', (data) => {
        resolve(data.toString());
        socket.destroy();
      });
    });
    assert.match(headers, /^HTTP\/1.1 200 /);
    end();
    assert.equal((await ask(address, `/v1/tasks/${task.id}/logs`)).text, '');
  });
});

describe('changes of a task', () => {
  it('cancel and retry answer with the task, 409 where its state does not allow it', async () => {
    const { address, cluster } = await startServer();
    const task = cluster.add({ name: 'x' });
    const early = await ask(address, `/v1/tasks/${task.id}/retry`, { body: {} });
    assert.deepEqual([early.status, early.json.error.code], [409, 'CONFLICT']);
    const canceled = await ask(address, `/v1/tasks/${task.id}/cancel`, { body: {} });
    assert.deepEqual([canceled.status, canceled.json.status], [200, 'canceled']);
    assert.equal((await ask(address, `/v1/tasks/${task.id}/cancel`, { method: 'POST' })).status, 409);
    const retried = await ask(address, `/v1/tasks/${task.id}/retry`, { method: 'POST' });
    assert.equal(retried.status, 201);
    assert.equal(retried.headers.location, `/v1/tasks/${retried.json.id}`);
    assert.equal(retried.json.retryOf, task.id);
    assert.equal((await ask(address, `/v1/tasks/${task.id}/cancel`, { body: { force: true } })).status, 400);
    assert.equal((await ask(address, '/v1/tasks/nothing/cancel', { method: 'POST' })).status, 404);
  });
});

describe('nodes and Raft', () => {
  it('lists nodes and drains one', async () => {
    const { address, cluster } = await startServer();
    assert.deepEqual(
      (await ask(address, '/v1/nodes')).json.nodes.map(({ id }) => id),
      ['server1', 'worker1'],
    );
    const drained = await ask(address, '/v1/nodes/worker1/drain', {
      body: { drain: true, deadlineMs: 60000 },
    });
    assert.deepEqual([drained.status, drained.json.id], [200, 'worker1']);
    await ask(address, '/v1/nodes/worker1/drain', { body: { drain: false } });
    assert.deepEqual(cluster.drains, [
      { node: 'worker1', drain: true, deadlineMs: 60000 },
      { node: 'worker1', drain: false, deadlineMs: null },
    ]);
    const bad = await ask(address, '/v1/nodes/worker1/drain', { body: { drain: 'on' } });
    assert.match(bad.json.error.message, /^drain: "on" is not a boolean/);
  });

  it("tells this node's Raft state and log", async () => {
    const { address, cluster } = await startServer();
    cluster.index = 5_000;
    cluster.firstKept = 11;
    const raft = await ask(address, '/v1/raft');
    assert.deepEqual([raft.json.role, raft.json.term], ['leader', 3]);
    const range = async (query: string): Promise<readonly (number | undefined)[]> => {
      const { entries } = (await ask(address, `/v1/raft/log${query}`)).json;
      return [entries[0]?.index, entries.at(-1)?.index];
    };
    assert.deepEqual(await range(''), [4_901, 5_000]);
    assert.deepEqual(await range('?from=100'), [100, 1_099]);
    assert.deepEqual(await range('?from=4990'), [4_990, 5_000]);
    assert.deepEqual(await range('?from=1&to=20'), [11, 20]);
    assert.deepEqual(await range('?to=50'), [11, 50]);
    assert.deepEqual(await range('?from=9000&to=9010'), [undefined, undefined]);
    const many = await ask(address, '/v1/raft/log?from=1&to=1001');
    assert.match(many.json.error.message, /^to: 1001 entries are above the limit of 1000/);
  });
});

describe('pages and probes', () => {
  it('healthz, readyz, metrics and / tell about this node', async () => {
    const { address, cluster, metrics } = await startServer();
    cluster.add({});
    metrics.electionBegun();
    metrics.raftCommit(0.003);
    metrics.raftFsync(0.001);
    metrics.start();
    const health = await ask(address, '/healthz');
    assert.deepEqual([health.status, health.json.node, health.json.status], [200, 'server1', 'ok']);
    assert.deepEqual([(await ask(address, '/readyz')).status], [200]);
    const { text, headers } = await ask(address, '/metrics');
    assert.match(String(headers['content-type']), /^text\/plain; version=0.0.4/);
    for (const line of [
      /^clb_raft_term 3$/m,
      /^clb_raft_commit_index 1$/m,
      /^clb_raft_is_leader 1$/m,
      /^clb_queue_tasks 1$/m,
      /^clb_tasks\{status="queued"\} 1$/m,
      /^clb_tasks\{status="failed"\} 0$/m,
      /^clb_raft_elections_total 1$/m,
      /^clb_raft_commit_seconds_count 1$/m,
      /^clb_raft_fsync_seconds_bucket\{le="0.001"\} 1$/m,
      /^clb_event_loop_delay_seconds\{quantile="0.99"\} /m,
      /^clb_nodes\{status="ready"\} 2$/m,
      /^clb_http_requests_total\{method="GET",status="200"\} \d+$/m,
    ])
      assert.match(text, line);
    assert.deepEqual([...text.matchAll(/^(?!#|clb_).+$/gm)], [], 'every name begins with clb_');
    metrics.stop();
    cluster.leading = null;
    const notReady = await ask(address, '/readyz');
    assert.deepEqual([notReady.status, notReady.json.reason], [503, 'no master']);
    assert.equal((await ask(address, '/healthz')).status, 200);
    assert.match((await ask(address, '/')).text, /server server1/);
  });

  it('answers unknown routes with a JSON 404, broken HTTP with a JSON 400', async () => {
    const { address, port } = await startServer();
    for (const [method, path] of [
      ['GET', '/nothing'],
      ['GET', '/v1/nothing'],
      ['PUT', '/v1/tasks'],
      ['DELETE', '/v1/tasks/x'],
      ['POST', '/v1/tasks/'],
      ['GET', '/V1/tasks'],
      ['GET', '/v1/tasks/../../etc/passwd'],
      ['TRACE', '/'],
    ] as const) {
      const answer = await ask(address, path, { method });
      assert.deepEqual([answer.status, answer.json.error.code], [404, 'NOT_FOUND'], `${method} ${path}`);
      assert.doesNotMatch(answer.text, /\.ts|node_modules/);
    }
    const raw = (request: string): Promise<string> =>
      new Promise((resolve) => {
        let said = '';
        const socket = connect(port, '127.0.0.1', () => socket.write(request));
        socket.on('data', (data) => {
          said += data.toString('latin1');
          if (said.includes('}}')) socket.destroy();
        });
        socket.on('close', () => resolve(said));
        socket.on('error', () => undefined);
      });
    assert.match(await raw('nonsense\r\n\r\n'), /^HTTP\/1.1 400 .*"INVALID"/s);
    assert.match(
      await raw(`GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
      /^HTTP\/1.1 413 .*"TOO_LARGE"/s,
    );
    assert.match(
      await raw('GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      /^HTTP\/1.1 400 .*"INVALID"/s,
    );
    assert.match(await raw('GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n'), /^HTTP\/1.1 40[04] /s);
    assert.equal((await ask(address, '/healthz')).status, 200);
  });

  it('survives a storm of requests that break off anywhere', async () => {
    const { address, port, log } = await startServer();
    const request =
      'POST /v1/tasks/batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"tasks":[{"command":["true"]}]}         ';
    await Promise.all(
      Array.from(
        { length: request.length },
        (_, i) =>
          new Promise<void>((resolve) => {
            const socket = connect(port, '127.0.0.1', () => {
              socket.write(request.slice(0, i), () => socket.destroy());
            });
            socket.on('close', () => resolve());
            socket.on('error', () => undefined);
          }),
      ),
    );
    assert.equal((await ask(address, '/healthz')).status, 200);
    assert.deepEqual(log.messages, []);
  });
});
