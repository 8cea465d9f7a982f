/** /logging of a node: text, page, live stream. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createServerApp } from '../../src/web/server-app.ts';
import { NodeMetrics } from '../../src/web/metrics.ts';
import {
  ask,
  closeAll,
  FakeLines,
  FakeLog,
  guardWith,
  listen,
  readStream,
  startServer,
  until,
} from './nodes.ts';

after(closeAll);

const HTML = 'text/html,application/xhtml+xml,*/*;q=0.8';

describe('GET /logging', () => {
  it('is text, one line per log line, newest last; tail and q narrow it down', async () => {
    const { address, lines } = await startServer();
    assert.equal((await ask(address, '/logging')).text, '');
    for (let i = 1; i <= 2_500; i += 1) lines.write(`Received payload: ${i}`);
    lines.write('Is master container');
    const { text, headers } = await ask(address, '/logging');
    assert.match(String(headers['content-type']), /^text\/plain; charset=utf-8/);
    const rows = text.split('\n');
    assert.deepEqual(
      [rows.length, rows[0], rows[2_500]],
      [2_502, 'Received payload: 1', 'Is master container'],
    );
    assert.equal(
      (await ask(address, '/logging?tail=2')).text,
      'Received payload: 2500\nIs master container\n',
    );
    assert.equal((await ask(address, '/logging?q=MASTER')).text, 'Is master container\n');
    assert.equal((await ask(address, '/logging?tail=0')).status, 400);
    assert.equal((await ask(address, '/logging?lines=3')).status, 400);
  });

  it('is a page only where Accept prefers one', async () => {
    const { address, lines } = await startServer();
    lines.write('<script>alert(1)</script> & "quotes"');
    for (const [accept, type] of [
      [HTML, 'text/html'],
      ['text/html', 'text/html'],
      ['*/*', 'text/plain'],
      ['text/plain', 'text/plain'],
      ['text/plain, text/html;q=0.5', 'text/plain'],
      ['application/json', 'text/plain'],
      ['', 'text/plain'],
    ] as const) {
      const answer = await ask(address, '/logging', { headers: { accept } });
      assert.ok(String(answer.headers['content-type']).startsWith(type), accept);
    }
    const page = await ask(address, '/logging?q=%22x%22', { headers: { accept: HTML } });
    assert.match(page.text, /&#60;script&#62;alert\(1\)&#60;\/script&#62; &#38; &#34;quotes&#34;/);
    assert.doesNotMatch(page.text, /<script>alert/);
    assert.match(page.text, /value="&#34;x&#34;"/);
    const csp = String(page.headers['content-security-policy']);
    const nonce = /script-src 'nonce-([\w-]+)'/.exec(csp)?.[1] ?? '';
    assert.ok(nonce.length >= 16 && page.text.includes(`<script nonce="${nonce}">`));
    assert.match(csp, /default-src 'none'.*frame-ancestors 'none'/);
    assert.doesNotMatch(page.text, /https?:\/\//, 'nothing from elsewhere');
    const again = await ask(address, '/logging', { headers: { accept: HTML } });
    assert.ok(!again.text.includes(nonce), 'a nonce is used once');
  });
});

describe('GET /logging/stream', () => {
  it("goes on from the page's last line, and resumes with Last-Event-ID", async () => {
    const { address, lines } = await startServer();
    lines.write('one');
    const page = await ask(address, '/logging', { headers: { accept: HTML } });
    const cursor = /data-cursor="([^"]+)"/.exec(page.text)?.[1] ?? '';
    assert.match(cursor, /^[0-9a-f]{8}:1$/);
    lines.write('two');
    const path = `/logging/stream?after=${encodeURIComponent(cursor)}`;
    const reading = readStream(address, path, (text) => text.includes('three'));
    const early = readStream(address, path, (text) => text.includes('two'));
    assert.match((await early).text, new RegExp(`id: ${cursor.replace(/1$/, '2')}\ndata: .*"text":"two"`));
    lines.write('three');
    const { text } = await reading;
    assert.deepEqual(
      [...text.matchAll(/"text":"(\w+)"/g)].map(([, word]) => word),
      ['two', 'three'],
    );
    const resumed = await readStream(address, '/logging/stream', (got) => got.includes('three'), {
      'last-event-id': cursor.replace(/1$/, '2'),
    });
    assert.doesNotMatch(resumed.text, /"two"/);
  });

  it('without a cursor begins with what comes; a cursor of an earlier start is reset', async () => {
    const { address, lines } = await startServer();
    lines.write('old');
    const live = readStream(address, '/logging/stream', (text) => text.includes('new'));
    const reset = readStream(address, '/logging/stream', (text) => text.includes('old'), {
      'last-event-id': '00000000:77',
    });
    assert.match(
      (await reset).text,
      /event: reset\nid: [0-9a-f]{8}:0\n.*\n\nid: [0-9a-f]{8}:1\ndata: .*"old"/,
    );
    let seen = false;
    void live.then(() => (seen = true));
    await until(() => {
      lines.write('new');
      return seen;
    }, 'the live reader sees a new line');
    assert.doesNotMatch((await live).text, /"old"/);
    assert.equal((await ask(address, '/logging/stream?after=zzz')).status, 400);
  });

  it('gives every line of a burst, in order', async () => {
    const { address, lines } = await startServer();
    const page = await ask(address, '/logging', { headers: { accept: HTML } });
    const cursor = /data-cursor="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const path = `/logging/stream?after=${encodeURIComponent(cursor)}`;
    const reading = readStream(address, path, (text) => text.includes('line 5000"'));
    for (let i = 1; i <= 5_000; i += 1) lines.write(`line ${i}`);
    const { text } = await reading;
    const numbers = [...text.matchAll(/"text":"line (\d+)"/g)].map(([, number]) => Number(number));
    assert.deepEqual(
      numbers,
      Array.from({ length: 5_000 }, (_, i) => i + 1),
    );
  });
});

describe('a node whose cluster is not there yet', () => {
  it('shows its log, is alive, is not ready, and says so to everybody else', async () => {
    const lines = new FakeLines();
    lines.write('Is master container');
    const app = createServerApp({
      nodeId: 'server1',
      version: '0.0.0',
      guard: guardWith(),
      token: null,
      cluster: () => null,
      lines,
      stop: null,
      stopNode: null,
      metrics: new NodeMetrics({ id: 'server1', version: '0.0.0' }),
      log: new FakeLog(),
    });
    const { address } = await listen(app.handle);
    assert.equal((await ask(address, '/logging')).text, 'Is master container\n');
    assert.equal((await ask(address, '/healthz')).status, 200);
    assert.equal((await ask(address, '/readyz')).status, 503);
    assert.equal((await ask(address, '/metrics')).status, 200);
    for (const path of ['/v1/tasks', '/v1/tasks?stale=true', '/v1/raft', '/v1/events', '/v1/nodes']) {
      const answer = await ask(address, path);
      assert.deepEqual([answer.status, answer.json.error.code], [503, 'UNAVAILABLE'], path);
      assert.equal(answer.headers['retry-after'], '1');
      assert.deepEqual(
        [answer.headers['x-clb-node'], answer.headers['x-clb-leader'], answer.headers['x-clb-index']],
        ['server1', '', '0'],
      );
    }
    const submit = await ask(address, '/v1/tasks', { body: { command: ['true'] } });
    assert.equal(submit.status, 503);
    app.close();
  });
});
