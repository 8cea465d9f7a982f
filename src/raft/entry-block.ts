/**
 * A run of log entries as bytes: the same on disk (inside a pack) and on the wire (inside an `append` message).
 *
 *     block = count:u32  first index:f64  entry*
 *     entry = kind:u8  term:f64  length:u32  payload[length]
 *
 * Big-endian. Indexes are not repeated: a block is contiguous. The payload of a `config` entry is JSON, that of a
 * command is passed through as it is, without a copy when reading.
 */
import { ByteReader, MalformedBytesError } from './byte-reader.ts';
import { REMOVED_IDS_MAX } from './core/configuration.ts';
import type { Configuration, Entry, LogIndex, NodeId, Term } from './core/types.ts';

export const BLOCK_HEADER_BYTES = 12;
const ENTRY_HEADER_BYTES = 13;

const KIND_NOOP = 0;
const KIND_COMMAND = 1;
const KIND_CONFIG = 2;

const EMPTY = new Uint8Array(0);

/** More members than any sensible cluster has; bounds what a damaged configuration can make us build. */
const MEMBERS_MAX = 100;

function kindCode(entry: Entry): number {
  switch (entry.kind) {
    case 'noop':
      return KIND_NOOP;
    case 'command':
      return KIND_COMMAND;
    case 'config':
      return KIND_CONFIG;
  }
}

/** Configurations are rare and tiny, so encoding them twice (for the size, for the bytes) costs nothing. */
function payloadOf(entry: Entry): Uint8Array {
  switch (entry.kind) {
    case 'noop':
      return EMPTY;
    case 'command':
      return entry.payload;
    case 'config':
      return Buffer.from(JSON.stringify(entry.config));
  }
}

/** Exact size of the block that {@link writeEntryBlock} makes of these entries. */
export function entryBlockBytes(entries: readonly Entry[]): number {
  let total = BLOCK_HEADER_BYTES;
  for (const entry of entries) total += entryBytes(entry);
  return total;
}

/** Size of one entry inside a block. */
export function entryBytes(entry: Entry): number {
  if (entry.kind === 'command') return ENTRY_HEADER_BYTES + entry.payload.byteLength;
  return ENTRY_HEADER_BYTES + payloadOf(entry).byteLength;
}

/** Writes the block of contiguous `entries` at `at` and returns the position after it. */
export function writeEntryBlock(target: Buffer, at: number, entries: readonly Entry[]): number {
  let position = target.writeUInt32BE(entries.length, at);
  position = target.writeDoubleBE(entries[0]?.index ?? 0, position);
  for (const entry of entries) {
    const payload = payloadOf(entry);
    position = target.writeUInt8(kindCode(entry), position);
    position = target.writeDoubleBE(entry.term, position);
    position = target.writeUInt32BE(payload.byteLength, position);
    target.set(payload, position);
    position += payload.byteLength;
  }
  return position;
}

/**
 * Reads a block; leaves the reader after it.
 * @throws MalformedBytesError
 */
export function readEntryBlock(reader: ByteReader): Entry[] {
  const count = reader.u32();
  const first = reader.safeInteger();
  if (count > reader.left / ENTRY_HEADER_BYTES)
    throw new MalformedBytesError(`a block cannot hold ${count} entries`);
  if (count > 0 && (first < 1 || !Number.isSafeInteger(first + count))) {
    throw new MalformedBytesError(`no entry can have index ${first}`);
  }
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) entries.push(readEntry(reader, (first + i) as LogIndex));
  return entries;
}

function readEntry(reader: ByteReader, index: LogIndex): Entry {
  const kind = reader.u8();
  const term = reader.safeInteger() as Term;
  const payload = reader.bytes(reader.u32());
  switch (kind) {
    case KIND_NOOP:
      if (payload.byteLength > 0) throw new MalformedBytesError('a no-op has no payload');
      return { kind: 'noop', index, term };
    case KIND_COMMAND:
      return { kind: 'command', index, term, payload };
    case KIND_CONFIG:
      return {
        kind: 'config',
        index,
        term,
        config: parseConfiguration(new ByteReader(payload).text(payload.byteLength)),
      };
    default:
      throw new MalformedBytesError(`${kind} is no kind of entry`);
  }
}

/**
 * Reads a configuration from JSON.
 * @throws MalformedBytesError
 */
export function parseConfiguration(json: string): Configuration {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new MalformedBytesError('a configuration is not JSON', { cause: error });
  }
  return checkConfiguration(value);
}

/**
 * Checks that a parsed value is a configuration.
 * @throws MalformedBytesError
 */
export function checkConfiguration(value: unknown): Configuration {
  if (typeof value !== 'object' || value === null || !('voters' in value) || !('learners' in value)) {
    throw new MalformedBytesError('a configuration lacks voters or learners');
  }
  const { addresses, removed } = value as { addresses?: unknown; removed?: unknown };
  return {
    voters: checkNames(value.voters, 'members', MEMBERS_MAX),
    learners: checkNames(value.learners, 'members', MEMBERS_MAX),
    // Absent in what versions without them have written.
    ...(addresses === undefined ? {} : { addresses: checkAddresses(addresses) }),
    ...(removed === undefined ? {} : { removed: checkNames(removed, 'removed', REMOVED_IDS_MAX) }),
  };
}

function checkNames(value: unknown, what: string, countMax: number): readonly NodeId[] {
  if (!Array.isArray(value) || value.length > countMax || !value.every((id) => typeof id === 'string')) {
    throw new MalformedBytesError(`${what} must be at most ${countMax} names`);
  }
  return value as NodeId[];
}

function checkAddresses(value: unknown): Readonly<Record<string, string>> {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : null;
  if (entries === null || entries.length > 2 * MEMBERS_MAX) {
    throw new MalformedBytesError('addresses must be an object of HOST:PORT by name');
  }
  for (const [id, address] of entries) {
    if (typeof address !== 'string') throw new MalformedBytesError(`the address of ${id} is no text`);
  }
  return value as Readonly<Record<string, string>>;
}
