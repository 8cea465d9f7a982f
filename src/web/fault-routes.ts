/** /faults of a node, and /v1/nodes/:id/faults of a server: faults put in on purpose, where fault injection is on. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';
import { faultRequestSchema } from '../api/faults.ts';
import type { FaultRequest, FaultsView } from '../api/faults.ts';
import { LIMITS } from '../api/limits.ts';
import type { Answers } from './answers.ts';
import { checked } from './input.ts';
import { parseJson } from './request-body.ts';
import type { BodyReader } from './request-body.ts';
import { faultInjectionOff } from './stop.ts';

/** How the web layer puts faults into the node behind it. Given only where fault injection is on. */
export interface FaultControl {
  /** Begins a fault, or ends it (`forMs` 0). A freeze is only noted: see {@link freeze}. @throws ApiError CONFLICT */
  set(request: FaultRequest): FaultsView;
  /** Blocks for this long: to be called when the answer has gone out. */
  freeze(forMs: number): void;
  /** What stops the node as /stop does. */
  onStop(stop: () => void): void;
}

export const FAULTS_PATH = '/faults';

export function checkedFault(body: Buffer): FaultRequest {
  return checked(faultRequestSchema, parseJson(body), ['fault', 'forMs']);
}

/** Answers POST /faults. @throws ApiError */
export async function answerFaults(
  control: FaultControl | null,
  answers: Answers,
  bodies: BodyReader,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  if (req.method !== 'POST') {
    throw new ApiError('NOT_FOUND', `no route ${req.method ?? ''} ${FAULTS_PATH} (POST injects a fault)`);
  }
  answerFault(control, answers, checkedFault(await bodies.read(req, res, LIMITS.bodyBytesMax)), res);
}

export function answerFault(
  control: FaultControl | null,
  answers: Answers,
  request: FaultRequest,
  res: ServerResponse,
): void {
  if (control === null) throw faultInjectionOff();
  const view = control.set(request);
  if (request.fault === 'freeze' && request.forMs > 0) {
    res.once('finish', () => setImmediate(() => control.freeze(request.forMs)));
  }
  answers.json(res, 200, view);
}
