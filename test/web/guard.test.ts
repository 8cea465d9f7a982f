/** Who may call: the whole matrix of Host, Origin, Sec-Fetch-Site, token, cookie and content type, on real sockets. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { OutgoingHttpHeaders } from 'node:http';
import { after, describe, it } from 'node:test';
import { upgradeGuard } from '../../src/web/guard.ts';
import { hostName, OwnNames } from '../../src/web/own-names.ts';
import { SESSION_MS_MAX, SessionStore, SESSIONS_MAX } from '../../src/web/sessions.ts';
import { UpgradeRouter } from '../../src/net/upgrade.ts';
import { ask, closeAll, guardWith, startServer } from './nodes.ts';

after(closeAll);

const TASK = { command: ['true'] };

describe('Host', () => {
  const names = ['server1:3002', 'Clb.Example.com'];
  const cases: readonly (readonly [host: string, allowed: boolean])[] = [
    ['localhost', true],
    ['LOCALHOST:3002', true],
    ['localhost.:3002', true],
    ['127.0.0.1:9', true],
    ['127.1.2.3', true],
    ['[::1]:3002', true],
    ['server1', true],
    ['server1:1', true],
    ['clb.example.com', true],
    ['10.1.2.3:3002', true],
    ['[fe80::1]:3002', true],
    ['evil.example', false],
    ['127.0.0.1.evil.example', false],
    ['server1.evil.example', false],
    ['localhost.evil.example', false],
    ['10.1.2.4', false],
    ['0.0.0.0', false],
    ['user@localhost', false],
    ['localhost/x', false],
  ];
  it('is one of the own names, with any port', async () => {
    const guard = guardWith({ names, interfaceAddresses: () => ['10.1.2.3', 'fe80:0:0:0:0:0:0:1'] });
    const { address, cluster } = await startServer({ guard });
    for (const [host, allowed] of cases) {
      const answer = await ask(address, '/v1/tasks', { body: TASK, headers: { host } });
      assert.equal(answer.status, allowed ? 201 : 403, host);
      if (!allowed) assert.equal(answer.json.error.code, 'FORBIDDEN', host);
    }
    assert.equal(cluster.submitted.length, cases.filter(([, allowed]) => allowed).length);
  });

  it('is looked at on every route, pages and unknown ones too', async () => {
    const { address } = await startServer();
    for (const path of [
      '/',
      '/healthz',
      '/readyz',
      '/metrics',
      '/logging',
      '/stop',
      '/v1/raft',
      '/nothing',
    ]) {
      const answer = await ask(address, path, { headers: { host: 'evil.example' } });
      assert.equal(answer.status, 403, path);
    }
  });

  it('refuses a request without one', async () => {
    const { port } = await startServer();
    for (const request of ['GET /healthz HTTP/1.0\r\n\r\n', 'GET /healthz HTTP/1.1\r\nHost: \r\n\r\n']) {
      const said = await new Promise<string>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => socket.end(request));
        socket.once('data', (data) => resolve(data.toString()));
      });
      assert.match(said, /^HTTP\/1.1 403 /);
    }
  });

  it('reads the interfaces again when an unknown name comes, but not each time', () => {
    let reads = 0;
    const own = new OwnNames([], () => {
      reads += 1;
      return ['10.0.0.1'];
    });
    assert.equal(own.has('10.0.0.1'), true);
    for (let i = 0; i < 10; i += 1) assert.equal(own.has(`10.0.0.${i + 2}`), false);
    assert.equal(reads, 1);
  });

  it('knows one spelling of each name', () => {
    assert.equal(hostName('FE80:0::1'), '[fe80::1]');
    assert.equal(hostName('[::1]:80'), '[::1]');
    assert.equal(hostName('Name.:80'), 'name');
    assert.equal(hostName('a b'), null);
    assert.equal(hostName('a:99999999'), null);
  });
});

describe('Origin and Sec-Fetch-Site', () => {
  it('accept only pages of this very origin, and those of --allow-host', async () => {
    const { address, port } = await startServer({ guard: guardWith({ allowHosts: ['clb.example.com'] }) });
    const cases: readonly (readonly [headers: OutgoingHttpHeaders, allowed: boolean])[] = [
      [{ origin: `http://127.0.0.1:${port}` }, true],
      [{ origin: `https://127.0.0.1:${port}` }, true],
      [{ origin: 'http://localhost', host: 'localhost:80' }, true],
      [{ origin: 'https://clb.example.com' }, true],
      [{ origin: `http://localhost:${port}` }, false],
      [{ origin: 'http://127.0.0.1:1' }, false],
      [{ origin: 'http://evil.example' }, false],
      [{ origin: 'null' }, false],
      [{ origin: 'file://' }, false],
      [{ origin: '' }, false],
      [{ 'sec-fetch-site': 'none' }, true],
      [{ 'sec-fetch-site': 'same-origin', origin: `http://127.0.0.1:${port}` }, true],
      [{ 'sec-fetch-site': 'same-site' }, false],
      [{ 'sec-fetch-site': 'cross-site' }, false],
      [{ 'sec-fetch-site': 'cross-site', origin: `http://127.0.0.1:${port}` }, false],
    ];
    for (const [headers, allowed] of cases) {
      const answer = await ask(address, '/v1/tasks', { body: TASK, headers });
      assert.equal(answer.status, allowed ? 201 : 403, JSON.stringify(headers));
      const read = await ask(address, '/v1/tasks', { headers });
      assert.equal(read.status, allowed ? 200 : 403, JSON.stringify(headers));
    }
  });
});

describe('a link on another site', () => {
  const followed = {
    accept: 'text/html,*/*;q=0.8',
    'sec-fetch-site': 'same-site',
    'sec-fetch-mode': 'navigate',
  };

  it('leads to a page that offers the way on, never to what acts, nor anywhere else', async () => {
    const { address, stop } = await startServer();
    const page = await ask(address, '/logging?q=%22x', { headers: followed });
    assert.equal(page.status, 403);
    assert.match(page.text, /<a href="\/logging\?q=%22x">Open it on server1<\/a>/);
    for (const path of ['/stop', '//evil.example/', '/v1/tasks']) {
      const answer = await ask(address, path, { headers: followed });
      assert.deepEqual([answer.status, answer.json.error.code], [403, 'FORBIDDEN'], path);
    }
    const script = await ask(address, '/logging', { headers: { ...followed, 'sec-fetch-mode': 'no-cors' } });
    assert.equal(script.json.error.code, 'FORBIDDEN');
    const host = await ask(address, '/logging', { headers: { ...followed, host: 'evil.example' } });
    assert.equal(host.json.error.code, 'FORBIDDEN');
    assert.deepEqual(stop.calls, []);
  });
});

