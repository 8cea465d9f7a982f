import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { absoluteTime, clockTime, parseTime } from '../model/format.ts';
import { linked } from '../model/log-tail.ts';
import type { LogLine, LogTail } from '../model/log-tail.ts';
import { logsHash, taskHash } from '../model/router.ts';
import type { LogFilter } from '../model/router.ts';
import { useApp, useSelect } from './context.ts';
import { Icon } from './icons.tsx';
import { useTyped } from './use-typed.ts';
import { ViewTitle } from './view-title.tsx';

const TYPING_MS = 250;
/** So near to the end counts as being there. */
const END_PX = 40;

/** The lines of all nodes, as the database has them, live. */
export function Logs({ filter }: { readonly filter: LogFilter }): VNode {
  const { logWatch } = useApp();
  const tail = useSelect((state) => state.logs);
  const [follow, setFollow] = useState(true);
  useEffect(() => logWatch.start(filter), [logWatch, filter.node, filter.q]);
  return (
    <div class="view view-logs" data-testid="logs-view">
      <ViewTitle title="Log lines" hint="What all nodes wrote, as the database node keeps it." />
      <section class="panel logs" aria-label="Log lines">
        <LogBar filter={filter} follow={follow} setFollow={setFollow} />
        <LogProblem tail={tail} />
        <Lines tail={tail} follow={follow} setFollow={setFollow} />
      </section>
    </div>
  );
}

/** The address says what is shown: it can be kept, and sent to somebody. */
function go(filter: LogFilter): void {
  window.location.replace(logsHash(filter));
}

function LogBar({
  filter,
  follow,
  setFollow,
}: {
  readonly filter: LogFilter;
  readonly follow: boolean;
  readonly setFollow: (follow: boolean) => void;
}): VNode {
  const board = useSelect((state) => state.board);
  const ids = new Set([...board.entries.map(({ view }) => view.id), 'client', 'database']);
  if (filter.node !== '') ids.add(filter.node);
  return (
    <div class="logs-bar">
      <label class="field-inline">
        <span>Node</span>
        <select
          data-testid="logs-node"
          value={filter.node}
          onChange={(event) => go({ ...filter, node: event.currentTarget.value })}
        >
          <option value="">all</option>
          {[...ids].map((id) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </label>
      <LogSearch filter={filter} />
      <label class="field-inline logs-follow">
        <input
          type="checkbox"
          checked={follow}
          onChange={(event) => setFollow(event.currentTarget.checked)}
        />
        <span>Follow</span>
      </label>
    </div>
  );
}

function LogSearch({ filter }: { readonly filter: LogFilter }): VNode {
  const [typed, setTyped] = useTyped(filter.q, TYPING_MS, (q) => go({ ...filter, q }));
  return (
    <div class="search logs-search">
      <Icon name="search" />
      <input
        type="search"
        aria-label="Show lines with this hash or text"
        placeholder="Hash or text"
        maxLength={200}
        autocomplete="off"
        spellcheck={false}
        data-testid="logs-q"
        data-shortcut="search"
        value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)}
      />
    </div>
  );
}

function LogProblem({ tail }: { readonly tail: LogTail }): VNode | null {
  if (tail.problem !== null) {
    return (
      <p class="logs-note tone-warn" role="status" data-testid="logs-problem">
        <Icon name="warning" />
        <span>The lines cannot be read just now: {tail.problem}. Trying again.</span>
      </p>
    );
  }
  if (!tail.skipped) return null;
  return (
    <p class="logs-note tone-warn" role="status">
      <Icon name="warning" />
      <span>More lines came than fit through: some were left out. A filter shows all that pass it.</span>
    </p>
  );
}

function Lines({
  tail,
  follow,
  setFollow,
}: {
  readonly tail: LogTail;
  readonly follow: boolean;
  readonly setFollow: (follow: boolean) => void;
}): VNode {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (follow && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [tail.lines, follow]);
  return (
    <div
      ref={box}
      class="logs-lines"
      role="log"
      // Hundreds of lines a second are not to be read aloud.
      aria-live="off"
      aria-label="Lines"
      tabIndex={0}
      onScroll={(event) => {
        const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
        setFollow(scrollHeight - scrollTop - clientHeight < END_PX);
      }}
    >
      {tail.lines.map((line) => (
        <Line key={line.seq} line={line} />
      ))}
      {tail.lines.length === 0 ? (
        <p class="muted logs-none">{tail.after === null ? 'Reading…' : 'No lines pass this filter yet.'}</p>
      ) : null}
    </div>
  );
}

function Line({ line }: { readonly line: LogLine }): VNode {
  const at = parseTime(line.at);
  const { before, id, after } = linked(line.text);
  return (
    <p
      class="log-line"
      data-testid="log-line"
      data-node={line.node}
      title={`Log ${line.seq}, container ${line.container}${at === null ? '' : `, ${absoluteTime(at)}`}`}
    >
      <span class="muted log-time">{at === null ? line.at : clockTime(at, { millis: true })}</span>
      <span class="log-node">{line.node}</span>
      <span class="log-text">
        {before}
        {id === null ? null : <a href={taskHash(id)}>{id}</a>}
        {after}
      </span>
    </p>
  );
}
