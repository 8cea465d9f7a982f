import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { TaskStatus } from '../../../../api/tasks.ts';
import { STATUS_BADGES, STATUSES } from '../model/status.ts';
import { ROWS_MAX, totalCount, visibleRows } from '../model/task-list.ts';
import type { TaskList } from '../model/task-list.ts';
import { useApp, useSelect } from './context.ts';
import { Icon } from './icons.tsx';
import { TaskRowView } from './task-row.tsx';

/** Everything that was sent, newest first. */
export function Tasks(): VNode {
  const list = useSelect((state) => state.list);
  const rows = visibleRows(list);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string): void =>
    setOpen((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
    });
  return (
    <section class="panel tasks" aria-labelledby="tasks-title">
      <div class="section-head tasks-head">
        <h2 id="tasks-title">Payloads</h2>
        <StatusTabs list={list} />
        <Search />
      </div>
      {rows.length === 0 ? (
        <Nothing list={list} />
      ) : (
        <table class="task-table" role="table" aria-label="Payloads, newest first" data-testid="task-table">
          <thead role="rowgroup">
            <tr role="row">
              {['Status', 'Hash', 'Payload', 'Node', 'Sent', 'Result'].map((title) => (
                <th key={title} role="columnheader" scope="col">
                  {title}
                </th>
              ))}
              <th role="columnheader" scope="col">
                <span class="visually-hidden">More</span>
              </th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            {rows.map((row) => (
              <TaskRowView key={row.id} row={row} open={open.has(row.id)} toggle={toggle} />
            ))}
          </tbody>
        </table>
      )}
      <Foot list={list} shown={rows.length} />
    </section>
  );
}

/** One tab per status that occurs; the numbers are of all tasks, not only of those loaded here. */
function StatusTabs({ list }: { readonly list: TaskList }): VNode {
  const { actions } = useApp();
  const { filter, counts } = list;
  const choose = (status: TaskStatus | null) => () => actions.setFilter({ ...filter, status });
  const occurring = STATUSES.filter((status) => (counts[status] ?? 0) > 0 || filter.status === status);
  return (
    <div class="tabs" role="group" aria-label="Show payloads by status">
      <button type="button" class="tab" aria-pressed={filter.status === null} onClick={choose(null)}>
        All <span class="tab-count">{totalCount(counts)}</span>
      </button>
      {occurring.map((status) => (
        <button
          key={status}
          type="button"
          class={`tab tone-text-${STATUS_BADGES[status].tone}`}
          aria-pressed={filter.status === status}
          data-testid={`tab-${status}`}
          onClick={choose(status)}
        >
          <Icon name={STATUS_BADGES[status].icon} />
          {STATUS_BADGES[status].label} <span class="tab-count">{counts[status] ?? 0}</span>
        </button>
      ))}
    </div>
  );
}

const SEARCH_AFTER_MS = 300;

function Search(): VNode {
  const { actions, store } = useApp();
  const [text, setText] = useState(() => store.get().list.filter.q);
  useEffect(() => {
    const apply = (): void => actions.setFilter({ ...store.get().list.filter, q: text.trim() });
    const timer = setTimeout(apply, SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <label class="search">
      <Icon name="search" />
      <span class="visually-hidden">Search payloads</span>
      <input
        type="search"
        placeholder="Hash, name or text"
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}

function Nothing({ list }: { readonly list: TaskList }): VNode {
  const failure = useSelect((state) => state.listFailure);
  if (failure !== null && !list.loaded) {
    return (
      <div class="empty" role="alert" data-testid="tasks-error">
        <p>The payloads cannot be fetched just now: {failure.message}</p>
        <p class="hint">Trying again by itself.</p>
      </div>
    );
  }
  if (!list.loaded) {
    return (
      <div class="skeleton-rows" aria-busy="true">
        <span class="visually-hidden">Loading</span>
        {[0, 1, 2].map((row) => (
          <div key={row} class="skeleton" />
        ))}
      </div>
    );
  }
  const filtered = list.filter.status !== null || list.filter.q !== '';
  return (
    <div class="empty" data-testid="tasks-empty">
      <p>{filtered ? 'No payload matches.' : 'Nothing has been sent yet.'}</p>
      {filtered ? null : (
        <p class="hint">
          Press <b>Generate Payload</b>, then <b>Send Payload</b>. The result appears here by itself.
        </p>
      )}
    </div>
  );
}

function Foot({ list, shown }: { readonly list: TaskList; readonly shown: number }): VNode | null {
  const { actions } = useApp();
  const loading = useSelect((state) => state.loadingOlder);
  const failure = useSelect((state) => state.listFailure);
  if (list.full) {
    return (
      <p class="foot hint">
        The newest {ROWS_MAX} are shown. Narrow the list by status or search to see older ones.
      </p>
    );
  }
  if (list.nextCursor === null) return null;
  return (
    <div class="foot">
      <button
        type="button"
        class="button button-small"
        disabled={loading}
        onClick={() => void actions.loadOlder()}
      >
        {loading ? 'Loading…' : 'Load more'}
      </button>
      <span class="muted">{shown} shown</span>
      {failure === null ? null : <span class="text-bad">{failure.message}</span>}
    </div>
  );
}
