import type { RefObject, VNode } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { duration, parseTime, plural } from '../model/format.ts';
import { taskHash } from '../model/router.ts';
import { isFinal, STATUS_BADGES } from '../model/status.ts';
import { resultPreview } from '../model/task-row.ts';
import type { ClippedText, RowResult, TaskRow } from '../model/task-row.ts';
import { useApp } from './context.ts';
import { Icon } from './icons.tsx';
import { Ago, BadgeView, CopyId, Elapsed, Progress } from './small.tsx';

interface RowProps {
  readonly row: TaskRow;
  readonly open: boolean;
  readonly toggle: (id: string) => void;
}

const PREVIEW_LINES = 2;
const PREVIEW_LINE_CHARS = 120;

/** The lines that tell what a script does: without the imports, comments and blank lines at its head. */
function payloadPreview(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const telling = lines.findIndex((line) => !/^\s*(#|import\b|from\b|\/\/)/.test(line));
  return lines
    .slice(Math.max(0, telling))
    .slice(0, PREVIEW_LINES)
    .map((line) => line.slice(0, PREVIEW_LINE_CHARS))
    .join('\n');
}

/** One payload. Its nodes are kept while neither the row nor its state of being open change. */
export function TaskRowView({ row, open, toggle }: RowProps): VNode {
  return useMemo(() => <TaskRowPair row={row} open={open} toggle={toggle} />, [row, open]);
}

/** Tells when the row comes into view, so that what the list leaves out is fetched for it. */
function useInView(id: string): RefObject<HTMLTableRowElement | null> {
  const { live } = useApp();
  const element = useRef<HTMLTableRowElement>(null);
  useEffect(() => {
    if (element.current === null) return;
    const observer = new IntersectionObserver((entries) => {
      if (entries.at(-1)?.isIntersecting === true) live.rows.enter(id);
      else live.rows.leave(id);
    });
    observer.observe(element.current);
    return () => {
      observer.disconnect();
      live.rows.leave(id);
    };
  }, [id]);
  return element;
}

function TaskRowPair({ row, open, toggle }: RowProps): VNode {
  const element = useInView(row.id);
  const moreId = `more-${row.id}`;
  return (
    <>
      <tr
        ref={element}
        role="row"
        class={`task-row ${open ? 'task-row-open' : ''}`}
        data-testid="task-row"
        data-task-id={row.id}
        data-status={row.status}
        data-node={row.node ?? ''}
        onClick={(event) => {
          const inControl = event.target instanceof Element && event.target.closest('a, button') !== null;
          if (!inControl && window.getSelection()?.isCollapsed !== false) toggle(row.id);
        }}
      >
        <td role="cell" class="cell-status">
          <BadgeView badge={STATUS_BADGES[row.status]} testId="task-status" />
        </td>
        <td role="cell" class="cell-hash">
          <CopyId id={row.id} href={taskHash(row.id)} />
          {row.name === null ? null : <span class="task-name">{row.name}</span>}
        </td>
        <td role="cell" class="cell-payload">
          {row.payload === null ? (
            <span class="skeleton skeleton-text" role="img" aria-label="loading" />
          ) : (
            <pre class="preview">{payloadPreview(row.payload.text)}</pre>
          )}
        </td>
        <td role="cell" class="cell-node" data-testid="task-node">
          <NodeCell row={row} />
        </td>
        <td role="cell" class="cell-when">
          <Ago iso={row.submittedAt} />
          <Took row={row} />
        </td>
        <td role="cell" class="cell-result" data-testid="task-result">
          <ResultCell row={row} />
        </td>
        <td role="cell" class="cell-more">
          <button
            type="button"
            class={`icon-button ${open ? 'turned' : ''}`}
            aria-expanded={open}
            aria-controls={moreId}
            aria-label={`${open ? 'Hide' : 'Show'} payload and result of ${row.id}`}
            data-testid="task-toggle"
            onClick={() => toggle(row.id)}
          >
            <Icon name="chevron" />
          </button>
        </td>
      </tr>
      {open ? (
        <tr role="row" class="task-more" id={moreId} data-testid="task-more">
          <td role="cell" colSpan={7}>
            <More row={row} />
          </td>
        </tr>
      ) : null}
    </>
  );
}

/** Where it is or was run; a task that waits again is on no node, whatever became of its attempts so far. */
function NodeCell({ row }: { readonly row: TaskRow }): VNode {
  const waits = row.status === 'queued' || row.status === 'scheduled';
  return (
    <>
      {waits || row.node === null ? <span class="muted">–</span> : row.node}
      {waits && row.attempts > 0 ? (
        <span class="second-line">after {plural(row.attempts, 'try', 'tries')}</span>
      ) : null}
      {!waits && row.attempts > 1 ? <span class="second-line">attempt {row.attempts}</span> : null}
    </>
  );
}

function Took({ row }: { readonly row: TaskRow }): VNode | null {
  const started = parseTime(row.startedAt);
  const finished = parseTime(row.finishedAt);
  if (started === null || finished === null) return null;
  return <span class="second-line">took {duration(finished - started)}</span>;
}

function ResultCell({ row }: { readonly row: TaskRow }): VNode {
  if (row.status === 'running') return <RunningCell row={row} />;
  if (row.status === 'assigned') return <span class="muted reason">on its way to {row.node}</span>;
  if (!isFinal(row.status)) {
    return <span class="muted reason">{row.pendingReason ?? ''}</span>;
  }
  const { result } = row;
  // An event has told the end already, and what it ended with is being fetched.
  const announced = result === null && row.finishedAt === null;
  if (result === null && !announced) {
    return <span class="muted reason">{row.pendingReason ?? 'did not run'}</span>;
  }
  if (result?.streams == null) {
    return (
      <span class="result-line">
        {result === null ? null : <ExitMark result={result} />}
        <span class="skeleton skeleton-text" role="img" aria-label="loading" />
      </span>
    );
  }
  const { stdout, stderr } = result.streams;
  const { exitCode } = result;
  const preview = resultPreview({ exitCode, stdout: stdout.text, stderr: stderr.text }, row.reason);
  return (
    <span class="result-line">
      <ExitMark result={result} />
      {preview === '' ? <span class="muted">no output</span> : <code class="result-text">{preview}</code>}
    </span>
  );
}

function RunningCell({ row }: { readonly row: TaskRow }): VNode {
  const { startedAt, expectedMs } = row;
  // An event has told the start already, and since when is being fetched.
  if (startedAt === null) return <span class="muted">running</span>;
  return (
    <span class="running">
      <span class="muted">
        running <Elapsed sinceIso={startedAt} />
        {expectedMs === null ? null : ` of about ${duration(expectedMs)}`}
      </span>
      {expectedMs === null ? null : <Progress sinceIso={startedAt} expectedMs={expectedMs} />}
    </span>
  );
}

function ExitMark({ result }: { readonly result: RowResult }): VNode | null {
  if (result.exitCode === 0) return null;
  const text = result.signal ?? (result.exitCode === null ? null : `exit ${result.exitCode}`);
  return text === null ? null : <span class="exit-mark">{text}</span>;
}

/** What a row shows when it is opened: the payload, and what it wrote. */
function More({ row }: { readonly row: TaskRow }): VNode {
  const { result } = row;
  return (
    <div class="more">
      <div class="more-head">
        <CopyId id={row.id} full />
        <a class="button button-small" href={taskHash(row.id)}>
          Timeline, attempts and more
        </a>
      </div>
      {row.payload === null ? null : <Block title="Payload" text={row.payload} testId="task-payload" />}
      {result?.streams == null ? null : (
        <>
          <Block
            title={`Output, ${result.signal === null ? `exit code ${result.exitCode ?? '–'}` : `ended by ${result.signal}`}`}
            text={result.streams.stdout}
            testId="task-stdout"
          />
          {result.streams.stderr.text === '' ? null : (
            <Block title="Errors" text={result.streams.stderr} testId="task-stderr" />
          )}
        </>
      )}
    </div>
  );
}

function Block({
  title,
  text,
  testId,
}: {
  readonly title: string;
  readonly text: ClippedText;
  readonly testId: string;
}): VNode {
  return (
    <div class="block">
      <h4>
        {title}
        {text.clipped ? <span class="muted"> (a part; all of it on the page of the task)</span> : null}
      </h4>
      <pre class="code" data-testid={testId} tabIndex={0}>
        {text.text === '' ? <span class="muted">nothing was written</span> : text.text}
      </pre>
    </div>
  );
}
