import { ApiError } from '../api/errors.ts';
import { LIMITS } from '../api/limits.ts';
import type { ScheduleRequest, ScheduleView } from '../api/schedules.ts';
import { nextTime } from './cron.ts';
import type { IdMaker } from './ids.ts';
import type { MasterClock } from './master/clock.ts';
import type { Master } from './master/master.ts';
import { throwIfRefused } from './op-refusal.ts';
import type { ScheduleRecord } from './state/schedule-table.ts';
import type { TaskMachine } from './task-machine.ts';
import { isoTime, isoTimeOrNull } from './task-view.ts';

const TIME_ZONE_DEFAULT = 'UTC';

export interface ScheduleBookOptions {
  readonly master: Pick<Master, 'propose'>;
  readonly machine: TaskMachine;
  readonly clock: MasterClock;
  readonly ids: IdMaker;
}

/** What people do with schedules; that their times come is a duty of the master (master/duties.ts). */
export class ScheduleBook {
  readonly #options: ScheduleBookOptions;

  constructor(options: ScheduleBookOptions) {
    this.#options = options;
  }

  /** @throws ApiError INVALID, CONFLICT, and as {@link Master.propose} */
  async add(request: ScheduleRequest): Promise<ScheduleView> {
    const { master, machine, clock, ids } = this.#options;
    const { cron, tz = TIME_ZONE_DEFAULT, task } = request;
    const nextAt = nextTime(cron, tz, Math.max(machine.state.clock, Math.round(clock.wallMs())));
    if (nextAt === null) {
      throw new ApiError('INVALID', `cron: ${JSON.stringify(cron)} has no time to come`, {
        details: { field: 'cron' },
      });
    }
    const id = ids.next();
    throwIfRefused(
      await master.propose({ op: 'scheduleAdd', schedule: { id, cron, tz, spec: task, nextAt } }),
    );
    const record = machine.state.schedules.get(id);
    if (record === undefined) throw new ApiError('NOT_FOUND', `schedule ${id} was removed at once`);
    return scheduleView(record);
  }

  async remove(idOrPrefix: string): Promise<string> {
    const id = this.#find(idOrPrefix);
    throwIfRefused(await this.#options.master.propose({ op: 'scheduleRemove', schedule: id }));
    return id;
  }

  list(): readonly ScheduleView[] {
    return this.#options.machine.state.schedules.all().map(scheduleView);
  }

  #find(idOrPrefix: string): string {
    const { schedules } = this.#options.machine.state;
    if (schedules.get(idOrPrefix) !== undefined) return idOrPrefix;
    const matching =
      idOrPrefix.length < LIMITS.idPrefixCharsMin
        ? []
        : schedules.all().filter(({ id }) => id.startsWith(idOrPrefix));
    const [first, second] = matching;
    if (first === undefined)
      throw new ApiError('NOT_FOUND', `there is no schedule ${JSON.stringify(idOrPrefix)}`);
    if (second !== undefined) {
      throw new ApiError(
        'CONFLICT',
        `${matching.length} schedules begin with ${idOrPrefix}: give more of the id`,
      );
    }
    return first.id;
  }
}

function scheduleView(record: ScheduleRecord): ScheduleView {
  const { id, cron, tz, spec, lastTask, runs, missed, index } = record;
  return {
    ...{ id, cron, tz, task: spec, lastTask, runs, missed, index },
    createdAt: isoTime(record.createdAt),
    nextAt: isoTimeOrNull(record.nextAt),
    lastAt: isoTimeOrNull(record.lastAt),
  };
}
