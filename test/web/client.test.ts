/** The client node on a real LevelDB, in front of real server apps: its lines, its page, and servers that come and go. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ApiError } from '../../src/api/errors.ts';
import { createClientApp } from '../../src/web/client-app.ts';
import type { ClientAppOptions } from '../../src/web/client-app.ts';
import { SentTasks } from '../../src/web/client-store.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';
import { SessionStore } from '../../src/web/sessions.ts';
import { FakeCluster } from './fake-cluster.ts';
import {
  ask,
  closeAll,
  FakeLines,
  FakeLog,
  guardWith,
  listen,
  onClose,
  readStream,
  startServer,
  until,
} from './nodes.ts';
import type { TestServer } from './nodes.ts';

after(closeAll);

const TASK = { command: ['true'] };
const HTML = 'text/html,application/xhtml+xml,*/*;q=0.8';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'clb-client-'));
  onClose(() => rm(path, { recursive: true, force: true }));
  return path;
}

interface TestClient {
  readonly address: string;
  readonly port: number;
  readonly lines: FakeLines;
  readonly sent: SentTasks;
  /** As at the end of the process. */
  readonly end: () => Promise<void>;
}

async function startClient(
  servers: readonly string[],
  options: Partial<ClientAppOptions> & { readonly dataDir?: string } = {},
): Promise<TestClient> {
  const lines = new FakeLines();
  const dataDir = options.dataDir ?? (await folder());
  const sent = await SentTasks.open(dataDir, { onFatal: (error) => assert.fail(error) });
  const app = createClientApp({
    nodeId: 'client',
    version: '0.0.0',
    guard: guardWith(),
    port: 3001,
    servers,
    token: null,
    lines,
    writeLine: lines.write,
    sent,
    uiDir: join(dataDir, 'no-page'),
    metrics: new NodeMetrics({ id: 'client', version: '0.0.0' }),
    log: new FakeLog(),
    ...options,
  });
  let ended: Promise<void> | null = null;
  const end = (): Promise<void> =>
    (ended ??= app.stop().then(async () => {
      await sent.close();
      app.close();
    }));
  onClose(end);
  app.start();
  const { address, port } = await listen(app.handle);
  await until(async () => {
    const { status } = await ask(address, '/readyz');
    return status === 200 || servers.length === 0 || options.token !== undefined;
  }, 'the client is ready');
  return { address, port, lines, sent, end };
}

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

describe('the page', () => {
  async function withPage(): Promise<string> {
    const uiDir = await folder();
    await mkdir(join(uiDir, 'assets'));
    await writeFile(join(uiDir, 'index.html'), '<!doctype html><title>CLB</title><div id="app"></div>');
    await writeFile(join(uiDir, 'assets', 'main-abc123.js'), 'export {};');
    await writeFile(join(uiDir, '.hidden'), 'secret');
    return uiDir;
  }

  it('is served with headers that let nothing else in', async () => {
    const client = await startClient([], { uiDir: await withPage() });
    const page = await ask(client.address, '/', { headers: { accept: HTML } });
    assert.equal(page.status, 200);
    assert.match(page.text, /id="app"/);
    const csp = String(page.headers['content-security-policy']);
    assert.match(csp, /^default-src 'self';.*frame-ancestors 'none'/);
    assert.doesNotMatch(csp, /unsafe|https?:/);
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
    assert.equal(page.headers['cache-control'], 'no-cache');
    assert.equal(page.headers['x-clb-node'], 'client');
    const script = await ask(client.address, '/assets/main-abc123.js');
    assert.match(String(script.headers['content-type']), /javascript/);
    assert.match(String(script.headers['cache-control']), /immutable/);
    const deep = await ask(client.address, '/tasks/abc', { headers: { accept: HTML } });
    assert.match(deep.text, /id="app"/, 'the page has addresses of its own');
  });

  it('gives no file outside, no hidden one, and a JSON 404 for what is not there', async () => {
    const client = await startClient([], { uiDir: await withPage() });
    for (const path of [
      '/assets/nothing.js',
      '/../package.json',
      '/%2e%2e/package.json',
      '/..%2fpackage.json',
      '/.hidden',
      '/%00',
    ]) {
      const answer = await ask(client.address, path);
      assert.ok(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`);
      assert.match(answer.json.error.code, /^(NOT_FOUND|FORBIDDEN|INVALID)$/);
    }
  });

  it('says what to do where it is not built', async () => {
    const client = await startClient([]);
    const page = await ask(client.address, '/', { headers: { accept: HTML } });
    assert.deepEqual([page.status, page.text], [503, 'The page is not built: npm run build\n']);
  });

  it('asks for the token once; the servers get the token, the browser a session', async () => {
    const guard = guardWith({ token: 'sesame', sessions: new SessionStore('client') });
    const server = await startServer({ guard: guardWith({ token: 'sesame' }), token: 'sesame' });
    const client = await startClient([server.address], { guard, token: 'sesame', uiDir: await withPage() });
    const page = await ask(client.address, '/', { headers: { accept: HTML } });
    assert.deepEqual([page.status, page.headers.location], [303, '/login?next=%2F']);
    assert.equal((await ask(client.address, '/assets/main-abc123.js')).status, 401);
    assert.equal((await ask(client.address, '/v1/tasks')).status, 401);
    const login = await ask(client.address, '/login', { body: { token: 'sesame' } });
    const cookie = (login.headers['set-cookie']?.[0] ?? '').split(';')[0] ?? '';
    const session = { headers: { cookie } };
    assert.equal((await ask(client.address, '/', session)).status, 200);
    assert.equal((await ask(client.address, '/v1/tasks', { ...session, body: TASK })).status, 201);
    assert.equal((await ask(client.address, '/v1/tasks', session)).json.tasks.length, 1);
    assert.equal(server.cluster instanceof FakeCluster, true);
  });

  it('has the log beside it', async () => {
    const client = await startClient([]);
    client.lines.write('Created payload: x');
    assert.equal((await ask(client.address, '/logging')).text, 'Created payload: x\n');
    assert.match((await ask(client.address, '/metrics')).text, /clb_process_uptime_seconds/);
    assert.equal((await ask(client.address, '/stop')).status, 403);
  });
});
