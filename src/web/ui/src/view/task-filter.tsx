import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TaskStatus } from '../../../../api/tasks.ts';
import { tasksHash } from '../model/router.ts';
import { STATUS_BADGES, STATUSES } from '../model/status.ts';
import { totalCount } from '../model/task-list.ts';
import type { TaskFilter, TaskList } from '../model/task-list.ts';
import { Icon } from './icons.tsx';

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

export function TaskSearch({ list, view }: FilterProps): VNode {
  const { filter } = list;
  const [text, setText] = useState(filter.q);
  // The status may be chosen while the timer runs.
  const latest = useRef(filter);
  latest.current = filter;
  useEffect(() => setText(filter.q), [filter.q]);
  useEffect(() => {
    if (text.trim() === latest.current.q) return;
    const timer = setTimeout(() => go({ ...latest.current, q: text.trim() }, view), SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);
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
