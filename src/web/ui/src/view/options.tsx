import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { LIMITS } from '../../../../api/limits.ts';
import type { TaskFile } from '../../../../api/task-files.ts';
import { DISCONNECTS } from '../model/draft.ts';
import type { Draft, DraftField } from '../model/draft.ts';
import { byteSize } from '../model/format.ts';
import { useApp } from './context.ts';
import { Icon } from './icons.tsx';

interface OptionsProps {
  readonly draft: Draft;
  readonly badField: string | null;
  /** Every option, opened; else the ones that are used most, folded. */
  readonly all: boolean;
}

/** How a payload is to be run. What is left empty has its default, which stands in the field. */
export function Options({ draft, badField, all }: OptionsProps): VNode {
  const { actions } = useApp();
  const field = (name: DraftField, label: string, placeholder: string, numeric = false): VNode => (
    <Field draft={draft} field={name} bad={badField === name} {...{ label, placeholder, numeric }} />
  );
  return (
    <details class="options" open={all}>
      <summary>
        <Icon name="chevron" />
        Options
      </summary>
      <div class="options-grid">
        <fieldset class="field">
          <legend class="field-label">Payload is a</legend>
          <div class="segmented">
            {(['script', 'command'] as const).map((mode) => (
              <label key={mode}>
                <input
                  type="radio"
                  name="mode"
                  value={mode}
                  checked={draft.mode === mode}
                  onChange={() => actions.edit('mode', mode)}
                />
                <span>{mode === 'script' ? 'Script' : 'Command'}</span>
              </label>
            ))}
          </div>
        </fieldset>
        {draft.mode === 'script' ? field('interpreter', 'Interpreter', 'python3') : null}
        {field('name', 'Name', 'none')}
        {field('timeoutSeconds', 'Time limit, seconds', 'none', true)}
        {field('maxAttempts', 'Attempts at most', '1', true)}
        {field('priority', 'Priority, 0–100', '50', true)}
      </div>
      {all ? <More draft={draft} badField={badField} /> : null}
    </details>
  );
}

function More({ draft, badField }: { readonly draft: Draft; readonly badField: string | null }): VNode {
  const field = (name: DraftField, label: string, placeholder: string, numeric = false): VNode => (
    <Field draft={draft} field={name} bad={badField === name} {...{ label, placeholder, numeric }} />
  );
  const area = (name: DraftField, label: string, placeholder: string): VNode => (
    <Area draft={draft} field={name} bad={badField === name} {...{ label, placeholder }} />
  );
  return (
    <>
      <h3 class="options-title">When it fails, when it starts, where it runs</h3>
      <div class="options-grid">
        {field('backoffSeconds', 'Pause before the next attempt, seconds', '1, doubling', true)}
        {field('noRetryExitCodes', 'No further attempt after exit codes', 'none, e.g. 2, 64')}
        {field('delaySeconds', 'Start no earlier than in, seconds', 'at once', true)}
        {field('cpu', 'Cores reserved', '0', true)}
        {field('memoryMb', 'Memory reserved, MiB', '0', true)}
        <Disconnect draft={draft} bad={badField === 'onDisconnect'} />
        {area('constraints', 'Node must have labels', 'KEY=VALUE, one a line')}
        {area('after', 'After these have succeeded', 'full hashes, one a line')}
      </div>
      <h3 class="options-title">What it gets, what is kept</h3>
      <div class="options-grid">
        {area('env', 'Environment', 'KEY=VALUE, one a line')}
        {area('stdin', 'Standard input', 'nothing')}
        {area('labels', 'Labels', 'KEY=VALUE, one a line')}
        {field('cwd', 'Folder on the node', 'a fresh one')}
        <Files files={draft.files} />
        {area('collect', 'Files to keep', 'patterns, one a line, e.g. out/*.png')}
      </div>
    </>
  );
}

interface FieldProps {
  readonly draft: Draft;
  readonly field: DraftField;
  readonly label: string;
  readonly placeholder: string;
  readonly numeric?: boolean;
  readonly bad: boolean;
}

