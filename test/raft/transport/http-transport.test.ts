/** Real sockets on 127.0.0.1. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { encodeFrame } from '../../../src/net/frames.ts';
import { dialUpgrade, UpgradeRouter } from '../../../src/net/upgrade.ts';
import type { LogIndex, Message, NodeId, Term } from '../../../src/raft/core/types.ts';
import { systemTimers } from '../../../src/raft/timers.ts';
import { messageBytes, writeMessage } from '../../../src/raft/transport/codec.ts';
import { HttpTransport } from '../../../src/raft/transport/http-transport.ts';
import type { HttpTransportOptions } from '../../../src/raft/transport/http-transport.ts';
import { RAFT_PROTOCOL } from '../../../src/raft/transport/transport-settings.ts';
import { until } from '../node/test-cluster.ts';

const A = 'server1' as NodeId;
const B = 'server2' as NodeId;

interface Host {
  readonly server: Server;
  readonly router: UpgradeRouter;
  readonly port: number;
}

interface Party {
  readonly id: NodeId;
  readonly transport: HttpTransport;
  readonly received: Message[];
  readonly lost: NodeId[];
  readonly lines: string[];
}

const heartbeat = (from: NodeId, to: NodeId, round: number): Message => ({
  kind: 'heartbeat',
  from,
  to,
  term: 1 as Term,
  commit: 0 as LogIndex,
  round,
});
const rounds = (messages: readonly Message[]): number[] =>
  messages.map((message) => (message.kind === 'heartbeat' ? message.round : -1));

describe('the transport', () => {
  let hosts: Host[];
  let parties: Party[];
  let sockets: Socket[];

  beforeEach(() => {
    hosts = [];
    parties = [];
    sockets = [];
  });
  afterEach(async () => {
    for (const { transport } of parties) await transport.close();
    for (const socket of sockets) socket.destroy();
    for (const { server } of hosts) server.close();
  });

  async function host(token: string | null = null): Promise<Host> {
    const router = new UpgradeRouter((request) =>
      token === null || request.headers.authorization === `Bearer ${token}`
        ? { ok: true }
        : { ok: false, status: 401, message: 'a token is needed' },
    );
    const server = createServer();
    router.attach(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const made = { server, router, port: (server.address() as AddressInfo).port };
    hosts.push(made);
    return made;
  }

  function party(
    id: NodeId,
    own: Host,
    peers: ReadonlyMap<NodeId, number>,
    options: Partial<HttpTransportOptions> = {},
  ): Party {
    const lines: string[] = [];
    const note = (line: string): void => void lines.push(line);
    const transport = new HttpTransport({
      clusterId: 'c1',
      self: id,
      peers: new Map([...peers].map(([peer, port]) => [peer, { host: '127.0.0.1', port }])),
      router: own.router,
      token: null,
      timers: systemTimers,
      log: { info: note, warn: note, error: note },
      settings: { pingEveryMs: 20, redialMsMin: 10, redialMsMax: 50 },
      ...options,
    });
    const made: Party = { id, transport, received: [], lost: [], lines };
    transport.onMessage = (message) => made.received.push(message);
    transport.onPeerLost = (peer) => made.lost.push(peer);
    transport.start();
    parties.push(made);
    return made;
  }

  async function pair(
    options: Partial<HttpTransportOptions> = {},
    token: string | null = null,
  ): Promise<[Party, Party, Host, Host]> {
    const [hostA, hostB] = [await host(token), await host(token)];
    const ports = new Map([
      [A, hostA.port],
      [B, hostB.port],
    ]);
    return [party(A, hostA, ports, options), party(B, hostB, ports, options), hostA, hostB];
  }

  const connected = (from: Party, to: Party): Promise<true> =>
    until(`${from.id} hears ${to.id}`, () => (from.transport.lastContactMs().get(to.id) ?? null) !== null);

  /** Keeps sending until something arrives: what is sent while the connection is made is dropped. */
  async function sendUntilReceived(from: Party, to: Party): Promise<void> {
    const before = to.received.length;
    await until('a message to arrive', () => {
      from.transport.send(to.id, heartbeat(from.id, to.id, 0));
      return to.received.length > before;
    });
  }

  describe('told who takes part', () => {
    const config = (members: Readonly<Record<string, number>>, removed: readonly NodeId[] = []) => ({
      voters: Object.keys(members) as NodeId[],
      learners: [],
      addresses: Object.fromEntries(Object.entries(members).map(([id, port]) => [id, `127.0.0.1:${port}`])),
      removed,
    });

    it('reaches a member it learned of while it runs', async () => {
      const [hostA, hostB] = [await host(), await host()];
      const [a, b] = [party(A, hostA, new Map()), party(B, hostB, new Map())];
      a.transport.configured(config({ [A]: hostA.port, [B]: hostB.port }), false);
      await sendUntilReceived(a, b);
    });

    it('dials where it was told at the start rather than where the configuration says', async () => {
      const [hostA, hostB] = [await host(), await host()];
      const [a, b] = [party(A, hostA, new Map([[B, hostB.port]])), party(B, hostB, new Map())];
      a.transport.configured(config({ [A]: hostA.port, [B]: 1 }), true);
      await sendUntilReceived(a, b);
    });

    it('keeps a removed one until that is committed, then turns it away and tells it why', async () => {
      const [a, b, hostA] = await pair();
      await sendUntilReceived(b, a);
      const tellers: NodeId[] = [];
      b.transport.onRemoved = (by) => tellers.push(by);
      const without = config({ [A]: hostA.port }, [B]);
      a.transport.configured(without, false);
      await sendUntilReceived(b, a);
      assert.deepEqual(tellers, []);
      a.transport.configured(without, true);
      await until('the removed one to be told', () => tellers.length > 0);
      assert.equal(tellers[0], A);
      assert.deepEqual([...a.transport.lastContactMs().keys()], []);
      assert.ok(a.lines.some((line) => line.includes('it was removed from the cluster')));
    });
  });

  it('carries messages both ways, in order', async () => {
    const [a, b] = await pair();
    await connected(a, b);
    await connected(b, a);
    for (let round = 0; round < 100; round++) a.transport.send(B, heartbeat(A, B, round));
    b.transport.send(A, heartbeat(B, A, 7));
    await until('all to arrive', () => b.received.length === 100 && a.received.length === 1);
    assert.deepEqual(
      rounds(b.received),
      Array.from({ length: 100 }, (_, n) => n),
    );
    assert.equal(b.received[0]!.from, A);
    assert.equal(b.received[0]!.to, B);
  });

  it('carries large messages', async () => {
    const [a, b] = await pair();
    await connected(a, b);
    const payload = Buffer.alloc(3 * 1024 * 1024, 'x');
    a.transport.send(B, {
      kind: 'append',
      from: A,
      to: B,
      term: 1 as Term,
      prevLogIndex: 0 as LogIndex,
      prevLogTerm: 0 as Term,
      leaderCommit: 0 as LogIndex,
      entries: [{ kind: 'command', index: 1 as LogIndex, term: 1 as Term, payload }],
    });
    const [message] = await until('it to arrive', () => (b.received.length > 0 ? b.received : undefined));
    assert.ok(message?.kind === 'append' && message.entries[0]?.kind === 'command');
    assert.ok(payload.equals(message.entries[0].payload));
  });

  it('presents the token when it dials', async () => {
    const [a, b] = await pair({ token: 'secret' }, 'secret');
    await connected(a, b);
    await sendUntilReceived(a, b);
  });

  it('says once, not at each attempt, that it is refused for its token', async () => {
    const [a] = await pair({ token: 'wrong' }, 'secret');
    await until('the line', () => a.lines.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(a.lines.filter((line) => line.includes('a token is needed')).length, 1);
  });

  it('knows how long a peer has been silent, also one that has nothing to say', async () => {
    const [a, b] = await pair();
    assert.deepEqual([...a.transport.lastContactMs()], [[B, null]]);
    await connected(a, b);
    await b.transport.close();
    await until('silence', () => (a.transport.lastContactMs().get(B) ?? 0) > 100);
  });

  it('drops what it cannot deliver, and never throws or keeps it', async () => {
    const own = await host();
    const a = party(A, own, new Map([[B, 1]]));
    for (let round = 0; round < 10_000; round++) a.transport.send(B, heartbeat(A, B, round));
    a.transport.send('nobody' as NodeId, heartbeat(A, 'nobody' as NodeId, 0));
    await until('the line about it', () => a.lines.some((line) => line.includes('ECONNREFUSED')));
  });

  it('keeps no more for a peer that does not read than its queue allows', async () => {
    // Accepts the connection, and never reads.
    const deaf = createTcpServer((socket) => {
      sockets.push(socket);
      socket.once('data', () => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: clb-raft\r\n\r\n');
        socket.pause();
      });
    });
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const own = await host();
    const a = party(A, own, new Map([[B, (deaf.address() as AddressInfo).port]]), {
      settings: { queueBytesMax: 1024 * 1024, pingEveryMs: 5_000 },
    });
    await until('a connection', () => sockets.length === 1);
    const large: Message = {
      kind: 'snapshotChunk',
      from: A,
      to: B,
      term: 1 as Term,
      meta: { index: 1 as LogIndex, term: 1 as Term, config: { voters: [A], learners: [] } },
      chunk: 0,
      data: Buffer.alloc(256 * 1024),
      done: false,
    };
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 1_000; n++) {
      a.transport.send(B, large);
      if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 32 * 1024 * 1024, `${grown} bytes are kept`);
    deaf.close();
  });

  it('dials again when the peer comes back, and says that what was sent may be lost', async () => {
    const [a, b, , hostB] = await pair();
    await connected(a, b);
    await b.transport.close();
    await until('the loss to be noticed', () => a.lost.includes(B));
    const again = party(B, hostB, new Map([[A, hosts[0]!.port]]));
    await sendUntilReceived(a, again);
    assert.ok(a.lines.some((line) => line === `raft: connected to ${B}`));
  });

  it('gives a connection up on which nothing comes back, long before TCP would', async () => {
    let dialed = 0;
    const silent = createTcpServer((socket) => {
      sockets.push(socket);
      dialed += 1;
      socket.once('data', () =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: clb-raft\r\n\r\n'),
      );
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const own = await host();
    const a = party(A, own, new Map([[B, (silent.address() as AddressInfo).port]]));
    await until('a second attempt', () => dialed >= 2);
    assert.ok(a.lines.some((line) => /no answer to \d+ pings/.test(line)));
    silent.close();
  });

  it('serves a peer that is one version behind or ahead, and knows what each speaks', async () => {
    const [hostA, hostB] = [await host(), await host()];
    const a = party(A, hostA, new Map([[B, hostB.port]]), { versions: { oldest: 1, newest: 2 } });
    for (const versions of [
      { oldest: 1, newest: 1 },
      { oldest: 2, newest: 3 },
    ]) {
      const b = party(B, hostB, new Map([[A, hostA.port]]), { versions });
      await sendUntilReceived(a, b);
      await sendUntilReceived(b, a);
      await until('the version', () => a.transport.newestVersions().get(B) === versions.newest);
      assert.equal(a.transport.newestVersions().get(A), 2);
      await b.transport.close();
    }
  });

  it('moves to a peer’s new address, and forgets a peer', async () => {
    const [hostA, hostB] = [await host(), await host()];
    const a = party(A, hostA, new Map([[B, 1]]));
    const b = party(B, hostB, new Map([[A, hostA.port]]));
    a.transport.setPeer(B, { host: '127.0.0.1', port: hostB.port });
    await sendUntilReceived(a, b);
    a.transport.setPeer(B, null);
    assert.deepEqual([...a.transport.lastContactMs().keys()], []);
    a.transport.send(B, heartbeat(A, B, 999));
    await sendUntilReceived(b, a);
    assert.ok(!rounds(b.received).includes(999));
  });

  describe('refuses', () => {
    const headers = (change: Readonly<Record<string, string>>): Record<string, string> => ({
      'x-clb-cluster': 'c1',
      'x-clb-node': A,
      'x-clb-target': B,
      'x-clb-version': '1',
      ...change,
    });
    const dial = async (port: number, change: Readonly<Record<string, string>> = {}): Promise<Socket> => {
      const socket = await dialUpgrade({
        host: '127.0.0.1',
        port,
        protocol: RAFT_PROTOCOL,
        headers: headers(change),
        timeoutMs: 5_000,
      });
      sockets.push(socket);
      socket.on('error', () => undefined);
      return socket;
    };
    const ended = async (socket: Socket): Promise<string> => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      await new Promise<void>((resolve) => socket.once('close', () => resolve()));
      return Buffer.concat(chunks).toString();
    };
    /** The node goes on: a proper message still arrives. */
    const sendProperly = async (port: number, b: Party): Promise<void> => {
      const socket = await dial(port);
      const message = heartbeat(A, B, 5);
      const body = Buffer.alloc(messageBytes(message));
      writeMessage(body, 0, message);
      socket.write(encodeFrame(body));
      await until('a proper message', () => b.received.length === 1);
    };
    const cases: readonly [string, Readonly<Record<string, string>>, RegExp][] = [
      ['another cluster', { 'x-clb-cluster': 'c2' }, /of cluster c2, this server of c1/],
      [
        'another version',
        { 'x-clb-version': '99' },
        /speaks version 99 of the protocol, this server versions 1 to 2/,
      ],
      [
        'versions that are all newer',
        { 'x-clb-version': '3', 'x-clb-version-newest': '4' },
        /speaks versions 3 to 4 of the protocol, this server versions 1 to 2: upgrade one version after the other/,
      ],
      ['no version', { 'x-clb-version': 'x' }, /does not say which versions/],
      [
        'a dialer that looks for another node',
        { 'x-clb-target': 'server3' },
        /looks for server3, this is server2/,
      ],
      ['a dialer that claims to be this node', { 'x-clb-node': B }, /ids must be unique/],
      ['a dialer without a name', { 'x-clb-node': '' }, /does not say who it is/],
    ];
    for (const [what, change, reason] of cases) {
      it(`${what}, with one line in the log and the reason for the dialer`, async () => {
        const own = await host();
        const b = party(B, own, new Map());
        assert.match(await ended(await dial(own.port, change)), reason);
        assert.equal(b.lines.length, 1);
        assert.match(b.lines[0]!, reason);
      });
    }

    it('random bytes, frames that are too long and messages that make no sense, and goes on', async () => {
      const own = await host();
      const b = party(B, own, new Map());
      const tooLong = Buffer.from([0xff, 0xff, 0xff, 0xff]);
      const nonsense = encodeFrame(Buffer.from('this is no message of ours'));
      for (const bytes of [tooLong, nonsense, Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]) {
        const socket = await dial(own.port);
        const end = ended(socket);
        socket.write(bytes);
        await end;
      }
      assert.equal(b.lines.length, 3);
      assert.match(b.lines[0]!, /closed the connection from server1: a frame of 4294967295 bytes/);
      await sendProperly(own.port, b);
    });

    it('half a frame and then nothing, with one line', async () => {
      const own = await host();
      const b = party(B, own, new Map());
      const socket = await dial(own.port);
      const end = ended(socket);
      socket.write(Buffer.from([0, 0, 1]));
      await end;
      await until('the line', () => b.lines.length > 0);
      assert.deepEqual(b.lines, [
        `raft: closed the connection from ${A}: nothing came any more, not even a ping`,
      ]);
    });

    it('a frame that trickles in without end, with one line', async () => {
      const own = await host();
      const b = party(B, own, new Map(), { settings: { pingEveryMs: 5 } });
      const socket = await dial(own.port);
      const end = ended(socket);
      socket.write(Buffer.from([0, 1, 0, 0]));
      const trickle = setInterval(() => socket.write(Buffer.from([0])), 5);
      await end;
      clearInterval(trickle);
      await until('the line', () => b.lines.length > 0);
      assert.deepEqual(b.lines, [
        `raft: closed the connection from ${A}: it began a frame and does not end it`,
      ]);
    });

    it('a frame that is cut off by the end of the connection, with one line, and keeps nothing of it', async () => {
      const own = await host();
      const b = party(B, own, new Map());
      const socket = await dial(own.port);
      const end = ended(socket);
      socket.end(Buffer.from([0, 0, 0, 9, 16, 0]));
      await end;
      await until('the line', () => b.lines.length > 0);
      assert.deepEqual(b.lines, [`raft: closed the connection from ${A}: it ended in the middle of a frame`]);
      await sendProperly(own.port, b);
    });

    it('thousands of connections under made-up names, with a few lines, while known peers get in', async () => {
      const own = await host();
      const b = party(B, own, new Map([[A, 1]]), { settings: { strangersMax: 5, pingEveryMs: 1_000 } });
      for (let n = 0; n < 2_000; n += 100) {
        await Promise.all(
          Array.from({ length: 100 }, (_, k) => dial(own.port, { 'x-clb-node': `stranger${n + k}` })),
        );
      }
      const refusals = b.lines.filter((line) => line.includes('not known here already'));
      assert.ok(refusals.length >= 10 && b.lines.length <= 60, `${b.lines.length} lines`);
      await sendProperly(own.port, b);
    });

    it('again and again the same, and says it once', async () => {
      const own = await host();
      const b = party(B, own, new Map());
      for (let n = 0; n < 20; n++) await ended(await dial(own.port, { 'x-clb-cluster': 'c2' }));
      assert.equal(b.lines.length, 1);
    });

    it('an old connection once the same node has a new one', async () => {
      const own = await host();
      party(B, own, new Map());
      const old = await dial(own.port);
      const end = ended(old);
      await dial(own.port);
      await end;
    });
  });
});
