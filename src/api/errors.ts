/** Every error code of the HTTP API with its status (contract §4). One table: server, sdk and CLI use it. */
export const ERROR_STATUS = {
  INVALID: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  TOO_LARGE: 413,
  STOPPED: 418,
  QUEUE_FULL: 429,
  INTERNAL: 500,
  NO_LEADER: 503,
  NO_QUORUM: 503,
  UNAVAILABLE: 503,
  UNKNOWN_OUTCOME: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

export interface ErrorBody {
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly details?: unknown };
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_STATUS, code);
}

/** What an answer of the API says is wrong, whatever its code: a newer node may have further ones. null: it is no such answer. */
export function errorOfBody(text: string): { code: string; message: string; details: unknown } | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || !('error' in parsed)) return null;
  const { error } = parsed;
  if (typeof error !== 'object' || error === null) return null;
  if (!('code' in error) || typeof error.code !== 'string') return null;
  const message = 'message' in error && typeof error.message === 'string' ? error.message : error.code;
  return { code: error.code, message, details: 'details' in error ? error.details : undefined };
}

/** An expected failure with a code of the table; thrown by the cluster's interface, mapped once to HTTP. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly details: unknown;
  /** For 429 and 503. */
  readonly retryAfterSeconds: number | null;

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: unknown; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ApiError';
    this.code = code;
    this.details = options.details;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }

  get status(): number {
    return ERROR_STATUS[this.code];
  }

  toBody(): ErrorBody {
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(this.details === undefined ? {} : { details: this.details }),
      },
    };
  }
}
