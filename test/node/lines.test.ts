/** Goal: a node's lines are kept, printed with its container's number, and reach the database once each, in order. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { LogLine } from '../../src/api/log.ts';
import { containerLabel } from '../../src/node/containers.ts';
import { KEPT_LINES_MAX, LineLog } from '../../src/node/line-log.ts';
import { LogShipper, SHIP_BUFFER_LINES_MAX } from '../../src/node/log-shipper.ts';

describe('container labels', () => {
  it("are the original's numbers for its six containers, and the id for others", () => {
    const ids = ['server1', 'server2', 'server3', 'worker1', 'client', 'database', 'worker7'];
    assert.deepEqual(
      ids.map((id) => containerLabel(id, null)),
      ['1', '2', '3', '4', '5', '6', 'worker7'],
    );
    assert.equal(containerLabel('worker7', 12), '12');
  });
});

describe('LineLog', () => {
  it('prints CONTAINER_ID,LINE, the lines of a moment in one write', async () => {
    const printed: string[] = [];
    const log = new LineLog('1', (text) => void printed.push(text));
    log.write('Is master container');
    log.write('CRASH :(');
    assert.deepEqual(printed, []);
    await new Promise((done) => setTimeout(done, 50));
    assert.deepEqual(printed, ['1,Is master container\n1,CRASH :(\n']);
    log.write('RECOVERED :)');
    log.flush();
    assert.deepEqual(printed.slice(1), ['1,RECOVERED :)\n'], 'the last lines of a process are not lost');
    log.flush();
    assert.equal(printed.length, 2);
  });

  it('keeps the newest lines, numbered on', () => {
    const log = new LineLog('1', () => undefined);
    for (let i = 1; i <= 3 * KEPT_LINES_MAX; i += 1) log.write(`line ${i}`);
    const lines = log.lines();
    assert.equal(lines.length, KEPT_LINES_MAX);
    assert.equal(lines.at(-1)?.seq, 3 * KEPT_LINES_MAX);
    assert.equal(lines[0]?.text, `line ${2 * KEPT_LINES_MAX + 1}`);
  });
});

/** A database that fails its first calls; resolves `whole` once it has `count` distinct lines. */
async function database(
  failures: number,
  count: number,
): Promise<{ server: Server; url: string; got: Map<number, string>; whole: Promise<void> }> {
  const got = new Map<number, string>();
  let calls = 0;
  let done: () => void = () => undefined;
  const whole = new Promise<void>((resolve) => (done = resolve));
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      calls += 1;
      if (calls <= failures) {
        res.writeHead(503).end();
        return;
      }
      const body = JSON.parse(Buffer.concat(chunks).toString()) as {
        container: number;
        lines: readonly LogLine[];
      };
      assert.equal(body.container, 7);
      for (const line of body.lines) got.set(line.seq, line.text);
      res.writeHead(200).end('{}');
      if (got.size >= count) done();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { server, url: `http://127.0.0.1:${address.port}`, got, whole };
}

describe('LogShipper', () => {
  const line = (seq: number): LogLine => ({ seq, at: '2026-01-01T00:00:00.000Z', text: `line ${seq}` });

  it('buffers while the database is away and delivers all when it is back, in order, saying so once each', async () => {
    const db = await database(2, 1_200);
    const states: boolean[] = [];
    const shipper = new LogShipper({
      databaseUrl: db.url,
      node: 'server1',
      container: 7,
      port: 3002,
      token: null,
      onStateChange: (ok) => void states.push(ok),
    });
    for (let seq = 1; seq <= 1_200; seq += 1) shipper.add(line(seq));
    await db.whole;
    await shipper.close(1_000);
    assert.deepEqual(
      [...db.got.keys()],
      Array.from({ length: 1_200 }, (_, i) => i + 1),
    );
    assert.deepEqual(states, [false, true]);
    db.server.close();
  });

  it('its buffer is bounded, and the newest lines are those that are left', async () => {
    const shipper = new LogShipper({
      databaseUrl: 'http://127.0.0.1:9',
      node: 'x',
      container: 7,
      port: 1,
      token: null,
      onStateChange: () => undefined,
    });
    const total = 2 * SHIP_BUFFER_LINES_MAX + 10;
    for (let seq = 1; seq <= total; seq += 1) shipper.add(line(seq));
    assert.ok(shipper.buffered <= SHIP_BUFFER_LINES_MAX && shipper.buffered >= SHIP_BUFFER_LINES_MAX / 2);
    await shipper.close(10);
  });
});
