import type { VNode } from 'preact';
import type { TaskEvent, TaskView } from '../../../../api/tasks.ts';
import { duration } from '../model/format.ts';
import { laneBoard } from '../model/lanes.ts';
import type { Bar, Span } from '../model/lanes.ts';
import { useServerNow } from './use-now.ts';

const percent = (part: number): string => `${(part * 100).toFixed(2)}%`;
const place = (span: Span): { left: string; width: string } => ({
  left: percent(span.from),
  width: percent(Math.max(0, span.to - span.from)),
});

/** Where the task was when, drawn: a lane per node, hatched where it waited, a line where another master took over. */
export function Lanes({
  task,
  events,
}: {
  readonly task: TaskView;
  readonly events: readonly TaskEvent[];
}): VNode | null {
  const now = useServerNow();
  if (task.attempts.length === 0) return null;
  const board = laneBoard(task, events, now);
  return (
    <section class="panel" aria-labelledby="lanes-title" data-testid="lanes">
      <div class="section-head">
        <h2 id="lanes-title">Where it ran</h2>
        <span class="muted">
          from sent {task.finishedAt === null ? 'to now' : 'to ended'}, {duration(board.totalMs)}
        </span>
        <span class="legend">
          <span class="legend-item">
            <span class="lane-key lane-key-gap" aria-hidden="true" /> on no node
          </span>
          {board.seams.length === 0 ? null : (
            <span class="legend-item">
              <span class="lane-key lane-key-seam" aria-hidden="true" /> another master
            </span>
          )}
        </span>
      </div>
      <ul class="lanes">
        {board.lanes.map(({ node, bars }) => (
          <li key={node} class="lane" data-testid="lane" data-node={node}>
            <span class="lane-name">{node}</span>
            <span class="lane-track">
              {board.gaps.map((gap) => (
                <span key={`gap-${gap.from}`} class="lane-gap" style={place(gap)} aria-hidden="true" />
              ))}
              {bars.map((bar) => (
                <LaneBar key={bar.attempt} bar={bar} />
              ))}
              {board.seams.map((seam) => (
                <span
                  key={`seam-${seam.term}-${seam.at}`}
                  class="lane-seam"
                  style={{ left: percent(seam.at), translate: percent(-seam.at) }}
                  title={`A new master: term ${seam.term}`}
                />
              ))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function LaneBar({ bar }: { readonly bar: Bar }): VNode {
  const told = `Attempt ${bar.attempt}: ${bar.badge.label.toLowerCase()}, ${duration(bar.ms)}`;
  return (
    <span class={`lane-bar tone-${bar.badge.tone}`} style={place(bar)} title={told} data-testid="lane-bar">
      <span class="visually-hidden">{told}</span>
      <span class="lane-bar-text" aria-hidden="true">
        {bar.attempt}
      </span>
    </span>
  );
}
