import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { NodeView } from '../../../../api/views.ts';
import { absoluteTime, parseTime, percent } from '../model/format.ts';
import { phaseOf } from '../model/node-board.ts';
import type { NodeEntry, NodePhase } from '../model/node-board.ts';
import { NODE_BADGES } from '../model/status.ts';
import type { Tone } from '../model/status.ts';
import { unreachable } from '../model/unreachable.ts';
import { useApp, useSelect } from './context.ts';
import { Icon } from './icons.tsx';
import { ToneDot, filledTo } from './small.tsx';
import { ViewTitle } from './view-title.tsx';

/** Cards drawn before "show all": a thousand workers would bury the page. */
const CARDS_SHOWN_MAX = 24;

/** The nodes by themselves. */
export function NodesView(): VNode {
  return (
    <div class="view" data-testid="nodes-view">
      <ViewTitle title="Nodes" hint="Load as the master last heard of it, every two seconds." />
      <Nodes />
    </div>
  );
}

/** Every node with its load, and the switch that simulates a crash. */
export function Nodes(): VNode {
  const board = useSelect((state) => state.board);
  const failure = useSelect((state) => state.boardFailure);
  const stopRefused = useSelect((state) => state.stopRefused);
  const [all, setAll] = useState(false);
  const shown = all ? board.entries : board.entries.slice(0, CARDS_SHOWN_MAX);
  const up = board.entries.filter((entry) => phaseOf(entry) === 'up').length;
  return (
    <section class="nodes" aria-labelledby="nodes-title" data-testid="nodes">
      <div class="section-head">
        <h2 id="nodes-title">Nodes</h2>
        {board.loaded ? (
          <span class="muted">
            {up} of {board.entries.length} up
          </span>
        ) : null}
      </div>
      {!board.loaded && failure === null ? <div class="skeleton skeleton-nodes" aria-hidden="true" /> : null}
      {!board.loaded && failure !== null ? (
        <p class="empty" role="alert">
          The nodes cannot be asked just now: {failure.message} Trying again.
        </p>
      ) : null}
      <ul class="node-list">
        {shown.map((entry) => (
          <NodeCard key={entry.view.id} entry={entry} canStop={stopRefused === null} />
        ))}
      </ul>
      {board.entries.length > shown.length ? (
        <button type="button" class="button button-small" onClick={() => setAll(true)}>
          Show all {board.entries.length}
        </button>
      ) : null}
      <p class="hint" data-testid="fault-note">
        {stopRefused === null
          ? 'A stopped node falls silent as in a crash: its running tasks are killed and go to others.'
          : `Nodes cannot be stopped from here: ${stopRefused}.`}
      </p>
    </section>
  );
}

function NodeCard({ entry, canStop }: { readonly entry: NodeEntry; readonly canStop: boolean }): VNode {
  const { view } = entry;
  const phase = phaseOf(entry);
  const problem = useSelect((state) => state.nodeProblems[view.id]);
  const status = statusOf(entry, phase);
  const seen = parseTime(view.lastSeenAt);
  const live = phase === 'up' || phase === 'stopping';
  return (
    <li
      class={`node ${live ? '' : 'node-away'} ${view.leader && live ? 'node-master' : ''}`}
      data-testid="node"
      data-node={view.id}
      data-status={view.status}
      data-phase={phase}
      data-master={view.leader && live}
      title={seen === null ? view.address : `${view.address}, last seen ${absoluteTime(seen)}`}
    >
      <div class="node-head">
        <h3>{view.id}</h3>
        {view.leader && live ? (
          <span class="crown">
            <Icon name="crown" />
            master
          </span>
        ) : (
          <span class="muted node-role">{view.role}</span>
        )}
        <span class={`node-status tone-text-${status.tone}`}>
          <ToneDot tone={status.tone} />
          {status.label}
        </span>
      </div>
      <div class="node-body">
        <Meter label="CPU" node={view.id} value={live ? view.cpu : null} />
        <Meter label="RAM" node={view.id} value={live ? view.memory : null} />
        <Slots running={live ? view.running : 0} slots={view.slots} />
      </div>
      <div class="node-actions">
        {phase === 'up' ? <Drain view={view} /> : null}
        {canStop ? <Switch id={view.id} phase={phase} /> : null}
      </div>
      {problem === undefined ? null : (
        <p class="node-problem" role="alert">
          {problem}
        </p>
      )}
    </li>
  );
}

