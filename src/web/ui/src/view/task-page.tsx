import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TaskView } from '../../../../api/tasks.ts';
import { byteSize, duration, parseTime } from '../model/format.ts';
import { homeHash, submitHash, taskHash } from '../model/router.ts';
import { isFinal, STATUS_BADGES } from '../model/status.ts';
import { payloadText } from '../model/task-row.ts';
import { isPassing } from '../net/client.ts';
import type { Detail } from '../state/app-state.ts';
import { Attempts } from './attempts.tsx';
import { useApp, useSelect } from './context.ts';
import { Icon } from './icons.tsx';
import { Lanes } from './lanes.tsx';
import { Output } from './output.tsx';
import { RawJson } from './raw-json.tsx';
import { Ago, BadgeView, CopyId, Elapsed } from './small.tsx';
import { TaskFiles } from './task-files.tsx';
import { Timeline } from './timeline.tsx';

/** Everything about one payload. */
export function TaskPage({ id }: { readonly id: string }): VNode {
  const { live } = useApp();
  const detail = useSelect((state) => state.detail);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    live.openDetail(id);
    window.scrollTo(0, 0);
    heading.current?.focus({ preventScroll: true });
    return () => live.closeDetail();
  }, [id]);
  // The address may hold the beginning of an id; events name tasks by the whole of it.
  const fullId = detail?.id === id ? (detail.task?.id ?? id) : id;
  useEffect(() => {
    if (fullId !== id) window.location.replace(taskHash(fullId));
  }, [fullId]);
  return (
    <article class="task-page" data-testid="task-page" data-status={detail?.task?.status ?? ''}>
      <a class="back" href={homeHash}>
        <Icon name="back" />
        All payloads
      </a>
      <h1 ref={heading} tabIndex={-1} class="visually-hidden">
        Payload {id}
      </h1>
      {detail?.id !== id ? null : <Loaded detail={detail} />}
    </article>
  );
}

function Loaded({ detail }: { readonly detail: Detail }): VNode {
  const { task, failure } = detail;
  if (task === null) {
    if (failure === null) return <div class="panel skeleton skeleton-page" aria-busy="true" />;
    const missing = failure.code === 'NOT_FOUND';
    return (
      <div class="panel empty" role="alert" data-testid="task-missing">
        <p>{missing ? 'There is no payload with this hash.' : failure.message}</p>
        {missing ? (
          <p class="hint">It may have been removed: finished payloads are kept for a limited time.</p>
        ) : null}
        {isPassing(failure) ? <p class="hint">Trying again by itself.</p> : null}
      </div>
    );
  }
  return (
    <>
      <Summary task={task} detail={detail} />
      <Lanes task={task} events={detail.events} />
      <Output task={task} />
      <TaskFiles task={task} />
      <section class="panel" aria-labelledby="payload-title">
        <div class="section-head">
          <h2 id="payload-title">Payload</h2>
          <span class="muted">{task.script === null ? 'command' : (task.interpreter ?? 'python3')}</span>
        </div>
        <pre class="code" data-testid="task-payload" tabIndex={0}>
          {payloadText(task)}
        </pre>
      </section>
      <Attempts task={task} />
      <Timeline events={detail.events} />
      <RawJson task={task} />
    </>
  );
}

function Summary({ task, detail }: { readonly task: TaskView; readonly detail: Detail }): VNode {
  return (
    <section class="panel summary">
      <div class="summary-head">
        <BadgeView badge={STATUS_BADGES[task.status]} testId="task-status" />
        <CopyId id={task.id} full />
        {task.name === null ? null : <span class="task-name">{task.name}</span>}
        <span class="task-buttons">
          <TaskButtons task={task} detail={detail} />
          <CopyButtons task={task} detail={detail} />
        </span>
      </div>
      {detail.action.kind === 'failed' ? (
        <p class="problem" role="alert">
          <Icon name="warning" />
          {detail.action.failure.message}
        </p>
      ) : null}
      {task.pendingReason === null || isFinal(task.status) ? null : (
        <p class="pending" data-testid="pending-reason">
          {task.pendingReason}
        </p>
      )}
      <dl class="facts">
        <Facts task={task} />
      </dl>
    </section>
  );
}

