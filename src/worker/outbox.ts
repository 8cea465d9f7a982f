/**
 * What a worker must not forget, in a LevelDB of its own (docs/execution.md, "The outbox"):
 *
 *   meta!instance               random text, made once per folder
 *   attempt!<token>!<task>      `begun`, written before the attempt is started; replaced by its ending, written before the
 *                               ending is sent; deleted when the master has recorded it
 *
 * Values are `<crc32 in hex>:<JSON>`. One batch is in flight at a time; what comes meanwhile goes into the next one (LevelDB
 * gives no order to concurrent writes). A batch that contains a put is synced. After any rejected write the database must
 * not be used again (LevelDB may acknowledge later writes and lose them), so the owner is told once and has to end the
 * process. A damaged record is dropped with a message: the attempt then counts as lost and is run again.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Level } from 'level';
import type { AttemptRef } from '../link/protocol.ts';
import type { Ending } from './executor.ts';

/** An ending that is kept: a dropped attempt is deleted instead. */
export type KeptEnding = Exclude<Ending, { kind: 'dropped' }>;

export interface OutboxRecord {
  readonly ref: AttemptRef;
  /** null: begun, and nothing more is known. */
  readonly ending: KeptEnding | null;
}

export const OUTBOX_LIMITS = {
  /** Operations per batch. */
  batchOpsMax: 4_096,
  /** Deletions wait this long for a put to share its batch with. */
  deleteDelayMs: 50,
} as const;

const INSTANCE_KEY = 'meta!instance';
const ATTEMPT_PREFIX = 'attempt!';
const ATTEMPT_END = 'attempt"';
const TOKEN_DIGITS = 16;
const BEGUN = 'null';

/** A write was rejected: nothing that was not yet reported durable may be relied on. */
export class OutboxWriteError extends Error {
  readonly code = 'OUTBOX_WRITE';
}

interface PendingOp {
  /** null deletes. */
  readonly value: string | null;
  readonly onDurable: (() => void)[];
}

export class Outbox {
  readonly instance: string;
  readonly #db: Level;
  readonly #onFatal: (error: OutboxWriteError) => void;
  /** By key, so that a later operation replaces one that was not written yet. */
  #pending = new Map<string, PendingOp>();
  #writing: Promise<void> | null = null;
  #delayTimer: NodeJS.Timeout | null = null;
  #state: 'open' | 'failed' | 'closed' = 'open';

  private constructor(db: Level, instance: string, onFatal: (error: OutboxWriteError) => void) {
    this.#db = db;
    this.instance = instance;
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
    const records: OutboxRecord[] = [];
    const damaged: string[] = [];
    for await (const [key, value] of db.iterator({ gte: ATTEMPT_PREFIX, lt: ATTEMPT_END })) {
      const record = decodeRecord(key, value);
      if (record === null) damaged.push(key);
      else records.push(record);
    }
    if (damaged.length > 0) {
      warn(
        `${damaged.length} damaged records of the outbox in ${folder} were dropped; those tasks will be run again`,
      );
      await db.batch(
        damaged.map((key) => ({ type: 'del', key })),
        { sync: true },
      );
    }
    const [known] = await db.getMany([INSTANCE_KEY]);
    const instance = known ?? randomBytes(12).toString('hex');
    if (known === undefined) await db.put(INSTANCE_KEY, instance, { sync: true });
    return { outbox: new Outbox(db, instance, onFatal), records };
  }

  /** Writes down that the attempt is about to be started. */
  begin(ref: AttemptRef, onDurable: (() => void) | null): void {
    this.#put(keyOf(ref), BEGUN, onDurable);
  }

  /** Writes down how it ended, in place of the begin record (even of one that was not written yet). */
  end(ref: AttemptRef, ending: KeptEnding, onDurable: () => void): void {
    this.#put(keyOf(ref), JSON.stringify(ending), onDurable);
  }

  /** Forgets the attempt. Not urgent: if it is undone by a crash, the ending is sent, and recorded, once more. */
  drop(ref: AttemptRef): void {
    this.#add(keyOf(ref), null, null);
    if (this.#writing !== null || this.#delayTimer !== null) return;
    this.#delayTimer = setTimeout(() => {
      this.#delayTimer = null;
      this.#write();
    }, OUTBOX_LIMITS.deleteDelayMs);
  }

  /** Writes what is left and closes. */
  async close(): Promise<void> {
    while (this.#state === 'open' && (this.#pending.size > 0 || this.#writing !== null)) {
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

  #put(key: string, json: string, onDurable: (() => void) | null): void {
    this.#add(key, `${crc32(json).toString(16).padStart(8, '0')}:${json}`, onDurable);
    if (this.#writing === null) queueMicrotask(() => this.#write());
  }

  #add(key: string, value: string | null, onDurable: (() => void) | null): void {
    const callbacks = this.#pending.get(key)?.onDurable ?? [];
    if (onDurable !== null) callbacks.push(onDurable);
    this.#pending.set(key, { value, onDurable: callbacks });
  }

  #write(): void {
    if (this.#writing !== null || this.#state !== 'open' || this.#pending.size === 0) return;
    const batch = this.#take();
    this.#writing = this.#writeBatch(batch);
  }

  #take(): Map<string, PendingOp> {
    if (this.#pending.size <= OUTBOX_LIMITS.batchOpsMax) {
      const all = this.#pending;
      this.#pending = new Map();
      return all;
    }
    const some = new Map<string, PendingOp>();
    for (const [key, op] of this.#pending) {
      if (some.size >= OUTBOX_LIMITS.batchOpsMax) break;
      some.set(key, op);
      this.#pending.delete(key);
    }
    return some;
  }

  async #writeBatch(batch: Map<string, PendingOp>): Promise<void> {
    let sync = false;
    const ops: ({ type: 'put'; key: string; value: string } | { type: 'del'; key: string })[] = [];
    for (const [key, { value }] of batch) {
      if (value !== null) sync = true;
      ops.push(value === null ? { type: 'del', key } : { type: 'put', key, value });
    }
    try {
      await this.#db.batch(ops, { sync });
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
    for (const { onDurable } of batch.values()) for (const callback of onDurable) callback();
    this.#write();
  }
}

function keyOf(ref: AttemptRef): string {
  return `${ATTEMPT_PREFIX}${ref.token.toString().padStart(TOKEN_DIGITS, '0')}!${ref.task}`;
}

/** null if it is damaged. */
function decodeRecord(key: string, value: string): OutboxRecord | null {
  const [, token = '', task = ''] = key.split('!');
  const colon = value.indexOf(':');
  const json = value.slice(colon + 1);
  if (task === '' || !/^\d+$/.test(token) || parseInt(value.slice(0, colon), 16) !== crc32(json)) return null;
  const ref = { task, token: Number(token) };
  return { ref, ending: JSON.parse(json) as KeptEnding | null };
}
