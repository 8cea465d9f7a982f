/**
 * What a worker must not forget, in a LevelDB of its own (docs/execution.md, "The outbox"):
 *
 *   meta!instance     random text, made once per folder
 *   flush!<number>    what one write recorded of attempts: `begun`, written before an attempt is started, or its ending,
 *                     written before that is sent. Of several records of one attempt the one of the latest flush counts.
 *
 * All that waits goes into one record (one value costs a fraction of a key for each), and one write is in flight at a time
 * (LevelDB gives no order to concurrent writes). A flush is deleted when everything in it was replaced by a later one or is
 * recorded by the master; until then a crash can bring back what was recorded already, which is then sent once more, and
 * the master says again that it is recorded.
 *
 * Values are `<crc32 in hex>:<JSON>`. Every flush is synced. After any rejected write the database must not be used again
 * (LevelDB may acknowledge later writes and lose them), so the owner is told once and has to end the process. A damaged
 * record is dropped with a message: its attempts then count as lost and are run again.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Level } from 'level';
import { attemptKey } from '../link/messages.ts';
import type { AttemptRef } from '../link/protocol.ts';
import { endingChars } from './executor.ts';
import type { Ending } from './executor.ts';

/** An ending that is kept: a dropped attempt is deleted instead. */
export type KeptEnding = Exclude<Ending, { kind: 'dropped' }>;

export interface OutboxRecord {
  readonly ref: AttemptRef;
  /** null: begun, and nothing more is known. */
  readonly ending: KeptEnding | null;
}

export const OUTBOX_LIMITS = {
  /** Attempts per flush. */
  flushItemsMax: 4_096,
  /** Characters of output per flush; one larger ending still goes, alone. */
  flushCharsMax: 8 * 1024 * 1024,
  /** Deletions wait this long for a flush to go with. */
  deleteDelayMs: 50,
} as const;

const INSTANCE_KEY = 'meta!instance';
const FLUSH_PREFIX = 'flush!';
const FLUSH_END = 'flush"';
const NUMBER_DIGITS = 16;

/** A write was rejected: nothing that was not yet reported durable may be relied on. */
export class OutboxWriteError extends Error {
  readonly code = 'OUTBOX_WRITE';
}

/** As it stands in a flush. */
type FlushItem = readonly [task: string, token: number, ending: KeptEnding | null];

interface Pending {
  readonly item: FlushItem;
  readonly onDurable: (() => void) | null;
}

/** A flush that is written; `live` counts the attempts whose latest record it holds. */
interface Flush {
  readonly number: number;
  live: number;
}

export class Outbox {
  readonly instance: string;
  readonly #db: Level;
  readonly #onFatal: (error: OutboxWriteError) => void;
  /** By attempt, so that a later record replaces one that was not written yet. */
  #pending = new Map<string, Pending>();
  /** The flush that holds the latest record of an attempt. */
  readonly #flushOf = new Map<string, Flush>();
  #flushNumber: number;
  /** Flushes that hold nothing any more. */
  #toDelete: number[] = [];
  #writing: Promise<void> | null = null;
  /** What is being written. */
  #taken = new Map<string, Pending>();
  #delayTimer: NodeJS.Timeout | null = null;
  #state: 'open' | 'failed' | 'closed' = 'open';

  private constructor(
    db: Level,
    instance: string,
    flushNumber: number,
    onFatal: (error: OutboxWriteError) => void,
  ) {
    this.#db = db;
    this.instance = instance;
    this.#flushNumber = flushNumber;
    this.#onFatal = onFatal;
  }

