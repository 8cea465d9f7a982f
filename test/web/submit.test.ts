/** POST /v1/tasks and /v1/tasks/batch on real sockets: what is accepted, what is refused, and in which words. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import { ask, closeAll, startServer } from './nodes.ts';

after(closeAll);

const TASK = { command: ['true'] };

describe('POST /v1/tasks', () => {
  it('answers 201 with Location, the task and the three headers', async () => {
    const { address, cluster } = await startServer();
    const answer = await ask(address, '/v1/tasks', {
      body: { script: 'print(1)', name: 'one' },
      headers: { 'x-clb-client-port': '3001', 'content-type': 'application/json; charset=utf-8' },
    });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.location, `/v1/tasks/${answer.json.id}`);
    assert.equal(answer.json.status, 'queued');
    assert.equal(answer.headers['x-clb-node'], 'server1');
    assert.equal(answer.headers['x-clb-leader'], 'server1');
    assert.equal(answer.headers['x-clb-index'], String(answer.json.index));
    assert.deepEqual(cluster.submitted, [
      { request: { script: 'print(1)', name: 'one' }, idempotencyKey: null, retryOf: null, clientPort: 3001 },
    ]);
  });

  it('answers 200 with the same task for a known Idempotency-Key, 409 for other content under it', async () => {
    const { address } = await startServer();
    const headers = { 'idempotency-key': 'k1' };
    const first = await ask(address, '/v1/tasks', { body: TASK, headers });
    const second = await ask(address, '/v1/tasks', { body: TASK, headers });
    assert.deepEqual([first.status, second.status], [201, 200]);
    assert.equal(second.json.id, first.json.id);
    assert.equal(second.headers.location, undefined);
    const other = await ask(address, '/v1/tasks', { body: { command: ['false'] }, headers });
    assert.equal(other.status, 409);
    assert.equal(other.json.error.code, 'CONFLICT');
  });

  const refused: readonly (readonly [what: string, body: unknown, message: RegExp])[] = [
    ['malformed JSON', '{"script": ', /^the body is not valid JSON: /],
    ['no body', '', /body is empty/],
    ['an array', '[]', /^body: an array of 0 is not an object/],
    ['null', 'null', /^body: null is not an object/],
    ['neither script nor command', {}, /^script: exactly one of script and command/],
    ['both', { script: 'x', command: ['x'] }, /^script: exactly one of script and command/],
    ['a number too small', { ...TASK, timeoutMs: 0 }, /^timeoutMs: 0 is below the minimum of 1$/],
    ['a number too big', { ...TASK, priority: 1e300 }, /^priority: 1e\+300 is above the limit of 100$/],
    ['a fraction', { ...TASK, maxAttempts: 1.5 }, /^maxAttempts: 1.5 is not a whole number$/],
    ['another type', { ...TASK, timeoutMs: '5' }, /^timeoutMs: "5" is not a number$/],
    ['a long name', { ...TASK, name: 'n'.repeat(201) }, /^name: a length of 201 .* limit of 200 characters$/],
    ['a wrong choice', { ...TASK, onDisconnect: 'hop' }, /"hop" is not one of pause, stop, continue$/],
    ['a wrong item', { command: ['a', 3] }, /^command\[1\]: 3 is not a string$/],
    ['too many items', { command: Array(1001).fill('a') }, /^command: a number of 1001 items .* 1000 items$/],
    [
      'a misspelled field',
      { ...TASK, timeoutms: 5 },
      /^timeoutms: unknown field \(did you mean timeoutMs\?\)$/,
    ],
    ['an unknown field', { ...TASK, colour: 'red' }, /^colour: unknown field$/],
    [
      'a bad variable',
      { ...TASK, env: { 'A=B': '' } },
      /^env\["A=B"\]: invalid name: a variable name must not/,
    ],
    ['__proto__ in a map', '{"command":["a"],"env":{"__proto__":"x"}}', /^env: the name __proto__/],
    ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22]), /not valid UTF-8/],
  ];
  it('refuses bad input with 400 INVALID, naming field, value and limit; none of it reaches the cluster', async () => {
    const { address, cluster, log } = await startServer();
    for (const [what, body, message] of refused) {
      const answer = await ask(address, '/v1/tasks', { body });
      assert.equal(answer.status, 400, what);
      assert.equal(answer.json.error.code, 'INVALID', what);
      assert.match(answer.json.error.message, message, what);
    }
    assert.equal(cluster.submitted.length, 0);
    assert.deepEqual(log.messages, []);
  });

  it('refuses bad headers and query parameters by name', async () => {
    const { address } = await startServer();
    const long = await ask(address, '/v1/tasks', {
      body: TASK,
      headers: { 'idempotency-key': 'k'.repeat(257) },
    });
    assert.match(long.json.error.message, /^Idempotency-Key: .* limit of 256 characters$/);
    const port = await ask(address, '/v1/tasks', { body: TASK, headers: { 'x-clb-client-port': '70000' } });
    assert.match(port.json.error.message, /^X-Clb-Client-Port: /);
    const query = await ask(address, '/v1/tasks?dry=1', { body: TASK });
    assert.match(query.json.error.message, /^dry: unknown query parameter/);
    const packed = await ask(address, '/v1/tasks', { body: TASK, headers: { 'content-encoding': 'gzip' } });
    assert.equal(packed.status, 400);
  });

  it('answers 413 to 50 MB before they are sent, and serves on', async () => {
    const { address, port, cluster } = await startServer();
    const rssBefore = process.memoryUsage().rss;
    const body = Buffer.alloc(50 * 1024 * 1024, 'x');
    const answer = await ask(address, '/v1/tasks', { body });
    assert.equal(answer.status, 413);
    assert.equal(answer.json.error.code, 'TOO_LARGE');
    assert.match(answer.json.error.message, /1048576 bytes \(1 MiB\)/);
    assert.deepEqual(answer.json.error.details, { limitBytes: 1048576 });
    assert.ok(process.memoryUsage().rss - rssBefore < 120e6, 'the body was not kept');

    // Announced only: the answer comes although not a byte of the body does.
    const early = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(
          'POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 52428800\r\n\r\n',
        ),
      );
      socket.once('data', (data) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.once('error', reject);
    });
    assert.match(early, /^HTTP\/1.1 413 /);
    assert.equal((await ask(address, '/v1/tasks', { body: TASK })).status, 201);
    assert.equal(cluster.submitted.length, 1);
  });

  it('answers 413 to a chunked body as soon as it is over the limit, and cuts off who sends on and on', async () => {
    const { address, port, cluster } = await startServer();
    const chunk = Buffer.from(`100000\r\n${'x'.repeat(0x100000)}\r\n`);
    let received = '';
    let sentBytes = 0;
    await new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(
          'POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
        );
        send();
      });
      const send = (): void => {
        for (let more = true; more && !socket.destroyed; sentBytes += chunk.length)
          more = socket.write(chunk);
      };
      socket.on('drain', send);
      socket.on('data', (data) => (received += data.toString()));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
    });
    assert.match(received, /^HTTP\/1.1 413 /);
    assert.ok(sentBytes < 150e6, `cut off after ${sentBytes} bytes`);
    assert.equal((await ask(address, '/healthz')).status, 200);
    assert.equal(cluster.submitted.length, 0);
  });

  it('with Expect: 100-continue asks for the body only if it wants it', async () => {
    const { address } = await startServer();
    const expecting = (bytes: number): Promise<{ status: number; continued: boolean }> =>
      new Promise((resolve, reject) => {
        const body = JSON.stringify({ script: 'x'.repeat(bytes) });
        const outgoing = request(`http://${address}/v1/tasks`, {
          method: 'POST',
          agent: false,
          headers: {
            'content-type': 'application/json',
            'content-length': body.length,
            expect: '100-continue',
          },
        });
        let continued = false;
        outgoing.on('continue', () => {
          continued = true;
          outgoing.end(body);
        });
        outgoing.on('response', (response) => {
          response.resume();
          resolve({ status: response.statusCode ?? 0, continued });
          outgoing.destroy();
        });
        outgoing.on('error', reject);
        outgoing.flushHeaders();
      });
    assert.deepEqual(await expecting(10), { status: 201, continued: true });
    assert.deepEqual(await expecting(2_000_000), { status: 413, continued: false });
  });

  it('passes on what the cluster refuses, with Retry-After where it helps', async () => {
    const { address, cluster } = await startServer();
    cluster.onSubmit = () => {
      throw new ApiError('QUEUE_FULL', 'the limit of 1000000 is reached', { retryAfterSeconds: 7 });
    };
    const full = await ask(address, '/v1/tasks', { body: TASK });
    assert.deepEqual([full.status, full.headers['retry-after']], [429, '7']);
    cluster.onSubmit = () => {
      throw new ApiError('NO_QUORUM', 'no majority');
    };
    const quorum = await ask(address, '/v1/tasks', { body: TASK });
    assert.deepEqual([quorum.status, quorum.json.error.code], [503, 'NO_QUORUM']);
    assert.ok(Number(quorum.headers['retry-after']) >= 1);
    cluster.onSubmit = () => {
      throw new ApiError('UNKNOWN_OUTCOME', 'perhaps');
    };
    assert.equal((await ask(address, '/v1/tasks', { body: TASK })).status, 504);
  });

  it('answers a fault of its own with 500 and without a stack, tells the log, and lives on', async () => {
    const { address, cluster, log } = await startServer();
    cluster.onSubmit = () => {
      throw new TypeError('secret detail');
    };
    const answer = await ask(address, '/v1/tasks', { body: TASK });
    assert.equal(answer.status, 500);
    assert.equal(answer.json.error.code, 'INTERNAL');
    assert.doesNotMatch(answer.text, /secret|at .*\.ts/);
    assert.match(log.messages.join(), /secret detail/);
    cluster.onSubmit = () => undefined;
    assert.equal((await ask(address, '/v1/tasks', { body: TASK })).status, 201);
  });
});

describe('POST /v1/tasks/batch', () => {
  it('answers in order, each task with its own key', async () => {
    const { address, cluster } = await startServer();
    const tasks = [TASK, { script: 'x', idempotencyKey: 'k' }, { script: 'x', idempotencyKey: 'k' }];
    const answer = await ask(address, '/v1/tasks/batch', { body: { tasks } });
    assert.equal(answer.status, 200);
    assert.deepEqual(
      answer.json.results.map((result) => result.status),
      [201, 201, 200],
    );
    assert.equal(answer.json.results[2]?.task.id, answer.json.results[1]?.task.id);
    assert.deepEqual(
      cluster.submitted.map(({ idempotencyKey }) => idempotencyKey),
      [null, 'k', 'k'],
    );
  });

  it('atomic (the default): one bad task refuses all, named with its place', async () => {
    const { address, cluster } = await startServer();
    const tasks = [TASK, TASK, TASK, { ...TASK, timeoutMs: -1 }, { nonsense: 1 }];
    const answer = await ask(address, '/v1/tasks/batch', { body: { tasks } });
    assert.equal(answer.status, 400);
    assert.match(answer.json.error.message, /^tasks\[3\]\.timeoutMs: -1 is below the minimum of 1 \(and /);
    assert.equal(answer.json.error.details.field, 'tasks[3].timeoutMs');
    assert.equal(answer.json.error.details.problems[1]?.field, 'tasks[4].nonsense');
    assert.equal(cluster.submitted.length, 0);
  });

  it('not atomic: each by itself', async () => {
    const { address, cluster } = await startServer();
    const tasks = [{ nonsense: 1 }, TASK, { ...TASK, idempotencyKey: '' }];
    const answer = await ask(address, '/v1/tasks/batch', { body: { tasks, atomic: false } });
    assert.equal(answer.status, 200);
    const { results } = answer.json;
    assert.deepEqual(
      results.map((result) => result.status),
      [400, 201, 400],
    );
    assert.match(results[0]!.error.message, /^tasks\[0\]\./);
    assert.match(results[2]!.error.message, /^tasks\[2\]\.idempotencyKey: /);
    assert.equal(cluster.submitted.length, 1);
  });

  it('states its limits: tasks, bytes of one task, bytes of the body, no Idempotency-Key header', async () => {
    const { address, cluster } = await startServer();
    const many = await ask(address, '/v1/tasks/batch', { body: { tasks: Array(10_001).fill(TASK) } });
    assert.match(
      many.json.error.message,
      /^tasks: a number of 10001 items is above the limit of 10000 items/,
    );
    const none = await ask(address, '/v1/tasks/batch', { body: { tasks: [] } });
    assert.equal(none.status, 400);
    const big = { tasks: [TASK, { script: 'x'.repeat(1024 * 1024) }] };
    const one = await ask(address, '/v1/tasks/batch', { body: big });
    assert.equal(one.status, 413);
    assert.match(one.json.error.message, /^tasks\[1\]: .* limit of 1048576 bytes/);
    const all = await ask(address, '/v1/tasks/batch', { body: 'x'.repeat(8 * 1024 * 1024 + 1) });
    assert.equal(all.status, 413);
    assert.match(all.json.error.message, /8388608 bytes \(8 MiB\)/);
    const key = await ask(address, '/v1/tasks/batch', {
      body: { tasks: [TASK] },
      headers: { 'idempotency-key': 'k' },
    });
    assert.equal(key.status, 400);
    const unknown = await ask(address, '/v1/tasks/batch', { body: { tasks: [TASK], atomc: true } });
    assert.match(unknown.json.error.message, /^atomc: unknown field/);
    assert.equal(cluster.submitted.length, 0);
  });

  it('takes 10,000 tasks', async () => {
    const { address } = await startServer();
    const answer = await ask(address, '/v1/tasks/batch', { body: { tasks: Array(10_000).fill(TASK) } });
    assert.equal(answer.status, 200);
    assert.equal(answer.json.results.length, 10_000);
    assert.equal(new Set(answer.json.results.map((r) => r.task.id)).size, 10_000);
  });
});
