/**
 * Shapes of the answers as schemas, for /v1/openapi.json: the types of tasks.ts and views.ts once more, and the compiler
 * sees to it that both say the same. Nothing is checked against them while the node runs.
 */
import { z } from 'zod';
import { ERROR_STATUS } from './errors.ts';
import type { ErrorBody } from './errors.ts';
import { FAULT_KINDS } from './faults.ts';
import type { FaultsView } from './faults.ts';
import { LIMITS } from './limits.ts';
import { ATTEMPT_OUTCOMES, TASK_STATUSES, taskRequestSchema } from './tasks.ts';
import type {
  AttemptView,
  BatchResultItem,
  PlacementRecord,
  TaskEvent,
  TaskResult,
  TaskStatus,
  TaskSummary,
  TaskView,
} from './tasks.ts';
import type { ScheduleView } from './schedules.ts';
import { taskFileSchema } from './task-files.ts';
import type { CollectedFiles, TaskFilesView } from './task-files.ts';
import type { LeadView, NodeView, QueueView, RaftLogEntryView, RaftView, StateView } from './views.ts';

const count = z.int().min(0);
const time = z.string().meta({ format: 'date-time', description: 'ISO 8601 in UTC with milliseconds' });
const texts = z.record(z.string(), z.string());
const statusSchema = z.enum(TASK_STATUSES);
const statusCounts = z.strictObject(
  Object.fromEntries(TASK_STATUSES.map((status) => [status, count])) as Record<TaskStatus, typeof count>,
);

export const errorSchema = z.object({
  error: z.object({
    code: z.enum(Object.keys(ERROR_STATUS) as (keyof typeof ERROR_STATUS)[]),
    message: z.string().describe('A sentence for a person; for INVALID it begins with the name of the field'),
    details: z
      .unknown()
      .optional()
      .describe('For INVALID `{field, problems}`, for TOO_LARGE `{limitBytes}`, for a transfer `{reason}`'),
  }),
}) satisfies z.ZodType<ErrorBody>;

export const placementSchema = z.object({
  reason: z.string(),
  candidates: z.array(
    z.object({
      node: z.string(),
      cpu: z.number().nullable(),
      memory: z.number().nullable(),
      running: count,
      slots: count,
      score: z.number().nullable().describe('Lowest wins; null: not eligible, `why` says the reason'),
      why: z.string().nullable(),
      cpuReserved: z.number().nullable().describe('Cores reserved there'),
      memoryReservedMb: z.number().nullable().describe('MiB reserved there'),
      speed: z.number().nullable().describe('As learned: twice the number, half the run time'),
    }),
  ),
}) satisfies z.ZodType<PlacementRecord>;

export const attemptSchema = z.object({
  number: z.int().min(1),
  node: z.string(),
  assignedAt: time,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  outcome: z.enum(ATTEMPT_OUTCOMES).nullable(),
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  reason: z.string().nullable(),
  placement: placementSchema.nullable(),
}) satisfies z.ZodType<AttemptView>;

const briefResultSchema = z.object({
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  stdoutBytes: count.describe('All that was written'),
  stderrBytes: count,
  truncated: z.boolean(),
});

export const collectedSchema = z.object({
  files: z.array(
    z.object({
      path: z.string(),
      bytes: count,
      kept: z
        .enum(['cluster', 'node'])
        .describe('cluster: replicated with the result; node: on the node that ran the task'),
    }),
  ),
  leftOut: z.string().nullable().describe('What was found and not kept, and because of which limit'),
}) satisfies z.ZodType<CollectedFiles>;

export const taskFilesViewSchema = z.object({
  task: z.string(),
  attempt: z.int().nullable().describe('null while there is no result'),
  node: z.string().nullable().describe('Node that ran it'),
  ...collectedSchema.shape,
}) satisfies z.ZodType<TaskFilesView>;

export const resultSchema = z.object({
  ...briefResultSchema.shape,
  collected: collectedSchema.exactOptional().describe('Only if the task asked for it with `collect`'),
  stdout: z.string().describe(`Head and tail, up to ${LIMITS.resultStreamBytesMax} bytes`),
  stderr: z.string(),
}) satisfies z.ZodType<TaskResult>;

const taskBase = {
  id: z.string(),
  name: z.string().nullable(),
  status: statusSchema,
  priority: z.int(),
  pendingReason: z.string().nullable().describe('While it waits: for what'),
  submittedAt: time,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  attempts: z.array(attemptSchema),
  index: count.describe('Log index of the last entry that changed it'),
  command: z.array(z.string()).nullable(),
  interpreter: z.string().nullable(),
  env: texts,
  cwd: z.string().nullable(),
  timeoutMs: z.int().nullable(),
  maxAttempts: z.int(),
  backoffMs: z.int(),
  cpu: z.number(),
  memoryMb: z.number(),
  labels: texts,
  constraints: texts,
  delayMs: z.int(),
  onDisconnect: z.enum(['pause', 'stop', 'continue']),
  after: z.array(z.string()),
  noRetryExitCodes: z.array(z.int()),
  collect: z.array(z.string()),
  retryOf: z.string().nullable(),
} as const;

