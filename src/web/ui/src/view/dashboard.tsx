import type { VNode } from 'preact';
import { currentRate, nodeCurves, RATE_MS, rates, rateText } from '../model/history.ts';
import type { Curve, History } from '../model/history.ts';
import { phaseOf } from '../model/node-board.ts';
import { percent } from '../model/format.ts';
import { clusterHash, tasksHash } from '../model/router.ts';
import { isFinal, NODE_BADGES, STATUS_BADGES, STATUSES } from '../model/status.ts';
import { NO_FILTER, totalCount } from '../model/task-list.ts';
import { Chart } from './chart.tsx';
import { useSelect } from './context.ts';
import { Heads } from './heads.tsx';
import { Icon } from './icons.tsx';
import { ToneDot } from './small.tsx';
import { ViewTitle } from './view-title.tsx';

/** How it goes, at a glance. */
export function Dashboard(): VNode {
  const history = useSelect((state) => state.history);
  return (
    <div class="view" data-testid="dashboard-view">
      <ViewTitle title="Dashboard" hint="The last five minutes, from when this page was opened." />
      <Counts />
      <div class="dashboard-grid">
        <Facts history={history} />
        <ChartPanel
          title="Throughput"
          hint={`payloads a second, over ${RATE_MS / 1_000} s`}
          history={history}
          curves={[
            { label: 'finished', values: rates(history, 'finished') },
            { label: 'sent', values: rates(history, 'submitted') },
          ]}
          unit=""
        />
        <ChartPanel
          title="CPU"
          hint="by node"
          history={history}
          curves={nodeCurves(history, 'cpu')}
          unit="%"
        />
        <ChartPanel
          title="RAM"
          hint="by node"
          history={history}
          curves={nodeCurves(history, 'memory')}
          unit="%"
        />
      </div>
      <NodeTable />
    </div>
  );
}

/** One tile per status; each leads to its payloads. */
function Counts(): VNode {
  const counts = useSelect((state) => state.list.counts);
  return (
    <section aria-labelledby="counts-title">
      <h2 id="counts-title" class="visually-hidden">
        Payloads by status
      </h2>
      <ul class="tiles">
        {STATUSES.map((status) => {
          const badge = STATUS_BADGES[status];
          const count = counts[status] ?? 0;
          return (
            <li key={status}>
              <a
                class={`tile tone-${badge.tone} ${count === 0 ? 'tile-none' : ''}`}
                href={tasksHash({ ...NO_FILTER, status })}
                data-testid="count"
                data-status={status}
                data-count={count}
              >
                <span class="tile-number">{count.toLocaleString('en')}</span>
                <span class="tile-label">
                  <Icon name={badge.icon} />
                  {badge.label}
                </span>
              </a>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Facts({ history }: { readonly history: History }): VNode {
  const leader = useSelect((state) => state.leader);
  const term = useSelect((state) => state.term);
  const counts = useSelect((state) => state.list.counts);
  const board = useSelect((state) => state.board);
  const up = board.entries.filter((entry) => phaseOf(entry) === 'up');
  const slots = up.reduce((sum, { view }) => sum + view.slots, 0);
  const running = up.reduce((sum, { view }) => sum + view.running, 0);
  const open = STATUSES.filter((status) => !isFinal(status));
  return (
    <section class="panel" aria-labelledby="facts-title">
      <div class="section-head">
        <h2 id="facts-title">Now</h2>
      </div>
      <dl class="now">
        <div>
          <dt>Master</dt>
          <dd data-testid="dashboard-master">
            {leader === null ? (
              <span class="text-bad">none</span>
            ) : (
              <a href={clusterHash}>
                {leader}
                {term === null ? null : `, term ${term}`}
              </a>
            )}
          </dd>
        </div>
        <div>
          <dt>Finished a second</dt>
          <dd>{rateText(currentRate(history, 'finished'))}</dd>
        </div>
        <div>
          <dt>Nodes up</dt>
          <dd>
            {up.length} of {board.entries.length}
          </dd>
        </div>
        <div>
          <dt>Slots in use</dt>
          <dd>
            {running} of {slots}
          </dd>
        </div>
        <div>
          <dt>Not finished yet</dt>
          <dd>{open.reduce((sum, status) => sum + (counts[status] ?? 0), 0).toLocaleString('en')}</dd>
        </div>
        <div>
          <dt>Payloads kept</dt>
          <dd>{totalCount(counts).toLocaleString('en')}</dd>
        </div>
      </dl>
    </section>
  );
}

interface ChartPanelProps {
  readonly title: string;
  readonly hint: string;
  readonly history: History;
  readonly curves: readonly Curve[];
  readonly unit: string;
}

function ChartPanel({ title, hint, history, curves, unit }: ChartPanelProps): VNode {
  return (
    <section class="panel" aria-label={title}>
      <div class="section-head">
        <h2>{title}</h2>
        <span class="muted">{hint}</span>
      </div>
      <Chart title={title} timesMs={history.map(({ atMs }) => atMs)} curves={curves} unit={unit} />
    </section>
  );
}

/** The same numbers to read. */
function NodeTable(): VNode {
  const board = useSelect((state) => state.board);
  return (
    <section class="panel" aria-labelledby="load-title">
      <div class="section-head">
        <h2 id="load-title">Nodes</h2>
      </div>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Table of nodes">
        <table class="plain-table">
          <Heads of={['Node', 'Status', ...['CPU', 'RAM', 'Tasks'].map((number) => ({ number }))]} />
          <tbody>
            {board.entries.slice(0, NODE_ROWS_MAX).map(({ view, reported }) => {
              const badge = NODE_BADGES[view.status];
              return (
                <tr key={view.id} data-testid="load-row">
                  <th scope="row">{view.id}</th>
                  <td>
                    <span class={`raft-role tone-text-${reported ? badge.tone : 'neutral'}`}>
                      <ToneDot tone={reported ? badge.tone : 'neutral'} />
                      {reported ? badge.label : 'Not reported'}
                    </span>
                  </td>
                  <td class="number">{percent(view.cpu)}</td>
                  <td class="number">{percent(view.memory)}</td>
                  <td class="number">
                    {view.running}/{view.slots}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </section>
  );
}

const NODE_ROWS_MAX = 50;
