/**
 * A snapshot: lines of text, cut into chunks. The first character of a line says what it holds: H the header, N a node,
 * B a batch in parts, S a schedule, T a live task (in the order of submission), F a finished task that is perhaps not in the store yet
 * (finish number, space, task), M an amendment of a finished task, E the end (number of lines before it).
 */
import type { Amendment } from './archive-format.ts';
import type { ArchiveCounters, ArchiveStore } from './archive.ts';
import { fnv1a } from './hash.ts';
import { OP_VERSION_FIRST, OP_VERSION_NEWEST } from './op-versions.ts';
import { decodeTask, encodeTask } from './record-codec.ts';
import type { NodeRecord, TaskRecord } from './records.ts';
import type { ScheduleRecord } from './schedule-table.ts';
import type { StagedBatch, TaskState } from './task-state.ts';

/** Of snapshots and of the archive's records. A server refuses what it does not know. */
export const FORMAT_VERSION = 1;
export const CHUNK_BYTES_MAX = 256 * 1024;

interface Header {
  readonly format: number;
  readonly appliedIndex: number;
  readonly clock: number;
  readonly lastSeq: number;
  readonly paused: boolean;
  /** Absent: the first. */
  readonly version?: number;
  readonly archive: ArchiveCounters;
}

/** The state at one moment: references only, so taking it costs little and later changes do not show. */
export interface FrozenState {
  readonly header: Header;
  readonly nodes: readonly NodeRecord[];
  readonly staged: readonly (readonly [string, StagedBatch])[];
  readonly schedules: readonly ScheduleRecord[];
  readonly tasks: readonly TaskRecord[];
  readonly finished: readonly (readonly [number, TaskRecord])[];
  readonly amendments: readonly Amendment[];
}

export function freeze(state: TaskState): FrozenState {
  const { archive } = state.tasks;
  return {
    header: {
      format: FORMAT_VERSION,
      appliedIndex: state.appliedIndex,
      clock: state.clock,
      lastSeq: state.tasks.lastSeq,
      paused: state.paused,
      ...(state.version === OP_VERSION_FIRST ? {} : { version: state.version }),
      archive: archive.counters(),
    },
    nodes: [...state.nodes.values()],
    staged: [...state.staged],
    schedules: state.schedules.all(),
    tasks: state.tasks.live(),
    finished: archive.unsaved(),
    amendments: archive.unsavedAmendments(),
  };
}

/** All that follows from the commands alone, but for the header. */
function* replicatedLines(frozen: FrozenState): Generator<string, void, undefined> {
  for (const node of frozen.nodes) yield `N${JSON.stringify(node)}`;
  for (const batch of frozen.staged) yield `B${JSON.stringify(batch)}`;
  for (const schedule of frozen.schedules) yield `S${JSON.stringify(schedule)}`;
  for (const task of frozen.tasks) yield `T${encodeTask(task)}`;
}

function* lines(frozen: FrozenState): Generator<string, void, undefined> {
  let count = 1;
  yield `H${JSON.stringify(frozen.header)}`;
  for (const line of replicatedLines(frozen)) {
    count += 1;
    yield line;
  }
  for (const [finishSeq, task] of frozen.finished) {
    count += 1;
    yield `F${finishSeq} ${encodeTask(task)}`;
  }
  for (const amendment of frozen.amendments) {
    count += 1;
    yield `M${JSON.stringify(amendment)}`;
  }
  yield `E${count}`;
}

/**
 * Equal exactly where the states that follow from the commands are equal, on any server at the same index, however
 * far its store is. Walks through all live tasks: for tests and for checks, not for every entry.
 */
export function stateHash(state: TaskState): string {
  const frozen = freeze(state);
  // Where the state was applied to last is no part of it: entries that are no commands move it too.
  let hash = fnv1a(JSON.stringify({ ...frozen.header, appliedIndex: 0 }));
  let second = 0;
  for (const line of replicatedLines(frozen)) {
    hash = fnv1a(line, hash);
    second = fnv1a(`${second} ${line.length}`, hash);
  }
  return `${hash.toString(16).padStart(8, '0')}${second.toString(16).padStart(8, '0')}`;
}

const encoder = new TextEncoder();

/** The snapshot in chunks of at most {@link CHUNK_BYTES_MAX} bytes, made as they are asked for. */
export function* encodeSnapshot(frozen: FrozenState): Generator<Uint8Array, void, undefined> {
  let pending = '';
  for (const line of lines(frozen)) {
    pending += `${line}\n`;
    // A UTF-16 code unit takes at most three bytes.
    if (pending.length < CHUNK_BYTES_MAX / 4) continue;
    yield* cut(encoder.encode(pending));
    pending = '';
  }
  yield* cut(encoder.encode(pending));
}

function* cut(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
  for (let from = 0; from < bytes.byteLength; from += CHUNK_BYTES_MAX) {
    yield bytes.subarray(from, from + CHUNK_BYTES_MAX);
  }
}

