import type { VNode } from 'preact';
import { DISCONNECTS } from '../model/draft.ts';
import type { Draft, DraftField } from '../model/draft.ts';
import { useApp } from './context.ts';
import { Icon } from './icons.tsx';
import { InputFiles } from './input-files.tsx';

interface FieldsProps {
  readonly draft: Draft;
  readonly badField: string | null;
}

interface OptionsProps extends FieldsProps {
  /** Every option, opened; else the ones that are used most, folded. */
  readonly all: boolean;
}

/** Those that are there while the others are not. */
const FIRST_FIELDS: readonly DraftField[] = [
  'interpreter',
  'name',
  'timeoutSeconds',
  'maxAttempts',
  'priority',
];

/** How a payload is to be run. What is left empty has its default, which stands in the field. */
export function Options({ draft, badField, all }: OptionsProps): VNode {
  const { actions } = useApp();
  const { field } = useFields({ draft, badField });
  // What is wrong must be in sight, to be mended.
  const open = all || FIRST_FIELDS.some((name) => name === badField);
  return (
    <details class="options" open={open}>
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
        {field('timeoutSeconds', 'Time limit, seconds', 'none', 'decimal')}
        {field('maxAttempts', 'Attempts at most', '1', 'decimal')}
        {field('priority', 'Priority, 0–100', '50', 'decimal')}
      </div>
      {all ? <More draft={draft} badField={badField} /> : null}
    </details>
  );
}

function More({ draft, badField }: FieldsProps): VNode {
  const { field, area } = useFields({ draft, badField });
  return (
    <>
      <h3 class="options-title">When it fails, when it starts, where it runs</h3>
      <div class="options-grid">
        {field('backoffSeconds', 'Pause before the next attempt, seconds', '1, doubling', 'decimal')}
        {field('noRetryExitCodes', 'No further attempt after exit codes', 'none, e.g. 2, 64')}
        {field('delaySeconds', 'Start no earlier than in, seconds', 'at once', 'decimal')}
        {field('cpu', 'Cores reserved', '0', 'decimal')}
        {field('memoryMb', 'Memory reserved, MiB', '0', 'decimal')}
        <Disconnect draft={draft} badField={badField} />
        {area('constraints', 'Node must have labels', 'KEY=VALUE, one a line')}
        {area('after', 'After these have succeeded', 'full hashes, one a line')}
      </div>
      <h3 class="options-title">What it gets, what is kept</h3>
      <div class="options-grid">
        {area('env', 'Environment', 'KEY=VALUE, one a line')}
        {area('stdin', 'Standard input', 'nothing')}
        {area('labels', 'Labels', 'KEY=VALUE, one a line')}
        {field('cwd', 'Folder on the node', 'a fresh one')}
        <InputFiles files={draft.files} />
        {area('collect', 'Files to keep', 'patterns, one a line, e.g. out/*.png')}
      </div>
    </>
  );
}

interface Fields {
  /** One line. */
  readonly field: (
    name: DraftField,
    label: string,
    placeholder: string,
    inputMode?: 'text' | 'decimal',
  ) => VNode;
  /** Several lines. */
  readonly area: (name: DraftField, label: string, placeholder: string) => VNode;
}

/** What makes the labeled inputs of a draft. */
function useFields({ draft, badField }: FieldsProps): Fields {
  const { actions } = useApp();
  const shared = (name: DraftField, placeholder: string) => ({
    ...{ name, placeholder, autocomplete: 'off', spellcheck: false, value: draft[name] },
    ...faultOf(name, badField),
    onInput: (event: { readonly currentTarget: { readonly value: string } }) =>
      actions.edit(name, event.currentTarget.value),
  });
  return {
    field: (name, label, placeholder, inputMode = 'text') => (
      <Labeled label={label}>
        <input type="text" inputMode={inputMode} {...shared(name, placeholder)} />
      </Labeled>
    ),
    area: (name, label, placeholder) => (
      <Labeled label={label}>
        <textarea class="field-area" rows={2} {...shared(name, placeholder)} />
      </Labeled>
    ),
  };
}

/** How an input says that it is the one that is wrong. */
function faultOf(name: DraftField, badField: string | null) {
  const bad = badField === name;
  return { 'aria-invalid': bad, 'aria-describedby': bad ? 'send-problem' : undefined };
}

function Labeled({ label, children }: { readonly label: string; readonly children: VNode }): VNode {
  return (
    <label class="field">
      <span class="field-label">{label}</span>
      {children}
    </label>
  );
}

const DISCONNECT_TEXTS = {
  pause: 'pause (default)',
  stop: 'stop',
  continue: 'continue: it may run twice',
} as const;

function Disconnect({ draft, badField }: FieldsProps): VNode {
  const { actions } = useApp();
  return (
    <Labeled label="When its node is cut off">
      <select
        name="onDisconnect"
        {...faultOf('onDisconnect', badField)}
        value={draft.onDisconnect}
        onChange={(event) => actions.edit('onDisconnect', event.currentTarget.value)}
      >
        {DISCONNECTS.map((what) => (
          <option key={what} value={what === 'pause' ? '' : what}>
            {DISCONNECT_TEXTS[what]}
          </option>
        ))}
      </select>
    </Labeled>
  );
}
