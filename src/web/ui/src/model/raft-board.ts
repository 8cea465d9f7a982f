import type { RaftLogEntryView, RaftView } from '../../../../api/views.ts';
import { shortId } from './format.ts';

/** Newest entries that are drawn, and listed, at most. */
export const ENTRIES_SHOWN = 32;
/** Spells of leadership remembered while the page is open. */
const SPELLS_MAX = 12;
/** Operations of one entry that are named; a batch may have 10,000. */
const OPS_NAMED_MAX = 3;

/** A server as it was last heard of. */
export interface ServerEntry {
  readonly id: string;
  /** What it said last; null before it said anything. */
  readonly view: RaftView | null;
  /** Why it gave no answer the last time; null where it did. */
  readonly problem: string | null;
}

/** One entry of the log, without what makes it big. */
export interface EntryLine {
  readonly index: number;
  readonly term: number;
  readonly time: string | null;
  readonly what: string;
}

/** A server that led, and in which term. */
export interface Spell {
  readonly term: number;
  readonly leader: string;
  readonly since: string | null;
}

export interface RaftBoard {
  readonly servers: readonly ServerEntry[];
  /** Ascending, without holes. */
  readonly entries: readonly EntryLine[];
  /** Newest first. */
  readonly spells: readonly Spell[];
}

export const EMPTY_RAFT_BOARD: RaftBoard = { servers: [], entries: [], spells: [] };

/** Makes room for servers that were not known yet; those that have left the configuration go. */
export function withServers(board: RaftBoard, ids: readonly string[]): RaftBoard {
  const known = new Map(board.servers.map((server) => [server.id, server]));
  const sorted = ids.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const same = sorted.length === board.servers.length && sorted.every((id) => known.has(id));
  if (same) return board;
  const servers = sorted.map((id) => known.get(id) ?? { id, view: null, problem: null });
  return { ...board, servers };
}

/** Takes in what a server says of itself. */
export function withView(board: RaftBoard, view: RaftView): RaftBoard {
  const servers = board.servers.map((server) =>
    server.id === view.id ? { id: view.id, view, problem: null } : server,
  );
  return withSpellOf({ ...board, servers }, view);
}

/** Takes in who leads by the word of one server, and nothing else. */
export function withSpellOf(board: RaftBoard, view: RaftView): RaftBoard {
  const spells = withSpell(board.spells, view);
  return spells === board.spells ? board : { ...board, spells };
}

/** A server gave no answer: what it said before stays, marked as old. */
export function withProblem(board: RaftBoard, id: string, problem: string): RaftBoard {
  const servers = board.servers.map((server) => (server.id === id ? { ...server, problem } : server));
  return { ...board, servers };
}

/** An event told who leads. `at`: when it was heard, which is good enough until that server tells since when. */
export function withElected(board: RaftBoard, leader: string, term: number, at: string): RaftBoard {
  if (board.spells.some((spell) => spell.term === term)) return board;
  return { ...board, spells: newestFirst([...board.spells, { term, leader, since: at }]) };
}

function newestFirst(spells: readonly Spell[]): readonly Spell[] {
  return spells.toSorted((a, b) => b.term - a.term).slice(0, SPELLS_MAX);
}

function withSpell(spells: readonly Spell[], view: RaftView): readonly Spell[] {
  const { term, leader, leaderSince } = view;
  if (leader === null) return spells;
  const known = spells.find((spell) => spell.term === term);
  // Each server notes the time at which it learned of the leader; the leader's own note is the first of them.
  const since = view.id === leader || known === undefined ? leaderSince : known.since;
  if (known?.since === since && known.leader === leader) return spells;
  const others = spells.filter((spell) => spell.term !== term);
  return newestFirst([...others, { term, leader, since }]);
}

/** The server that leads, by its own word and in the highest term; null where none that answers does. */
export function leaderOf(board: RaftBoard): RaftView | null {
  const leading = board.servers.flatMap(({ view, problem }) =>
    view !== null && problem === null && view.role === 'leader' ? [view] : [],
  );
  return leading.toSorted((a, b) => b.term - a.term)[0] ?? null;
}

