import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { TaskView } from '../../../../api/tasks.ts';
import type { OutputStream } from '../../../../api/views.ts';
import { systemClock } from '../model/clock.ts';
import { byteSize } from '../model/format.ts';
import { isFinal } from '../model/status.ts';
import { outputPath } from '../net/api.ts';
import { followOutput, OUTPUT_CHARS_MAX } from '../net/output-follower.ts';
import type { OutputSnapshot } from '../net/output-follower.ts';
import { useApp } from './context.ts';
import { Icon } from './icons.tsx';

const STREAMS: readonly OutputStream[] = ['stdout', 'stderr'];

/** What a task wrote: as it comes while it runs, and the kept result once it is over. */
export function Output({ task }: { readonly task: TaskView }): VNode {
  const { result } = task;
  const failed = result !== null && result.exitCode !== 0 && result.stdout === '' && result.stderr !== '';
  const [chosen, setChosen] = useState<OutputStream | null>(null);
  const stream = chosen ?? (failed ? 'stderr' : 'stdout');
  const [filter, setFilter] = useState('');
  return (
    <section class="panel" aria-labelledby="output-title" data-testid="task-output">
      <div class="section-head">
        <h2 id="output-title">Output</h2>
        <div class="tabs" role="group" aria-label="Stream">
          {STREAMS.map((name) => (
            <button
              key={name}
              type="button"
              class="tab"
              aria-pressed={stream === name}
              onClick={() => setChosen(name)}
            >
              {name}
              {result === null ? null : (
                <span class="tab-count">
                  {byteSize(name === 'stdout' ? result.stdoutBytes : result.stderrBytes)}
                </span>
              )}
            </button>
          ))}
        </div>
        <label class="search output-search">
          <Icon name="search" />
          <span class="visually-hidden">Show only lines with this text</span>
          <input
            type="search"
            placeholder="Filter lines"
            autocomplete="off"
            spellcheck={false}
            data-testid="output-filter"
            data-shortcut="search"
            value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </label>
        {task.startedAt === null ? null : (
          <span class="output-links">
            <a class="plain-link" href={outputPath(task.id, stream)} target="_blank" rel="noreferrer">
              raw
            </a>
            <a class="plain-link" href={outputPath(task.id, stream)} download={`${task.id}.${stream}.txt`}>
              download
            </a>
          </span>
        )}
      </div>
      <Body task={task} stream={stream} filter={filter} />
    </section>
  );
}

interface BodyProps {
  readonly task: TaskView;
  readonly stream: OutputStream;
  /** Only lines with this text; empty for all. */
  readonly filter: string;
}

function filtered(text: string, filter: string): string {
  const wanted = filter.trim().toLowerCase();
  if (wanted === '') return text;
  return text
    .split('\n')
    .filter((line) => line.toLowerCase().includes(wanted))
    .join('\n');
}

function Body({ task, stream, filter }: BodyProps): VNode {
  const { result } = task;
  if (result !== null) {
    const text = filtered(result[stream], filter);
    return (
      <>
        <pre class="code code-output" data-testid={`task-${stream}`} tabIndex={0}>
          {text === '' ? (
            <span class="muted">
              {result[stream] === '' ? 'nothing was written' : 'no line has this text'}
            </span>
          ) : (
            text
          )}
        </pre>
        {result.truncated ? (
          <p class="hint">
            Beginning and end are kept with the result. All that was written is under “raw”, as long as the
            node that ran it keeps it.
          </p>
        ) : null}
      </>
    );
  }
  if (isFinal(task.status)) return <p class="empty">It ended without having run.</p>;
  const attempt = task.attempts.at(-1);
  if (task.status !== 'running' || attempt === undefined) {
    return <p class="empty">{task.pendingReason ?? 'It has not started yet.'}</p>;
  }
  return <Following key={`${attempt.number}-${stream}`} task={task} stream={stream} filter={filter} />;
}

const NOTHING_YET: OutputSnapshot = { text: '', clipped: false, bytes: 0, state: 'waiting' };
/** Pixels from the end within which the reader is taken to follow it. */
const AT_END_PX = 24;

/** Output of the running attempt; a new attempt begins a new one of these. */
function Following({ task, stream, filter }: BodyProps): VNode {
  const { api } = useApp();
  const [output, setOutput] = useState(NOTHING_YET);
  const box = useRef<HTMLPreElement>(null);
  const [follow, setFollow] = useState(true);
  const status = useRef(task.status);
  status.current = task.status;
  useEffect(() => {
    const stop = new AbortController();
    void followOutput({
      open: (offset, signal) => api.output(task.id, stream, offset, signal),
      isOver: () => isFinal(status.current),
      clock: systemClock,
      signal: stop.signal,
      onChange: setOutput,
    });
    return () => stop.abort();
  }, [task.id, stream]);
  useLayoutEffect(() => {
    if (follow && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [output.text, follow, filter]);
  const attempt = task.attempts.at(-1);
  return (
    <>
      {attempt !== undefined && attempt.number > 1 ? (
        <p class="seam">
          Attempt {attempt.number} on {attempt.node}: the output begins again.
        </p>
      ) : null}
      {output.clipped ? (
        <p class="hint">The last {OUTPUT_CHARS_MAX.toLocaleString('en')} characters.</p>
      ) : null}
      <pre
        ref={box}
        class="code code-output"
        data-testid={`task-${stream}`}
        tabIndex={0}
        onScroll={(event) => {
          const pre = event.currentTarget;
          setFollow(pre.scrollHeight - pre.scrollTop - pre.clientHeight < AT_END_PX);
        }}
      >
        {filtered(output.text, filter)}
        {output.text === '' ? <span class="muted">nothing written yet</span> : null}
      </pre>
      <p class="hint following" data-state={output.state}>
        <label class="field-inline">
          <input
            type="checkbox"
            checked={follow}
            data-testid="output-follow"
            onChange={(event) => setFollow(event.currentTarget.checked)}
          />
          <span>Follow</span>
        </label>{' '}
        {output.state === 'following' ? 'Following live.' : 'Waiting for output.'}
        {output.bytes === 0 ? null : ` ${byteSize(output.bytes)} so far.`}
      </p>
    </>
  );
}
