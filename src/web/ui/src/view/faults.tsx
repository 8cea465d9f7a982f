import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { FaultKind } from '../../../../api/faults.ts';
import { FAULT_TONES, FAULT_WORDS } from '../model/fault-line.ts';
import type { FaultItem } from '../model/fault-line.ts';
import { clockTime, duration } from '../model/format.ts';
import { phaseOf } from '../model/node-board.ts';
import type { NodeEntry } from '../model/node-board.ts';
import { taskHash } from '../model/router.ts';
import { SCENARIOS } from '../model/scenario-run.ts';
import type { ScenarioName, ScenarioRun } from '../model/scenario-run.ts';
import { useApp, useSelect } from './context.ts';
import { Icon } from './icons.tsx';
import { ToneDot } from './small.tsx';
import { ViewTitle } from './view-title.tsx';

const LENGTHS_SECONDS = [1, 5, 10, 30] as const;
const ARMED_SECONDS = 30;

/** What can be done to the cluster on purpose, and what it does about it. */
export function Faults(): VNode {
  const { faultWatch } = useApp();
  useEffect(() => faultWatch.start(), [faultWatch]);
  return (
    <div class="view" data-testid="faults-view">
      <ViewTitle title="Faults" hint="Done to the real nodes. Every fault but a stop ends by itself." />
      <Refused />
      <div class="faults-grid">
        <Injections />
        <ScenarioPanel />
      </div>
      <FaultLine />
    </div>
  );
}

function Refused(): VNode | null {
  const refused = useSelect((state) => state.stopRefused);
  if (refused === null) return null;
  return (
    <p class="banner tone-warn" role="status" data-testid="faults-off">
      <Icon name="warning" />
      <span>
        <strong>Faults cannot be injected here:</strong> {refused}.
      </span>
    </p>
  );
}

function Injections(): VNode {
  const board = useSelect((state) => state.board);
  const [seconds, setSeconds] = useState<number>(5);
  return (
    <section class="panel" aria-labelledby="inject-title">
      <div class="section-head">
        <h2 id="inject-title">Nodes</h2>
        <label class="field-inline">
          <span>Freeze and cut for</span>
          <select
            data-testid="fault-seconds"
            value={String(seconds)}
            onChange={(event) => setSeconds(Number(event.currentTarget.value))}
          >
            {LENGTHS_SECONDS.map((each) => (
              <option key={each} value={String(each)}>
                {each} s
              </option>
            ))}
          </select>
        </label>
      </div>
      <ul class="fault-nodes">
        {board.entries.map((entry) => (
          <FaultNode key={entry.view.id} entry={entry} seconds={seconds} />
        ))}
      </ul>
      <dl class="fault-meanings hint">
        <div>
          <dt>Stop</dt>
          <dd>As a crash: silent, its payloads are killed. Until it is started again.</dd>
        </div>
        <div>
          <dt>Freeze</dt>
          <dd>Its process does nothing at all: it neither sends nor answers.</dd>
        </div>
        <div>
          <dt>Cut off</dt>
          <dd>
            Its connections to the other nodes are closed, and none comes about. This page still reaches it.
          </dd>
        </div>
        <div>
          <dt>Stop at assignment</dt>
          <dd>The master stops when it has found a node for its next payload, before it tells anybody.</dd>
        </div>
      </dl>
    </section>
  );
}

interface Done {
  readonly text: string;
  readonly bad: boolean;
}

function FaultNode({ entry, seconds }: { readonly entry: NodeEntry; readonly seconds: number }): VNode {
  const { actions } = useApp();
  const { view } = entry;
  const [done, setDone] = useState<Done | null>(null);
  const phase = phaseOf(entry);
  const up = phase === 'up';
  const problem = useSelect((state) => state.nodeProblems[view.id]);
  const inject = async (fault: FaultKind, forSeconds: number, text: string): Promise<void> => {
    const failure = await actions.injectFault(view.id, fault, forSeconds * 1_000);
    setDone(failure === null ? { text, bad: false } : { text: failure, bad: true });
  };
  const button = (label: string, testId: string, onClick: () => void): VNode => (
    <button type="button" class="button button-small" disabled={!up} data-testid={testId} onClick={onClick}>
      {label}
      <span class="visually-hidden"> {view.id}</span>
    </button>
  );
  return (
    <li class="fault-node" data-testid="fault-node" data-node={view.id} data-phase={phase}>
      <span class="fault-node-name">
        {view.leader && up ? <Icon name="crown" /> : <ToneDot tone={up ? 'good' : 'bad'} />}
        <strong>{view.id}</strong>
        {up ? null : <span class="muted">{phase}</span>}
      </span>
      <span class="fault-buttons">
        {phase === 'up' || phase === 'stopping' ? (
          button('Stop', 'fault-stop', () => void actions.setStopped(view.id, true))
        ) : (
          <button
            type="button"
            class="button button-small button-start"
            data-testid="fault-start"
            onClick={() => void actions.setStopped(view.id, false)}
          >
            Start<span class="visually-hidden"> {view.id}</span>
          </button>
        )}
        {button('Freeze', 'fault-freeze', () => void inject('freeze', seconds, `frozen for ${seconds} s`))}
        {button('Cut off', 'fault-cut', () => void inject('cut-off', seconds, `cut off for ${seconds} s`))}
        {view.leader
          ? button(
              'Stop at assignment',
              'fault-arm',
              () => void inject('stop-at-assignment', ARMED_SECONDS, `armed for ${ARMED_SECONDS} s`),
            )
          : null}
      </span>
      <span
        class={`fault-done ${done?.bad === true || problem !== undefined ? 'text-bad' : 'muted'}`}
        role="status"
      >
        {problem ?? done?.text ?? ''}
      </span>
    </li>
  );
}

