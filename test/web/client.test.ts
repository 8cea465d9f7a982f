/** The client node on a real LevelDB, in front of real server apps: its lines, and servers that come and go. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import { SentTasks } from '../../src/web/client-store.ts';
import { folder, startClient } from './client-node.ts';
import { ask, closeAll, onClose, readStream, startServer, until } from './nodes.ts';
import type { TestServer } from './nodes.ts';

after(closeAll);

const TASK = { command: ['true'] };

/** server1 leads, server2 follows; both tell of the same cluster. */
async function startServers(): Promise<readonly [TestServer, TestServer]> {
  const first = await startServer();
  const second = await startServer({ nodeId: 'server2' });
  second.cluster.leading = { id: 'server1', address: first.address };
  return [first, second];
}

function addresses(servers: readonly TestServer[]): readonly string[] {
  return servers.map(({ address }) => address);
}

async function fakeServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The client has its stream of events open at one of these. */
function watching(...servers: readonly TestServer[]): Promise<void> {
  return until(() => servers.some(({ cluster }) => cluster.listeners > 0), 'the client watches events');
}

describe('a submit through the client', () => {
  it('writes what the original wrote, and the result when it comes, unasked', async () => {
    const servers = await startServers();
    const client = await startClient(addresses(servers).toReversed());
    const [{ cluster, port }] = servers;
    const answer = await ask(client.address, '/v1/tasks', { body: TASK });
    assert.equal(answer.status, 201);
    const { id } = answer.json;
    assert.equal(answer.headers.location, `/v1/tasks/${id}`);
    assert.equal(answer.headers['x-clb-leader'], 'server1');
    assert.deepEqual(client.lines.texts(), [
      `Created payload: ${id}`,
      `Sent payload: ${id} for execution to port: ${port}`,
    ]);
    const [item] = cluster.submitted;
    assert.equal(item!.clientPort, 3001);
    assert.match(item!.idempotencyKey ?? '', /^[0-9a-f-]{36}$/);
    await watching(...servers);
    const watched = servers.find(({ cluster: candidate }) => candidate.listeners > 0);
    watched?.cluster.tasks.set(id, { ...cluster.getTask(id), status: 'succeeded' });
    watched?.cluster.emit(id);
    await until(() => client.lines.texts().length === 3, 'the result is noticed');
    assert.equal(client.lines.texts()[2], `Received result: ${id}`);
    watched?.cluster.emit(id);
    assert.equal((await ask(client.address, '/logging')).text.split('\n').length, 4, 'once');
  });

  it('writes lines for every task of a batch and for a retry, none for a repeat under a known key', async () => {
    const server = await startServer();
    const client = await startClient([server.address]);
    const tasks = [TASK, { ...TASK, idempotencyKey: 'mine' }];
    const batch = await ask(client.address, '/v1/tasks/batch', { body: { tasks } });
    const ids = batch.json.results.map(({ task }) => task.id);
    assert.equal(ids.length, 2);
    assert.deepEqual(server.cluster.submitted.map(({ idempotencyKey }) => idempotencyKey)[1], 'mine');
    assert.match(server.cluster.submitted[0]?.idempotencyKey ?? '', /^[0-9a-f-]{36}$/);
    const again = await ask(client.address, '/v1/tasks', {
      body: TASK,
      headers: { 'idempotency-key': 'mine' },
    });
    assert.deepEqual([again.status, again.json.id], [200, ids[1]]);
    await watching(server);
    for (const id of ids) server.cluster.change(id, { status: 'failed' });
    await until(() => client.lines.texts().length === 6, 'both results');
    const retried = await ask(client.address, `/v1/tasks/${ids[0] ?? ''}/retry`, { method: 'POST' });
    assert.equal(retried.status, 201);
    const created = client.lines.texts().filter((line) => line.startsWith('Created'));
    assert.deepEqual(
      created,
      [...ids, retried.json.id].map((id) => `Created payload: ${id}`),
    );
  });

  it('notices a result that comes before the answer to the submit', async () => {
    const server = await startServer();
    const client = await startClient([server.address]);
    await watching(server);
    server.cluster.onAdded = ({ id }) => void server.cluster.change(id, { status: 'succeeded' });
    const { id } = (await ask(client.address, '/v1/tasks', { body: TASK })).json;
    await until(() => client.lines.texts().length === 3, 'the result is noticed');
    assert.deepEqual(
      client.lines.texts().map((line) => line.split(':')[0]),
      ['Created payload', 'Sent payload', 'Received result'],
    );
    assert.equal(client.lines.texts()[2], `Received result: ${id}`);
    assert.equal(client.sent.isOpen(id), false);
  });

  it('writes nothing for what is refused, and passes the refusal on', async () => {
    const server = await startServer();
    const client = await startClient([server.address]);
    const cases: readonly (readonly [path: string, body: unknown, status: number])[] = [
      ['/v1/tasks', { command: [] }, 400],
      ['/v1/tasks', '{', 400],
      ['/v1/tasks', 'x'.repeat(1024 * 1024 + 1), 413],
      ['/v1/tasks/batch', { tasks: [{ nonsense: 1 }] }, 400],
      ['/v1/tasks/batch', '[1', 400],
      ['/v1/tasks/batch', { tasks: 'none' }, 400],
      ['/v1/tasks/nothing/retry', {}, 404],
    ];
    for (const [path, body, status] of cases) {
      const answer = await ask(client.address, path, { body });
      assert.equal(answer.status, status, `${path} ${JSON.stringify(body).slice(0, 30)}`);
      assert.ok(answer.json.error.message.length > 0);
    }
    server.cluster.onSubmit = () => {
      throw new ApiError('QUEUE_FULL', 'full', { retryAfterSeconds: 3 });
    };
    const full = await ask(client.address, '/v1/tasks', { body: TASK });
    assert.deepEqual([full.status, full.headers['retry-after']], [429, '3']);
    assert.deepEqual(client.lines.texts(), []);
  });
});