describe('a body', () => {
  it('must be application/json in UTF-8; none needs no type', async () => {
    const { address, cluster } = await startServer();
    const task = cluster.add({});
    const types: readonly (readonly [type: string, allowed: boolean])[] = [
      ['application/json', true],
      ['Application/JSON; charset="utf-8"', true],
      ['application/json;charset=utf-16', false],
      ['text/plain', false],
      ['application/x-www-form-urlencoded', false],
      ['multipart/form-data; boundary=x', false],
      ['application/jsonp', false],
    ];
    for (const [type, allowed] of types) {
      const answer = await ask(address, '/v1/tasks', { body: TASK, headers: { 'content-type': type } });
      assert.equal(answer.status, allowed ? 201 : 403, type);
    }
    const form = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '0' };
    const empty = await ask(address, `/v1/tasks/${task.id}/cancel`, { method: 'POST', headers: form });
    assert.equal(empty.status, 403);
    const plain = await ask(address, `/v1/tasks/${task.id}/cancel`, { method: 'POST' });
    assert.equal(plain.status, 200);
  });
});

describe('a token', () => {
  it('is needed for every call, healthz too', async () => {
    const { address } = await startServer({ guard: guardWith({ token: 'sesame' }), token: 'sesame' });
    const cases: readonly (readonly [authorization: string | null, status: number])[] = [
      [null, 401],
      ['Bearer sesame', 200],
      ['bearer sesame', 200],
      ['Bearer sesame2', 401],
      ['Bearer sesam', 401],
      ['Bearer', 401],
      ['Basic sesame', 401],
      ['sesame', 401],
    ];
    for (const path of [
      '/healthz',
      '/readyz',
      '/metrics',
      '/logging',
      '/v1/tasks',
      '/v1/raft',
      '/',
      '/login',
    ]) {
      for (const [authorization, status] of cases) {
        if (path === '/login' && authorization !== null) continue;
        const answer = await ask(address, path, { headers: authorization === null ? {} : { authorization } });
        assert.equal(answer.status, status, `${path} ${authorization ?? ''}`);
        if (status === 401) assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer/);
        assert.doesNotMatch(answer.text, /sesame/);
      }
    }
  });

  it('does not excuse a foreign Host or Origin', async () => {
    const { address } = await startServer({ guard: guardWith({ token: 'sesame' }) });
    const authorization = 'Bearer sesame';
    for (const headers of [{ host: 'evil.example' }, { origin: 'http://evil.example' }]) {
      assert.equal((await ask(address, '/v1/raft', { headers: { ...headers, authorization } })).status, 403);
    }
  });

  it('may be shown once: the cookie holds a session id, never the token', async () => {
    const guard = guardWith({ token: 'sesame', sessions: new SessionStore('server1') });
    const { address } = await startServer({ guard });
    const page = await ask(address, '/login', { headers: { accept: 'text/html' } });
    assert.equal(page.status, 200);
    assert.match(String(page.headers['content-security-policy']), /frame-ancestors 'none'/);
    const wrong = await ask(address, '/login', { body: { token: 'sesam' } });
    assert.equal(wrong.status, 401);
    assert.equal(wrong.headers['set-cookie'], undefined);

    const right = await ask(address, '/login', { body: { token: 'sesame' } });
    assert.equal(right.status, 204);
    const [setCookie = ''] = right.headers['set-cookie'] ?? [];
    assert.match(
      setCookie,
      /^clb_session_server1=[\w-]{40,}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/,
    );
    assert.doesNotMatch(setCookie, /sesame/);
    const [cookie = ''] = setCookie.split(';');
    assert.equal((await ask(address, '/v1/raft', { headers: { cookie } })).status, 200);
    assert.equal((await ask(address, '/v1/raft', { headers: { cookie: `a=b; ${cookie}` } })).status, 200);
    assert.equal((await ask(address, '/v1/raft', { headers: { cookie: `${cookie}x` } })).status, 401);
    const wrongToken = await ask(address, '/v1/raft', { headers: { cookie, authorization: 'Bearer x' } });
    assert.equal(wrongToken.status, 401);

    const out = await ask(address, '/logout', { method: 'POST', headers: { cookie } });
    assert.equal(out.status, 204);
    assert.equal((await ask(address, '/v1/raft', { headers: { cookie } })).status, 401);
  });

  it('sends a browser without a session to the login page and back', async () => {
    const guard = guardWith({ token: 'sesame', sessions: new SessionStore('server1') });
    const { address } = await startServer({ guard });
    const accept = 'text/html,application/xhtml+xml,*/*;q=0.8';
    const page = await ask(address, '/logging?tail=5', { headers: { accept } });
    assert.deepEqual([page.status, page.headers.location], [303, '/login?next=%2Flogging%3Ftail%3D5']);
    assert.equal((await ask(address, '/v1/raft', { headers: { accept } })).status, 401);
    assert.equal((await ask(address, '/login', { body: { token: 3 } })).status, 400);
    assert.equal(
      (await ask(address, '/login', { body: { token: 'x' }, headers: { origin: 'http://a.b' } })).status,
      403,
    );
  });

  it('is not asked for where there is none, and there is no login then', async () => {
    const { address } = await startServer({ guard: guardWith({ sessions: new SessionStore('server1') }) });
    assert.equal((await ask(address, '/healthz')).status, 200);
    assert.equal((await ask(address, '/login')).status, 404);
  });
});

