import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MalformedBytesError } from '../../../src/raft/byte-reader.ts';
import type { Entry, LogIndex, Message, NodeId, ReadId, Term } from '../../../src/raft/core/types.ts';
import { messageBytes, readMessage, writeMessage } from '../../../src/raft/transport/codec.ts';

const A = 'server1' as NodeId;
const B = 'server2' as NodeId;
const at = (index: number): LogIndex => index as LogIndex;
const term = (value: number): Term => value as Term;
const base = { from: A, to: B, term: term(7) };
const LARGE = Number.MAX_SAFE_INTEGER;

const entries: readonly Entry[] = [
  { kind: 'noop', index: at(11), term: term(6) },
  { kind: 'command', index: at(12), term: term(6), payload: Buffer.from('any bytes \u0000\u00ff') },
  { kind: 'command', index: at(13), term: term(7), payload: Buffer.alloc(0) },
  {
    kind: 'config',
    index: at(14),
    term: term(7),
    config: { voters: [A, B], learners: ['sörver' as NodeId] },
  },
  {
    kind: 'config',
    index: at(15),
    term: term(7),
    config: {
      voters: [A],
      learners: [B],
      addresses: { [A]: 'a.lan:3002', [B]: '[::1]:3004' },
      removed: ['server0' as NodeId],
    },
  },
];

const messages: readonly Message[] = [
  { kind: 'voteRequest', ...base, preVote: true, force: false, lastLogIndex: at(10), lastLogTerm: term(6) },
  {
    kind: 'voteRequest',
    ...base,
    preVote: false,
    force: true,
    lastLogIndex: at(LARGE),
    lastLogTerm: term(0),
  },
  { kind: 'voteResponse', ...base, preVote: false, granted: true },
  { kind: 'append', ...base, prevLogIndex: at(10), prevLogTerm: term(6), entries, leaderCommit: at(9) },
  { kind: 'append', ...base, prevLogIndex: at(0), prevLogTerm: term(0), entries: [], leaderCommit: at(0) },
  { kind: 'appendAccepted', ...base, matchIndex: at(12) },
  { kind: 'appendRejected', ...base, rejectedIndex: at(12), hintIndex: at(8), hintTerm: term(5) },
  { kind: 'heartbeat', ...base, commit: at(12), round: 99 },
  { kind: 'commit', ...base, commit: at(12) },
  { kind: 'heartbeatAck', ...base, round: 99 },
  {
    kind: 'snapshotChunk',
    ...base,
    meta: {
      index: at(100),
      term: term(6),
      config: { voters: [A], learners: [B], addresses: { [A]: 'a:1' } },
    },
    chunk: 3,
    data: Buffer.from('chunk'),
    done: true,
  },
  { kind: 'snapshotAck', ...base, index: at(100), nextChunk: 4, installed: true },
  { kind: 'readIndexRequest', ...base, readId: 5 as ReadId },
  { kind: 'readIndexResponse', ...base, readId: 5 as ReadId, index: at(0) },
  { kind: 'readIndexResponse', ...base, readId: 5 as ReadId, index: null },
  { kind: 'timeoutNow', ...base },
];

function encode(message: Message): Buffer {
  const bytes = Buffer.alloc(messageBytes(message));
  assert.equal(
    writeMessage(bytes, 0, message),
    bytes.byteLength,
    `${message.kind} has the size that was announced`,
  );
  return bytes;
}

/** Byte strings compare equal whatever class of view they are. */
function comparable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, field: unknown) =>
      field instanceof Uint8Array ? Buffer.from(field).toString('hex') : field,
    ).replaceAll(/\{"type":"Buffer","data":\[([\d,]*)\]\}/g, (_, numbers: string) =>
      JSON.stringify(Buffer.from(numbers === '' ? [] : numbers.split(',').map(Number)).toString('hex')),
    ),
  );
}

