import { z } from 'zod';
import type { TaskRequest } from './tasks.ts';
import { taskRequestSchema } from './tasks.ts';

export const SCHEDULE_LIMITS = {
  schedulesMax: 1_000,
  cronCharsMax: 200,
  timeZoneCharsMax: 64,
} as const;

/** Set on every task that a schedule makes, to the schedule's id, whatever was asked for: `GET /v1/tasks?label=schedule=ID`. */
export const SCHEDULE_LABEL = 'schedule';

/** Body of POST /v1/schedules. Unknown fields are refused. */
export const scheduleRequestSchema = z.strictObject({
  /** Five fields (minute, hour, day of month, month, day of week), six with seconds in front, or @daily and the like. */
  cron: z.string().min(1).max(SCHEDULE_LIMITS.cronCharsMax),
  /** IANA name, as in `Europe/Berlin`; without it UTC. */
  tz: z.string().min(1).max(SCHEDULE_LIMITS.timeZoneCharsMax).optional(),
  task: taskRequestSchema,
});

export type ScheduleRequest = z.infer<typeof scheduleRequestSchema>;

/** Times are ISO 8601 in UTC with milliseconds. */
export interface ScheduleView {
  readonly id: string;
  readonly cron: string;
  readonly tz: string;
  readonly task: TaskRequest;
  readonly createdAt: string;
  /** null: there is no further time (a date in the past). */
  readonly nextAt: string | null;
  readonly lastAt: string | null;
  /** The task made last. */
  readonly lastTask: string | null;
  /** Tasks made so far. */
  readonly runs: number;
  /** Times that passed while there was no master, beyond the one that was made up for; of each outage 20 are counted. */
  readonly missed: number;
  /** Log index of the last change. */
  readonly index: number;
}

/** What a server offers concerning schedules; all but the list need the master. Part of Cluster. */
export interface Schedules {
  /** @throws ApiError INVALID (cron, tz, next time), CONFLICT (too many), and what a submit may */
  addSchedule(request: ScheduleRequest): Promise<ScheduleView>;
  /** Resolves to the full id. @throws ApiError NOT_FOUND; CONFLICT where the prefix is ambiguous */
  removeSchedule(idOrPrefix: string): Promise<string>;
  /** From the local state, in the order in which they were added. */
  schedules(): readonly ScheduleView[];
}
