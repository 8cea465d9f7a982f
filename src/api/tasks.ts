import { z } from 'zod';
import { LIMITS } from './limits.ts';
import { collectSchema, taskFilesSchema } from './task-files.ts';
import type { CollectedFiles, TaskFile } from './task-files.ts';

/** scheduled → queued → assigned → running → one of the final four (contract §4). */
export const TASK_STATUSES = [
  'scheduled',
  'queued',
  'assigned',
  'running',
  'succeeded',
  'failed',
  'timed_out',
  'canceled',
] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

export const FINAL_STATUSES = ['succeeded', 'failed', 'timed_out', 'canceled'] as const;
export type FinalStatus = (typeof FINAL_STATUSES)[number];

export function isFinal(status: TaskStatus): status is FinalStatus {
  return (FINAL_STATUSES as readonly string[]).includes(status);
}

/** How an attempt ended. `lost`: its node went away or gave it back. `superseded`: a replaced attempt came back late. */
export const ATTEMPT_OUTCOMES = [...FINAL_STATUSES, 'lost', 'superseded'] as const;
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number];

const stringMap = (what: string, valueCharsMax: number) =>
  z
    .record(z.string().min(1).max(LIMITS.labelCharsMax), z.string().max(valueCharsMax))
    .refine((map) => Object.keys(map).length <= LIMITS.labelsMax, `at most ${LIMITS.labelsMax} ${what}`)
    .meta({ maxProperties: LIMITS.labelsMax });

const noNul = (text: string): boolean => !text.includes('\0');
/** What the refinements below check, for the API's own description (JSON Schema). */
const NO_NUL = '^[^\\u0000]*$';
const VARIABLE_NAME = '^[^=\\u0000]+$';
const ABSOLUTE_PATH = '^/[^\\u0000]*$';

/**
 * A task as submitted. Unknown fields are refused. Exactly one of `script` and `command`.
 * The whole, as JSON, is at most {@link LIMITS.taskBytesMax} bytes (checked by the HTTP layer, per task in a batch).
 */
export const taskRequestSchema = z
  .strictObject({
    /** Program text, given to `interpreter` as a file. */
    script: z.string().min(1).optional(),
    /** Program and arguments, looked up in PATH, run without a shell. */
    command: z
      .array(z.string().refine(noNul, 'must not contain a NUL character').meta({ pattern: NO_NUL }))
      .min(1)
      .max(LIMITS.commandArgsMax)
      .refine((args) => args[0] !== '', 'the program name (the first item) must not be empty')
      .meta({ prefixItems: [{ type: 'string', minLength: 1, pattern: NO_NUL }] })
      .optional(),
    interpreter: z
      .string()
      .min(1)
      .max(LIMITS.pathCharsMax)
      .refine(noNul, 'must not contain a NUL character')
      .meta({ pattern: NO_NUL })
      .optional(),
    name: z.string().min(1).max(LIMITS.nameCharsMax).optional(),
    stdin: z.string().optional(),
    env: z
      .record(
        z
          .string()
          .min(1)
          .refine((key) => !/[=\0]/.test(key), 'a variable name must not contain = or NUL')
          .meta({ pattern: VARIABLE_NAME }),
        z.string().refine(noNul, 'must not contain a NUL character').meta({ pattern: NO_NUL }),
      )
      .refine((env) => Object.keys(env).length <= LIMITS.envVarsMax, `at most ${LIMITS.envVarsMax} variables`)
      .meta({ maxProperties: LIMITS.envVarsMax })
      .optional(),
    /** Absolute path on the node; without it a fresh scratch folder. */
    cwd: z
      .string()
      .max(LIMITS.pathCharsMax)
      .refine((path) => path.startsWith('/') && noNul(path), 'must be an absolute path')
      .meta({ pattern: ABSOLUTE_PATH })
      .optional(),
    timeoutMs: z.int().min(1).max(LIMITS.timeoutMsMax).optional(),
    maxAttempts: z.int().min(1).max(LIMITS.maxAttemptsMax).optional(),
    backoffMs: z.int().min(0).max(LIMITS.backoffMsMax).optional(),
    priority: z.int().min(0).max(100).optional(),
    /** Cores reserved. */
    cpu: z.number().min(0).max(LIMITS.cpuMax).optional(),
    /** MiB reserved. */
    memoryMb: z.int().min(0).max(LIMITS.memoryMbMax).optional(),
    labels: stringMap('labels', LIMITS.labelCharsMax).optional(),
    /** Labels that the node must have. */
    constraints: stringMap('constraints', LIMITS.labelCharsMax).optional(),
    delayMs: z.int().min(0).max(LIMITS.delayMsMax).optional(),
    onDisconnect: z.enum(['pause', 'stop', 'continue']).optional(),
    /** Ids (full) of tasks that must have succeeded first. */
    after: z.array(z.string().min(1).max(64)).max(LIMITS.afterMax).optional(),
    /** Exit codes after which no further attempt is made. */
    noRetryExitCodes: z.array(z.int().min(0).max(255)).max(256).optional(),
    /** Put into the scratch folder before the start. */
    files: taskFilesSchema.optional(),
    /** Patterns (glob) of files of the scratch folder that are kept with the result. */
    collect: collectSchema.optional(),
  })
  .refine((task) => (task.script === undefined) !== (task.command === undefined), {
    message: 'exactly one of script and command must be given',
    path: ['script'],
  })
  .refine((task) => task.interpreter === undefined || task.script !== undefined, {
    message: 'interpreter goes with script',
    path: ['interpreter'],
  })
  .meta({
    oneOf: [{ required: ['script'] }, { required: ['command'] }],
    dependentRequired: { interpreter: ['script'] },
  });