function statusOf(entry: NodeEntry, phase: NodePhase): { readonly label: string; readonly tone: Tone } {
  switch (phase) {
    case 'stopping':
      return { label: 'Stopping…', tone: 'warn' };
    case 'stopped':
      return { label: 'Stopped', tone: 'bad' };
    case 'starting':
      return { label: 'Starting…', tone: 'waiting' };
    case 'up':
      return statusOfUp(entry.view);
    case 'away':
      return entry.reported ? NODE_BADGES[entry.view.status] : { label: 'Not reported', tone: 'neutral' };
    default:
      return unreachable(phase);
  }
}

/** A master that leaves tasks to the others is as ready as can be; any other node that takes none says so. */
function statusOfUp(view: NodeView): { readonly label: string; readonly tone: Tone } {
  if (view.status === 'draining' || view.eligible || view.leader) return NODE_BADGES[view.status];
  return { label: 'Takes no tasks', tone: 'neutral' };
}

function Meter({
  label,
  node,
  value,
}: {
  readonly label: string;
  readonly node: string;
  readonly value: number | null;
}): VNode {
  const filled = Math.min(100, Math.max(0, value ?? 0));
  const level = filled > 90 ? 'high' : filled > 70 ? 'raised' : 'normal';
  return (
    <div class="meter-cell">
      <span class="meter-text">
        <span class="muted">{label}</span> {percent(value)}
      </span>
      <span
        class="meter"
        role="meter"
        aria-label={`${label} of ${node}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(filled)}
        aria-valuetext={value === null ? 'unknown' : percent(value)}
      >
        <span class={`meter-fill meter-${level}`} style={filledTo(filled)} />
      </span>
    </div>
  );
}

/** Up to this many slots are drawn one by one. */
const SLOT_MARKS_MAX = 8;

function Slots({ running, slots }: { readonly running: number; readonly slots: number }): VNode {
  return (
    <div class="meter-cell" data-testid="node-slots" data-running={running} data-slots={slots}>
      <span class="meter-text">
        <span class="muted">Tasks</span> {running}/{slots}
      </span>
      {slots <= SLOT_MARKS_MAX ? (
        <span class="slots" aria-hidden="true">
          {Array.from({ length: slots }, (_, slot) => (
            <span key={slot} class={`slot ${slot < running ? 'slot-busy' : ''}`} />
          ))}
        </span>
      ) : (
        <span class="meter" aria-hidden="true">
          <span class="meter-fill meter-normal" style={filledTo((100 * running) / slots)} />
        </span>
      )}
    </div>
  );
}

/** A draining node gets no further tasks; what runs there may finish. */
function Drain({ view }: { readonly view: NodeView }): VNode {
  const { actions } = useApp();
  const [busy, setBusy] = useState(false);
  const draining = view.status === 'draining';
  const flip = async (): Promise<void> => {
    setBusy(true);
    await actions.setDraining(view.id, !draining);
    setBusy(false);
  };
  return (
    <button
      type="button"
      class="button button-small node-drain"
      disabled={busy}
      title={draining ? 'Gives it tasks again' : 'No further tasks; what runs there may finish'}
      data-testid={draining ? 'node-undrain' : 'node-drain'}
      onClick={() => void flip()}
    >
      {draining ? 'End drain' : 'Drain'}
      <span class="visually-hidden"> {view.id}</span>
    </button>
  );
}

function Switch({ id, phase }: { readonly id: string; readonly phase: NodePhase }): VNode {
  const { actions } = useApp();
  const [busy, setBusy] = useState(false);
  const isUp = phase === 'up' || phase === 'starting';
  const flip = async (): Promise<void> => {
    setBusy(true);
    await actions.setStopped(id, isUp);
    setBusy(false);
  };
  return (
    <button
      type="button"
      class={`button button-small node-switch ${isUp ? 'button-stop' : 'button-start'}`}
      disabled={busy}
      data-testid={isUp ? 'node-stop' : 'node-start'}
      onClick={() => void flip()}
    >
      {isUp ? (
        <>
          Stop<span class="visually-hidden"> {id}</span>{' '}
          <span class="node-switch-note">(simulate a crash)</span>
        </>
      ) : (
        <>
          Start<span class="visually-hidden"> {id}</span>
        </>
      )}
    </button>
  );
}
