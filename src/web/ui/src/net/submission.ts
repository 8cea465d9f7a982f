import type { TaskRequest, TaskView } from '../../../../api/tasks.ts';
import { pause } from '../model/clock.ts';
import type { Clock } from '../model/clock.ts';
import { asFailure, isPassing } from './client.ts';
import type { ApiFailure, FailureCode } from './client.ts';

/** How long one press of *Send Payload* keeps trying while there is no master. */
export const SEND_MS_MAX = 45_000;
const RETRY_MS_MIN = 400;
const RETRY_MS_MAX = 4_000;

/** After these nobody here knows whether the task was accepted. */
const LEAVES_OPEN: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'NETWORK',
  'TIMEOUT',
  'UNREADABLE',
  'UNKNOWN_OUTCOME',
]);

export type SendOutcome =
  | { readonly kind: 'accepted'; readonly task: TaskView }
  /** `mayExist`: an answer got lost, so the task may have been accepted; the same key finds out. */
  | { readonly kind: 'failed'; readonly failure: ApiFailure; readonly mayExist: boolean };

export interface SendOptions {
  readonly submit: (request: TaskRequest, key: string) => Promise<TaskView>;
  readonly request: TaskRequest;
  readonly key: string;
  readonly clock: Clock;
  /** Ends the waiting between two tries. */
  readonly signal: AbortSignal;
  readonly onRetry: (attempt: number, failure: ApiFailure) => void;
}

/**
 * Submits until there is a definite answer. Every try carries the same key, so that however many of them arrive there
 * is one task (contract: the same Idempotency-Key gives one task).
 */
export async function send(options: SendOptions): Promise<SendOutcome> {
  const giveUpMs = options.clock.now() + SEND_MS_MAX;
  let mayExist = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return { kind: 'accepted', task: await options.submit(options.request, options.key) };
    } catch (thrown) {
      const failure = asFailure(thrown);
      mayExist ||= LEAVES_OPEN.has(failure.code);
      const waitMs = failure.retryAfterMs ?? Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** (attempt - 1));
      const late = options.clock.now() + waitMs > giveUpMs;
      if (!isPassing(failure) || late) return { kind: 'failed', failure, mayExist };
      options.onRetry(attempt + 1, failure);
      const waited = await pause(options.clock, Math.min(waitMs, RETRY_MS_MAX), options.signal);
      if (!waited) return { kind: 'failed', failure, mayExist };
    }
  }
}

/** A key of 128 random bits. Not `crypto.randomUUID`, which a page served over plain HTTP by name does not have. */
export function newKey(randomBytes: (length: number) => Uint8Array): string {
  return `page-${[...randomBytes(16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** What a person can do about a failure, in one sentence; the failure's own message says what it is. */
export function advice(failure: ApiFailure, mayExist: boolean): string {
  if (mayExist) {
    return 'It may or may not have been accepted. Press Send Payload again: the same request is never run twice.';
  }
  switch (failure.code) {
    case 'INVALID':
      return 'Change the field named above and send again.';
    case 'TOO_LARGE':
      return 'Make the payload smaller, or let it fetch its data when it runs.';
    case 'QUEUE_FULL':
      return 'The queue is full. Wait until some tasks have finished, then send again.';
    case 'CONFLICT':
      return 'Send again: it will be sent as a new task.';
    case 'NO_LEADER':
    case 'NO_QUORUM':
    case 'UNAVAILABLE':
      return 'Nothing was accepted. Start a stopped server if there is one, then send again.';
    case 'NETWORK':
    case 'TIMEOUT':
      return 'Check that the client node is running, then send again.';
    case 'FORBIDDEN':
      return 'Open this page under the address the cluster was started with.';
    default:
      return 'Nothing was changed. Your text is still here; send it again.';
  }
}

/** Name of the field an INVALID answer speaks of, where its details carry one. */
export function fieldOf(failure: ApiFailure): string | null {
  const { details } = failure;
  if (typeof details !== 'object' || details === null) return null;
  const first: unknown = Array.isArray(details) ? details[0] : details;
  if (typeof first !== 'object' || first === null) return null;
  if ('field' in first && typeof first.field === 'string') return first.field;
  if ('path' in first && Array.isArray(first.path)) return first.path.join('.');
  return null;
}