export const taskSchema = z.object({
  ...taskBase,
  script: z.string().nullable(),
  stdin: z.string().nullable(),
  files: z.array(taskFileSchema),
  result: resultSchema.nullable(),
}) satisfies z.ZodType<TaskView>;

export const taskSummarySchema = z.object({
  ...taskBase,
  result: briefResultSchema.nullable(),
}) satisfies z.ZodType<TaskSummary>;

export const taskPageSchema = z.object({
  tasks: z.array(z.union([taskSchema, taskSummarySchema])).describe('With `brief=true` summaries'),
  nextCursor: z.string().nullable().describe('null: there is no more'),
  counts: statusCounts.describe('Of all tasks kept, by status'),
});

export const batchResultSchema = z.object({
  results: z.array(
    z.union([
      z.object({ status: z.int(), task: taskSchema }),
      z.object({ status: z.int(), error: z.object({ code: z.string(), message: z.string() }) }),
    ]) satisfies z.ZodType<BatchResultItem>,
  ),
});

export const taskEventsSchema = z.object({
  events: z.array(
    z.object({
      index: count,
      term: count,
      time,
      node: z.string().nullable(),
      what: z.enum([
        'submitted',
        'queued',
        'assigned',
        'started',
        'finished',
        'lost',
        'retrying',
        'cancel_requested',
        'canceled',
        'superseded',
      ]),
      why: z.string().nullable(),
      attempt: z.int().nullable(),
    }) satisfies z.ZodType<TaskEvent>,
  ),
});

export const nodeSchema = z.object({
  id: z.string(),
  role: z.enum(['server', 'worker']),
  address: z.string().describe('host:port'),
  status: z.enum(['ready', 'draining', 'disconnected', 'down']),
  eligible: z.boolean().describe('May be given tasks now'),
  cpu: z.number().nullable().describe('Percent of what the node may use; null before the first sample'),
  memory: z.number().nullable(),
  slots: count,
  running: count,
  labels: texts,
  lastSeenAt: time.nullable(),
  leader: z.boolean().describe('It is the master'),
}) satisfies z.ZodType<NodeView>;

export const nodesSchema = z.object({ nodes: z.array(nodeSchema) });

export const queueSchema = z.object({
  paused: z.boolean(),
  lengths: z.object({ scheduled: count, queued: count, assigned: count, running: count }),
}) satisfies z.ZodType<QueueView>;

export const scheduleSchema = z.object({
  id: z.string(),
  cron: z.string(),
  tz: z.string(),
  task: taskRequestSchema,
  createdAt: time,
  nextAt: time.nullable(),
  lastAt: time.nullable(),
  lastTask: z.string().nullable(),
  runs: count,
  missed: count,
  index: count,
}) satisfies z.ZodType<ScheduleView>;

export const leadSchema = z.object({ leader: z.string(), term: count }) satisfies z.ZodType<LeadView>;

export const stoppedSchema = z.object({ stopped: z.boolean() });

export const faultsSchema = z.object({
  node: z.string(),
  faults: z.array(z.object({ fault: z.enum(FAULT_KINDS), until: time })),
}) satisfies z.ZodType<FaultsView>;

export const stateSchema = z.object({
  at: count,
  term: count.nullable(),
  time: time.nullable(),
  leader: z.string().nullable(),
  firstIndex: count,
  lastIndex: count,
  counts: statusCounts,
  nodes: z.array(
    z.object({
      id: z.string(),
      role: z.enum(['server', 'worker']),
      status: z.enum(['ready', 'draining', 'down']),
      slots: count,
      running: count,
    }),
  ),
  tasks: z.array(
    z.object({
      id: z.string(),
      name: z.string().nullable(),
      status: statusSchema,
      node: z.string().nullable(),
      attempt: count,
      index: count,
      submittedAt: time,
    }),
  ),
  nextCursor: z.string().nullable(),
}) satisfies z.ZodType<StateView>;

export const raftSchema = z.object({
  id: z.string(),
  role: z.enum(['leader', 'follower', 'candidate', 'learner']),
  term: count,
  votedFor: z.string().nullable(),
  leader: z.string().nullable(),
  leaderSince: time.nullable(),
  firstIndex: count,
  lastIndex: count,
  commitIndex: count,
  appliedIndex: count,
  snapshotIndex: count,
  voters: z.array(z.string()),
  learners: z.array(z.string()),
  peers: z
    .record(
      z.string(),
      z.object({ matchIndex: count, lag: count, lastContactMs: z.number().min(0).nullable() }),
    )
    .describe('Filled on the master'),
}) satisfies z.ZodType<RaftView>;

export const raftLogSchema = z.object({
  entries: z.array(
    z.object({
      index: count,
      term: count,
      kind: z.enum(['noop', 'command', 'config']),
      time: time.nullable(),
      data: z.unknown().describe('Decoded content: the operations of a command, a configuration, or null'),
    }) satisfies z.ZodType<RaftLogEntryView>,
  ),
});
