import type { VNode } from 'preact';
import type { TaskStatus } from '../../../../api/tasks.ts';
import { tasksHash } from '../model/router.ts';
import { STATUS_BADGES, STATUSES } from '../model/status.ts';
import { isNarrowed, narrowed, totalCount } from '../model/task-list.ts';
import type { Narrowing, TaskFilter, TaskList } from '../model/task-list.ts';
import { useSelect } from './context.ts';
import { Icon } from './icons.tsx';
import { useTyped } from './use-typed.ts';

/** The address says what is shown: it can be kept, and sent to somebody. */
function go(filter: TaskFilter, view: 'home' | 'tasks'): void {
  window.location.replace(tasksHash({ ...filter, cursor: null }, view));
}

interface FilterProps {
  readonly list: TaskList;
  readonly view: 'home' | 'tasks';
}

/** One tab per status that occurs; the numbers are of all tasks, not only of those loaded here. */
export function StatusTabs({ list, view }: FilterProps): VNode {
  const { filter, counts } = list;
  const choose = (status: TaskStatus | null) => () => go({ ...filter, status }, view);
  const occurring = STATUSES.filter((status) => (counts[status] ?? 0) > 0 || filter.status === status);
  return (
    <div class="tabs" role="group" aria-label="Show payloads by status">
      <button type="button" class="tab" aria-pressed={filter.status === null} onClick={choose(null)}>
        All <span class="tab-count">{totalCount(counts).toLocaleString('en')}</span>
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
          {STATUS_BADGES[status].label}{' '}
          <span class="tab-count">{(counts[status] ?? 0).toLocaleString('en')}</span>
        </button>
      ))}
    </div>
  );
}

const SEARCH_AFTER_MS = 300;

/** Narrows the table down by what the search does not look at. */
export function NarrowFilter({ filter }: { readonly filter: TaskFilter }): VNode {
  const failure = useSelect((state) => state.listFailure);
  const isOn = isNarrowed(filter);
  const apply = (event: SubmitEvent): void => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const given = new FormData(event.currentTarget);
    const text = (name: string): string => {
      const value = given.get(name);
      return typeof value === 'string' ? value.trim() : '';
    };
    const times = { since: fromInput(text('since')), until: fromInput(text('until')) };
    go(narrowed(filter, { label: text('label'), name: text('name'), ...times }), 'tasks');
  };
  return (
    <details class="narrow" open={isOn} data-testid="narrow">
      <summary>
        <Icon name="chevron" /> Label, name and time <span class="muted">{isOn ? told(filter) : ''}</span>
      </summary>
      <form class="narrow-form" key={tasksHash(filter)} onSubmit={apply}>
        <label class="field-inline">
          Label
          <input name="label" placeholder="team=blue" maxLength={200} defaultValue={filter.label ?? ''} />
        </label>
        <label class="field-inline">
          Name
          <input name="name" maxLength={200} defaultValue={filter.name ?? ''} />
        </label>
        <label class="field-inline">
          Sent from
          <input name="since" type="datetime-local" step={1} defaultValue={toInput(filter.since)} />
        </label>
        <label class="field-inline">
          Sent before
          <input name="until" type="datetime-local" step={1} defaultValue={toInput(filter.until)} />
        </label>
        <button type="submit" class="button button-small" data-testid="narrow-apply">
          Show these
        </button>
        {isOn ? (
          <button
            type="button"
            class="button button-small"
            data-testid="narrow-clear"
            onClick={() => go(narrowed(filter, {}), 'tasks')}
          >
            Show all
          </button>
        ) : null}
      </form>
      {failure?.code === 'INVALID' ? (
        <p class="logs-note tone-warn" role="alert">
          {failure.message}
        </p>
      ) : null}
    </details>
  );
}

function told({ label, name, since, until }: Narrowing): string {
  return [
    label === undefined ? '' : `label ${label}`,
    name === undefined ? '' : `name ${name}`,
    since === undefined ? '' : `sent from ${toInput(since).replace('T', ' ')}`,
    until === undefined ? '' : `sent before ${toInput(until).replace('T', ' ')}`,
  ]
    .filter((part) => part !== '')
    .join(', ');
}

/** As an input of the browser has it: in the time zone of who looks. */
function toInput(iso: string | undefined): string {
  const at = new Date(iso ?? NaN);
  if (Number.isNaN(at.getTime())) return '';
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

function fromInput(local: string): string {
  const at = new Date(local);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString();
}

export function TaskSearch({ list, view }: FilterProps): VNode {
  const { filter } = list;
  const [text, setText] = useTyped(filter.q, SEARCH_AFTER_MS, (q) => go({ ...filter, q }, view));
  return (
    <label class="search">
      <Icon name="search" />
      <span class="visually-hidden">Search payloads</span>
      <input
        type="search"
        placeholder="Hash, name or text"
        maxLength={200}
        autocomplete="off"
        spellcheck={false}
        data-testid="task-search"
        data-shortcut="search"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}