/** The content of a snapshot that cannot be used. */
export class SnapshotFormatError extends Error {
  readonly code = 'SNAPSHOT_FORMAT';
}

/**
 * Rebuilds a state from the chunks of a snapshot: `push` each, then `end`. The store's part must be loaded into the
 * archive between the header and the first finished task, so the caller hands over what it read before.
 */
export class SnapshotReader {
  readonly #state: TaskState;
  readonly #store: ArchiveStore;
  readonly #stored: readonly (readonly [string, Uint8Array])[];
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #rest = '';
  #lines = 0;
  #ended = false;

  constructor(state: TaskState, store: ArchiveStore, stored: readonly (readonly [string, Uint8Array])[]) {
    this.#state = state;
    this.#store = store;
    this.#stored = stored;
  }

  /** @throws SnapshotFormatError */
  push(chunk: Uint8Array): void {
    try {
      this.#push(chunk);
    } catch (error) {
      if (error instanceof SnapshotFormatError) throw error;
      throw new SnapshotFormatError(`the snapshot is damaged after line ${this.#lines}`, { cause: error });
    }
  }

  #push(chunk: Uint8Array): void {
    const text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      this.#line(text.slice(from, end));
      from = end + 1;
    }
    this.#rest = text.slice(from);
  }

  /** @throws SnapshotFormatError if something is missing. */
  end(): void {
    if (!this.#ended || this.#rest !== '') throw new SnapshotFormatError('the snapshot is incomplete');
    this.#state.tasks.archive.loaded();
    this.#state.tasks.restored();
  }

  #line(line: string): void {
    const content = line.slice(1);
    if (this.#ended) throw new SnapshotFormatError('the snapshot goes on after its end');
    if (this.#lines === 0 && !line.startsWith('H'))
      throw new SnapshotFormatError('the snapshot has no header');
    switch (line[0]) {
      case 'H':
        resetState(this.#state, JSON.parse(content) as Header, this.#store, this.#stored);
        break;
      case 'N': {
        const node = JSON.parse(content) as NodeRecord;
        this.#state.nodes.set(node.id, node);
        break;
      }
      case 'B': {
        const [batch, staged] = JSON.parse(content) as [string, StagedBatch];
        this.#state.staged.set(batch, staged);
        break;
      }
      case 'S':
        this.#state.schedules.put(JSON.parse(content) as ScheduleRecord);
        break;
      case 'T':
        this.#state.tasks.put(decodeTask(content));
        break;
      case 'F': {
        const space = content.indexOf(' ');
        this.#state.tasks.archive.restoreTask(
          Number(content.slice(0, space)),
          decodeTask(content.slice(space + 1)),
        );
        break;
      }
      case 'M':
        this.#state.tasks.archive.restoreAmendment(JSON.parse(content) as Amendment);
        break;
      case 'E':
        if (Number(content) !== this.#lines) throw new SnapshotFormatError('the snapshot lacks lines');
        this.#ended = true;
        break;
      default:
        throw new SnapshotFormatError(
          `the snapshot has a line of an unknown kind ${JSON.stringify(line[0])}`,
        );
    }
    this.#lines += 1;
  }
}

function resetState(
  state: TaskState,
  header: Header,
  store: ArchiveStore,
  stored: readonly (readonly [string, Uint8Array])[],
): void {
  if (header.format !== FORMAT_VERSION) {
    throw new SnapshotFormatError(
      `the snapshot has format ${header.format}, this program knows ${FORMAT_VERSION}`,
    );
  }
  const version = header.version ?? OP_VERSION_FIRST;
  if (version > OP_VERSION_NEWEST) {
    throw new SnapshotFormatError(
      `the snapshot has operations of version ${version}, this program knows up to ${OP_VERSION_NEWEST}: start a newer version of it`,
    );
  }
  state.version = version;
  state.nodes.clear();
  state.staged.clear();
  state.schedules.clear();
  state.paused = header.paused;
  state.clock = header.clock;
  state.appliedIndex = header.appliedIndex;
  state.tasks.reset(header.lastSeq);
  state.tasks.archive.reset(store, header.appliedIndex, header.archive);
  for (const [key, value] of stored) state.tasks.archive.load(key, value);
}

/** The state before the first entry, over a store that may be ahead of it. */
export function resetToEmpty(
  state: TaskState,
  store: ArchiveStore,
  stored: readonly (readonly [string, Uint8Array])[],
): void {
  resetState(
    state,
    {
      format: FORMAT_VERSION,
      appliedIndex: 0,
      clock: 0,
      lastSeq: 0,
      paused: false,
      archive: { finishCount: 0, retiredThrough: 0, digest: 0 },
    },
    store,
    stored,
  );
  state.tasks.archive.loaded();
  state.tasks.restored();
}
