/** A log on disk that syncs for many entries at once, as the leader's and the followers' are. */
import { Level } from 'level';

/** All entries that came while the disk was busy are the next LevelDB value, written with a sync. */
export class GroupCommitLog {
  readonly #db: Level<string, Buffer>;
  readonly #durable: (index: number) => void;
  #waiting: Buffer[] = [];
  #writing = false;
  #writes = 0;
  #index = 0;

  private constructor(db: Level<string, Buffer>, durable: (index: number) => void) {
    this.#db = db;
    this.#durable = durable;
  }

  /** `durable` is called after each write, with the index of the last entry on disk; the first has index 1. */
  static async open(folder: string, durable: (index: number) => void): Promise<GroupCommitLog> {
    const db = new Level<string, Buffer>(folder, { valueEncoding: 'buffer' });
    await db.open();
    return new GroupCommitLog(db, durable);
  }

  append(entries: readonly Buffer[]): void {
    this.#waiting.push(...entries);
    if (this.#writing) return;
    this.#writing = true;
    void this.#writeAll(); // a write that fails is not handled, and ends the process
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      const key = String(this.#writes).padStart(12, '0');
      this.#writes += 1;
      await this.#db.put(key, Buffer.concat(group), { sync: true });
      this.#index += group.length;
      this.#durable(this.#index);
    }
    this.#writing = false;
  }
}
