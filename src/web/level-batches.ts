/** LevelDB as the client and the database node use it: opened once, written in one place, read freely. */
import { Level } from 'level';

export type LevelOp =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string };

export interface LevelRange {
  /** Inclusive. */
  readonly gte: string;
  /** Exclusive. */
  readonly lt: string;
  readonly reverse?: boolean;
}

/** Data on disk that can't be opened, or not be written any more. The process should end. */
export class StoreError extends Error {
  readonly code: 'STORE_LOCKED' | 'STORE_OPEN' | 'STORE_WRITE' | 'STORE_CLOSED';
  constructor(code: StoreError['code'], message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'StoreError';
    this.code = code;
  }
}

/** Operations that wait for the batch in flight; a node that gets ahead of its disk by so much is told to wait. */
const OPS_WAITING_MAX = 100_000;

/**
 * One synced batch in flight; what arrives meanwhile goes into the next one (LevelDB gives no order to concurrent
 * writes). After a rejected write nothing more is written: LevelDB may acknowledge later writes and lose them.
 */
export class LevelBatches {
  readonly #db: Level;
  readonly #onFatal: (error: StoreError) => void;
  #waiting: LevelOp[] = [];
  #waiters: { resolve: () => void; reject: (error: Error) => void }[] = [];
  #writing: Promise<void> | null = null;
  /** Why nothing is written any more. */
  #failed: StoreError | null = null;

  private constructor(db: Level, onFatal: (error: StoreError) => void) {
    this.#db = db;
    this.#onFatal = onFatal;
  }

  /** `onFatal` is called once, when a write was rejected. @throws StoreError */
  static async open(folder: string, onFatal: (error: StoreError) => void): Promise<LevelBatches> {
    const db = new Level(folder);
    try {
      await db.open();
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      const locked = cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED';
      throw locked
        ? new StoreError('STORE_LOCKED', `${folder} is in use by another process`, error)
        : new StoreError('STORE_OPEN', `${folder} can't be opened: ${String(cause ?? error)}`, error);
    }
    return new LevelBatches(db, onFatal);
  }

  /** Resolves when these operations, and all before them, are on the disk. @throws StoreError */
  add(ops: readonly LevelOp[]): Promise<void> {
    if (this.#failed !== null) return Promise.reject(this.#failed);
    return new Promise((resolve, reject) => {
      for (const op of ops) this.#waiting.push(op);
      this.#waiters.push({ resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  /** There is more waiting than should be added to. */
  get congested(): boolean {
    return this.#waiting.length > OPS_WAITING_MAX;
  }

  async *iterate(range: LevelRange): AsyncIterable<readonly [key: string, value: string]> {
    yield* this.#db.iterator(range);
  }

  /** Writes what waits, then closes. */
  async close(): Promise<void> {
    // Not fatal: somebody was late at the end.
    this.#failed ??= new StoreError('STORE_CLOSED', 'the store is closed', undefined);
    while (this.#writing !== null) await this.#writing;
    await this.#db.close();
  }

  async #write(): Promise<void> {
    // What is added in the same turn goes into the first batch already.
    await Promise.resolve();
    while (this.#waiters.length > 0) {
      const ops = this.#waiting;
      const waiters = this.#waiters;
      this.#waiting = [];
      this.#waiters = [];
      try {
        if (ops.length > 0) await this.#db.batch([...ops], { sync: true });
        for (const { resolve } of waiters) resolve();
      } catch (error) {
        this.#fail(error, waiters);
      }
    }
    this.#writing = null;
  }

  #fail(error: unknown, waiters: readonly { readonly reject: (error: Error) => void }[]): void {
    const failure = new StoreError('STORE_WRITE', `a write was rejected: ${String(error)}`, error);
    this.#failed = failure;
    for (const { reject } of [...waiters, ...this.#waiters]) reject(failure);
    this.#waiters = [];
    this.#onFatal(failure);
  }
}

/** A number as it stands in keys: key order is numeric order. */
export function keyNumber(value: number): string {
  return value.toString().padStart(16, '0');
}

/** The keys that begin with `prefix`, which ends in '!'. */
export function prefixRange(prefix: string): LevelRange {
  return { gte: prefix, lt: `${prefix.slice(0, -1)}"` };
}
