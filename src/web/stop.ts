/** /stop: the simulated crash and recovery of a node (contract §6). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { ApiError } from '../api/errors.ts';
import { LIMITS } from '../api/limits.ts';
import type { Answers } from './answers.ts';
import { isPrefetch } from './guard.ts';
import { checked } from './input.ts';
import { wantsHtml } from './negotiation.ts';
import { emptyPage } from './page.ts';
import { parseJson } from './request-body.ts';
import type { BodyReader } from './request-body.ts';

/** How the web layer stops and starts the node behind it. Given only where fault injection is on. */
export interface StopControl {
  readonly stopped: boolean;
  /** Resolves when it is so. Rejects where the node could not come back; setting what is set already does nothing. */
  set(stopped: boolean): Promise<void>;
}

export const stopRequestSchema = z.strictObject({ stopped: z.boolean() });

/** Calls that wait for the one before; a person clicks, nobody queues thousands. */
const CALLS_WAITING_MAX = 100;

/** Puts the calls of a {@link StopControl} in a row: two flips at once must not become one. */
export class StopSwitch {
  readonly #control: StopControl | null;
  readonly #onStopped: () => void;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** `onStopped` is called each time the node has stopped. */
  constructor(control: StopControl | null, onStopped: () => void) {
    this.#control = control;
    this.#onStopped = onStopped;
  }

  get stopped(): boolean {
    return this.#control?.stopped ?? false;
  }

  /** Resolves to whether it is stopped now. `wanted` null: the other of what it is. @throws ApiError FORBIDDEN */
  async set(wanted: boolean | null): Promise<boolean> {
    const control = this.#control;
    if (control === null) throw faultInjectionOff();
    if (this.#waiting >= CALLS_WAITING_MAX) {
      throw new ApiError('UNAVAILABLE', 'too many calls of /stop at once', { retryAfterSeconds: 1 });
    }
    this.#waiting += 1;
    const mine = this.#last.then(async () => {
      const stopped = wanted ?? !control.stopped;
      await control.set(stopped);
      if (stopped) this.#onStopped();
      return stopped;
    });
    this.#last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      this.#waiting -= 1;
    }
  }
}

export function faultInjectionOff(): ApiError {
  return new ApiError('FORBIDDEN', 'fault injection is off on this node (--fault-injection turns it on)');
}

/** Answers /stop. GET flips and shows `True` or `False`; POST sets. @throws ApiError */
export async function answerStop(
  stop: StopSwitch,
  answers: Answers,
  bodies: BodyReader,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  if (req.method === 'GET') {
    if (isPrefetch(req)) throw new ApiError('FORBIDDEN', '/stop answers no prefetch: it would act on it');
    const word = (await stop.set(null)) ? 'True' : 'False';
    if (wantsHtml(req)) {
      const page = emptyPage({ title: `Stopped: ${word}`, body: word });
      answers.html(res, 200, page.html, page.nonce);
    } else answers.text(res, 200, word);
    return;
  }
  if (req.method === 'POST') {
    const { stopped } = checked(
      stopRequestSchema,
      parseJson(await bodies.read(req, res, LIMITS.bodyBytesMax)),
      ['stopped'],
    );
    answers.json(res, 200, { stopped: await stop.set(stopped) });
    return;
  }
  throw new ApiError('NOT_FOUND', `no route ${req.method ?? ''} /stop (GET flips, POST sets)`);
}
