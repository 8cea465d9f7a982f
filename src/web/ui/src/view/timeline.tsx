import type { VNode } from 'preact';
import type { TaskEvent } from '../../../../api/tasks.ts';
import { absoluteTime, clockTime, parseTime } from '../model/format.ts';
import { EVENT_LABELS } from '../model/status.ts';
import { ToneDot } from './small.tsx';

/** Every entry of the replicated log that touched the task, oldest first. */
export function Timeline({ events }: { readonly events: readonly TaskEvent[] }): VNode {
  return (
    <section class="panel" aria-labelledby="timeline-title" data-testid="timeline">
      <div class="section-head">
        <h2 id="timeline-title">Timeline</h2>
        <span class="muted">as the log has it</span>
      </div>
      {events.length === 0 ? <p class="empty">No entries yet.</p> : null}
      <ol class="timeline">
        {events.map((event, at) => (
          <Entry key={`${event.index}-${at}`} event={event} before={events[at - 1] ?? null} />
        ))}
      </ol>
    </section>
  );
}

function Entry({ event, before }: { readonly event: TaskEvent; readonly before: TaskEvent | null }): VNode {
  // A newer version of the servers may record things that this page does not know by name.
  const { label, tone } =
    (EVENT_LABELS as Partial<typeof EVENT_LABELS>)[event.what] ??
    ({ label: event.what, tone: 'neutral' } as const);
  const at = parseTime(event.time);
  const newTerm = before !== null && before.term !== event.term;
  return (
    <>
      {newTerm ? <li class="timeline-seam">A new master took over: term {event.term}</li> : null}
      <li class="timeline-entry" data-testid="timeline-entry" data-what={event.what}>
        <ToneDot tone={tone} />
        <span class="timeline-time" title={at === null ? event.time : absoluteTime(at)}>
          {at === null ? event.time : clockTime(at, { millis: true })}
        </span>
        <span class="timeline-what">
          <strong>{label}</strong>
          {event.node === null ? null : <> on {event.node}</>}
          {event.attempt === null ? null : <span class="muted">, attempt {event.attempt}</span>}
          {event.why === null ? null : <span class="timeline-why">{event.why}</span>}
        </span>
        <span class="timeline-index muted" title={`Entry ${event.index} of the log, term ${event.term}`}>
          #{event.index}
        </span>
      </li>
    </>
  );
}
