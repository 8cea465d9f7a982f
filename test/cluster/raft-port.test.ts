/**
 * Goal: whatever comes in at the port on which servers talk to each other, the connection is closed, the log has one line about it,
 * and the server goes on. A real server of a running cluster; the dialers are the test's.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { PeersView } from '../../src/api/peers.ts';
import { encodeFrame } from '../../src/net/frames.ts';
import { dialUpgrade } from '../../src/net/upgrade.ts';
import type { LogIndex, Message, NodeId, Term } from '../../src/raft/core/types.ts';
import { messageBytes, writeMessage } from '../../src/raft/transport/codec.ts';
import { RAFT_PROTOCOL } from '../../src/raft/transport/transport-settings.ts';
import { Random } from '../sim/random.ts';
import { eventually, ProcessCluster } from './processes.ts';

const TARGET = 'server1';
const HANGS_MS = 60_000;

function body(message: Message): Buffer {
  const bytes = Buffer.alloc(messageBytes(message));
  writeMessage(bytes, 0, message);
  return bytes;
}

const APPEND = body({
  ...{ kind: 'append', from: 'x' as NodeId, to: TARGET as NodeId, term: 1 as Term },
  ...{ prevLogIndex: 0 as LogIndex, prevLogTerm: 0 as Term, leaderCommit: 0 as LogIndex },
  entries: [{ kind: 'command', index: 1 as LogIndex, term: 1 as Term, payload: Buffer.from('word') }],
});

function randomBytes(seed: number, count: number): Buffer {
  const random = new Random(seed);
  return Buffer.from(Array.from({ length: count }, () => random.below(256)));
}

/** What is sent once the connection stands, and what the line says. `end`: the dialer hangs up after it. */
const SENT: readonly {
  readonly what: string;
  readonly bytes: Buffer;
  readonly end?: true;
  readonly line: RegExp;
}[] = [
  {
    what: 'a frame that is too long',
    bytes: Buffer.from([0xff, 0xff, 0xff, 0xff]),
    line: /a frame of 4294967295/,
  },
  {
    what: 'a frame one byte longer than allowed',
    bytes: Buffer.from([1, 0, 0, 1]),
    line: /a frame of 16777217 bytes was announced, the limit is 16777216/,
  },
  {
    what: 'a frame that the end of the connection cuts short',
    bytes: encodeFrame(APPEND).subarray(0, 20),
    end: true,
    line: /it ended in the middle of a frame/,
  },
  {
    what: 'half a frame, and then nothing',
    bytes: encodeFrame(APPEND).subarray(0, 20),
    line: /nothing came any more, not even a ping/,
  },
  { what: 'a message that is cut short', bytes: encodeFrame(APPEND.subarray(0, 20)), line: /./ },
  { what: 'a message that goes on after its end', bytes: encodeFrame(APPEND, Buffer.from([0])), line: /./ },
  {
    what: 'a message of no kind',
    bytes: encodeFrame(Buffer.from([255, ...APPEND.subarray(1)])),
    line: /no kind of message/,
  },
  { what: 'an empty frame', bytes: encodeFrame(), line: /./ },
  {
    what: 'a request in HTTP',
    bytes: Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    line: /a frame of \d+ bytes/,
  },
  ...[1, 2, 3].map((seed) => ({
    what: `random bytes (${seed})`,
    bytes: randomBytes(seed, 4_096),
    line: /./,
  })),
  ...[4, 5, 6].map((seed) => ({
    what: `a frame of random bytes (${seed})`,
    bytes: encodeFrame(randomBytes(seed, 4_096)),
    line: /./,
  })),
];

/** How the dialer introduces itself otherwise than it should, and the reason it is told. */
const INTRODUCED: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
  ['another cluster', { 'x-clb-cluster': 'feedfeedfeedfeed' }, /of cluster feedfeedfeedfeed, this server of/],
  ['a version long gone', { 'x-clb-version': '0', 'x-clb-version-newest': '0' }, /version/],
  ['a version to come', { 'x-clb-version': '98', 'x-clb-version-newest': '99' }, /speaks versions 98 to 99/],
  ['no version', { 'x-clb-version': 'x' }, /does not say which versions/],
  ['another server', { 'x-clb-target': 'server2' }, /looks for server2, this is server1/],
  ['this server’s own name', { 'x-clb-node': TARGET }, /ids must be unique/],
  [
    'no member, which looks for another data folder',
    { 'x-clb-node': 'stranger', 'x-clb-target-folder': 'feedfeedfeedfeed' },
    /looks for server1 with another data folder than this one/,
  ],
  ['no name', { 'x-clb-node': '' }, /does not say who it is/],
];

