import type { VNode } from 'preact';
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { duration, parseTime, plural } from '../model/format.ts';
import { taskHash, tasksHash } from '../model/router.ts';
import { isFinal, STATUS_BADGES } from '../model/status.ts';
import { isSearch, TABLE_ROWS, totalCount, visibleRows } from '../model/task-list.ts';
import type { TaskFilter, TaskList } from '../model/task-list.ts';
import type { TaskRow } from '../model/task-row.ts';
import { BULK_MAX, suits } from '../state/bulk.ts';
import type { BulkKind, BulkProgress } from '../model/bulk-progress.ts';
import type { BulkTarget } from '../state/bulk.ts';
import { useApp, useSelect } from './context.ts';
import { Ago, BadgeView, CopyId } from './small.tsx';
import { NarrowFilter, StatusTabs, TaskSearch } from './task-filter.tsx';
import { Nothing } from './task-list.tsx';
import { ViewTitle } from './view-title.tsx';

/** All payloads as a table: a page at a time, so that their number does not matter; what is chosen can be acted on at once. */
export function TaskTable({ filter }: { readonly filter: TaskFilter }): VNode {
  const { actions } = useApp();
  const list = useSelect((state) => state.list);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    actions.setFilter(filter, TABLE_ROWS);
    setChosen(new Set());
  }, [tasksHash(filter)]);
  const toggle = useCallback(
    (id: string) =>
      setChosen((before) => {
        const after = new Set(before);
        if (!after.delete(id)) after.add(id);
        return after;
      }),
    [],
  );
  const rows = visibleRows(list);
  return (
    <div class="view" data-testid="tasks-view">
      <ViewTitle title="Tasks" hint={`${TABLE_ROWS} a page, newest first. The address keeps the filter.`} />
      <section class="panel" aria-label="Payloads">
        <div class="section-head tasks-head">
          <StatusTabs list={list} view="tasks" />
          <TaskSearch list={list} view="tasks" />
        </div>
        <NarrowFilter filter={filter} />
        <BulkBar list={list} rows={rows} chosen={chosen} clear={() => setChosen(new Set())} />
        {rows.length === 0 ? (
          <Nothing list={list} />
        ) : (
          <Table rows={rows} chosen={chosen} setChosen={setChosen} toggle={toggle} />
        )}
        <Pages list={list} filter={filter} shown={rows.length} />
      </section>
    </div>
  );
}

interface ChosenProps {
  readonly rows: readonly TaskRow[];
  readonly chosen: ReadonlySet<string>;
  readonly setChosen: (chosen: ReadonlySet<string>) => void;
  readonly toggle: (id: string) => void;
}

function Table({ rows, chosen, setChosen, toggle }: ChosenProps): VNode {
  const all = rows.every(({ id }) => chosen.has(id));
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Table of payloads">
      <table class="plain-table grid-table" data-testid="grid">
        <thead>
          <tr>
            <th scope="col" class="cell-check">
              <input
                type="checkbox"
                aria-label="Choose all on this page"
                data-testid="choose-all"
                checked={all}
                onChange={() => setChosen(new Set(all ? [] : rows.map(({ id }) => id)))}
              />
            </th>
            <th scope="col">Status</th>
            <th scope="col">Hash</th>
            <th scope="col">Name</th>
            <th scope="col">Node</th>
            <th scope="col" class="number">
              Attempts
            </th>
            <th scope="col">Sent</th>
            <th scope="col" class="number">
              Took
            </th>
            <th scope="col">Ended with</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.id} row={row} chosen={chosen.has(row.id)} toggle={toggle} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  readonly row: TaskRow;
  readonly chosen: boolean;
  readonly toggle: (id: string) => void;
}

/** Drawn anew only when the row itself or its choice changes, not with every event of the others. */
function Row({ row, chosen, toggle }: RowProps): VNode {
  return useMemo(() => <Cells row={row} chosen={chosen} toggle={toggle} />, [row, chosen, toggle]);
}

function Cells({ row, chosen, toggle }: RowProps): VNode {
  const started = parseTime(row.startedAt);
  const finished = parseTime(row.finishedAt);
  return (
    <tr
      data-testid="grid-row"
      data-task-id={row.id}
      data-status={row.status}
      class={chosen ? 'row-chosen' : ''}
    >
      <td class="cell-check">
        <input
          type="checkbox"
          aria-label={`Choose ${row.id}`}
          checked={chosen}
          onChange={() => toggle(row.id)}
        />
      </td>
      <td>
        <BadgeView badge={STATUS_BADGES[row.status]} />
      </td>
      <th scope="row">
        <CopyId id={row.id} href={taskHash(row.id)} />
      </th>
      <td class="cell-name">{row.name ?? <span class="muted">–</span>}</td>
      <td>{row.node ?? <span class="muted">–</span>}</td>
      <td class="number">{row.attempts}</td>
      <td>
        <Ago iso={row.submittedAt} />
      </td>
      <td class="number">{started === null || finished === null ? '–' : duration(finished - started)}</td>
      <td class="cell-end">
        {row.result === null
          ? isFinal(row.status)
            ? '–'
            : ''
          : (row.result.signal ?? row.result.exitCode ?? '–')}
      </td>
    </tr>
  );
}

interface BulkBarProps {
  readonly list: TaskList;
  readonly rows: readonly TaskRow[];
  readonly chosen: ReadonlySet<string>;
  readonly clear: () => void;
}

