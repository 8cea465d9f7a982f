import type { VNode } from 'preact';
import type { AttemptView, PlacementRecord, TaskView } from '../../../../api/tasks.ts';
import { clockTime, duration, parseTime, percent } from '../model/format.ts';
import { OUTCOME_BADGES, STATUS_BADGES } from '../model/status.ts';
import { Icon } from './icons.tsx';
import { Heads } from './heads.tsx';
import { BadgeView } from './small.tsx';

/** Where the task was run, how each attempt ended, and why that node was chosen. */
export function Attempts({ task }: { readonly task: TaskView }): VNode | null {
  if (task.attempts.length === 0) return null;
  return (
    <section class="panel" aria-labelledby="attempts-title">
      <div class="section-head">
        <h2 id="attempts-title">Attempts</h2>
      </div>
      <ol class="attempts" reversed>
        {task.attempts.toReversed().map((attempt) => (
          <Attempt key={attempt.number} attempt={attempt} />
        ))}
      </ol>
    </section>
  );
}

function Attempt({ attempt }: { readonly attempt: AttemptView }): VNode {
  const started = parseTime(attempt.startedAt);
  const finished = parseTime(attempt.finishedAt);
  const badge =
    attempt.outcome === null
      ? STATUS_BADGES[started === null ? 'assigned' : 'running']
      : OUTCOME_BADGES[attempt.outcome];
  return (
    <li
      class="attempt"
      data-testid="attempt"
      data-number={attempt.number}
      data-node={attempt.node}
      data-outcome={attempt.outcome ?? ''}
    >
      <div class="attempt-head">
        <span class="attempt-number">{attempt.number}</span>
        <strong>{attempt.node}</strong>
        <BadgeView badge={badge} />
        {attempt.exitCode === null ? null : <span class="muted">exit code {attempt.exitCode}</span>}
        {attempt.signal === null ? null : <span class="muted">{attempt.signal}</span>}
        <span class="muted attempt-time">
          {started === null ? null : clockTime(started)}
          {started === null || finished === null ? null : `, ${duration(finished - started)}`}
        </span>
      </div>
      {attempt.reason === null ? null : <p class="attempt-reason">{attempt.reason}</p>}
      {attempt.placement === null ? null : <Placement placement={attempt.placement} node={attempt.node} />}
    </li>
  );
}

function Placement({
  placement,
  node,
}: {
  readonly placement: PlacementRecord;
  readonly node: string;
}): VNode {
  return (
    <details class="placement" data-testid="placement">
      <summary>
        <Icon name="chevron" />
        Why {node}: {placement.reason}
      </summary>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Candidates">
        <table class="candidates">
          <Heads
            of={[
              'Node',
              ...['CPU', 'RAM', 'Tasks', 'Reserved', 'Speed', 'Score'].map((number) => ({ number })),
              'Why not',
            ]}
          />
          <tbody>
            {placement.candidates.map((candidate) => (
              <tr key={candidate.node} class={candidate.node === node ? 'chosen' : ''}>
                <th scope="row">
                  {candidate.node}
                  {candidate.node === node ? <span class="muted"> chosen</span> : null}
                </th>
                <td class="number">{percent(candidate.cpu)}</td>
                <td class="number">{percent(candidate.memory)}</td>
                <td class="number">
                  {candidate.running}/{candidate.slots}
                </td>
                <td class="number">{reserved(candidate)}</td>
                <td class="number">{candidate.speed?.toFixed(2) ?? '–'}</td>
                <td class="number">{candidate.score === null ? '–' : candidate.score.toFixed(1)}</td>
                <td>{candidate.why ?? (candidate.node === node ? '' : 'higher score, or used later')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="hint">The lowest score wins. As recorded in the log when the decision was made.</p>
    </details>
  );
}

/** What the tasks that were there had reserved. */
function reserved(candidate: PlacementRecord['candidates'][number]): string {
  const { cpuReserved, memoryReservedMb } = candidate;
  const parts = [
    ...(cpuReserved === null || cpuReserved === 0 ? [] : [`${cpuReserved} cores`]),
    ...(memoryReservedMb === null || memoryReservedMb === 0 ? [] : [`${memoryReservedMb} MiB`]),
  ];
  return parts.length === 0 ? '–' : parts.join(', ');
}