describe('sessions', () => {
  const idOf = (setCookie: string): string => setCookie.split(';')[0] ?? '';

  it('end after a while', () => {
    let nowMs = 0;
    const sessions = new SessionStore('client', () => nowMs);
    const cookie = idOf(sessions.create());
    nowMs = SESSION_MS_MAX - 1;
    assert.equal(sessions.has(cookie), true);
    nowMs = SESSION_MS_MAX;
    assert.equal(sessions.has(cookie), false);
  });

  it('are bounded: the oldest goes', () => {
    const sessions = new SessionStore('client');
    const cookies = Array.from({ length: SESSIONS_MAX + 1 }, () => idOf(sessions.create()));
    assert.equal(sessions.has(cookies[0]), false);
    assert.equal(sessions.has(cookies[1]), true);
    assert.equal(sessions.has(cookies.at(-1)), true);
  });
});

describe('an upgraded connection', () => {
  it('passes the same guard, and a stopped node takes none', async () => {
    const guard = guardWith({ token: 'sesame' });
    let stopped = false;
    const router = new UpgradeRouter(upgradeGuard(guard, () => stopped));
    router.handle('clb-test', (socket) => socket.end('hello'));
    const { server, port } = await startServer({ guard });
    router.attach(server);
    const dial = (headers: string): Promise<string> =>
      new Promise((resolve) => {
        let said = '';
        const socket = connect(port, '127.0.0.1', () =>
          socket.write(`GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: clb-test\r\n${headers}\r\n`),
        );
        socket.on('data', (data) => (said += data.toString()));
        socket.on('close', () => resolve(said));
      });
    const host = 'Host: localhost\r\n';
    const bearer = 'Authorization: Bearer sesame\r\n';
    assert.match(await dial(host + bearer), /^HTTP\/1.1 101 .*hello$/s);
    assert.match(await dial(host), /^HTTP\/1.1 401 /);
    assert.match(await dial(`Host: evil.example\r\n${bearer}`), /^HTTP\/1.1 403 /);
    assert.match(await dial(`${host}${bearer}Origin: http://evil.example\r\n`), /^HTTP\/1.1 403 /);
    stopped = true;
    assert.match(await dial(host + bearer), /^HTTP\/1.1 418 /);
  });
});
