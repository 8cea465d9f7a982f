/** GET /v1/events: resuming, resets, slow readers, the limit on readers. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, describe, it } from 'node:test';
import { LIMITS } from '../../src/api/limits.ts';
import { ask, closeAll, readStream, startServer, until } from './nodes.ts';

after(closeAll);

describe('GET /v1/events', () => {
  const HEADERS = { accept: 'text/event-stream' };

  it('gives one message per entry with its index as id, from now on', async () => {
    const { address, cluster } = await startServer();
    cluster.add({});
    const reading = readStream(address, '/v1/events', (text) => text.includes('id: 3'), HEADERS);
    await until(() => cluster.listeners === 1, 'subscribed');
    cluster.add({});
    cluster.emit();
    const { text, headers } = await reading;
    assert.match(String(headers['content-type']), /^text\/event-stream/);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-clb-index'], '1');
    assert.match(
      text,
      /^retry: \d+\n\nid: 2\ndata: \{"index":2,"term":3,.*"events":\[\{.*\}\]\}\n\nid: 3\ndata: /,
    );
    await until(() => cluster.listeners === 0, 'unsubscribed when the reader is gone');
  });

  it('resumes after Last-Event-ID, or ?after=', async () => {
    const { address, cluster } = await startServer();
    for (let i = 0; i < 5; i += 1) cluster.emit();
    for (const [path, headers] of [
      ['/v1/events', { 'last-event-id': '3' }],
      ['/v1/events?after=3', {}],
      ['/v1/events?after=1', { 'last-event-id': '3' }],
    ] as const) {
      const { text } = await readStream(address, path, (got) => got.includes('id: 5'), headers);
      assert.deepEqual(
        [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id),
        ['4', '5'],
      );
    }
    const bad = await ask(address, '/v1/events', { headers: { 'last-event-id': 'x' } });
    assert.match(bad.json.error.message, /^Last-Event-ID: "x" is not an index/);
  });

  it('says reset where the cursor is older than what is kept, and goes on from there', async () => {
    const { address, cluster } = await startServer();
    for (let i = 0; i < 9; i += 1) cluster.emit();
    cluster.firstKept = 6;
    const reading = readStream(address, '/v1/events', (text) => text.includes('id: 10'), {
      'last-event-id': '2',
    });
    await until(() => cluster.listeners === 1, 'subscribed');
    cluster.emit();
    const { text } = await reading;
    assert.match(text, /\n\nevent: reset\nid: 9\ndata: \{"index":9\}\n\nid: 10\n/);
  });

  it('says reset where the cursor is of another cluster: ahead, and not reached in a while', async () => {
    const { address, cluster } = await startServer();
    cluster.emit();
    const { text } = await readStream(address, '/v1/events', (got) => got.includes('reset'), {
      'last-event-id': '500',
    });
    assert.match(text, /event: reset\nid: 1\n/);
  });

  it('waits for a server that lags behind the cursor a little', async () => {
    const { address, cluster } = await startServer();
    cluster.emit();
    const reading = readStream(address, '/v1/events', (text) => text.includes('id: 4'), {
      'last-event-id': '3',
    });
    await until(() => cluster.listeners === 1, 'subscribed');
    for (let i = 0; i < 3; i += 1) cluster.emit();
    const { text } = await reading;
    assert.deepEqual(
      [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id),
      ['4'],
    );
  });

  it('queues nothing for a reader that is behind: it gets the rest from the log when it reads on', async () => {
    const { cluster, port } = await startServer();
    const name = 'x'.repeat(20_000);
    const socket = connect(port, '127.0.0.1', () =>
      socket.write('GET /v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n'),
    );
    await until(() => cluster.listeners === 1, 'subscribed');
    socket.pause();
    for (let i = 0; i < 600; i += 1) cluster.emit(name);
    await until(() => cluster.listeners === 0, 'the slow reader is not subscribed any more');
    let received = '';
    socket.on('data', (data) => (received += data.toString('latin1')));
    socket.resume();
    await until(() => received.includes('id: 600\n'), 'it has caught up');
    const ids = [...received.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    assert.deepEqual(
      ids,
      Array.from({ length: 600 }, (_, i) => i + 1),
    );
    await until(() => cluster.listeners === 1, 'it is subscribed again');
    socket.destroy();
  });

  it(`has a limit of ${LIMITS.sseClientsMax} readers`, async () => {
    const { address, port } = await startServer();
    const sockets = Array.from({ length: LIMITS.sseClientsMax }, () => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.write('GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      );
      return socket;
    });
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('data', resolve))));
    const refused = await ask(address, '/v1/events');
    assert.deepEqual([refused.status, refused.json.error.code], [503, 'UNAVAILABLE']);
    assert.match(refused.json.error.message, /limit of 1000/);
    for (const socket of sockets) socket.destroy();
    const status = async (): Promise<boolean> =>
      (await readStream(address, '/v1/events', () => true)).headers['content-type'] !==
      'application/json; charset=utf-8';
    await until(status, 'there is room again');
  });
});
