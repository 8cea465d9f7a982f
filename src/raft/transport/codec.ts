/**
 * Messages as bytes. One frame (net/frames.ts) holds one message:
 *
 *     body = kind:u8  term:f64  fields of the kind
 *
 * Big-endian; indexes, terms and counters are doubles. Entry payloads and snapshot data are passed through as they are.
 * Sender and receiver are not in the frame: they were agreed on when the connection was made. So were cluster and version.
 */
import { ByteReader, MalformedBytesError } from '../byte-reader.ts';
import type { Entry, LogIndex, Message, NodeId, ReadId, SnapshotMeta, Term } from '../core/types.ts';
import { entryBlockBytes, parseConfiguration, readEntryBlock, writeEntryBlock } from '../entry-block.ts';

/** Kinds of frames that are no messages of Raft. */
export const FRAME_PING = 0;
export const FRAME_PONG = 1;
export const FRAME_REFUSAL = 2;

const KIND_CODES = {
  voteRequest: 16,
  voteResponse: 17,
  append: 18,
  appendAccepted: 19,
  appendRejected: 20,
  heartbeat: 21,
  heartbeatAck: 22,
  snapshotChunk: 23,
  snapshotAck: 24,
  readIndexRequest: 25,
  readIndexResponse: 26,
  timeoutNow: 27,
  commit: 28,
} as const satisfies Record<Message['kind'], number>;

const HEADER_BYTES = 9;
const NUMBER_BYTES = 8;

/** Exact size of the body that {@link writeMessage} makes. */
export function messageBytes(message: Message): number {
  switch (message.kind) {
    case 'voteRequest':
      return HEADER_BYTES + 2 + 2 * NUMBER_BYTES;
    case 'voteResponse':
      return HEADER_BYTES + 2;
    case 'append':
      return HEADER_BYTES + 3 * NUMBER_BYTES + entryBlockBytes(message.entries);
    case 'appendAccepted':
    case 'heartbeatAck':
    case 'readIndexRequest':
    case 'commit':
      return HEADER_BYTES + NUMBER_BYTES;
    case 'appendRejected':
      return HEADER_BYTES + 3 * NUMBER_BYTES;
    case 'heartbeat':
      return HEADER_BYTES + 2 * NUMBER_BYTES;
    case 'snapshotChunk':
      return (
        HEADER_BYTES +
        3 * NUMBER_BYTES +
        5 +
        Buffer.byteLength(JSON.stringify(message.meta.config)) +
        message.data.byteLength
      );
    case 'snapshotAck':
    case 'readIndexResponse':
      return HEADER_BYTES + 2 * NUMBER_BYTES + 1;
    case 'timeoutNow':
      return HEADER_BYTES;
  }
}

/** Writes the body at `at` and returns the position after it. */
export function writeMessage(target: Buffer, at: number, message: Message): number {
  let end = target.writeUInt8(KIND_CODES[message.kind], at);
  end = target.writeDoubleBE(message.term, end);
  switch (message.kind) {
    case 'voteRequest':
      end = target.writeUInt8(Number(message.preVote), end);
      end = target.writeUInt8(Number(message.force), end);
      end = target.writeDoubleBE(message.lastLogIndex, end);
      return target.writeDoubleBE(message.lastLogTerm, end);
    case 'voteResponse':
      end = target.writeUInt8(Number(message.preVote), end);
      return target.writeUInt8(Number(message.granted), end);
    case 'append':
      end = target.writeDoubleBE(message.prevLogIndex, end);
      end = target.writeDoubleBE(message.prevLogTerm, end);
      end = target.writeDoubleBE(message.leaderCommit, end);
      return writeEntryBlock(target, end, message.entries);
    case 'appendAccepted':
      return target.writeDoubleBE(message.matchIndex, end);
    case 'appendRejected':
      end = target.writeDoubleBE(message.rejectedIndex, end);
      end = target.writeDoubleBE(message.hintIndex, end);
      return target.writeDoubleBE(message.hintTerm, end);
    case 'heartbeat':
      end = target.writeDoubleBE(message.commit, end);
      return target.writeDoubleBE(message.round, end);
    case 'commit':
      return target.writeDoubleBE(message.commit, end);
    case 'heartbeatAck':
      return target.writeDoubleBE(message.round, end);
    case 'snapshotChunk':
      return writeSnapshotChunk(target, end, message);
    case 'snapshotAck':
      end = target.writeDoubleBE(message.index, end);
      end = target.writeDoubleBE(message.nextChunk, end);
      return target.writeUInt8(Number(message.installed), end);
    case 'readIndexRequest':
      return target.writeDoubleBE(message.readId, end);
    case 'readIndexResponse':
      end = target.writeDoubleBE(message.readId, end);
      end = target.writeUInt8(Number(message.index !== null), end);
      return target.writeDoubleBE(message.index ?? 0, end);
    case 'timeoutNow':
      return end;
  }
}