/** Always there, so that choosing a row moves nothing. */
function BulkBar({ list, rows, chosen, clear }: BulkBarProps): VNode {
  const { bulk: runner } = useApp();
  const bulk = useSelect((state) => state.bulk);
  const [asked, setAsked] = useState<{ readonly what: BulkKind; readonly target: BulkTarget } | null>(null);
  if (bulk !== null) return <BulkTold bulk={bulk} />;
  const idsFor = (what: BulkKind): readonly string[] =>
    rows.filter(({ id, status }) => chosen.has(id) && suits(what, status)).map(({ id }) => id);
  if (asked !== null) {
    const count = asked.target.kind === 'ids' ? asked.target.ids.length : matching(list);
    const go = (): void => {
      setAsked(null);
      clear();
      void runner.run(asked.what, asked.target);
    };
    return (
      <div class="bulk-bar" role="alertdialog" aria-label="Are you sure?" data-testid="bulk-ask">
        <span>
          {asked.what === 'cancel'
            ? `End ${plural(count, 'payload', 'payloads')} for good?`
            : `Send ${plural(count, 'payload', 'payloads')} once more, as new ones?`}
        </span>
        <button type="button" class="button button-small button-stop" data-testid="bulk-yes" onClick={go}>
          Yes, {asked.what} {count.toLocaleString('en')}
        </button>
        <button type="button" class="button button-small" onClick={() => setAsked(null)}>
          No
        </button>
      </div>
    );
  }
  const button = (what: BulkKind, label: string): VNode => {
    const ids = idsFor(what);
    return (
      <button
        type="button"
        class="button button-small"
        disabled={ids.length === 0}
        data-testid={`bulk-${what}`}
        onClick={() => setAsked({ what, target: { kind: 'ids', ids } })}
      >
        {label}
        {ids.length === 0 ? '' : ` ${ids.length}`}
      </button>
    );
  };
  return (
    <div class="bulk-bar">
      <span class="muted">
        {chosen.size === 0 ? 'Choose payloads to cancel or retry them.' : `${chosen.size} chosen`}
      </span>
      {button('cancel', 'Cancel')}
      {button('retry', 'Retry')}
      <AllOf
        list={list}
        ask={(what) => setAsked({ what, target: { kind: 'filter', filter: list.filter } })}
      />
    </div>
  );
}

/** Number of those that the tab counts; a search may leave fewer. */
function matching(list: TaskList): number {
  const { status } = list.filter;
  const all = status === null ? totalCount(list.counts) : (list.counts[status] ?? 0);
  return Math.min(all, BULK_MAX);
}

/** Under a status tab, without a search, everything it counts can be acted on, on whatever page it is. */
function AllOf({
  list,
  ask,
}: {
  readonly list: TaskList;
  readonly ask: (what: BulkKind) => void;
}): VNode | null {
  const { status, cursor } = list.filter;
  if (status === null || isSearch(list.filter) || cursor !== null || matching(list) <= TABLE_ROWS)
    return null;
  const what: BulkKind = isFinal(status) ? 'retry' : 'cancel';
  return (
    <button type="button" class="link-button" data-testid="bulk-all" onClick={() => ask(what)}>
      {what === 'cancel' ? 'Cancel' : 'Retry'} all {matching(list).toLocaleString('en')}
    </button>
  );
}

function BulkTold({ bulk }: { readonly bulk: BulkProgress }): VNode {
  const { bulk: runner } = useApp();
  const { what, total, done, failed, failures, state } = bulk;
  const word = what === 'cancel' ? 'canceled' : 'sent again';
  const sum = done + failed;
  return (
    <div
      class="bulk-told"
      data-testid="bulk-progress"
      data-state={state}
      data-done={done}
      data-failed={failed}
    >
      <div class="bulk-bar">
        <progress
          class="bulk-progress"
          aria-label={`Payloads ${word}`}
          max={total ?? 1}
          value={total === null ? 0 : sum}
        />
        <span role="status">
          {total === null ? 'Looking them up…' : `${done} of ${total} ${word}`}
          {failed === 0 ? '' : `, ${failed} could not be`}
          {state === 'stopped' ? ', the others were left' : ''}
        </span>
        {state === 'running' ? (
          <button type="button" class="button button-small" onClick={() => runner.stop()}>
            Stop
          </button>
        ) : (
          <button
            type="button"
            class="button button-small"
            data-testid="bulk-dismiss"
            onClick={() => runner.dismiss()}
          >
            Done
          </button>
        )}
      </div>
      {failures.length === 0 ? null : (
        <ul class="bulk-failures" data-testid="bulk-failures">
          {failures.map(({ id, message }) => (
            <li key={id}>{message}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Pages({
  list,
  filter,
  shown,
}: {
  readonly list: TaskList;
  readonly filter: TaskFilter;
  readonly shown: number;
}): VNode {
  return (
    <nav class="foot" aria-label="Pages">
      {filter.cursor === null ? (
        <span class="muted">Newest</span>
      ) : (
        <>
          <a class="button button-small" href={tasksHash({ ...filter, cursor: null })}>
            Newest
          </a>
          <button type="button" class="button button-small" onClick={() => window.history.back()}>
            Back
          </button>
        </>
      )}
      {list.nextCursor === null ? (
        <span class="muted">No older ones</span>
      ) : (
        <a
          class="button button-small"
          data-testid="page-older"
          href={tasksHash({ ...filter, cursor: list.nextCursor })}
        >
          Older
        </a>
      )}
      <span class="muted">{plural(shown, 'payload', 'payloads')} on this page</span>
    </nav>
  );
}