describe('a client node that was away', () => {
  it('writes the results that came meanwhile, and those that come later', async () => {
    const server = await startServer();
    const dataDir = await folder();
    const before = await startClient([server.address], { dataDir });
    const ids: string[] = [];
    for (let i = 0; i < 3; i += 1) ids.push((await ask(before.address, '/v1/tasks', { body: TASK })).json.id);
    await before.end();
    const [ended, gone, open] = ids as [string, string, string];
    server.cluster.change(ended, { status: 'canceled' });
    server.cluster.tasks.delete(gone);

    const client = await startClient([server.address], { dataDir });
    await until(() => client.sent.openIds().length === 1, 'the ended and the gone one are known');
    assert.deepEqual(client.lines.texts(), [`Received result: ${ended}`]);
    await watching(server);
    server.cluster.change(open, { status: 'succeeded' });
    await until(() => client.lines.texts().length === 2, 'the last result');
    assert.equal(client.lines.texts()[1], `Received result: ${open}`);
  });

  it('looks up what it sent when the events in between are not kept any more', async () => {
    const server = await startServer();
    const dead = await fakeServer((_req, res) => res.socket?.destroy());
    const client = await startClient([server.address, dead]);
    const { id } = (await ask(client.address, '/v1/tasks', { body: TASK })).json;
    await watching(server);
    await ask(server.address, '/stop', { body: { stopped: true } });
    server.cluster.change(id, { status: 'failed' });
    for (let i = 0; i < 5; i += 1) server.cluster.emit();
    server.cluster.firstKept = server.cluster.index;
    await ask(server.address, '/stop', { body: { stopped: false } });
    await until(() => client.lines.texts().length === 3, 'the result is found');
    assert.equal(client.lines.texts()[2], `Received result: ${id}`);
  });
});

describe('the store of sent tasks', () => {
  it('is bounded: the oldest are forgotten', async () => {
    const path = await folder();
    const sent = await SentTasks.open(path, {
      onFatal: (error) => assert.fail(error),
      openMax: 3,
      doneMax: 2,
    });
    await sent.add(['a', 'b', 'c', 'd']);
    assert.deepEqual(sent.openIds(), ['b', 'c', 'd']);
    await sent.finish(['b', 'c', 'd', 'nothing']);
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((id) => sent.has(id)),
      [false, false, true, true],
    );
    await sent.add(['e', 'c']);
    await sent.close();
    const again = await SentTasks.open(path, { onFatal: (error) => assert.fail(error) });
    assert.deepEqual(again.openIds(), ['e']);
    assert.deepEqual(
      ['b', 'c', 'd', 'e'].map((id) => again.has(id)),
      [false, true, true, true],
    );
    await again.close();
  });
});

