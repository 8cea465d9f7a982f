import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { TaskView } from '../../../../api/tasks.ts';
import { Icon } from './icons.tsx';
import { CopyButton } from './small.tsx';

/** The task as the API gives it, for those who want to know exactly. */
export function RawJson({ task }: { readonly task: TaskView }): VNode {
  const [open, setOpen] = useState(false);
  const text = open ? JSON.stringify(task, null, 2) : '';
  return (
    <details
      class="panel raw-json"
      data-testid="raw-json"
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary class="section-head">
        <Icon name="chevron" />
        <h2>JSON</h2>
        <span class="muted">as GET /v1/tasks/{task.id} answers</span>
      </summary>
      {open ? (
        <>
          <div class="raw-tools">
            <CopyButton text={text} what="the JSON" />
          </div>
          <pre class="code code-output" tabIndex={0} data-testid="raw-json-text">
            {text}
          </pre>
        </>
      ) : null}
    </details>
  );
}