/** Takes in entries that follow, or replace, those known. */
export function withEntries(board: RaftBoard, entries: readonly RaftLogEntryView[]): RaftBoard {
  const first = entries[0];
  if (first === undefined) return board;
  const lines = entries.map((entry): EntryLine => {
    const { index, term, time } = entry;
    return { index, term, time, what: describeEntry(entry) };
  });
  const before = board.entries.filter((line) => line.index < first.index);
  const adjoins = before.at(-1)?.index === first.index - 1;
  return { ...board, entries: [...(adjoins ? before : []), ...lines].slice(-ENTRIES_SHOWN) };
}

/** The range to ask for so that the newest entries are known; null where they are. */
export function missingEntries(
  board: RaftBoard,
  view: RaftView,
): { readonly from: number; readonly to: number } | null {
  const to = view.lastIndex;
  const oldest = Math.max(view.firstIndex, to - ENTRIES_SHOWN + 1);
  const last = board.entries.at(-1);
  // A new leader may have replaced what an old one had appended and not committed.
  const kept = last !== undefined && last.index <= to && last.term === view.term ? last.index : 0;
  const from = Math.max(oldest, kept + 1);
  return from > to ? null : { from, to };
}

/** What an entry does, in a few words: "submit 6y94jat3v2, assign 6y94jat3v2 → server3". */
export function describeEntry(entry: RaftLogEntryView): string {
  switch (entry.kind) {
    case 'noop':
      return 'a new master begins its term';
    case 'config':
      return `membership: ${shown(JSON.stringify(entry.data))}`;
    case 'command': {
      const ops = Array.isArray(entry.data) ? (entry.data as readonly unknown[]) : [];
      const named = ops.slice(0, OPS_NAMED_MAX).map(describeOp);
      const more = ops.length > named.length ? [`${ops.length - named.length} more`] : [];
      return [...named, ...more].join(', ');
    }
  }
}

const DESCRIPTION_CHARS_MAX = 80;

function shown(text: string): string {
  return text.length <= DESCRIPTION_CHARS_MAX ? text : `${text.slice(0, DESCRIPTION_CHARS_MAX)}…`;
}

/** Operations are data of the servers' own version; what is not known by name is shown by its name only. */
function describeOp(op: unknown): string {
  if (typeof op !== 'object' || op === null) return '?';
  const fields = op as Readonly<Record<string, unknown>>;
  const name = textOf(fields['op']) ?? '?';
  const { tasks } = fields;
  if (Array.isArray(tasks)) {
    const [only] = tasks as readonly unknown[];
    const id = tasks.length === 1 ? textOf((only as { readonly id?: unknown } | null)?.id) : null;
    return id === null ? `${name} ${tasks.length} tasks` : `${name} ${shortId(id)}`;
  }
  const task = textOf(fields['task']);
  const node = textOf(fields['node']) ?? textOf((fields['node'] as { readonly id?: unknown } | null)?.id);
  const outcome = textOf(fields['outcome']);
  return [
    name,
    task === null ? '' : ` ${shortId(task)}`,
    node === null ? '' : task === null ? ` ${node}` : ` → ${node}`,
    outcome === null ? '' : `: ${outcome}`,
  ].join('');
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** How a server has one entry: not (yet), only appended, known to be on a majority, applied; or inside its snapshot. */
export type CellState = 'none' | 'appended' | 'committed' | 'applied' | 'compacted';

export function cellState(view: RaftView, index: number): CellState {
  if (index > view.lastIndex) return 'none';
  if (index < view.firstIndex) return 'compacted';
  if (index <= view.appliedIndex) return 'applied';
  return index <= view.commitIndex ? 'committed' : 'appended';
}

/** The newest indexes there are on any server, oldest first. */
export function shownIndexes(board: RaftBoard): readonly number[] {
  const last = Math.max(0, ...board.servers.map(({ view }) => view?.lastIndex ?? 0));
  const first = Math.max(1, last - ENTRIES_SHOWN + 1);
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

/** Entries by which a server is behind: as the leader counts them, else against the longest log that was heard of. */
export function lagOf(board: RaftBoard, server: ServerEntry): number | null {
  const leader = leaderOf(board);
  if (leader?.id === server.id) return 0;
  const counted = leader?.peers[server.id]?.lag;
  if (counted !== undefined) return counted;
  const longest = Math.max(0, ...board.servers.map(({ view }) => view?.lastIndex ?? 0));
  return server.view === null ? null : longest - server.view.lastIndex;
}