function TaskButtons({ task, detail }: { readonly task: TaskView; readonly detail: Detail }): VNode {
  const { actions } = useApp();
  const [asked, setAsked] = useState(false);
  const busy = detail.action.kind === 'busy';
  if (isFinal(task.status)) {
    const retry = async (): Promise<void> => {
      const id = await actions.retry(task.id);
      if (id !== null) window.location.hash = taskHash(id);
    };
    return (
      <button
        type="button"
        class="button button-small"
        disabled={busy}
        title="Sends the same payload once more, as a new task"
        data-testid="task-retry"
        onClick={() => void retry()}
      >
        Retry
      </button>
    );
  }
  // It ends work for good, so a running task asks a second time.
  const cancel = (): void => {
    if (task.status === 'running' && !asked) setAsked(true);
    else void actions.cancel(task.id);
  };
  return (
    <button
      type="button"
      class={`button button-small ${asked ? 'button-stop' : ''}`}
      disabled={busy}
      data-testid="task-cancel"
      onClick={cancel}
      onBlur={() => setAsked(false)}
    >
      {asked ? 'Really cancel?' : 'Cancel'}
    </button>
  );
}

/** The same once more: as it is, or changed first. */
function CopyButtons({ task, detail }: { readonly task: TaskView; readonly detail: Detail }): VNode {
  const { actions } = useApp();
  const duplicate = async (): Promise<void> => {
    const id = await actions.duplicate(task);
    if (id !== null) window.location.hash = taskHash(id);
  };
  return (
    <>
      <button
        type="button"
        class="button button-small"
        disabled={detail.action.kind === 'busy'}
        title="Sends the same as a task of its own, whatever becomes of this one"
        data-testid="task-duplicate"
        onClick={() => void duplicate()}
      >
        Duplicate
      </button>
      <button
        type="button"
        class="button button-small"
        title="Opens the form filled in with this payload"
        data-testid="task-edit"
        onClick={() => {
          actions.editAgain(task);
          window.location.hash = submitHash;
        }}
      >
        Edit and resend
      </button>
    </>
  );
}

function Facts({ task }: { readonly task: TaskView }): VNode {
  const started = parseTime(task.startedAt);
  const finished = parseTime(task.finishedAt);
  const node = task.attempts.at(-1)?.node ?? null;
  return (
    <>
      <Fact name="Sent">
        <Ago iso={task.submittedAt} />
      </Fact>
      <Fact name="Node">{node ?? '–'}</Fact>
      <Fact name="Attempts">
        {task.attempts.length}
        {task.maxAttempts > 1 ? ` of up to ${task.maxAttempts}` : ''}
      </Fact>
      <Fact name={finished === null ? 'Running for' : 'Took'}>
        {started === null ? (
          '–'
        ) : finished === null ? (
          <Elapsed sinceIso={task.startedAt ?? ''} />
        ) : (
          duration(finished - started)
        )}
      </Fact>
      {task.result === null ? null : (
        <Fact name={task.result.signal === null ? 'Exit code' : 'Ended by'}>
          {task.result.signal ?? task.result.exitCode ?? '–'}
        </Fact>
      )}
      <Fact name="Priority">{task.priority}</Fact>
      {task.timeoutMs === null ? null : <Fact name="Time limit">{duration(task.timeoutMs)}</Fact>}
      {task.cpu > 0 ? <Fact name="Cores">{task.cpu}</Fact> : null}
      {task.memoryMb > 0 ? <Fact name="Memory">{byteSize(task.memoryMb * 1024 * 1024)}</Fact> : null}
      {task.retryOf === null ? null : (
        <Fact name="Retry of">
          <CopyId id={task.retryOf} href={taskHash(task.retryOf)} />
        </Fact>
      )}
      {Object.entries(task.labels).map(([key, value]) => (
        <Fact key={key} name={key}>
          {value}
        </Fact>
      ))}
    </>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }): VNode {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