const NAMES = Object.keys(SCENARIOS) as readonly ScenarioName[];

function ScenarioPanel(): VNode {
  const { scenarios } = useApp();
  const run = useSelect((state) => state.scenario);
  const busy = run?.state === 'running';
  return (
    <section class="panel" aria-labelledby="scenarios-title">
      <div class="section-head">
        <h2 id="scenarios-title">Five recoveries</h2>
        <span class="muted">each on the real cluster, told step by step</span>
      </div>
      <ol class="scenarios">
        {NAMES.map((name) => (
          <li key={name}>
            <button
              type="button"
              class="button scenario-button"
              disabled={busy}
              aria-describedby={run?.name === name ? 'scenario-told' : undefined}
              data-testid={`scenario-${name}`}
              onClick={() => void scenarios.run(name)}
            >
              {SCENARIOS[name]}
            </button>
          </li>
        ))}
      </ol>
      {run === null ? null : <Told run={run} />}
    </section>
  );
}

const STEP_ICONS = { running: 'spinner', done: 'check', failed: 'cross' } as const;

function Told({ run }: { readonly run: ScenarioRun }): VNode {
  return (
    <div
      id="scenario-told"
      class="scenario-told"
      data-testid="scenario"
      data-name={run.name}
      data-state={run.state}
    >
      <h3>{SCENARIOS[run.name]}</h3>
      <ol class="scenario-steps">
        {run.steps.map((step, at) => (
          <li
            key={at}
            class={`scenario-step step-${step.state}`}
            data-testid="scenario-step"
            data-state={step.state}
          >
            <Icon name={STEP_ICONS[step.state]} />
            <span>
              {step.text}
              {step.told === null ? null : <strong> {step.told}</strong>}
            </span>
            <span class="muted">{step.tookMs === null ? '' : duration(step.tookMs)}</span>
          </li>
        ))}
      </ol>
      <p
        role="status"
        class={run.state === 'failed' ? 'text-bad' : run.state === 'passed' ? 'text-good' : 'muted'}
      >
        {run.state === 'running'
          ? 'Running…'
          : run.state === 'passed'
            ? 'Recovered: nothing was lost.'
            : 'It did not recover as it should.'}
      </p>
    </div>
  );
}

function FaultLine(): VNode {
  const items = useSelect((state) => state.faultItems);
  return (
    <section class="panel" aria-labelledby="line-title">
      <div class="section-head">
        <h2 id="line-title">One line of time</h2>
        <span class="muted">what was done, and what the cluster did about it; newest first</span>
      </div>
      {items.length === 0 ? <p class="empty muted">Nothing yet.</p> : null}
      <ol class="fault-line" tabIndex={0} aria-labelledby="line-title">
        {items.toReversed().map((item, at, shown) => (
          <Item key={item.key} item={item} older={shown[at + 1] ?? null} />
        ))}
      </ol>
    </section>
  );
}

function Item({ item, older }: { readonly item: FaultItem; readonly older: FaultItem | null }): VNode {
  const sinceMs = older === null ? null : item.atMs - older.atMs;
  const tone = FAULT_TONES[item.kind];
  return (
    <li
      class={`fault-item tone-${tone}`}
      data-testid="fault-item"
      data-kind={item.kind}
      data-node={item.node ?? ''}
    >
      <span class="fault-time">{clockTime(item.atMs, { millis: true })}</span>
      <span class="fault-since muted">{sinceMs === null ? '' : `+${duration(sinceMs)}`}</span>
      <span class={`badge tone-${tone}`}>{FAULT_WORDS[item.kind]}</span>
      <span class="fault-text">
        {item.node === null ? null : <strong>{item.node}</strong>} {item.text}
        {item.task === null ? null : (
          <>
            {' '}
            <a href={taskHash(item.task)}>open</a>
          </>
        )}
      </span>
    </li>
  );
}