describe('the codec', () => {
  for (const message of messages) {
    it(`gives a ${message.kind} back as it was: ${JSON.stringify(message).slice(60, 120)}…`, () => {
      assert.deepEqual(comparable(readMessage(encode(message), A, B)), comparable(message));
    });

    it(`refuses a ${message.kind} that is cut off anywhere or has bytes too many (${JSON.stringify(message).length})`, () => {
      const bytes = encode(message);
      // The data of a chunk takes what there is: only its header can be recognized as cut off.
      const data = message.kind === 'snapshotChunk' ? message.data.byteLength : 0;
      for (let length = 0; length < bytes.byteLength - data; length++) {
        assert.throws(() => readMessage(bytes.subarray(0, length), A, B), MalformedBytesError);
      }
      if (data === 0)
        assert.throws(() => readMessage(Buffer.concat([bytes, Buffer.alloc(1)]), A, B), MalformedBytesError);
    });
  }

  it('takes sender and receiver from the connection, not from the bytes', () => {
    const other = readMessage(encode(messages[2]!), 'x' as NodeId, 'y' as NodeId);
    assert.deepEqual([other.from, other.to], ['x', 'y']);
  });

  it('refuses kinds it does not know, and numbers that are no indexes', () => {
    const bytes = encode({ kind: 'appendAccepted', ...base, matchIndex: at(12) });
    for (const code of [0, 3, 15, 29, 255]) {
      const unknown = Buffer.from(bytes);
      unknown[0] = code;
      assert.throws(() => readMessage(unknown, A, B), /no kind of message/);
    }
    for (const wrong of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      const broken = Buffer.from(bytes);
      broken.writeDoubleBE(wrong, 9);
      assert.throws(() => readMessage(broken, A, B), /no index or term/);
    }
  });

  it('refuses appends whose entries cannot be what a leader sends', () => {
    const append = (change: object): Buffer =>
      encode({
        kind: 'append',
        ...base,
        prevLogIndex: at(10),
        prevLogTerm: term(6),
        entries,
        leaderCommit: at(9),
        ...change,
      });
    assert.throws(() => readMessage(append({ prevLogIndex: at(11) }), A, B), /cannot follow/);
    assert.throws(() => readMessage(append({ prevLogTerm: term(7) }), A, B), /impossible term/);
    assert.throws(() => readMessage(append({ term: term(6) }), A, B), /impossible term/);
  });

  it('refuses configurations whose addresses or former members are none', () => {
    const refused = (config: object, reason: RegExp): void => {
      const entry = { kind: 'config', index: at(11), term: term(7), config } as Entry;
      const bytes = encode({
        kind: 'append',
        ...base,
        prevLogIndex: at(10),
        prevLogTerm: term(6),
        entries: [entry],
        leaderCommit: at(9),
      });
      assert.throws(() => readMessage(bytes, A, B), reason);
    };
    const members = { voters: [A], learners: [] };
    refused({ ...members, addresses: { [A]: 3002 } }, /address of server1 is no text/);
    refused({ ...members, addresses: 'a.lan:3002' }, /addresses must be an object/);
    refused({ ...members, removed: [1] }, /removed must be at most 1000 names/);
    refused({ ...members, removed: new Array(1_001).fill('x') }, /removed must be at most 1000 names/);
  });

  it('does not believe an entry count that the bytes cannot hold', () => {
    const bytes = encode({
      kind: 'append',
      ...base,
      prevLogIndex: at(0),
      prevLogTerm: term(0),
      entries: [],
      leaderCommit: at(0),
    });
    bytes.writeUInt32BE(0xffffffff, 9 + 24);
    assert.throws(() => readMessage(bytes, A, B), /cannot hold/);
  });

  it('throws nothing but its own error, whatever the bytes', () => {
    let seed = 12345;
    const random = (bound: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return seed % bound;
    };
    let understood = 0;
    for (let run = 0; run < 20_000; run++) {
      const bytes = encode(messages[random(messages.length)]!);
      for (let flips = random(4); flips >= 0; flips--) bytes[random(bytes.byteLength)] = random(256);
      try {
        readMessage(bytes, A, B);
        understood += 1;
      } catch (error) {
        assert.ok(error instanceof MalformedBytesError, String(error));
      }
    }
    assert.ok(understood > 0 && understood < 20_000);
  });
});
