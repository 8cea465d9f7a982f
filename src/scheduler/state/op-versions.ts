/**
 * Since which version of the protocol (src/raft/transport/versions.ts) each op may stand in the log. A server that met one it
 * does not know would have to leave it out, and its state would part from the others'; so it ends instead (UnknownOpError),
 * and a master proposes nothing that some server may not know: the log itself says from where on all do (`version`).
 */
import type { Op } from './ops.ts';

/** What this program can apply. */
export const OP_VERSION_NEWEST = 2;
/** In force until the log says otherwise. */
export const OP_VERSION_FIRST = 1;

/** Adding an op means naming the version it came with: the newest if that is not released yet, else a new one. */
const OP_SINCE: Readonly<Record<Op['op'], number>> = {
  submit: 1,
  stage: 1,
  unstage: 1,
  assign: 1,
  start: 1,
  finish: 1,
  release: 1,
  lost: 1,
  cancel: 1,
  due: 1,
  nodeUp: 1,
  nodeDown: 1,
  drain: 1,
  pause: 1,
  scheduleAdd: 1,
  scheduleRemove: 1,
  scheduleTick: 1,
  retire: 1,
  supersede: 2,
  version: 2,
};

/** From this one on pauses before retries are spread, and attempts that are lost are counted. */
export const LOSSES_COUNT_SINCE = 2;

/** The version that must be in force for `op` to be proposed. A new field of an op that older ones would ignore belongs here, too. */
export function versionOf(op: Op): number {
  const hasNewField =
    (op.op === 'finish' && op.contents !== undefined) || (op.op === 'release' && op.fault !== undefined);
  return hasNewField ? 2 : OP_SINCE[op.op];
}

/** Whether every server is known to understand `op`. The change of version itself is proposed once they do. */
export function isUnderstoodAt(version: number, op: Op): boolean {
  return op.op === 'version' || versionOf(op) <= version;
}

/** A committed entry needs a newer program. The process must end: it cannot go past the entry. */
export class UnknownOpError extends Error {
  readonly code = 'UNKNOWN_OP';
  constructor(index: number, what: string) {
    super(
      `entry ${index} of the log has ${what}, which this version of the program does not know: ` +
        'start a newer version of it (docs/operations.md, "Upgrading"); nothing is damaged',
    );
  }
}
