import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { tasksHash } from '../model/router.ts';
import { isSearch, ROWS_MAX, visibleRows } from '../model/task-list.ts';
import type { TaskFilter, TaskList } from '../model/task-list.ts';
import { useApp, useSelect } from './context.ts';
import { StatusTabs, TaskSearch } from './task-filter.tsx';
import { TaskRowView } from './task-row.tsx';

/** Everything that was sent, newest first. */
export function Tasks({ filter }: { readonly filter: TaskFilter }): VNode {
  const { actions } = useApp();
  const list = useSelect((state) => state.list);
  const rows = visibleRows(list);
  useEffect(() => actions.setFilter(filter), [tasksHash(filter)]);
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
        <StatusTabs list={list} view="home" />
        <TaskSearch list={list} view="home" />
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

export function Nothing({ list }: { readonly list: TaskList }): VNode {
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
  const filtered = list.filter.status !== null || isSearch(list.filter);
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
        The newest {ROWS_MAX} are shown. <a href={tasksHash(list.filter)}>The table</a> has all of them, page
        by page.
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