  /**
   * Opens (or makes) the database in `folder` and returns it with everything in it.
   * @throws what LevelDB says: LEVEL_DATABASE_NOT_OPEN with cause LEVEL_LOCKED if another process has it.
   */
  static async open(
    folder: string,
    onFatal: (error: OutboxWriteError) => void,
    warn: (message: string) => void,
  ): Promise<{ readonly outbox: Outbox; readonly records: readonly OutboxRecord[] }> {
    const db = new Level(folder, { keyEncoding: 'utf8', valueEncoding: 'utf8' });
    await db.open();
    const [known] = await db.getMany([INSTANCE_KEY]);
    const instance = known ?? randomBytes(12).toString('hex');
    if (known === undefined) await db.put(INSTANCE_KEY, instance, { sync: true });
    const flushes: { readonly number: number; readonly items: readonly FlushItem[] | null }[] = [];
    for await (const [key, value] of db.iterator({ gte: FLUSH_PREFIX, lt: FLUSH_END })) {
      flushes.push({ number: Number(key.slice(FLUSH_PREFIX.length)), items: decodeFlush(value) });
    }
    const outbox = new Outbox(db, instance, (flushes.at(-1)?.number ?? 0) + 1, onFatal);
    const records = new Map<string, OutboxRecord>();
    for (const { number, items } of flushes) {
      if (items === null) {
        warn(`a damaged record of the outbox in ${folder} was dropped; the tasks in it will be run again`);
        outbox.#toDelete.push(number);
        continue;
      }
      outbox.#place(
        { number, live: items.length },
        items.map(([task, token]) => attemptKey({ task, token })),
      );
      for (const [task, token, ending] of items) {
        records.set(attemptKey({ task, token }), { ref: { task, token }, ending });
      }
    }
    return { outbox, records: [...records.values()] };
  }

  /** Writes down that the attempt is about to be started. */
  begin(ref: AttemptRef, onDurable: (() => void) | null): void {
    this.#put(ref, null, onDurable);
  }

  /** Writes down how it ended, in place of the begin record (even of one that was not written yet). */
  end(ref: AttemptRef, ending: KeptEnding, onDurable: () => void): void {
    this.#put(ref, ending, onDurable);
  }

  /** Forgets the attempt. Not urgent: if it is undone by a crash, the ending is sent, and recorded, once more. */
  drop(ref: AttemptRef): void {
    const key = attemptKey(ref);
    this.#pending.delete(key);
    this.#taken.delete(key);
    this.#leave(key);
    this.#deleteSoon();
  }

  /** Writes what is left and closes. */
  async close(): Promise<void> {
    while (this.#state === 'open' && (this.#hasWork() || this.#writing !== null)) {
      this.#write();
      await this.#writing;
    }
    await this.abandon();
  }

  /** Closes without writing what is not written yet, as a crash would. */
  async abandon(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closed';
    if (this.#delayTimer !== null) clearTimeout(this.#delayTimer);
    this.#pending.clear();
    await this.#writing;
    await this.#db.close();
  }

  #hasWork(): boolean {
    return this.#pending.size > 0 || this.#toDelete.length > 0;
  }

  #put(ref: AttemptRef, ending: KeptEnding | null, onDurable: (() => void) | null): void {
    const key = attemptKey(ref);
    const earlier = this.#pending.get(key)?.onDurable ?? null;
    this.#pending.set(key, {
      item: [ref.task, ref.token, ending],
      onDurable: earlier === null ? onDurable : inOrder(earlier, onDurable),
    });
    // At the end of this turn, so that all that comes in it goes together.
    if (this.#writing === null && this.#pending.size === 1) queueMicrotask(() => this.#write());
  }

  #write(): void {
    if (this.#writing !== null || this.#state !== 'open' || !this.#hasWork()) return;
    this.#taken = this.#take();
    this.#writing = this.#writeFlush(this.#taken);
  }

  /** Deletions alone are not worth a write of their own at once. */
  #deleteSoon(): void {
    if (this.#toDelete.length === 0 || this.#writing !== null || this.#delayTimer !== null) return;
    this.#delayTimer = setTimeout(() => {
      this.#delayTimer = null;
      this.#write();
    }, OUTBOX_LIMITS.deleteDelayMs);
  }

  #take(): Map<string, Pending> {
    const taken = new Map<string, Pending>();
    let chars = 0;
    for (const [key, pending] of this.#pending) {
      chars += endingChars(pending.item[2]);
      if (
        taken.size >= OUTBOX_LIMITS.flushItemsMax ||
        (chars > OUTBOX_LIMITS.flushCharsMax && taken.size > 0)
      )
        break;
      taken.set(key, pending);
    }
    if (taken.size === this.#pending.size) this.#pending = new Map();
    else for (const key of taken.keys()) this.#pending.delete(key);
    return taken;
  }

  async #writeFlush(taken: ReadonlyMap<string, Pending>): Promise<void> {
    const ops: ({ type: 'put'; key: string; value: string } | { type: 'del'; key: string })[] = [];
    for (const number of this.#toDelete.splice(0)) ops.push({ type: 'del', key: flushKey(number) });
    const number = this.#flushNumber;
    const isFlush = taken.size > 0;
    if (isFlush) {
      this.#flushNumber += 1;
      const json = JSON.stringify(Array.from(taken.values(), ({ item }) => item));
      ops.push({ type: 'put', key: flushKey(number), value: `${crcOf(json)}:${json}` });
    }
    try {
      await this.#db.batch(ops, { sync: isFlush });
    } catch (error) {
      this.#writing = null;
      if (this.#state !== 'open') return;
      this.#state = 'failed';
      const message = error instanceof Error ? error.message : String(error);
      this.#onFatal(new OutboxWriteError(`the outbox could not be written: ${message}`, { cause: error }));
      return;
    }
    this.#writing = null;
    // Closed in the meantime: as in a crash, nobody hears of it any more.
    if (this.#state !== 'open') return;
    if (isFlush) this.#written(number, taken);
    if (this.#pending.size > 0) this.#write();
    else this.#deleteSoon();
  }

  /** Those that were dropped while it was written are not in `taken` any more. */
  #written(number: number, taken: ReadonlyMap<string, Pending>): void {
    this.#taken = new Map();
    if (taken.size === 0) this.#toDelete.push(number);
    this.#place({ number, live: taken.size }, taken.keys());
    for (const { onDurable } of taken.values()) onDurable?.();
  }

  /** The flush now holds the latest records of these attempts. */
  #place(flush: Flush, keys: Iterable<string>): void {
    for (const key of keys) {
      this.#leave(key);
      this.#flushOf.set(key, flush);
    }
  }

  /** The record that is written of this attempt does not count any more. */
  #leave(key: string): void {
    const flush = this.#flushOf.get(key);
    if (flush === undefined) return;
    this.#flushOf.delete(key);
    flush.live -= 1;
    if (flush.live === 0) this.#toDelete.push(flush.number);
  }
}

function inOrder(first: () => void, second: (() => void) | null): () => void {
  return () => {
    first();
    second?.();
  };
}

function flushKey(number: number): string {
  return FLUSH_PREFIX + number.toString().padStart(NUMBER_DIGITS, '0');
}

function crcOf(json: string): string {
  return crc32(json).toString(16).padStart(8, '0');
}

/** null if it is damaged. */
function decodeFlush(value: string): readonly FlushItem[] | null {
  const colon = value.indexOf(':');
  const json = value.slice(colon + 1);
  return value.slice(0, colon) === crcOf(json) ? (JSON.parse(json) as FlushItem[]) : null;
}
