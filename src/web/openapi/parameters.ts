/** Parameters of the operations. Their limits are those that the routes check. */
import { LIMITS } from '../../api/limits.ts';
import { TASK_STATUSES } from '../../api/tasks.ts';
import type { JsonSchema } from './json-schema.ts';
import { CURSOR_PATTERN, TIME_PATTERN } from '../input.ts';
import type { Parameter } from './operation.ts';

const wholeNumber = (minimum: number, maximum: number): JsonSchema => ({ type: 'integer', minimum, maximum });
const yesNo: JsonSchema = { type: 'string', enum: ['true', 'false'] };
const index = wholeNumber(0, Number.MAX_SAFE_INTEGER);
/** Up to 15 digits. */
const cursor = wholeNumber(0, 999_999_999_999_999);

function query(name: string, schema: JsonSchema, text: string, example?: unknown): Parameter {
  return { name, in: 'query', schema, text, ...(example === undefined ? {} : { example }) };
}

export const STALE = query(
  'stale',
  yesNo,
  'What the node asked has, without asking a majority; works without a quorum.',
);

/** For what speaks for the node asked anyway: accepted, and without effect. */
const STALE_ALWAYS = query(
  'stale',
  yesNo,
  'Accepted for uniformity: this is always what the node asked has.',
);

const LIST_CURSOR: JsonSchema = { type: 'string', pattern: CURSOR_PATTERN };
const TIME: JsonSchema = { type: 'string', pattern: TIME_PATTERN };
const TIME_TEXT = 'ISO 8601 in UTC, or milliseconds since 1970';

export const LIST_PARAMETERS: readonly Parameter[] = [
  query('status', { type: 'string', enum: TASK_STATUSES }, 'Only tasks of this status.', 'failed'),
  query(
    'label',
    { type: 'string', minLength: 1, maxLength: 2 * LIMITS.labelCharsMax + 1 },
    'Only tasks with this label, `key=value` or `key`.',
    'team=blue',
  ),
  query(
    'name',
    { type: 'string', minLength: 1, maxLength: LIMITS.nameCharsMax },
    'Only tasks with this very name.',
    'backup',
  ),
  query('since', TIME, `Only tasks submitted at or after this time: ${TIME_TEXT}.`, '2026-01-02T03:04:05Z'),
  query('until', TIME, `Only tasks submitted before this time: ${TIME_TEXT}.`, '1767323045000'),
  query('q', { type: 'string', maxLength: 200 }, 'Text in id prefix, name, command or script.', 'backup'),
  query(
    'limit',
    wholeNumber(1, LIMITS.listLimitMax),
    `Tasks per page, ${LIMITS.listLimitDefault} unless told.`,
  ),
  query('cursor', LIST_CURSOR, 'The `nextCursor` of the page before.'),
  query('brief', yesNo, 'Without scripts, stdin and output.'),
  STALE,
];

export const WAIT = query(
  'wait',
  { type: 'string', pattern: '^[0-9]{1,9}(ms|s|m)$' },
  `Answers as soon as the task is final, or after that time: 0ms to ${LIMITS.waitMsMax / 1000}s.`,
  '30s',
);

export const OUTPUT_PARAMETERS: readonly Parameter[] = [
  query('stream', { type: 'string', enum: ['stdout', 'stderr'] }, '`stdout` unless told.'),
  query('follow', yesNo, 'Goes on until the attempt has ended.'),
  query('offset', index, 'The byte to begin with.'),
];

export const LOG_PARAMETERS: readonly Parameter[] = [
  query('from', index, 'First index.', 100),
  query(
    'to',
    index,
    `Last index; at most ${LIMITS.raftLogEntriesPerCallMax} entries per call, the newest 100 unless told.`,
    199,
  ),
  STALE_ALWAYS,
];

export const RAFT_PARAMETERS: readonly Parameter[] = [STALE_ALWAYS];

export const STATE_PARAMETERS: readonly Parameter[] = [
  query('at', index, 'The index; the last one applied unless told.'),
  query(
    'limit',
    wholeNumber(1, LIMITS.listLimitMax),
    `Tasks at most, ${LIMITS.listLimitDefault} unless told.`,
  ),
  query('cursor', LIST_CURSOR, 'The `nextCursor` of the page before.'),
  STALE_ALWAYS,
];

export const EVENT_PARAMETERS: readonly Parameter[] = [
  query('after', cursor, 'Goes on after this index; for clients that can set no header.', 41),
  {
    name: 'Last-Event-ID',
    in: 'header',
    schema: cursor,
    text: 'The same, as browsers send it by themselves; it wins over `after`.',
  },
  STALE_ALWAYS,
];

export const IDEMPOTENCY_KEY: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  schema: { type: 'string', minLength: 1, maxLength: LIMITS.idempotencyKeyCharsMax },
  text: 'The same key never makes a second task, for as long as the task is kept.',
  example: 'nightly-2026-01-01',
};

export const FILE_PATH: Parameter = {
  name: 'path',
  in: 'path',
  schema: { type: 'string', minLength: 1 },
  text: 'As listed; `/` may stand as it is.',
};

/** The `:id` of a path. */
export function pathId(of: 'Tasks' | 'Nodes' | 'Schedules' | 'Raft'): Parameter {
  const prefix = `or a unique prefix of at least ${LIMITS.idPrefixCharsMin} characters.`;
  const text = {
    Tasks: `Id of the task, ${prefix}`,
    Schedules: `Id of the schedule, ${prefix}`,
    Nodes: 'Id of the node, as in GET /v1/nodes.',
    Raft: 'Id of the server.',
  }[of];
  return { name: 'id', in: 'path', schema: { type: 'string', minLength: 1 }, text };
}
