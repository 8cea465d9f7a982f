import { errorOfBody } from '../../../../api/errors.ts';
import type { ErrorCode } from '../../../../api/errors.ts';

/** Codes of the server's table, and three for answers that never came, did not come in time, or were not ours. */
export type FailureCode = ErrorCode | 'NETWORK' | 'TIMEOUT' | 'UNREADABLE';

/** Any call that did not go well. `status` is null where no answer came. */
export class ApiFailure extends Error {
  readonly code: FailureCode;
  readonly status: number | null;
  readonly details: unknown;
  /** What `Retry-After` asked for. */
  readonly retryAfterMs: number | null;

  constructor(
    code: FailureCode,
    message: string,
    rest: { status?: number; details?: unknown; retryAfterMs?: number | null; cause?: unknown } = {},
  ) {
    super(message, rest.cause === undefined ? undefined : { cause: rest.cause });
    this.name = 'ApiFailure';
    this.code = code;
    this.status = rest.status ?? null;
    this.details = rest.details;
    this.retryAfterMs = rest.retryAfterMs ?? null;
  }
}

/** The cluster has no master or no majority just now, or the answer got lost: the same call may work in a moment. */
export function isPassing(failure: ApiFailure): boolean {
  switch (failure.code) {
    case 'NETWORK':
    case 'TIMEOUT':
    case 'NO_LEADER':
    case 'NO_QUORUM':
    case 'UNAVAILABLE':
    case 'UNKNOWN_OUTCOME':
      return true;
    default:
      // Answers of something in between (a proxy's own 502 page) count the same as those of the table.
      return failure.status !== null && [502, 503, 504].includes(failure.status);
  }
}

/** What every answer tells beside its body. */
export interface AnswerMeta {
  /** Path and query as asked. */
  readonly path: string;
  readonly ok: boolean;
  readonly status: number;
  /** Log index applied by the node that answered. */
  readonly index: number | null;
  /** The answering node's clock, to whole seconds. */
  readonly dateMs: number | null;
}

export interface ClientOptions {
  readonly fetch: typeof fetch;
  /** Called for every answer, good or bad, before the call returns. */
  readonly onAnswer: (meta: AnswerMeta) => void;
  /** For one answer to a read. */
  readonly readMs: number;
  /** For one answer to a change: longer, since giving up leaves its outcome open. */
  readonly changeMs: number;
}

/** JSON over HTTP to the origin the page came from. */
export class Client {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Throws {@link ApiFailure}. The body is believed to be of the documented shape. */
  async get<T>(path: string): Promise<T> {
    return (await this.#call(path, { method: 'GET' }, this.#options.readMs)) as T;
  }

  async post<T>(
    path: string,
    body: unknown,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly timeoutMs?: number } = {},
  ): Promise<T> {
    const init = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...options.headers },
      body: JSON.stringify(body),
    };
    return (await this.#call(path, init, options.timeoutMs ?? this.#options.changeMs)) as T;
  }

  /** The body as it comes, for output that is followed. Ended by `signal`, not by the time limit. */
  async stream(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#send(path, { method: 'GET', signal });
    if (!response.ok) throw await toFailure(response);
    if (response.body === null) throw new ApiFailure('UNREADABLE', 'The answer has no body.');
    return response.body;
  }

  async #call(path: string, init: RequestInit, timeoutMs: number): Promise<unknown> {
    const response = await this.#send(path, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) throw await toFailure(response);
    if (response.status === 204) return null;
    try {
      const body: unknown = await response.json();
      return body;
    } catch (cause) {
      if (cause instanceof SyntaxError) {
        throw new ApiFailure('UNREADABLE', 'The answer is not JSON.', { status: response.status, cause });
      }
      throw new ApiFailure('NETWORK', 'The answer broke off.', { cause });
    }
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await this.#options.fetch(path, init);
    } catch (cause) {
      const timedOut = cause instanceof Error && cause.name === 'TimeoutError';
      if (timedOut) throw new ApiFailure('TIMEOUT', 'No answer in time.', { cause });
      throw new ApiFailure('NETWORK', 'No answer.', { cause });
    }
    this.#options.onAnswer(metaOf(path, response));
    return response;
  }
}

function metaOf(path: string, response: Response): AnswerMeta {
  const index = Number(response.headers.get('x-clb-index') ?? Number.NaN);
  const dateMs = Date.parse(response.headers.get('date') ?? '');
  return {
    path,
    ok: response.ok,
    status: response.status,
    index: Number.isSafeInteger(index) ? index : null,
    dateMs: Number.isNaN(dateMs) ? null : dateMs,
  };
}

async function toFailure(response: Response): Promise<ApiFailure> {
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  const rest = {
    status: response.status,
    retryAfterMs: Number.isFinite(retryAfter) && retryAfter >= 0 ? retryAfter * 1000 : null,
  };
  const text = await response.text().catch(() => '');
  const body = errorOfBody(text);
  if (body === null) {
    return new ApiFailure('UNREADABLE', text.slice(0, 200) || `HTTP ${response.status}`, rest);
  }
  // One that this page does not know is shown by its message.
  return new ApiFailure(body.code as ErrorCode, body.message, { ...rest, details: body.details });
}

/** Any thrown value as a failure that can be shown; a fault of the page itself is not hidden behind it. */
export function asFailure(thrown: unknown): ApiFailure {
  if (thrown instanceof ApiFailure) return thrown;
  throw thrown;
}
