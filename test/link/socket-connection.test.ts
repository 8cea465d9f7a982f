import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { masterLink, SocketLink, workerLink } from '../../src/link/socket-connection.ts';
import { MemoryLink } from '../../src/link/memory-link.ts';
import { LINK_FRAME_BYTES_MAX } from '../../src/link/protocol.ts';
import type { LinkConnection, MasterToWorker, WorkerToMaster } from '../../src/link/protocol.ts';
import { encodeFrame, FRAME_HEADER_BYTES, FrameDecoder } from '../../src/net/frames.ts';

type Numbered = { readonly n: number; readonly text?: string };

function parseNumbered(value: unknown): Numbered {
  if (typeof value !== 'object' || value === null || !('n' in value) || typeof value.n !== 'number') {
    throw new TypeError('n must be a number');
  }
  return value as Numbered;
}

describe('a link over a socket', () => {
  let server: Server;
  const sockets: Socket[] = [];
  before(async () => {
    server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });
  after(() => server.close());

  async function pair(): Promise<readonly [Socket, Socket]> {
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const dialed = createConnection((server.address() as AddressInfo).port, '127.0.0.1');
    const [other] = await accepted;
    if (dialed.connecting) await once(dialed, 'connect');
    sockets.push(dialed, other);
    return [dialed, other];
  }

  async function links(queueBytesMax?: number) {
    const [left, right] = await pair();
    const options = queueBytesMax === undefined ? {} : { queueBytesMax };
    const a = new SocketLink<Numbered, Numbered>(left, parseNumbered, options);
    const b = new SocketLink<Numbered, Numbered>(right, parseNumbered);
    return { a, b, left, right };
  }

  function collect(link: LinkConnection<Numbered, Numbered>, count: number): Promise<Numbered[]> {
    const got: Numbered[] = [];
    return new Promise((resolve) => {
      link.onMessage = (message) => {
        got.push(message);
        if (got.length === count) resolve(got);
      };
    });
  }

  function closeOf<Out, In>(link: LinkConnection<Out, In>): Promise<string> {
    return new Promise((resolve) => (link.onClose = resolve));
  }

  it('delivers messages in order, those sent before anybody listens included', async () => {
    const { a, b } = await links();
    for (let n = 0; n < 1_000; n += 1) a.send({ n });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const got = await collect(b, 1_000);
    assert.deepEqual(
      got.map(({ n }) => n),
      Array.from({ length: 1_000 }, (_, n) => n),
    );
  });

  it('puts the messages of one turn into one frame and one write', async (context) => {
    const { a, right, left } = await links();
    const decoder = new FrameDecoder(LINK_FRAME_BYTES_MAX);
    const frames: string[] = [];
    right.on('data', (chunk: Buffer) => {
      frames.push(...decoder.push(chunk).map((frame) => Buffer.from(frame).toString()));
    });
    const write = context.mock.method(left, 'write');
    a.send({ n: 1 });
    a.send({ n: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    a.send({ n: 3 });
    while (frames.length < 2) await once(right, 'data');
    assert.deepEqual(frames, ['[{"n":1},{"n":2}]', '[{"n":3}]']);
    assert.equal(write.mock.callCount(), 2);
  });

  it('cuts what is more than 1 MiB into several frames', async () => {
    const { a, b, right } = await links();
    let bytes = 0;
    let frames = 0;
    const decoder = new FrameDecoder(LINK_FRAME_BYTES_MAX);
    right.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        frames += 1;
        bytes = Math.max(bytes, frame.byteLength);
      }
    });
    const text = 'é'.repeat(100_000);
    for (let n = 0; n < 40; n += 1) a.send({ n, text });
    b.onMessage = () => undefined;
    const deadline = Date.now() + 20_000;
    while (frames < 4 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(frames >= 4);
    assert.ok(bytes < LINK_FRAME_BYTES_MAX);
  });

  it('closes with the reason when something that is no message comes in', async () => {
    for (const [body, reason] of [
      ['{"n":1}', /bad frame: a frame must hold an array/],
      ['[{"n":1},{"x":2}]', /bad frame: n must be a number/],
      ['[{"n":', /bad frame: .*JSON/],
    ] as const) {
      const { b, left } = await links();
      const closed = closeOf(b);
      b.onMessage = () => assert.fail('nothing of a bad frame is delivered');
      left.write(encodeFrame(Buffer.from(body)));
      assert.match(await closed, reason);
    }
  });

  it('closes when a frame over the limit is announced', async () => {
    const { b, left } = await links();
    b.onMessage = () => undefined;
    const closed = closeOf(b);
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32BE(LINK_FRAME_BYTES_MAX + 1);
    left.write(header);
    assert.match(await closed, /^bad frame: a frame of 4194305 bytes was announced/);
  });

  it('closes when the other side does not keep up', async () => {
    const { a, right } = await links(4 * 1024 * 1024);
    right.pause();
    const closed = closeOf(a);
    const text = 'x'.repeat(500_000);
    for (let n = 0; n < 100; n += 1) {
      a.send({ n, text });
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(await closed, /does not keep up: more than 4194304 bytes/);
  });

  it('lets out what was sent before close, and delivers nothing after it', async () => {
    const { a, b } = await links();
    const got = collect(b, 1);
    const closedA = closeOf(a);
    const closedB = closeOf(b);
    a.onMessage = () => assert.fail('closed');
    a.send({ n: 1 });
    a.close();
    a.send({ n: 2 });
    assert.deepEqual(await got, [{ n: 1 }]);
    assert.equal(await closedA, 'closed by this side');
    assert.equal(await closedB, 'closed by the other side');
  });

  it('closes in the end though the other side neither reads nor closes', async () => {
    const { a, right } = await links();
    right.pause();
    const closed = closeOf(a);
    a.send({ n: 1, text: 'x'.repeat(20_000_000 / 8) });
    a.send({ n: 2, text: 'x'.repeat(20_000_000 / 8) });
    a.close();
    assert.equal(await closed, 'closed by this side');
  });

  it('checks what workers and masters say to each other', async () => {
    const [left, right] = await pair();
    const worker = workerLink(left);
    const master = masterLink(right);
    const got = new Promise<WorkerToMaster>((resolve) => (master.onMessage = resolve));
    worker.send({ kind: 'heartbeat', seq: 1, sample: { cpu: 1.5, memory: 20 } });
    assert.deepEqual(await got, { kind: 'heartbeat', seq: 1, sample: { cpu: 1.5, memory: 20 } });
    const closed = closeOf(worker);
    worker.onMessage = () => undefined;
    master.send({ kind: 'heartbeatAck', seq: -1 });
    assert.equal(await closed, 'bad frame: seq must be a whole number');
  });
});

describe('a link in memory', () => {
  it('delivers copies in order, in a later turn, and tells both ends of the close once', async () => {
    const [left, right] = MemoryLink.pair<WorkerToMaster, MasterToWorker>();
    const got: WorkerToMaster[] = [];
    right.onMessage = (message) => got.push(message);
    const message = { kind: 'started', task: 't', token: 1 } as const;
    left.send(message);
    left.send({ kind: 'goodbye' });
    assert.deepEqual(got, []);
    const closes: string[] = [];
    const closed = new Promise<void>((resolve) => {
      left.onClose = (reason) => closes.push(`left: ${reason}`) === 2 && resolve();
      right.onClose = (reason) => closes.push(`right: ${reason}`) === 2 && resolve();
    });
    left.close();
    left.close();
    await closed;
    assert.deepEqual(got, [message, { kind: 'goodbye' }]);
    assert.notEqual(got[0], message);
    assert.deepEqual(closes.sort(), ['left: closed by this side', 'right: closed by the other side']);
  });
});