describe('servers that come and go', () => {
  it('a stopped master: the next one is asked, also for a submit under way', async () => {
    const [first, second] = await startServers();
    const client = await startClient(addresses([first, second]));
    await ask(first.address, '/stop', { body: { stopped: true } });
    second.cluster.leading = { id: 'server2', address: '' };
    assert.equal((await ask(client.address, '/v1/tasks', { body: TASK })).status, 201);
    assert.equal(client.lines.texts()[1]?.split(': ').at(-1), String(second.port));

    await ask(first.address, '/stop', { body: { stopped: false } });
    first.cluster.leading = { id: 'server1', address: '' };
    second.cluster.leading = { id: 'server1', address: first.address };
    let reached = 0;
    first.cluster.onSubmit = () => {
      reached += 1;
      return new Promise(() => undefined);
    };
    const submit = ask(client.address, '/v1/tasks', { body: TASK });
    await until(() => reached > 0, 'it has reached the master');
    second.cluster.leading = { id: 'server2', address: '' };
    await ask(first.address, '/stop', { body: { stopped: true } });
    assert.equal((await submit).status, 201);
    const keys = second.cluster.submitted.map(({ idempotencyKey }) => idempotencyKey);
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(second.cluster.submitted.length, 2);
  });

  it("what may have been done and can't be repeated is said to be unknown", async () => {
    const server = await startServer();
    const client = await startClient([server.address]);
    const task = server.cluster.add({ status: 'failed' });
    server.cluster.onGet = () => void ask(server.address, '/stop', { body: { stopped: true } });
    server.cluster.cancel = () => {
      server.cluster.onGet();
      return new Promise(() => undefined);
    };
    const answer = await ask(client.address, `/v1/tasks/${task.id}/cancel`, { method: 'POST' });
    assert.deepEqual([answer.status, answer.json.error.code], [504, 'UNKNOWN_OUTCOME']);
  });

  it('a master that hangs is given up, and its streams with it', async () => {
    const live = await startServer({ nodeId: 'server2' });
    const task = live.cluster.add({ name: 'x' });
    let hung = false;
    const hanging = await fakeServer((req, res) => {
      req.resume();
      if (hung) return;
      res.setHeader('x-clb-node', 'server1');
      res.setHeader('x-clb-leader', 'server1');
      if (req.url === '/v1/events')
        res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hi\n\n');
      else if (req.url === '/healthz') res.end('{"stopped":false}');
    });
    live.cluster.leading = { id: 'server1', address: hanging };
    const client = await startClient([hanging, live.address]);
    let begun = false;
    const events = readStream(client.address, '/v1/events', () => {
      begun = true;
      return false;
    });
    await until(() => begun, 'the stream is open');
    hung = true;
    const read = ask(client.address, `/v1/tasks/${task.id}`);
    live.cluster.leading = { id: 'server2', address: '' };
    assert.equal((await read).json.name, 'x');
    assert.equal((await events).ended, true);
  });

  it('no quorum is told at once; no server at all, soon', async () => {
    const [first, second] = await startServers();
    const client = await startClient(addresses([first, second]));
    await ask(first.address, '/stop', { body: { stopped: true } });
    second.cluster.leading = null;
    second.cluster.barrier = new ApiError('NO_QUORUM', 'no majority');
    const quorum = await ask(client.address, '/v1/tasks', { body: TASK });
    assert.deepEqual([quorum.status, quorum.json.error.code], [503, 'NO_QUORUM']);
    assert.equal(quorum.headers['retry-after'], '1');
    assert.equal((await ask(client.address, '/v1/tasks?stale=true')).status, 200);

    await ask(second.address, '/stop', { body: { stopped: true } });
    const stopped = await ask(client.address, '/v1/tasks', { body: TASK });
    assert.deepEqual([stopped.status, stopped.json.error.code], [503, 'NO_QUORUM']);
    const started = await ask(client.address, '/v1/nodes/server1/stop', { body: { stopped: false } });
    assert.deepEqual([started.status, started.json.stopped], [200, false], 'with no server left to ask');
    assert.equal(first.stop.stopped, false);

    const lonely = await startClient(['127.0.0.1:1'], { token: 'x' });
    const nobody = await ask(lonely.address, '/v1/tasks', { body: TASK });
    assert.deepEqual([nobody.status, nobody.json.error.code], [503, 'UNAVAILABLE']);
    const ready = await ask(lonely.address, '/readyz');
    assert.deepEqual([ready.status, ready.json.ready], [503, false]);
    assert.equal((await ask(lonely.address, '/healthz')).status, 200);
  });
});

