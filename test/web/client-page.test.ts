/** What the client node serves to browsers: the built page, and the way in where a token is needed. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { SessionStore } from '../../src/web/sessions.ts';
import { folder, startClient } from './client-node.ts';
import { ask, closeAll, guardWith, startServer } from './nodes.ts';

after(closeAll);

const TASK = { command: ['true'] };
const HTML = 'text/html,application/xhtml+xml,*/*;q=0.8';

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
    assert.equal(server.cluster.submitted.length, 1);
  });

  it('has the log beside it', async () => {
    const client = await startClient([]);
    client.lines.write('Created payload: x');
    assert.equal((await ask(client.address, '/logging')).text, 'Created payload: x\n');
    assert.match((await ask(client.address, '/metrics')).text, /clb_process_uptime_seconds/);
    assert.equal((await ask(client.address, '/stop')).status, 403);
  });
});
