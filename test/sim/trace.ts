import type { Entry, Message } from '../../src/raft/core/types.ts';

type Detail = Message | string | number | null;

interface Line {
  readonly atMs: number;
  readonly node: string;
  readonly what: string;
  readonly detail: Detail;
}

/** The last events of a run. Made readable only when asked, since that costs more than the events themselves. */
export class Trace {
  readonly #linesMax: number;
  readonly #now: () => number;
  #lines: Line[] = [];
  #next = 0;

  constructor(linesMax: number, now: () => number) {
    this.#linesMax = linesMax;
    this.#now = now;
  }

  add(node: string, what: string, detail: Detail = null): void {
    this.#lines[this.#next] = { atMs: this.#now(), node, what, detail };
    this.#next = (this.#next + 1) % this.#linesMax;
  }

  /** Oldest first. */
  toString(): string {
    const inOrder = [...this.#lines.slice(this.#next), ...this.#lines.slice(0, this.#next)];
    return inOrder
      .map(({ atMs, node, what, detail }) =>
        [atMs.toFixed(2).padStart(10), node.padEnd(4), what.padEnd(9), describe(detail)].join(' ').trimEnd(),
      )
      .join('\n');
  }
}

function describe(detail: Detail): string {
  if (detail === null) return '';
  return typeof detail === 'object' ? describeMessage(detail) : String(detail);
}

/** One line: who to whom, term, and the fields that matter. */
export function describeMessage(m: Message): string {
  const head = `${m.from}→${m.to} ${m.kind} t${String(m.term)}`;
  switch (m.kind) {
    case 'voteRequest':
      return `${head}${m.preVote ? ' pre' : ''}${m.force ? ' force' : ''} last ${m.lastLogIndex}@${m.lastLogTerm}`;
    case 'voteResponse':
      return `${head}${m.preVote ? ' pre' : ''} ${m.granted ? 'granted' : 'refused'}`;
    case 'append':
      return `${head} prev ${m.prevLogIndex}@${m.prevLogTerm} ${describeEntries(m.entries)} commit ${m.leaderCommit}`;
    case 'appendAccepted':
      return `${head} match ${m.matchIndex}`;
    case 'appendRejected':
      return `${head} at ${m.rejectedIndex} hint ${m.hintIndex}@${m.hintTerm}`;
    case 'heartbeat':
      return `${head} commit ${m.commit} round ${m.round}`;
    case 'commit':
      return `${head} ${m.commit}`;
    case 'heartbeatAck':
      return `${head} round ${m.round}`;
    case 'snapshotChunk':
      return `${head} ${m.meta.index}@${m.meta.term} chunk ${m.chunk}${m.done ? ' (last)' : ''}`;
    case 'snapshotAck':
      return `${head} ${m.index} next ${m.nextChunk}${m.installed ? ' installed' : ''}`;
    case 'readIndexRequest':
      return `${head} read ${m.readId}`;
    case 'readIndexResponse':
      return `${head} read ${m.readId} index ${String(m.index)}`;
    case 'timeoutNow':
      return head;
  }
}

export function describeEntries(entries: readonly Entry[]): string {
  const first = entries[0];
  const last = entries.at(-1);
  if (first === undefined || last === undefined) return '[]';
  return first === last
    ? `[${first.index}@${first.term} ${first.kind}]`
    : `[${first.index}@${first.term}…${last.index}@${last.term}]`;
}
