/**
 * The log lines of all nodes, in LevelDB.
 *
 *     epoch              names the numbering, made once
 *     container!NODE     number of the node in `<Log 3, Container 1: …>`
 *     source!NODE        [[boot, seq], …]: the last line taken of each of the node's latest starts
 *     line!SEQ           a pack of lines that came together, SEQ being the number of its last one
 */
import { randomBytes } from 'node:crypto';
import type { LogLine } from '../api/log.ts';
import { ApiError } from '../api/errors.ts';
import { keyNumber, LevelBatches, prefixRange } from './level-batches.ts';
import type { LevelOp, StoreError } from './level-batches.ts';
import type { LogSource } from './log-source.ts';

/** Lines kept; the oldest go. */
export const KEPT_LINES_MAX = 1_000_000;
/** How much over the limit it may get before packs are removed: removing is done in bulk. */
const TRIM_SLACK = 0.01;
const TRIM_PACKS_MAX = 10_000;
/** Nodes that ever sent a line. */
export const NODES_MAX = 5_000;
/** Starts of one node whose lines may still be under way. */
const BOOTS_KEPT_MAX = 4;
const TEXT_CHARS_MAX = 4_096;
/** Lines a query looks at before it answers with what it has found. */
export const SCAN_LINES_MAX = 50_000;

/** The numbers of the original's containers (contract §5); others get the next free one. */
const CONTAINERS: ReadonlyMap<string, number> = new Map([
  ['server1', 1],
  ['server2', 2],
  ['server3', 3],
  ['worker1', 4],
  ['client', 5],
  ['database', 6],
]);
const FIRST_FREE_CONTAINER = 7;

/** Lines of one start (`boot`) of one node, numbered by it from 1, in order. */
export interface LineBatch {
  readonly node: string;
  readonly boot: string;
  readonly port: number;
  /** The number the node would like to have. */
  readonly container?: number | undefined;
  readonly lines: readonly LogLine[];
}

export interface StoredLine {
  /** Number of the line on the database, since ever. */
  readonly seq: number;
  readonly node: string;
  readonly container: number;
  readonly port: number;
  /** When the node wrote it. */
  readonly at: string;
  readonly text: string;
}

/** As it stands in LevelDB. */
interface Pack {
  readonly node: string;
  readonly container: number;
  readonly port: number;
  readonly first: number;
  readonly lines: readonly (readonly [at: string, text: string])[];
}

export interface LineQuery {
  readonly node: string | null;
  /** Text the line contains, in any case. */
  readonly q: string | null;
  readonly limit: number;
}

export interface LinePage {
  readonly lines: readonly StoredLine[];
  /** Number of the last line looked at: `after` of the next page. */
  readonly next: number;
  /** There are lines behind `next`. */
  readonly more: boolean;
}

export interface DatabaseStoreOptions {
  readonly onFatal: (error: StoreError) => void;
  readonly keptLinesMax?: number;
}

export class DatabaseStore {
  readonly #batches: LevelBatches;
  readonly #keptLinesMax: number;
  readonly #epoch: string;
  readonly #containers: Map<string, number>;
  readonly #sources: Map<string, readonly (readonly [boot: string, seq: number])[]>;
  readonly #listeners = new Set<(line: LogLine) => void>();
  #firstSeq: number;
  #lastSeq: number;
  #trimming: Promise<void> | null = null;

  private constructor(batches: LevelBatches, options: DatabaseStoreOptions, state: StoredState) {
    this.#batches = batches;
    this.#keptLinesMax = options.keptLinesMax ?? KEPT_LINES_MAX;
    this.#epoch = state.epoch;
    this.#containers = state.containers;
    this.#sources = state.sources;
    this.#firstSeq = state.firstSeq;
    this.#lastSeq = state.lastSeq;
  }

  /** @throws StoreError */
  static async open(folder: string, options: DatabaseStoreOptions): Promise<DatabaseStore> {
    const batches = await LevelBatches.open(folder, options.onFatal);
    return new DatabaseStore(batches, options, await readState(batches));
  }

