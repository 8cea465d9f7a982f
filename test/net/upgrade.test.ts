import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { dialUpgrade, UpgradeRefusedError, UpgradeRouter } from '../../src/net/upgrade.ts';
import type { DialOptions } from '../../src/net/upgrade.ts';

describe('HTTP Upgrade', () => {
  let server: Server;
  let router: UpgradeRouter;
  let port: number;
  let sockets: Socket[];

  beforeEach(async () => {
    sockets = [];
    router = new UpgradeRouter((request) =>
      request.headers['x-key'] === 'open'
        ? { ok: true }
        : { ok: false, status: 403, message: 'the key is wrong' },
    );
    server = createServer((_request, response) => response.end('plain'));
    router.attach(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  const dial = async (change: Partial<DialOptions> = {}): Promise<Socket> => {
    const socket = await dialUpgrade({
      host: '127.0.0.1',
      port,
      protocol: 'echo',
      headers: { 'x-key': 'open' },
      timeoutMs: 5_000,
      ...change,
    });
    sockets.push(socket);
    return socket;
  };
  const echo = (): (() => void) =>
    router.handle('echo', (socket) => {
      sockets.push(socket);
      socket.pipe(socket);
    });
  const nextData = (socket: Socket): Promise<string> =>
    new Promise((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())));

  it('gives both sides a plain stream, and the acceptor the headers', async () => {
    let seen: IncomingHttpHeaders = {};
    router.handle('echo', (socket, headers) => {
      sockets.push(socket);
      seen = headers;
      socket.pipe(socket);
    });
    const socket = await dial({ headers: { 'x-key': 'open', 'x-name': 'me' } });
    socket.write('hello');
    assert.equal(await nextData(socket), 'hello');
    assert.equal(seen['x-name'], 'me');
  });

  it('loses no bytes that either side sends at once', async () => {
    router.handle('echo', (socket) => {
      sockets.push(socket);
      socket.write('first words');
      socket.pipe(socket);
    });
    assert.equal(await nextData(await dial()), 'first words');

    const raw = connect(port, '127.0.0.1');
    sockets.push(raw);
    raw.write(
      'GET / HTTP/1.1\r\nHost: x\r\nX-Key: open\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly bytes',
    );
    let received = '';
    for await (const chunk of raw) {
      received += String(chunk);
      if (received.includes('early bytes')) break;
    }
    assert.match(received, /^HTTP\/1.1 101 /);
  });

  it('refuses what the guard refuses, in its words', async () => {
    echo();
    await assert.rejects(dial({ headers: {} }), (error) => {
      assert.ok(error instanceof UpgradeRefusedError);
      assert.equal(error.status, 403);
      assert.equal(error.message, 'the key is wrong');
      return true;
    });
  });

  it('refuses protocols nobody handles, or handles any more', async () => {
    await assert.rejects(dial(), (error) => error instanceof UpgradeRefusedError && error.status === 426);
    const stop = echo();
    await dial();
    stop();
    await assert.rejects(dial(), (error) => error instanceof UpgradeRefusedError && error.status === 426);
  });

  it('ends an attempt that is not answered in time', async () => {
    const silent = createTcpServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    await assert.rejects(
      dial({ port: (silent.address() as AddressInfo).port, timeoutMs: 50 }),
      /no answer within 50 ms/,
    );
    silent.close();
  });

  it('ends an attempt that is aborted, and leaves an established connection alone', async () => {
    echo();
    const controller = new AbortController();
    const socket = await dial({ signal: controller.signal });
    controller.abort();
    socket.write('still here');
    assert.equal(await nextData(socket), 'still here');
    await assert.rejects(dial({ signal: AbortSignal.abort() }), /abort/i);
  });

  it('passes on why nothing could be reached', async () => {
    await assert.rejects(dial({ port: 1 }), /ECONNREFUSED/);
  });
});
