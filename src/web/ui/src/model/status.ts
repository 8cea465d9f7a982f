import type { AttemptOutcome, FinalStatus, TaskEvent, TaskStatus } from '../../../../api/tasks.ts';
import type { NodeStatus } from '../../../../api/views.ts';

/** What a colour means here; the style sheet has one per tone. Never the only sign: icon and word go with it. */
export type Tone = 'neutral' | 'waiting' | 'active' | 'good' | 'bad' | 'warn';

export type IconName =
  'clock' | 'queue' | 'arrow' | 'spinner' | 'check' | 'cross' | 'timer' | 'slash' | 'loop';

export interface Badge {
  readonly label: string;
  readonly tone: Tone;
  readonly icon: IconName;
}

/**
 * Every status in the order a task goes through them. Written out here and not taken from api/tasks.ts, which would
 * bring its schema library into the page; the type makes a missing one a compile error.
 */
export const STATUS_BADGES: Readonly<Record<TaskStatus, Badge>> = {
  scheduled: { label: 'Scheduled', tone: 'neutral', icon: 'clock' },
  queued: { label: 'Queued', tone: 'waiting', icon: 'queue' },
  assigned: { label: 'Assigned', tone: 'waiting', icon: 'arrow' },
  running: { label: 'Running', tone: 'active', icon: 'spinner' },
  succeeded: { label: 'Succeeded', tone: 'good', icon: 'check' },
  failed: { label: 'Failed', tone: 'bad', icon: 'cross' },
  timed_out: { label: 'Timed out', tone: 'bad', icon: 'timer' },
  canceled: { label: 'Canceled', tone: 'neutral', icon: 'slash' },
};

export const STATUSES = Object.keys(STATUS_BADGES) as readonly TaskStatus[];

const FINAL: ReadonlySet<TaskStatus> = new Set<FinalStatus>(['succeeded', 'failed', 'timed_out', 'canceled']);

export function isFinal(status: TaskStatus): status is FinalStatus {
  return FINAL.has(status);
}

export const OUTCOME_BADGES: Readonly<Record<AttemptOutcome, Badge>> = {
  succeeded: STATUS_BADGES.succeeded,
  failed: STATUS_BADGES.failed,
  timed_out: STATUS_BADGES.timed_out,
  canceled: STATUS_BADGES.canceled,
  lost: { label: 'Lost', tone: 'warn', icon: 'loop' },
  superseded: { label: 'Superseded', tone: 'neutral', icon: 'loop' },
};

/** What happened, as the timeline says it. */
export const EVENT_LABELS: Readonly<Record<TaskEvent['what'], { label: string; tone: Tone }>> = {
  submitted: { label: 'Submitted', tone: 'neutral' },
  queued: { label: 'Queued', tone: 'waiting' },
  assigned: { label: 'Assigned', tone: 'waiting' },
  started: { label: 'Started', tone: 'active' },
  finished: { label: 'Finished', tone: 'good' },
  lost: { label: 'Lost its node', tone: 'warn' },
  retrying: { label: 'Will be tried again', tone: 'warn' },
  cancel_requested: { label: 'Cancel requested', tone: 'neutral' },
  canceled: { label: 'Canceled', tone: 'neutral' },
  superseded: { label: 'Late result refused', tone: 'neutral' },
};

export const NODE_BADGES: Readonly<Record<NodeStatus, { label: string; tone: Tone }>> = {
  ready: { label: 'Ready', tone: 'good' },
  draining: { label: 'Draining', tone: 'waiting' },
  disconnected: { label: 'Disconnected', tone: 'warn' },
  down: { label: 'Down', tone: 'bad' },
};