describe('bad input at the port of a server', { timeout: 300_000 }, () => {
  let cluster: ProcessCluster;
  let clusterId = '';
  let pids: readonly number[];
  let count = 0;
  before(async () => {
    cluster = await ProcessCluster.prepare({ servers: 3 });
    for (const { id } of cluster.nodes) cluster.startNode(id);
    await cluster.whenReady();
    pids = cluster.serverIds.map((id) => cluster.pid(id));
    clusterId = (await cluster.get<PeersView>(TARGET, '/v1/raft/peers')).clusterId;
  });
  after(async () => cluster.destroy());

  /** What the server's log says of connections it would not have. */
  function complaints(): readonly string[] {
    const lines = cluster
      .output(TARGET)
      .split('\n')
      .filter((line) => line.startsWith('{'));
    return lines
      .map((line) => (JSON.parse(line) as { msg?: string }).msg ?? '')
      .filter((line) => /refused a connection|closed (the|a) connection/.test(line));
  }

  /** Does it, waits until the connection is closed, and checks that there is one line more. */
  async function oneLine(dial: () => Promise<Socket>, line: RegExp): Promise<string> {
    const before = complaints().length;
    const socket = await dial();
    let said = '';
    socket.on('error', () => undefined).on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    if (!socket.closed) await once(socket, 'close', { signal: AbortSignal.timeout(HANGS_MS) });
    const lines = await eventually('a line about it', () => {
      const more = complaints().slice(before);
      return more.length > 0 ? more : null;
    });
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0] ?? '', line);
    return said;
  }

  async function dial(introduced: Readonly<Record<string, string>> = {}): Promise<Socket> {
    // A name of its own each time: what is said of one again and again is said once.
    const headers = {
      ...{ 'x-clb-cluster': clusterId, 'x-clb-node': `stranger${++count}`, 'x-clb-target': TARGET },
      ...{ 'x-clb-version': '1', 'x-clb-version-newest': '2', ...introduced },
    };
    const { port } = cluster.node(TARGET);
    return dialUpgrade({ host: '127.0.0.1', port, protocol: RAFT_PROTOCOL, headers, timeoutMs: HANGS_MS });
  }

  for (const { what, bytes, end, line } of SENT) {
    it(what, async () => {
      await oneLine(
        async () => {
          const socket = await dial();
          if (end === true) socket.end(bytes);
          else socket.write(bytes);
          return socket;
        },
        new RegExp(`raft: closed the connection from stranger\\d+: .*${line.source}`),
      );
    });
  }

  for (const [what, introduced, reason] of INTRODUCED) {
    it(`a dialer of ${what}, which is told why`, async () => {
      const said = await oneLine(() => dial(introduced), reason);
      assert.match(said, reason);
    });
  }

  it('bytes that are not even HTTP', async () => {
    const said = await oneLine(async () => {
      const socket = connect(cluster.node(TARGET).port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(randomBytes(7, 4_096));
      return socket;
    }, /http: closed a connection from 127\.0\.0\.1: this is not valid HTTP/);
    assert.match(said, /^HTTP\/1\.1 400 /);
  });

  it('again and again the same: said once', async () => {
    await oneLine(async () => {
      for (let n = 0; n < 20; n += 1) {
        const socket = await dial({ 'x-clb-node': 'again', 'x-clb-cluster': 'c' });
        if (!socket.closed) await once(socket.resume(), 'close');
      }
      return dial({ 'x-clb-node': 'again', 'x-clb-cluster': 'c' });
    }, /refused a connection from "again"/);
  });

  it('and every server goes on, as the same process', async () => {
    assert.deepEqual(
      cluster.serverIds.map((id) => cluster.pid(id)),
      pids,
    );
    for (const id of cluster.serverIds) {
      const { status } = await cluster.request(id, 'POST', '/v1/tasks', { command: ['true'] });
      assert.equal(status, 201, id);
    }
    const indexes = (id: string) => cluster.raft(id).then(({ appliedIndex }) => appliedIndex);
    const reached = await indexes(await cluster.master());
    await eventually('all have it', async () => (await indexes(TARGET)) >= reached);
  });
});