function Field({ draft, field, label, placeholder, numeric = false, bad }: FieldProps): VNode {
  const { actions } = useApp();
  return (
    <label class="field">
      <span class="field-label">{label}</span>
      <input
        name={field}
        type="text"
        inputMode={numeric ? 'decimal' : 'text'}
        autocomplete="off"
        spellcheck={false}
        placeholder={placeholder}
        aria-invalid={bad}
        aria-describedby={bad ? 'send-problem' : undefined}
        value={draft[field]}
        onInput={(event) => actions.edit(field, event.currentTarget.value)}
      />
    </label>
  );
}

function Area({ draft, field, label, placeholder, bad }: FieldProps): VNode {
  const { actions } = useApp();
  return (
    <label class="field">
      <span class="field-label">{label}</span>
      <textarea
        name={field}
        class="field-area"
        rows={2}
        autocomplete="off"
        spellcheck={false}
        placeholder={placeholder}
        aria-invalid={bad}
        aria-describedby={bad ? 'send-problem' : undefined}
        value={draft[field]}
        onInput={(event) => actions.edit(field, event.currentTarget.value)}
      />
    </label>
  );
}

const DISCONNECT_TEXTS = {
  pause: 'pause (default)',
  stop: 'stop',
  continue: 'continue: it may run twice',
} as const;

function Disconnect({ draft, bad }: { readonly draft: Draft; readonly bad: boolean }): VNode {
  const { actions } = useApp();
  return (
    <label class="field">
      <span class="field-label">When its node is cut off</span>
      <select
        name="onDisconnect"
        aria-invalid={bad}
        value={draft.onDisconnect}
        onChange={(event) => actions.edit('onDisconnect', event.currentTarget.value)}
      >
        {DISCONNECTS.map((what) => (
          <option key={what} value={what === 'pause' ? '' : what}>
            {DISCONNECT_TEXTS[what]}
          </option>
        ))}
      </select>
    </label>
  );
}

const BASE64_CHUNK_BYTES = 32_768;

function base64Of(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += BASE64_CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + BASE64_CHUNK_BYTES));
  }
  return btoa(binary);
}

/** Files of this machine that go along. They are read when they are chosen. */
function Files({ files }: { readonly files: readonly TaskFile[] }): VNode {
  const { actions } = useApp();
  const [problem, setProblem] = useState<string | null>(null);
  const read = async (chosen: readonly File[]): Promise<void> => {
    setProblem(null);
    const bytes = chosen.reduce((sum, { size }) => sum + size, 0);
    if (bytes > LIMITS.taskBytesMax || chosen.length > LIMITS.filesMax) {
      const limit = `${byteSize(LIMITS.taskBytesMax)} and ${LIMITS.filesMax} files are the limit`;
      setProblem(`${byteSize(bytes)} in ${chosen.length} files: ${limit}.`);
      return;
    }
    const loaded = await Promise.all(
      chosen.map(async (file): Promise<TaskFile> => {
        return { path: file.name, contentBase64: base64Of(new Uint8Array(await file.arrayBuffer())) };
      }),
    );
    actions.setFiles(loaded);
  };
  return (
    <div class="field field-files">
      <label class="field-label" for="task-files-input">
        Files to send along
      </label>
      <input
        id="task-files-input"
        type="file"
        multiple
        data-testid="files-input"
        onChange={(event) => {
          read([...(event.currentTarget.files ?? [])]).catch(() => setProblem('They cannot be read.'));
        }}
      />
      <span class="hint" role="status" data-testid="files-chosen">
        {problem ?? (files.length === 0 ? '' : files.map(({ path }) => path).join(', '))}
        {problem === null && files.length > 0 ? (
          <>
            {' '}
            <button type="button" class="link-button" onClick={() => actions.setFiles([])}>
              none of them
            </button>
          </>
        ) : null}
      </span>
    </div>
  );
}
