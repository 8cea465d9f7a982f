/** What comes from outside is checked here, and told in words that name the field, the value and the limit. */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { ApiError } from '../api/errors.ts';

/** What is wrong with one field. */
export interface FieldProblem {
  /** As in `tasks[3].env.PATH`; `body` for the whole. */
  readonly field: string;
  readonly message: string;
}

const VALUE_CHARS_MAX = 60;
const PROBLEMS_TOLD_MAX = 20;

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

/**
 * `value` as the schema has it, or what is wrong with it. `at` is where the value stands, e.g. `tasks[3]`; `known` lists
 * the fields there are, for hints on misspelled ones.
 */
export function check<T>(
  schema: z.ZodType<T>,
  value: unknown,
  at = '',
  known: readonly string[] = [],
): Checked<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, value: parsed.data };
  return { ok: false, problems: problemsOf(parsed.error.issues, value, at, known) };
}

/** @throws ApiError INVALID */
export function checked<T>(schema: z.ZodType<T>, value: unknown, known: readonly string[] = []): T {
  const result = check(schema, value, '', known);
  if (!result.ok) throw invalid(result.problems);
  return result.value;
}

/** One error for all that is wrong: its message is the first problem, its details name (up to 20 of) all. */
export function invalid(problems: readonly FieldProblem[]): ApiError {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new ApiError(
    'INVALID',
    first === undefined ? 'invalid' : `${first.field}: ${first.message}${more}`,
    {
      details: { field: first?.field ?? 'body', problems: problems.slice(0, PROBLEMS_TOLD_MAX) },
    },
  );
}

/** Milliseconds since 1970, or ISO 8601 in UTC. */
export const TIME_PATTERN =
  '^([0-9]{1,15}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,3})?)?Z)$';
const timePattern = new RegExp(TIME_PATTERN);

/** @throws ApiError INVALID, naming the field */
export function time(field: string, text: string): number {
  const ms = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (timePattern.test(text) && Number.isFinite(ms)) return ms;
  const wanted = 'a time as 2026-01-02T03:04:05Z or milliseconds since 1970';
  throw invalid([{ field, message: `${shortened(text)} is not ${wanted}` }]);
}

/** @throws ApiError INVALID where a body says anything though nothing is to be said */
export function expectNothing(body: Buffer): void {
  const text = body.toString('utf8');
  if (/^\s*(\{\s*\}\s*)?$/.test(text)) return;
  throw invalid([{ field: 'body', message: `nothing is expected here, not ${shortened(text)}` }]);
}

/** A value as an error may show it: short, on one line, never a whole object. */
export function shortened(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value.slice(0, VALUE_CHARS_MAX)) : String(value);
  return typeof value === 'string' && value.length > VALUE_CHARS_MAX
    ? `${text}… (${value.length} characters)`
    : text;
}

function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  at: string,
  known: readonly string[],
): readonly FieldProblem[] {
  const byField = new Map<string, FieldProblem>();
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        const field = fieldName(at, [...issue.path, key]);
        byField.set(field, { field, message: `unknown field${hint(key, known)}` });
      }
      continue;
    }
    const field = fieldName(at, issue.path);
    // Of several for one field the last is the narrowest (zod checks "a safe integer" before the limit).
    byField.set(field, { field, message: problemOf(issue, valueAt(value, issue.path)) });
  }
  return [...byField.values()];
}