export type TaskRequest = z.infer<typeof taskRequestSchema>;

export const idempotencyKeySchema = z.string().min(1).max(LIMITS.idempotencyKeyCharsMax);

/** Body of POST /v1/tasks/batch; each task is checked by itself so that errors carry `tasks[i].field`. */
export const batchRequestSchema = z.strictObject({
  tasks: z.array(z.unknown()).min(1).max(LIMITS.batchTasksMax),
  atomic: z.boolean().optional(),
});

export interface AttemptView {
  /** From 1. */
  readonly number: number;
  readonly node: string;
  readonly assignedAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly outcome: AttemptOutcome | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Why it ended as it did, where the outcome alone does not tell ("interpreter ruby not found on server2"). */
  readonly reason: string | null;
  /** Why this node: the decision as recorded in the log. */
  readonly placement: PlacementRecord | null;
}

/** What the master knew when it chose a node; part of the assign entry. Lowest score wins. */
export interface PlacementRecord {
  readonly reason: string;
  readonly candidates: readonly {
    readonly node: string;
    /** Percent of the node's limit, as sampled; null before its first sample. */
    readonly cpu: number | null;
    readonly memory: number | null;
    readonly running: number;
    readonly slots: number;
    /** null: not eligible, `why` says the reason. */
    readonly score: number | null;
    readonly why: string | null;
    /** Cores and MiB reserved by the tasks that were there; null in records of older versions. */
    readonly cpuReserved: number | null;
    readonly memoryReservedMb: number | null;
    /** Learned from finished tasks: a node of twice the number takes half the time. */
    readonly speed: number | null;
  }[];
}

export interface TaskResult {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Head and tail, up to {@link LIMITS.resultStreamBytesMax}; bytes that are not UTF-8 are U+FFFD here. */
  readonly stdout: string;
  readonly stderr: string;
  /** All that was written. */
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  readonly truncated: boolean;
  /** Only if the task asked for it with `collect`. */
  readonly collected?: CollectedFiles;
}

/** A task as the API returns it: what was submitted (defaults filled in) and what became of it. */
export interface TaskView {
  readonly id: string;
  readonly name: string | null;
  readonly status: TaskStatus;
  readonly priority: number;
  /** One sentence while it waits: for what. */
  readonly pendingReason: string | null;
  readonly submittedAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly attempts: readonly AttemptView[];
  readonly result: TaskResult | null;
  /** Log index of the last entry that changed it. */
  readonly index: number;
  readonly script: string | null;
  readonly command: readonly string[] | null;
  readonly interpreter: string | null;
  readonly stdin: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  readonly timeoutMs: number | null;
  readonly maxAttempts: number;
  readonly backoffMs: number;
  readonly cpu: number;
  readonly memoryMb: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly constraints: Readonly<Record<string, string>>;
  readonly delayMs: number;
  readonly onDisconnect: 'pause' | 'stop' | 'continue';
  readonly after: readonly string[];
  readonly noRetryExitCodes: readonly number[];
  readonly files: readonly TaskFile[];
  readonly collect: readonly string[];
  readonly retryOf: string | null;
}

/** A row of GET /v1/tasks: the same without the bulky parts. */
export type TaskSummary = Omit<TaskView, 'script' | 'stdin' | 'files' | 'result'> & {
  readonly result: Omit<TaskResult, 'stdout' | 'stderr' | 'collected'> | null;
};

export interface TaskPage {
  readonly tasks: readonly TaskView[];
  readonly nextCursor: string | null;
  readonly counts: Readonly<Record<TaskStatus, number>>;
}

export interface TaskListQuery {
  readonly status?: TaskStatus;
  /** `key=value` or `key`. */
  readonly label?: string;
  /** The whole name. */
  readonly name?: string;
  /** Submitted at or after this time, milliseconds since 1970. */
  readonly since?: number;
  /** Submitted before this time. */
  readonly until?: number;
  /** Free text: id prefix, name, command, script. */
  readonly q?: string;
  readonly limit: number;
  readonly cursor?: string;
}

/** One line of GET /v1/tasks/:id/events: a log entry that touched the task. */
export interface TaskEvent {
  readonly index: number;
  readonly term: number;
  readonly time: string;
  /** Node it happened on, where it happened on one. */
  readonly node: string | null;
  readonly what:
    | 'submitted'
    | 'queued'
    | 'assigned'
    | 'started'
    | 'finished'
    | 'lost'
    | 'retrying'
    | 'cancel_requested'
    | 'canceled'
    | 'superseded';
  /** A sentence for a person. */
  readonly why: string | null;
  readonly attempt: number | null;
}

export interface BatchResultItem {
  readonly status: number;
  readonly task?: TaskView;
  readonly error?: { readonly code: string; readonly message: string };
}
