import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { StateView } from '../../../../api/views.ts';
import { absoluteTime, parseTime, plural } from '../model/format.ts';
import { taskHash } from '../model/router.ts';
import { NODE_BADGES, STATUS_BADGES, STATUSES } from '../model/status.ts';
import { ApiFailure } from '../net/client.ts';
import { useApp } from './context.ts';
import { Heads } from './heads.tsx';
import { Icon } from './icons.tsx';
import { BadgeView, CopyId, ToneDot } from './small.tsx';

/** Tasks shown of that time. */
const TASKS_SHOWN = 20;

interface TimeTravelProps {
  /** Which server is asked; null while there is no master. */
  readonly server: string | null;
  readonly lastIndex: number;
}

/** A slider over the kept log: tasks and nodes as they were when the entry under it had just been applied. */
export function TimeTravel({ server, lastIndex }: TimeTravelProps): VNode {
  const { api } = useApp();
  /** null: at the end, following. */
  const [at, setAt] = useState<number | null>(null);
  const [state, setState] = useState<StateView | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const asking = useRef(false);
  const wanted = useRef(0);
  // While one question is open, only the latest place of the slider is remembered for the next.
  useEffect(() => {
    if (server === null) return;
    wanted.current += 1;
    if (asking.current) return;
    asking.current = true;
    const ask = async (): Promise<void> => {
      for (let asked = -1; asked !== wanted.current;) {
        asked = wanted.current;
        try {
          setState(await api.stateAt(server, latest.current, TASKS_SHOWN));
          setProblem(null);
        } catch (thrown) {
          if (!(thrown instanceof ApiFailure)) throw thrown;
          setProblem(thrown.message);
        }
      }
      asking.current = false;
    };
    void ask();
  }, [server, at, at === null ? lastIndex : 0]);
  const latest = useRef(at);
  latest.current = at;
  const first = state?.firstIndex ?? 0;
  const last = Math.max(lastIndex, state?.lastIndex ?? 0);
  const shown = at ?? last;
  const step = (by: number): void => setAt(Math.min(last, Math.max(first, shown + by)));
  return (
    <section class="panel" aria-labelledby="travel-title" data-testid="time-travel">
      <div class="section-head">
        <h2 id="travel-title">As it was</h2>
        <span class="muted">after any kept entry of the log</span>
      </div>
      <div class="travel-bar">
        <button
          type="button"
          class="button button-small"
          aria-label="One entry back"
          onClick={() => step(-1)}
        >
          ‹
        </button>
        <input
          type="range"
          class="travel-range"
          aria-label="Entry of the log"
          aria-valuetext={`entry ${shown}`}
          data-testid="travel-range"
          min={first}
          max={last}
          value={shown}
          onInput={(event) => setAt(Number(event.currentTarget.value))}
        />
        <button type="button" class="button button-small" aria-label="One entry on" onClick={() => step(1)}>
          ›
        </button>
        <button
          type="button"
          class="button button-small"
          disabled={at === null}
          data-testid="travel-now"
          onClick={() => setAt(null)}
        >
          Now
        </button>
      </div>
      {problem === null ? null : <p class="travel-facts text-bad">{problem}</p>}
      {state === null ? <div class="skeleton skeleton-page" aria-busy="true" /> : <Shown state={state} />}
    </section>
  );
}

function Shown({ state }: { readonly state: StateView }): VNode {
  const time = parseTime(state.time);
  const open = STATUSES.filter((status) => state.counts[status] > 0);
  return (
    <div data-testid="travel-state" data-at={state.at}>
      <p class="travel-facts">
        Entry <strong>{state.at}</strong>
        {state.term === null ? '' : `, term ${state.term}`}
        {time === null ? '' : `, ${absoluteTime(time)}`}
        {state.leader === null ? null : (
          <>
            , <Icon name="crown" /> {state.leader}
          </>
        )}
      </p>
      <ul class="travel-counts">
        {open.map((status) => (
          <li key={status} data-testid="travel-count" data-status={status} data-count={state.counts[status]}>
            <span class={`badge tone-${STATUS_BADGES[status].tone}`}>
              <Icon name={STATUS_BADGES[status].icon} />
              {state.counts[status].toLocaleString('en')} {STATUS_BADGES[status].label.toLowerCase()}
            </span>
          </li>
        ))}
        {open.length === 0 ? <li class="muted">No payloads yet.</li> : null}
      </ul>
      <div class="travel-grid">
        <div>
          <h3 class="travel-head">{plural(state.nodes.length, 'node')}</h3>
          <ul class="travel-nodes">
            {state.nodes.map((node) => (
              <li key={node.id} data-testid="travel-node" data-node={node.id} data-status={node.status}>
                <ToneDot tone={NODE_BADGES[node.status].tone} />
                <strong>{node.id}</strong>
                <span class="muted">{NODE_BADGES[node.status].label.toLowerCase()}</span>
                <span class="muted travel-slots">
                  {node.running}/{node.slots}
                </span>
              </li>
            ))}
          </ul>
        </div>
        <div class="scroll-x" tabIndex={0} role="region" aria-label="Payloads then">
          <table class="plain-table">
            <caption class="visually-hidden">The newest payloads there were</caption>
            <Heads of={['Hash', 'Status', 'Node', { number: 'Attempt' }]} />
            <tbody>
              {state.tasks.map((task) => (
                <tr key={task.id} data-testid="travel-task" data-task-id={task.id} data-status={task.status}>
                  <th scope="row">
                    <CopyId id={task.id} href={taskHash(task.id)} />
                  </th>
                  <td>
                    <BadgeView badge={STATUS_BADGES[task.status]} />
                  </td>
                  <td>{task.node ?? '–'}</td>
                  <td class="number">{task.attempt === 0 ? '–' : task.attempt}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </div>
    </div>
  );
}
