import type { NodeView } from '../../../../api/views.ts';

/** Nodes the page keeps; a cluster has at most 5 voters and 1,000 workers. */
export const NODES_MAX = 1_005;

/**
 * The master learns of a stopped node only when its lease runs out (some seconds), and of a started one when it has
 * registered. Until then the page shows what was asked for.
 */
export const INTENT_MS_MAX = 15_000;
/** A stopped node may still be reported ready for this long. */
export const STOP_NOTICED_MS = 6_000;

export interface NodeIntent {
  readonly want: 'stopped' | 'running';
  readonly atMs: number;
}

/** A node as the page shows it. */
export interface NodeEntry {
  readonly view: NodeView;
  /** False for a node that was seen before and that the last answer does not name. */
  readonly reported: boolean;
  readonly intent: NodeIntent | null;
}

export interface NodeBoard {
  readonly entries: readonly NodeEntry[];
  readonly loaded: boolean;
  /** The last answer came from a server that could not ask a majority. */
  readonly stale: boolean;
}

export const EMPTY_BOARD: NodeBoard = { entries: [], loaded: false, stale: false };

/** How a node looks once what was just asked of it is taken into account. */
export type NodePhase = 'up' | 'stopping' | 'stopped' | 'starting' | 'away';

export function phaseOf(entry: NodeEntry): NodePhase {
  const up = entry.reported && (entry.view.status === 'ready' || entry.view.status === 'draining');
  if (entry.intent?.want === 'stopped') return up ? 'stopping' : 'stopped';
  if (entry.intent?.want === 'running') return up ? 'up' : 'starting';
  return up ? 'up' : 'away';
}

/** Servers before workers, each by name with numbers in order (server2 before server10). */
function inOrder(a: NodeEntry, b: NodeEntry): number {
  if (a.view.role !== b.view.role) return a.view.role === 'server' ? -1 : 1;
  return a.view.id.localeCompare(b.view.id, 'en', { numeric: true });
}

function keptIntent(intent: NodeIntent | null, view: NodeView, nowMs: number): NodeIntent | null {
  if (intent === null) return null;
  const age = nowMs - intent.atMs;
  const up = view.status === 'ready' || view.status === 'draining';
  if (intent.want === 'running') return up || age > INTENT_MS_MAX ? null : intent;
  // Reported up again long after the stop: somebody else started it.
  return up && age > STOP_NOTICED_MS ? null : intent;
}

/** Takes in the nodes as a server reports them; those it does not name stay, marked so. */
export function withNodes(
  board: NodeBoard,
  nodes: readonly NodeView[],
  options: { readonly stale: boolean; readonly nowMs: number },
): NodeBoard {
  const before = new Map(board.entries.map((entry) => [entry.view.id, entry]));
  const reported = nodes.map((view): NodeEntry => {
    const intent = keptIntent(before.get(view.id)?.intent ?? null, view, options.nowMs);
    before.delete(view.id);
    return { view, reported: true, intent };
  });
  const missing = [...before.values()].map((entry): NodeEntry => ({
    ...entry,
    view: { ...entry.view, leader: false },
    reported: false,
  }));
  const entries = [...reported, ...missing].slice(0, NODES_MAX).sort(inOrder);
  return { entries, loaded: true, stale: options.stale };
}

/** Notes that a node was told to stop or to start. */
export function withIntent(board: NodeBoard, id: string, intent: NodeIntent): NodeBoard {
  const entries = board.entries.map((entry) => (entry.view.id === id ? { ...entry, intent } : entry));
  return { ...board, entries };
}

/** Shows a new master before the next answer about nodes does. */
export function withLeader(board: NodeBoard, leader: string): NodeBoard {
  if (board.entries.every((entry) => entry.view.leader === (entry.view.id === leader))) return board;
  const entries = board.entries.map((entry) => ({
    ...entry,
    view: { ...entry.view, leader: entry.view.id === leader },
  }));
  return { ...board, entries };
}
