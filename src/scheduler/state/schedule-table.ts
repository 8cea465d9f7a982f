/** Schedules as the state machine holds them. */
import type { TaskRequest } from '../../api/tasks.ts';

/** As proposed by the master. Times are milliseconds since 1970. */
export interface NewSchedule {
  readonly id: string;
  readonly cron: string;
  readonly tz: string;
  readonly spec: TaskRequest;
  /** The first time. */
  readonly nextAt: number;
}

export interface ScheduleRecord extends Omit<NewSchedule, 'nextAt'> {
  readonly createdAt: number;
  /** null: never again. */
  readonly nextAt: number | null;
  readonly lastAt: number | null;
  readonly lastTask: string | null;
  readonly runs: number;
  readonly missed: number;
  /** Why the last time made no task; null if it did. */
  readonly problem: string | null;
  readonly index: number;
}

/** Kept in the order in which they were added. */
export class ScheduleTable {
  readonly #records = new Map<string, ScheduleRecord>();
  #earliest: number | null = null;

  get size(): number {
    return this.#records.size;
  }

  get(id: string): ScheduleRecord | undefined {
    return this.#records.get(id);
  }

  all(): readonly ScheduleRecord[] {
    return [...this.#records.values()];
  }

  /** The earliest `nextAt`; null: none. */
  nextAt(): number | null {
    return this.#earliest;
  }

  due(now: number): readonly ScheduleRecord[] {
    if (this.#earliest === null || this.#earliest > now) return [];
    return this.all().filter((record) => record.nextAt !== null && record.nextAt <= now);
  }

  put(record: ScheduleRecord): void {
    this.#records.set(record.id, record);
    this.#findEarliest();
  }

  delete(id: string): boolean {
    const wasThere = this.#records.delete(id);
    this.#findEarliest();
    return wasThere;
  }

  clear(): void {
    this.#records.clear();
    this.#earliest = null;
  }

  #findEarliest(): void {
    this.#earliest = null;
    for (const { nextAt } of this.#records.values()) {
      if (nextAt !== null && (this.#earliest === null || nextAt < this.#earliest)) this.#earliest = nextAt;
    }
  }
}
