import type { NodeView } from '../../../../api/views.ts';
import { isFinal, STATUSES } from './status.ts';
import type { Counts } from './task-list.ts';

/** How far back the curves go. */
export const HISTORY_MS = 5 * 60_000;
/** Samples come every 2 s at most. */
const SAMPLES_MAX = 200;
/** Nodes with curves of their own; more lines could not be told apart. */
export const CURVES_MAX = 8;
/** Over this time the throughput is measured. */
export const RATE_MS = 10_000;

/** What was known at one moment. */
export interface Sample {
  readonly atMs: number;
  /** Percent, by node; a node that is away has none. */
  readonly cpu: Readonly<Record<string, number>>;
  readonly memory: Readonly<Record<string, number>>;
  readonly submitted: number;
  readonly finished: number;
}

/** Oldest first. */
export type History = readonly Sample[];

export function withSample(
  history: History,
  now: { readonly atMs: number; readonly nodes: readonly NodeView[]; readonly counts: Counts },
): History {
  const up = now.nodes
    .filter(({ status }) => status === 'ready' || status === 'draining')
    .slice(0, CURVES_MAX);
  const values = (of: (node: NodeView) => number | null): Record<string, number> =>
    Object.fromEntries(up.flatMap((node) => (of(node) === null ? [] : [[node.id, of(node) ?? 0]])));
  const sum = (wanted: (status: (typeof STATUSES)[number]) => boolean): number =>
    STATUSES.filter(wanted).reduce((total, status) => total + (now.counts[status] ?? 0), 0);
  const sample: Sample = {
    atMs: now.atMs,
    cpu: values((node) => node.cpu),
    memory: values((node) => node.memory),
    submitted: sum(() => true),
    finished: sum(isFinal),
  };
  const kept = history.filter(({ atMs }) => atMs > now.atMs - HISTORY_MS && atMs < now.atMs);
  return [...kept, sample].slice(-SAMPLES_MAX);
}

/** Tasks per second that ended around each sample; null where there is nothing yet to compare it with. */
export function rates(history: History, of: 'submitted' | 'finished'): readonly (number | null)[] {
  let from = 0;
  return history.map((sample, at) => {
    while (from < at && (history[from]?.atMs ?? 0) < sample.atMs - RATE_MS) from += 1;
    const before = history[from];
    if (before === undefined || from === at) return null;
    // Retention removes finished tasks: the number may go down, the throughput not.
    return Math.max(0, sample[of] - before[of]) / ((sample.atMs - before.atMs) / 1_000);
  });
}

/** Tasks per second at the moment; null before two samples are there. */
export function currentRate(history: History, of: 'submitted' | 'finished'): number | null {
  return rates(history, of).at(-1) ?? null;
}

/** "0", "0.4", "12", for a number of tasks per second. */
export function rateText(rate: number | null): string {
  if (rate === null) return '–';
  return rate > 0 && rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
}

/** A line of a diagram. */
export interface Curve {
  readonly label: string;
  readonly values: readonly (number | null)[];
}

export function nodeCurves(history: History, of: 'cpu' | 'memory'): readonly Curve[] {
  const ids = new Set(history.flatMap((sample) => Object.keys(sample[of])));
  return [...ids]
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .slice(0, CURVES_MAX)
    .map((id) => ({ label: id, values: history.map((sample) => sample[of][id] ?? null) }));
}
