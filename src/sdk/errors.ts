import { ERROR_STATUS, errorOfBody, isErrorCode, type ErrorCode } from '../api/errors.ts';

/** An answer of the cluster that is not a success, or none at all. `code` is one of the API's table. */
export class ClbError extends Error {
  readonly code: ErrorCode;
  /** HTTP status; the table's status of the code where no answer was received. */
  readonly status: number;
  /** host:port of the address that said so; null where the error is the client's own. */
  readonly server: string | null;
  readonly details: unknown;
  /** For 429 and 503, where the server named one. */
  readonly retryAfterMs: number | null;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      status?: number;
      server?: string | null;
      details?: unknown;
      retryAfterMs?: number | null;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ClbError';
    this.code = code;
    this.status = options.status ?? ERROR_STATUS[code];
    this.server = options.server ?? null;
    this.details = options.details;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/** What one address said last, in words for a person. */
export interface ServerSaid {
  readonly server: string;
  readonly code: ErrorCode;
  readonly said: string;
}

/**
 * None of the addresses could do it within the time. `code` tells the kind: `NO_QUORUM` or `NO_LEADER` where a server
 * said so, `STOPPED` where all that answer are stopped, `UNKNOWN_OUTCOME` where the request may have been carried out
 * (repeat it with the same idempotency key), else `UNAVAILABLE`.
 */
export class NoServerError extends ClbError {
  readonly servers: readonly ServerSaid[];
  /** Key of the submit whose outcome is unknown; null for anything else. */
  readonly idempotencyKey: string | null;

  constructor(
    servers: readonly ServerSaid[],
    options: { outcomeUnknown: boolean; idempotencyKey?: string | null },
  ) {
    const code = options.outcomeUnknown ? 'UNKNOWN_OUTCOME' : commonCode(servers);
    const list = servers.map(({ server, said }) => `${server}: ${said}`).join('; ');
    super(code, `${HEADLINES[code]} (${list})`, { details: servers });
    this.name = 'NoServerError';
    this.servers = servers;
    this.idempotencyKey = options.idempotencyKey ?? null;
  }
}

type NoServerCode = 'NO_QUORUM' | 'NO_LEADER' | 'STOPPED' | 'UNKNOWN_OUTCOME' | 'UNAVAILABLE' | 'QUEUE_FULL';

const HEADLINES: Readonly<Record<NoServerCode, string>> = {
  NO_QUORUM: 'no majority of the servers can be reached',
  NO_LEADER: 'the servers have no master',
  STOPPED: 'every server that answers is stopped',
  UNKNOWN_OUTCOME: 'no server confirmed it; it may or may not have been carried out',
  UNAVAILABLE: 'no server answers',
  QUEUE_FULL: 'the queue is full',
};

/** The most telling of what was said: quorum before leader before stopped before silence. */
function commonCode(servers: readonly ServerSaid[]): NoServerCode {
  const codes = new Set(servers.map(({ code }) => code));
  const told = (['QUEUE_FULL', 'NO_QUORUM', 'NO_LEADER', 'STOPPED'] as const).find((code) => codes.has(code));
  return told ?? 'UNAVAILABLE';
}

/** Codes after which the same request may succeed elsewhere or a moment later. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'STOPPED',
  'NO_LEADER',
  'NO_QUORUM',
  'UNAVAILABLE',
  'UNKNOWN_OUTCOME',
  'QUEUE_FULL',
]);

export function isPassing(code: ErrorCode): boolean {
  return PASSING.has(code);
}

const CODE_BY_STATUS = new Map<number, ErrorCode>([
  [400, 'INVALID'],
  [401, 'UNAUTHORIZED'],
  [403, 'FORBIDDEN'],
  [404, 'NOT_FOUND'],
  [409, 'CONFLICT'],
  [413, 'TOO_LARGE'],
  [418, 'STOPPED'],
  [429, 'QUEUE_FULL'],
  [502, 'UNAVAILABLE'],
  [503, 'UNAVAILABLE'],
  [504, 'UNKNOWN_OUTCOME'],
]);

const PLAIN_TEXT_CHARS_MAX = 200;

/** The error an answer with a status of 400 or more stands for, whatever its body. */
export function errorOfAnswer(
  server: string,
  status: number,
  text: string,
  retryAfter: string | undefined,
): ClbError {
  const seconds = Number(retryAfter);
  const retryAfterMs = retryAfter !== undefined && seconds >= 0 ? seconds * 1000 : null;
  const body = errorOfBody(text);
  if (body !== null && isErrorCode(body.code)) {
    return new ClbError(body.code, body.message, { status, server, details: body.details, retryAfterMs });
  }
  const code = CODE_BY_STATUS.get(status) ?? (status >= 500 ? 'INTERNAL' : 'INVALID');
  const words = text.trim().slice(0, PLAIN_TEXT_CHARS_MAX);
  return new ClbError(code, words === '' ? `answered ${status}` : `answered ${status}: ${words}`, {
    status,
    server,
    retryAfterMs,
  });
}
