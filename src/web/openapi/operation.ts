/** How a route is described: what operations.ts lists and document.ts turns into OpenAPI. */
import type { ErrorCode } from '../../api/errors.ts';
import type { JsonSchema } from './json-schema.ts';
import type { SchemaName } from './schemas.ts';

export interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'header' | 'path';
  readonly text: string;
  readonly schema: JsonSchema;
  readonly example?: unknown;
}

export interface RequestBody {
  readonly schema: SchemaName;
  /** May it be left out? */
  readonly required: boolean;
  readonly example: unknown;
}

export interface Answer {
  readonly status: 200 | 201;
  readonly text: string;
  readonly content:
    | { readonly kind: 'json'; readonly schema: SchemaName; readonly example: unknown }
    | { readonly kind: 'other'; readonly type: string; readonly example?: string };
  /** Beside those that every answer has. */
  readonly headers?: readonly AnswerHeader[];
}

export type AnswerHeader = 'Location' | 'X-Clb-Attempt';

export interface Operation {
  readonly method: 'get' | 'post' | 'delete';
  /** As the route is registered: `/v1/tasks/:id`. */
  readonly path: string;
  readonly id: string;
  readonly tag: 'Tasks' | 'Nodes' | 'Queue' | 'Schedules' | 'Raft' | 'Events' | 'This document';
  readonly summary: string;
  readonly text: string;
  readonly parameters: readonly Parameter[];
  readonly body: RequestBody | null;
  readonly answers: readonly Answer[];
  /** Beside those that every call may get. */
  readonly errors: readonly ErrorCode[];
}

/** What any call may be answered with, whatever it asks for. */
export const COMMON_ERRORS: readonly ErrorCode[] = [
  'INVALID',
  'UNAUTHORIZED',
  'FORBIDDEN',
  // The request's headers, target included, if not its body.
  'TOO_LARGE',
  'STOPPED',
  'INTERNAL',
  'UNAVAILABLE',
];
/** … a read that the master answers. */
export const READ_ERRORS: readonly ErrorCode[] = ['NO_LEADER', 'NO_QUORUM'];
/** … a change that goes through the log, with a body. */
export const CHANGE_ERRORS: readonly ErrorCode[] = [
  'NO_LEADER',
  'NO_QUORUM',
  'QUEUE_FULL',
  'UNKNOWN_OUTCOME',
];
/** … what names something. */
export const NAMING_ERRORS: readonly ErrorCode[] = ['NOT_FOUND', 'CONFLICT'];