  /**
   * Keeps the lines that are new; resolves when they are on the disk. Lines that came before (same node, boot and number)
   * are left out, so a batch may be sent again.
   * @throws ApiError INVALID where there are too many nodes, UNAVAILABLE where the disk does not keep up; StoreError
   */
  async append(batch: LineBatch): Promise<{ readonly accepted: number; readonly container: number }> {
    if (this.#batches.congested) {
      throw new ApiError('UNAVAILABLE', 'the disk does not keep up', { retryAfterSeconds: 1 });
    }
    const ops: LevelOp[] = [];
    const container = this.#containerOf(batch.node, batch.container ?? null, ops);
    const known = this.#sources.get(batch.node) ?? [];
    const lastKnown = known.find(([boot]) => boot === batch.boot)?.[1] ?? 0;
    const lines = batch.lines.filter((line) => line.seq > lastKnown);
    const last = lines.at(-1);
    if (last !== undefined) {
      const others = known.filter(([boot]) => boot !== batch.boot);
      const source = [[batch.boot, last.seq] as const, ...others].slice(0, BOOTS_KEPT_MAX);
      this.#sources.set(batch.node, source);
      ops.push({ type: 'put', key: `source!${batch.node}`, value: JSON.stringify(source) });
      ops.push(this.#pack(batch, container, lines));
    }
    // Also if all of it is known: it may be part of a write that is still under way.
    await this.#batches.add(ops);
    if (last !== undefined) {
      for (const listener of this.#listeners) listener(last);
      this.#trim();
    }
    return { accepted: lines.length, container };
  }

  /** Lines behind `after`, oldest first; `after` null: the newest. Looks at a bounded number of lines. */
  async query(query: LineQuery, after: number | null): Promise<LinePage> {
    const found: StoredLine[] = [];
    let seen = 0;
    let next = after ?? this.#lastSeq;
    for await (const line of after === null ? this.#backward() : this.#forward(after)) {
      seen += 1;
      if (after !== null) next = line.seq;
      if (matches(line, query)) found.push(line);
      if (found.length >= query.limit || seen >= SCAN_LINES_MAX) break;
    }
    if (after === null) found.reverse();
    return { lines: found, next, more: next < this.#lastSeq };
  }

  /** All lines as /logging shows them. */
  logSource(): LogSource {
    const read = async (lines: AsyncIterable<StoredLine>, limit: number): Promise<LogLine[]> => {
      const taken: LogLine[] = [];
      for await (const line of lines) {
        if (taken.length >= limit) break;
        taken.push({ seq: line.seq, at: line.at, text: lineText(line) });
      }
      return taken;
    };
    return {
      epoch: this.#epoch,
      after: (after, limit) => read(this.#forward(after), limit),
      tail: async (limit) => (await read(this.#backward(), limit)).reverse(),
      subscribe: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
  }

  async close(): Promise<void> {
    await this.#trimming;
    await this.#batches.close();
  }

  #containerOf(node: string, wanted: number | null, ops: LevelOp[]): number {
    const known = this.#containers.get(node);
    if (known !== undefined) return known;
    if (this.#containers.size >= NODES_MAX) {
      throw new ApiError('INVALID', `node: the limit of ${NODES_MAX} nodes is reached`);
    }
    const taken = new Set([...this.#containers.values(), ...CONTAINERS.values()]);
    let number = CONTAINERS.get(node) ?? wanted ?? FIRST_FREE_CONTAINER;
    if (!CONTAINERS.has(node) && taken.has(number)) number = FIRST_FREE_CONTAINER;
    if (!CONTAINERS.has(node)) while (taken.has(number)) number += 1;
    this.#containers.set(node, number);
    ops.push({ type: 'put', key: `container!${node}`, value: String(number) });
    return number;
  }

  #pack(batch: LineBatch, container: number, lines: readonly LogLine[]): LevelOp {
    const pack: Pack = {
      node: batch.node,
      container,
      port: batch.port,
      first: this.#lastSeq + 1,
      lines: lines.map(({ at, text }) => [at, oneLine(text)]),
    };
    this.#lastSeq += lines.length;
    return { type: 'put', key: `line!${keyNumber(this.#lastSeq)}`, value: JSON.stringify(pack) };
  }

  async *#forward(after: number): AsyncIterable<StoredLine> {
    const range = { ...prefixRange('line!'), gte: `line!${keyNumber(after + 1)}` };
    for await (const [, value] of this.#batches.iterate(range)) {
      for (const line of linesOf(value)) if (line.seq > after) yield line;
    }
  }

  async *#backward(): AsyncIterable<StoredLine> {
    for await (const [, value] of this.#batches.iterate({ ...prefixRange('line!'), reverse: true })) {
      yield* [...linesOf(value)].reverse();
    }
  }

  /** Removes the oldest packs in the background. */
  #trim(): void {
    const kept = this.#lastSeq - this.#firstSeq + 1;
    if (this.#trimming !== null || kept <= this.#keptLinesMax * (1 + TRIM_SLACK)) return;
    const keepFrom = this.#lastSeq - this.#keptLinesMax + 1;
    this.#trimming = this.#removeBefore(keepFrom)
      // A rejected write has been reported as fatal already.
      .catch(() => undefined)
      .finally(() => (this.#trimming = null));
  }

  async #removeBefore(keepFrom: number): Promise<void> {
    const ops: LevelOp[] = [];
    let lastRemoved = this.#firstSeq - 1;
    const range = { ...prefixRange('line!'), lt: `line!${keyNumber(keepFrom)}` };
    for await (const [key] of this.#batches.iterate(range)) {
      ops.push({ type: 'del', key });
      lastRemoved = Number(key.slice('line!'.length));
      if (ops.length >= TRIM_PACKS_MAX) break;
    }
    await this.#batches.add(ops);
    this.#firstSeq = lastRemoved + 1;
  }
}

/** The line in the original's form. */
export function lineText(line: StoredLine): string {
  return `<Log ${line.seq}, Container ${line.container}: ${line.text}>`;
}

interface StoredState {
  readonly epoch: string;
  readonly containers: Map<string, number>;
  readonly sources: Map<string, readonly (readonly [boot: string, seq: number])[]>;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

async function readState(batches: LevelBatches): Promise<StoredState> {
  const containers = new Map<string, number>();
  for await (const [key, value] of batches.iterate(prefixRange('container!'))) {
    containers.set(key.slice('container!'.length), Number(value));
  }
  const sources = new Map<string, readonly (readonly [string, number])[]>();
  for await (const [key, value] of batches.iterate(prefixRange('source!'))) {
    sources.set(key.slice('source!'.length), JSON.parse(value) as readonly (readonly [string, number])[]);
  }
  let epoch = await firstValue(batches.iterate({ gte: 'epoch', lt: 'epoch!' }));
  if (epoch === null) {
    epoch = randomBytes(4).toString('hex');
    await batches.add([{ type: 'put', key: 'epoch', value: epoch }]);
  }
  const oldest = await firstValue(batches.iterate(prefixRange('line!')));
  const newest = await firstValue(batches.iterate({ ...prefixRange('line!'), reverse: true }));
  return {
    epoch,
    containers,
    sources,
    firstSeq: oldest === null ? 1 : parsePack(oldest).first,
    lastSeq: newest === null ? 0 : lastOf(parsePack(newest)),
  };
}

async function firstValue(entries: AsyncIterable<readonly [string, string]>): Promise<string | null> {
  for await (const [, value] of entries) return value;
  return null;
}

function parsePack(value: string): Pack {
  return JSON.parse(value) as Pack;
}

function lastOf(pack: Pack): number {
  return pack.first + pack.lines.length - 1;
}

function* linesOf(value: string): Generator<StoredLine> {
  const { node, container, port, first, lines } = parsePack(value);
  for (const [i, [at, text]] of lines.entries()) yield { seq: first + i, node, container, port, at, text };
}

function matches(line: StoredLine, query: LineQuery): boolean {
  if (query.node !== null && line.node !== query.node) return false;
  return query.q === null || lineText(line).toLowerCase().includes(query.q.toLowerCase());
}

/** What a line may not do is look like two. */
function oneLine(text: string): string {
  return text.slice(0, TEXT_CHARS_MAX).replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ');
}
