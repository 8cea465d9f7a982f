import type { VNode } from 'preact';
import type { TaskView } from '../../../../api/tasks.ts';
import { byteSize, plural } from '../model/format.ts';
import { filePath } from '../net/api.ts';

/** Files that were sent along, and those that were kept of the scratch folder. */
export function TaskFiles({ task }: { readonly task: TaskView }): VNode | null {
  const collected = task.result?.collected ?? null;
  if (task.files.length === 0 && task.collect.length === 0) return null;
  return (
    <section class="panel" aria-labelledby="files-title" data-testid="task-files">
      <div class="section-head">
        <h2 id="files-title">Files</h2>
        {task.collect.length === 0 ? null : <span class="muted">keeps {task.collect.join(', ')}</span>}
      </div>
      {task.files.length === 0 ? null : (
        <p class="files-line">
          <span class="muted">{plural(task.files.length, 'file')} sent along:</span>{' '}
          {task.files.map(({ path }) => path).join(', ')}
        </p>
      )}
      {task.collect.length > 0 && collected === null ? (
        <p class="empty muted">What is kept shows when the task has ended.</p>
      ) : null}
      {collected === null ? null : (
        <ul class="files">
          {collected.files.map((file) => (
            <li key={file.path} data-testid="task-file">
              <a href={filePath(task.id, file.path)} download={file.path.split('/').at(-1)}>
                {file.path}
              </a>
              <span class="muted">
                {byteSize(file.bytes)}
                {file.kept === 'node' ? ', on the node that ran it' : ''}
              </span>
            </li>
          ))}
          {collected.files.length === 0 ? <li class="muted">No file matched.</li> : null}
        </ul>
      )}
      {collected?.leftOut == null ? null : <p class="hint files-line">{collected.leftOut}</p>}
    </section>
  );
}
