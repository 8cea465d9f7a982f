import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { RaftLogEntryView } from '../../../../api/views.ts';
import { absoluteTime, clockTime, parseTime } from '../model/format.ts';
import { describeEntry } from '../model/raft-board.ts';
import { ApiFailure } from '../net/client.ts';
import { useApp } from './context.ts';
import { Heads } from './heads.tsx';

const PAGE_ENTRIES = 25;

interface LogEntriesProps {
  /** Whose log; null while there is no master. */
  readonly server: string | null;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly commitIndex: number;
}

/** The log entry by entry, newest first, a page at a time. The first page follows; older ones stand still. */
export function LogEntries({ server, firstIndex, lastIndex, commitIndex }: LogEntriesProps): VNode {
  const { api } = useApp();
  /** Last index of the page; null: the newest. */
  const [end, setEnd] = useState<number | null>(null);
  const [entries, setEntries] = useState<readonly RaftLogEntryView[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const to = Math.min(end ?? lastIndex, lastIndex);
  const from = Math.max(firstIndex, to - PAGE_ENTRIES + 1);
  useEffect(() => {
    if (server === null || to < from) return;
    let gone = false;
    const read = async (): Promise<void> => {
      try {
        const page = await api.raftLog(server, from, to);
        if (gone) return;
        setEntries(page);
        setProblem(null);
      } catch (thrown) {
        if (!(thrown instanceof ApiFailure)) throw thrown;
        if (!gone) setProblem(thrown.message);
      }
    };
    void read();
    return () => {
      gone = true;
    };
  }, [server, from, to]);
  return (
    <section class="panel" aria-labelledby="entries-title">
      <div class="section-head">
        <h2 id="entries-title">The log, entry by entry</h2>
        <span class="muted">
          {firstIndex} to {lastIndex} are kept{server === null ? '' : ` by ${server}`}
        </span>
      </div>
      {problem === null ? null : <p class="empty text-bad">{problem}</p>}
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Table of entries">
        <table class="plain-table entries-table">
          <Heads of={[{ number: 'Index' }, { number: 'Term' }, 'Time', 'What']} />
          <tbody>
            {entries.toReversed().map((entry) => (
              <EntryRow key={entry.index} entry={entry} committed={entry.index <= commitIndex} />
            ))}
          </tbody>
        </table>
      </div>
      <nav class="foot" aria-label="Pages of the log">
        <button
          type="button"
          class="button button-small"
          disabled={end === null}
          onClick={() => setEnd(null)}
        >
          Newest
        </button>
        <button
          type="button"
          class="button button-small"
          disabled={end === null}
          onClick={() => setEnd(to + PAGE_ENTRIES >= lastIndex ? null : to + PAGE_ENTRIES)}
        >
          Newer
        </button>
        <button
          type="button"
          class="button button-small"
          disabled={from <= firstIndex}
          data-testid="entries-older"
          onClick={() => setEnd(from - 1)}
        >
          Older
        </button>
        <span class="muted">
          {from} to {to}
        </span>
      </nav>
    </section>
  );
}

/** In a few words; opened, all that is in it. */
function EntryRow({
  entry,
  committed,
}: {
  readonly entry: RaftLogEntryView;
  readonly committed: boolean;
}): VNode {
  const at = parseTime(entry.time);
  const [open, setOpen] = useState(false);
  return (
    <tr data-testid="log-entry" data-index={entry.index}>
      <td class="number">{entry.index}</td>
      <td class="number">{entry.term}</td>
      <td title={at === null ? undefined : absoluteTime(at)}>
        {at === null ? '–' : clockTime(at, { millis: true })}
      </td>
      <td class="entry-what">
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>
            {describeEntry(entry)}
            {committed ? null : <span class="muted"> (not committed yet)</span>}
          </summary>
          {open ? (
            <pre class="code entry-data" tabIndex={0}>
              {JSON.stringify(entry.data, null, 2)}
            </pre>
          ) : null}
        </details>
      </td>
    </tr>
  );
}
