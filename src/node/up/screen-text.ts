/** What the live screen of `clb up` shows, as lines of text: pure, so that it can be tested without a terminal. */
import type { TaskStatus } from '../../api/tasks.ts';
import type { NodeView } from '../../api/views.ts';
import type { PlannedNode } from './plan.ts';

export type ProcessState = 'starting' | 'up' | 'down';

export interface Problem {
  /** HH:MM:SS */
  readonly at: string;
  readonly text: string;
}

/** What a server said last; null before the first answer. */
export interface ClusterSeen {
  readonly nodes: readonly NodeView[];
  readonly counts: Readonly<Record<TaskStatus, number>>;
  readonly leader: string | null;
  readonly term: number;
}

export interface ScreenState {
  readonly dataDir: string;
  readonly nodes: readonly PlannedNode[];
  readonly processes: ReadonlyMap<string, ProcessState>;
  readonly cluster: ClusterSeen | null;
  /** No server answered the last time. */
  readonly outOfReach: boolean;
  readonly problems: readonly Problem[];
  /** Log lines as `CONTAINER_ID,LINE`, newest last. */
  readonly lines: readonly string[];
  readonly stopping: boolean;
}

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

export type Tone = 'bold' | 'green' | 'yellow' | 'red' | 'dim';
/** Wraps the text in color, or does not. */
export type Paint = (text: string, tone: Tone) => string;

const PROBLEMS_SHOWN_MAX = 4;
const KIND_TEXT = { client: 'page', database: 'log lines', server: 'server', worker: 'worker' } as const;
const STATUS_ORDER: readonly TaskStatus[] = [
  'running',
  'assigned',
  'queued',
  'scheduled',
  'succeeded',
  'failed',
  'timed_out',
  'canceled',
];

/** Exactly as many lines as the terminal has rows, none wider than it; colored ones are cut before they are painted. */
export function screenLines(state: ScreenState, size: ScreenSize, paint: Paint): readonly string[] {
  const cut = (text: string): string => (text.length > size.columns ? text.slice(0, size.columns) : text);
  const top: string[] = [
    headline(state, paint, cut),
    '',
    ...nodeTable(state, paint, cut),
    '',
    taskLine(state, cut),
  ];
  if (state.problems.length > 0) {
    top.push('', paint('Problems', 'bold'));
    for (const { at, text } of state.problems.slice(-PROBLEMS_SHOWN_MAX))
      top.push(paint(cut(`  ${at}  ${text}`), 'yellow'));
  }
  const foot = paint(cut(footText(state)), 'dim');
  const room = size.rows - top.length - 3;
  if (room >= 1) {
    top.push('', paint('Lines', 'bold'));
    const shown = state.lines.slice(-room).map((line) => cut(`  ${printable(line)}`));
    top.push(...shown, ...Array<string>(room - shown.length).fill(''));
  }
  return [
    ...top.slice(0, size.rows - 1),
    ...Array<string>(Math.max(0, size.rows - 1 - top.length)).fill(''),
    foot,
  ];
}

function headline(state: ScreenState, paint: Paint, cut: (text: string) => string): string {
  if (state.stopping) return paint(cut('CLB is stopping; Ctrl-C once more stops at once'), 'yellow');
  const starting = state.nodes.filter(({ id }) => state.processes.get(id) !== 'up');
  const { cluster } = state;
  if (cluster?.leader == null || state.outOfReach) {
    const what =
      starting.length > 0 ? `is starting: ${starting.length} to go` : 'has no master at the moment';
    return paint(cut(`CLB ${what}`), 'yellow');
  }
  const missing = starting.length === 0 ? '' : `, ${starting.map(({ id }) => id).join(', ')} not up`;
  const text = `CLB is running: ${cluster.leader} is the master, term ${cluster.term}${missing}`;
  return paint(cut(text), missing === '' ? 'green' : 'yellow');
}

interface Row {
  readonly cells: readonly string[];
  readonly tone: Tone | null;
}

function nodeTable(state: ScreenState, paint: Paint, cut: (text: string) => string): readonly string[] {
  const rows: Row[] = [
    { cells: ['NODE', 'STATUS', 'ROLE', 'CPU', 'MEM', 'TASKS', 'ADDRESS'], tone: 'bold' },
    ...[...state.nodes].sort((a, b) => a.port - b.port).map((node) => nodeRow(node, state)),
  ];
  const widths =
    rows[0]?.cells.map((_, c) => Math.max(...rows.map(({ cells }) => cells[c]?.length ?? 0))) ?? [];
  return rows.map(({ cells, tone }) => {
    const line = cut(
      cells
        .map((cell, c) => cell.padEnd(widths[c] ?? 0))
        .join('  ')
        .trimEnd(),
    );
    return tone === null ? line : paint(line, tone);
  });
}

function nodeRow(node: PlannedNode, state: ScreenState): Row {
  const seen = state.cluster?.nodes.find(({ id }) => id === node.id);
  const process = state.processes.get(node.id) ?? 'starting';
  const runsTasks = node.kind === 'server' || node.kind === 'worker';
  const status = process !== 'up' ? process : runsTasks ? (seen?.status ?? 'up') : 'ready';
  const isMaster = state.cluster?.leader === node.id;
  const page = node.kind === 'client' ? '/' : '/logging';
  const percent = (value: number | null | undefined): string => (value == null ? '' : `${value.toFixed(0)}%`);
  return {
    cells: [
      node.id,
      status,
      isMaster ? 'master' : KIND_TEXT[node.kind],
      percent(seen?.cpu),
      percent(seen?.memory),
      seen === undefined ? '' : `${seen.running}/${seen.slots}`,
      `http://127.0.0.1:${node.port}${page}`,
    ],
    tone: status === 'ready' || status === 'up' ? null : status === 'starting' ? 'yellow' : 'red',
  };
}

function taskLine({ cluster }: ScreenState, cut: (text: string) => string): string {
  const parts = STATUS_ORDER.flatMap((status) => {
    const count = cluster?.counts[status] ?? 0;
    return count === 0 ? [] : [`${count} ${status.replace('_', ' ')}`];
  });
  return cut(`Tasks  ${parts.length === 0 ? 'none yet; try: clb run -- echo hello' : parts.join(', ')}`);
}

function footText({ dataDir, nodes }: ScreenState): string {
  const client = nodes.find(({ kind }) => kind === 'client');
  return `Open http://127.0.0.1:${client?.port ?? 0}/   Ctrl-C stops everything, nothing is lost   data in ${dataDir}`;
}

/** Control characters would move the cursor. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}
