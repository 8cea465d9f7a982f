/** Injected faults: what an operator may do to a node on purpose, where fault injection is on. */
import { z } from 'zod';
import { LIMITS } from './limits.ts';

/**
 * freeze: the node's process does nothing at all (neither sends nor answers nor keeps time); its launcher goes on.
 * cut-off: its connections for consensus and for tasks are closed and no new ones come about; plain HTTP goes on.
 * stop-at-assignment: the next time this server, being the master, has found a node for a task, it stops as by /stop, before
 * the assignment is proposed to anybody.
 */
export const FAULT_KINDS = ['freeze', 'cut-off', 'stop-at-assignment'] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Body of POST /v1/nodes/:id/faults. Every fault ends by itself; 0 ends one that is on. */
export const faultRequestSchema = z.strictObject({
  fault: z.enum(FAULT_KINDS),
  forMs: z.int().min(0).max(LIMITS.faultMsMax),
});
export type FaultRequest = z.infer<typeof faultRequestSchema>;

/** The faults of a node that are on (or, stop-at-assignment, armed) after the call. */
export interface FaultsView {
  readonly node: string;
  readonly faults: readonly { readonly fault: FaultKind; readonly until: string }[];
}
