import { LIMITS } from '../../api/limits.ts';

/** Limits of the replicated state. They are part of its meaning: every server must use the same. */
export const STATE_LIMITS = {
  /** Timeline entries kept per task: the first ones and the latest ones. */
  timelineHead: 40,
  timelineTail: 160,
  /** Attempts kept per task: the first ones and the latest ones. */
  attemptsHead: 20,
  attemptsTail: 80,
  /** Longest wait between two attempts, unless the task itself asks for a longer one. */
  backoffMsMax: 3_600_000,
  /** Of the pause before another attempt, up to this share comes on top, so that tasks that failed together don't come back together. */
  backoffJitterShare: 0.5,
  /** A task whose attempts are lost so often (its node or launcher died each time) is the likely cause: it is given up. */
  lossesMax: 10,
  /** Scheduled tasks that one `due` moves. */
  duePerOpMax: 10_000,
  /** Finished tasks that one `retire` drops. */
  retirePerOpMax: 10_000,
  /** Batches that are being handed in in parts. */
  stagedBatchesMax: 64,
  /** Registered nodes, those that are down included; the ones longest down make room. */
  nodesMax: 2_000,
  schedulesMax: 1_000,
  /** Characters kept of a reason. */
  reasonCharsMax: 1_000,
} as const;

/** How long finished tasks are kept, whichever comes first, unless the master is told otherwise. */
export const RETENTION = { ageMs: LIMITS.retentionMsDefault, tasksMax: LIMITS.retentionTasksMax } as const;