describe('the API through the client', () => {
  it('is that of the servers: reads, waits, output, events, errors', async () => {
    const [first, second] = await startServers();
    const client = await startClient(addresses([second, first]));
    const task = first.cluster.add({ name: 'x' });
    first.cluster.output = [Buffer.from([0xff, 0x41])];
    assert.equal((await ask(client.address, `/v1/tasks/${task.id}`)).json.name, 'x');
    assert.equal((await ask(client.address, '/v1/tasks?limit=1')).json.tasks.length, 1);
    assert.equal((await ask(client.address, '/v1/nodes')).json.nodes.length, 2);
    const drained = await ask(client.address, '/v1/nodes/worker1/drain', { body: { drain: true } });
    assert.equal(drained.status, 200);
    const wait = ask(client.address, `/v1/tasks/${task.id}?wait=20s`);
    const before = first.cluster.barriers;
    await until(() => first.cluster.barriers > before, 'the wait has begun');
    assert.equal(
      (await ask(client.address, `/v1/tasks/${task.id}/cancel`, { body: {} })).json.status,
      'canceled',
    );
    assert.equal((await wait).json.status, 'canceled');
    assert.equal((await ask(client.address, `/v1/tasks/${task.id}/logs`)).text, '\ufffdA');
    for (const [path, status] of [
      ['/v1/nothing', 404],
      ['/v1/tasks/nothing', 404],
      ['/v1/tasks?state=x', 400],
      ['/v1/tasks/x?wait=2h', 400],
    ] as const)
      assert.equal((await ask(client.address, path)).status, status, path);
    assert.equal((await ask(client.address, '/v1/tasks', { method: 'PUT' })).status, 404);
    const foreign = await ask(client.address, '/v1/tasks', {
      body: TASK,
      headers: { origin: 'http://evil.example' },
    });
    assert.equal(foreign.status, 403);
  });

  it('speaks for one server with via', async () => {
    const servers = await startServers();
    const client = await startClient(addresses(servers));
    await until(
      async () => (await ask(client.address, '/v1/raft?via=server2')).status === 200,
      'both are known',
    );
    assert.equal((await ask(client.address, '/v1/raft?via=server1')).json.id, 'server1');
    assert.equal((await ask(client.address, '/v1/raft?via=server2')).json.id, 'server2');
    assert.equal((await ask(client.address, '/v1/raft?via=server9')).status, 404);
    await ask(servers[1].address, '/stop', { body: { stopped: true } });
    assert.equal((await ask(client.address, '/v1/raft?via=server2')).status, 418);
  });

  it('streams events; where the server goes away the stream ends and is resumed at another', async () => {
    const [first, second] = await startServers();
    const client = await startClient(addresses([first, second]));
    first.cluster.emit();
    second.cluster.emit();
    await watching(first);
    const others = first.cluster.listeners;
    const reading = readStream(client.address, '/v1/events', () => false);
    await until(() => first.cluster.listeners > others, 'the reader is at the master');
    first.cluster.emit();
    second.cluster.emit();
    await until(() => first.cluster.messages.length === 2, 'given');
    await ask(first.address, '/stop', { body: { stopped: true } });
    const { text, ended } = await reading;
    assert.equal(ended, true);
    assert.match(text, /id: 2\n/);
    const resumed = await readStream(client.address, '/v1/events', (got) => got.includes('id: 2'), {
      'last-event-id': '1',
    });
    assert.doesNotMatch(resumed.text, /reset|id: 1\n/);
    assert.equal(resumed.headers['x-clb-node'], 'server2');
  });
});
