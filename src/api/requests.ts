/** Bodies of the calls that change the cluster itself. Unknown fields are refused. */
import { z } from 'zod';
import { LIMITS } from './limits.ts';

/** Body of POST /v1/nodes/:id/drain. */
export const drainRequestSchema = z.strictObject({
  drain: z.boolean(),
  /** After so long what still runs there is given to other nodes; null or absent: it may finish. */
  deadlineMs: z.int().min(0).max(LIMITS.timeoutMsMax).nullable().optional(),
});

/** Body of POST /v1/queue. */
export const queueRequestSchema = z.strictObject({
  paused: z.boolean(),
});

/** Body of POST /v1/raft/transfer. */
export const transferRequestSchema = z.strictObject({
  /** Id of the voter that is to lead. */
  to: z.string().min(1).max(LIMITS.nodeIdCharsMax),
});