function writeSnapshotChunk(
  target: Buffer,
  at: number,
  message: Extract<Message, { kind: 'snapshotChunk' }>,
): number {
  const config = Buffer.from(JSON.stringify(message.meta.config));
  let end = target.writeDoubleBE(message.meta.index, at);
  end = target.writeDoubleBE(message.meta.term, end);
  end = target.writeDoubleBE(message.chunk, end);
  end = target.writeUInt8(Number(message.done), end);
  end = target.writeUInt32BE(config.byteLength, end);
  target.set(config, end);
  end += config.byteLength;
  target.set(message.data, end);
  return end + message.data.byteLength;
}

/**
 * Reads one frame body. Byte strings in the message are views of `body`.
 * @throws MalformedBytesError on anything that {@link writeMessage} would not have written
 */
export function readMessage(body: Uint8Array, from: NodeId, to: NodeId): Message {
  const reader = new ByteReader(body);
  const code = reader.u8();
  const term = reader.safeInteger() as Term;
  const message = readFields(reader, code, { from, to, term });
  reader.end();
  return message;
}

function readFields(
  reader: ByteReader,
  code: number,
  base: { readonly from: NodeId; readonly to: NodeId; readonly term: Term },
): Message {
  const index = (): LogIndex => reader.safeInteger() as LogIndex;
  const term = (): Term => reader.safeInteger() as Term;
  switch (code) {
    case KIND_CODES.voteRequest: {
      const preVote = reader.boolean();
      const force = reader.boolean();
      return { kind: 'voteRequest', ...base, preVote, force, lastLogIndex: index(), lastLogTerm: term() };
    }
    case KIND_CODES.voteResponse:
      return { kind: 'voteResponse', ...base, preVote: reader.boolean(), granted: reader.boolean() };
    case KIND_CODES.append: {
      const prevLogIndex = index();
      const prevLogTerm = term();
      const leaderCommit = index();
      const entries = readEntryBlock(reader);
      checkEntries(entries, prevLogIndex, prevLogTerm, base.term);
      return { kind: 'append', ...base, prevLogIndex, prevLogTerm, leaderCommit, entries };
    }
    case KIND_CODES.appendAccepted:
      return { kind: 'appendAccepted', ...base, matchIndex: index() };
    case KIND_CODES.appendRejected:
      return {
        kind: 'appendRejected',
        ...base,
        rejectedIndex: index(),
        hintIndex: index(),
        hintTerm: term(),
      };
    case KIND_CODES.heartbeat:
      return { kind: 'heartbeat', ...base, commit: index(), round: reader.safeInteger() };
    case KIND_CODES.commit:
      return { kind: 'commit', ...base, commit: index() };
    case KIND_CODES.heartbeatAck:
      return { kind: 'heartbeatAck', ...base, round: reader.safeInteger() };
    case KIND_CODES.snapshotChunk:
      return { kind: 'snapshotChunk', ...base, ...readSnapshotChunk(reader) };
    case KIND_CODES.snapshotAck:
      return {
        kind: 'snapshotAck',
        ...base,
        index: index(),
        nextChunk: reader.safeInteger(),
        installed: reader.boolean(),
      };
    case KIND_CODES.readIndexRequest:
      return { kind: 'readIndexRequest', ...base, readId: reader.safeInteger() as ReadId };
    case KIND_CODES.readIndexResponse: {
      const readId = reader.safeInteger() as ReadId;
      const isKnown = reader.boolean();
      const readIndex = index();
      return { kind: 'readIndexResponse', ...base, readId, index: isKnown ? readIndex : null };
    }
    case KIND_CODES.timeoutNow:
      return { kind: 'timeoutNow', ...base };
    default:
      throw new MalformedBytesError(`${code} is no kind of message`);
  }
}

function readSnapshotChunk(reader: ByteReader): {
  readonly meta: SnapshotMeta;
  readonly chunk: number;
  readonly data: Uint8Array;
  readonly done: boolean;
} {
  const index = reader.safeInteger() as LogIndex;
  const term = reader.safeInteger() as Term;
  const chunk = reader.safeInteger();
  const done = reader.boolean();
  const config = parseConfiguration(reader.text(reader.u32()));
  return { meta: { index, term, config }, chunk, data: reader.bytes(reader.left), done };
}

/** What every append obeys; the core relies on it. */
function checkEntries(
  entries: readonly Entry[],
  prevLogIndex: LogIndex,
  prevLogTerm: Term,
  termMax: Term,
): void {
  const first = entries[0];
  if (first === undefined) return;
  if (first.index !== prevLogIndex + 1)
    throw new MalformedBytesError(`entry ${first.index} cannot follow ${prevLogIndex}`);
  let term = prevLogTerm;
  for (const entry of entries) {
    if (entry.term < term || entry.term > termMax)
      throw new MalformedBytesError(`entry ${entry.index} has an impossible term`);
    term = entry.term;
  }
}