function problemOf(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      if (value === undefined) return `missing, ${expectedText(issue.expected)} was expected`;
      return `${shortened(value)} is not ${expectedText(issue.expected)}`;
    case 'too_small':
      return `${sized(issue.origin, value)} is below the minimum of ${limitText(issue.origin, issue.minimum)}`;
    case 'too_big':
      return `${sized(issue.origin, value)} is above the limit of ${limitText(issue.origin, issue.maximum)}`;
    case 'invalid_value':
      return `${shortened(value)} is not one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_key':
      return issue.issues.map((inner) => `invalid name: ${inner.message}`).join('; ');
    case 'custom':
      return customText(issue.message, value);
    case 'invalid_format':
    case 'not_multiple_of':
    case 'unrecognized_keys':
    case 'invalid_union':
    case 'invalid_element':
      return `${shortened(value)}: ${issue.message}`;
  }
}

/** What schemas say in words of their own: of a text what it `must` be, of a map how many it may have `at most`. */
function customText(message: string, value: unknown): string {
  if (typeof value === 'string' && message.startsWith('must')) return `${shortened(value)} ${message}`;
  if (typeof value === 'object' && value !== null && message.startsWith('at most'))
    return `${Object.keys(value).length} are too many, ${message}`;
  return message;
}

function expectedText(expected: string): string {
  switch (expected) {
    case 'int':
      return 'a whole number';
    case 'object':
    case 'array':
      return `an ${expected}`;
    case 'record':
      return 'an object';
    default:
      return `a ${expected}`;
  }
}

function limitText(origin: string, limit: number | bigint): string {
  if (origin === 'string') return `${limit} characters`;
  return origin === 'array' ? `${limit} items` : String(limit);
}

function sized(origin: string, value: unknown): string {
  if (origin === 'string' && typeof value === 'string') return `a length of ${value.length} characters`;
  if (origin === 'array' && Array.isArray(value)) return `a number of ${value.length} items`;
  return shortened(value);
}

function hint(key: string, known: readonly string[]): string {
  const plain = (name: string): string => name.toLowerCase().replace(/[-_]/g, '');
  const meant = known.find((name) => plain(name) === plain(key));
  return meant === undefined ? '' : ` (did you mean ${meant}?)`;
}

function fieldName(at: string, path: readonly PropertyKey[]): string {
  let name = at;
  for (const part of path) {
    const text = String(part);
    if (typeof part === 'number') name += `[${part}]`;
    else if (/^[A-Za-z_$][\w$-]*$/.test(text) && text.length <= VALUE_CHARS_MAX)
      name += name === '' ? text : `.${text}`;
    else name += `[${shortened(text)}]`;
  }
  return name === '' ? 'body' : name;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[part];
  }
  return at;
}

/**
 * The query of a request, each parameter at most once and none but those named.
 * @throws ApiError INVALID
 */
export function queryOf<Name extends string>(
  req: IncomingMessage,
  names: readonly Name[],
): Readonly<Partial<Record<Name, string>>> {
  const url = req.url ?? '';
  const start = url.indexOf('?');
  const values: Partial<Record<Name, string>> = {};
  if (start === -1) return values;
  for (const [key, value] of new URLSearchParams(url.slice(start + 1))) {
    const name = names.find((candidate) => candidate === key);
    if (name === undefined) {
      const there = names.length === 0 ? 'there are none here' : `there are ${names.join(', ')}`;
      throw invalid([{ field: shortFieldName(key), message: `unknown query parameter, ${there}` }]);
    }
    if (values[name] !== undefined) throw invalid([{ field: name, message: 'given more than once' }]);
    values[name] = value;
  }
  return values;
}

function shortFieldName(key: string): string {
  return key.length > VALUE_CHARS_MAX ? `${key.slice(0, VALUE_CHARS_MAX)}…` : key;
}

/** @throws ApiError INVALID unless `text` is a whole number of the range. */
export function wholeNumber(
  field: string,
  text: string | undefined,
  range: { readonly min: number; readonly max: number; readonly otherwise: number },
): number {
  if (text === undefined) return range.otherwise;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (value >= range.min && value <= range.max) return value;
  throw invalid([
    { field, message: `${shortened(text)} is not a whole number from ${range.min} to ${range.max}` },
  ]);
}

/** What `nextCursor` of a list looks like. */
export const CURSOR_PATTERN = '^[0-9]{1,15}$';
const cursorPattern = new RegExp(CURSOR_PATTERN);

/**
 * Where a list goes on, for queries with optional fields.
 * @throws ApiError INVALID
 */
export function listCursor(text: string | undefined): { readonly cursor?: string } {
  if (text === undefined) return {};
  if (cursorPattern.test(text)) return { cursor: text };
  throw invalid([{ field: 'cursor', message: `${shortened(text)} is not one that this list gave` }]);
}

/**
 * Where only `stale` may stand in the query: its value. Routes that speak for the node asked anyway take it without effect.
 * @throws ApiError INVALID
 */
export function staleQuery(req: IncomingMessage): boolean {
  return flag('stale', queryOf(req, ['stale']).stale);
}

/** @throws ApiError INVALID unless absent, `true` or `false`. */
export function flag(field: string, text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw invalid([{ field, message: `${shortened(text)} is neither true nor false` }]);
}

/**
 * A duration such as `30s`, `500ms`, `1m`, in milliseconds.
 * @throws ApiError INVALID naming the field and the limit.
 */
export function duration(field: string, text: string, maxMs: number): number {
  const match = /^(\d{1,9})(ms|s|m)$/.exec(text);
  const unitMs = match?.[2] === 'ms' ? 1 : match?.[2] === 's' ? 1_000 : 60_000;
  const ms = match === null ? NaN : Number(match[1]) * unitMs;
  if (ms <= maxMs) return ms;
  throw invalid([
    {
      field,
      message: `${shortened(text)} is not a duration from 0ms to ${maxMs / 1000}s (as in 30s, 500ms)`,
    },
  ]);
}
