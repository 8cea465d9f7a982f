import type { ComponentType, VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Draft } from '../model/draft.ts';
import { shortId } from '../model/format.ts';
import { taskHash } from '../model/router.ts';
import type { SendState } from '../state/app-state.ts';
import { useApp, useSelect } from './context.ts';
import { Icon } from './icons.tsx';
import { Options } from './options.tsx';

export interface ComposeProps {
  /** What edits a script, given the plain field that would; left out: that field itself. */
  readonly editor?: ComponentType<{ readonly plain: VNode; readonly bad: boolean }>;
  readonly optionsOpen?: boolean;
}

/** The form that makes and sends a payload. */
export function Compose({ editor: Editor, optionsOpen = false }: ComposeProps): VNode {
  const { actions } = useApp();
  const draft = useSelect((state) => state.draft);
  const send = useSelect((state) => state.send);
  const form = useRef<HTMLFormElement>(null);
  const sending = send.kind === 'sending';
  const badField = send.kind === 'refused' ? send.field : null;

  useEffect(() => {
    if (badField === null) return;
    const input = form.current?.elements.namedItem(badField);
    if (input instanceof HTMLElement) input.focus();
  }, [send]);

  const submit = (): void => void actions.submit();
  const bad = badField === draft.mode;
  const plain = <PayloadInput draft={draft} bad={bad} />;
  return (
    <section class="panel compose" aria-labelledby="compose-title">
      {Editor === undefined ? (
        <h1 id="compose-title" class="visually-hidden">
          New payload
        </h1>
      ) : (
        <h2 id="compose-title" class="visually-hidden">
          New payload
        </h2>
      )}
      <form
        ref={form}
        aria-busy={sending}
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
        onKeyDown={(event) => {
          // An editor that has taken the keys sends by itself.
          if (event.defaultPrevented || event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          submit();
        }}
      >
        {Editor === undefined || draft.mode === 'command' ? plain : <Editor plain={plain} bad={bad} />}
        <div class="compose-bar">
          <button type="button" class="button" disabled={sending} onClick={() => actions.generate()}>
            Generate Payload
          </button>
          <button type="submit" class="button button-primary" disabled={sending}>
            Send Payload
          </button>
          <SendStatus send={send} />
          <span class="hint keys">Ctrl + Enter sends</span>
        </div>
        <Problem send={send} />
        <Options draft={draft} badField={badField} all={optionsOpen} />
      </form>
    </section>
  );
}

function PayloadInput({ draft, bad }: { readonly draft: Draft; readonly bad: boolean }): VNode {
  const { actions } = useApp();
  const isScript = draft.mode === 'script';
  return (
    <>
      <label class="visually-hidden" for="payload">
        {isScript ? 'Payload: a Python script' : 'Payload: a program and its arguments'}
      </label>
      <textarea
        id="payload"
        name={draft.mode}
        class="payload-input"
        data-testid="payload-input"
        rows={isScript ? 7 : 2}
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        placeholder={
          isScript
            ? 'A Python script. Press Generate Payload for an example.'
            : "A program and its arguments, for example: sh -c 'date; hostname'"
        }
        aria-invalid={bad}
        aria-describedby={bad ? 'send-problem' : undefined}
        value={draft[draft.mode]}
        onInput={(event) => actions.edit(draft.mode, event.currentTarget.value)}
      />
    </>
  );
}

function SendStatus({ send }: { readonly send: SendState }): VNode {
  const { actions } = useApp();
  return (
    <span class="send-status" role="status" data-testid="send-status" data-state={send.kind}>
      {send.kind === 'sending' && send.reason === null ? <span class="muted">Sending…</span> : null}
      {send.kind === 'sending' && send.reason !== null ? (
        <span class="text-warn">
          Not accepted yet, trying again (try {send.attempt}). {send.reason}{' '}
          <button type="button" class="link-button" onClick={() => actions.giveUp()}>
            Stop trying
          </button>
        </span>
      ) : null}
      {send.kind === 'sent' ? (
        <span class="text-good">
          <Icon name="check" /> Accepted as <a href={taskHash(send.id)}>{shortId(send.id)}</a>
        </span>
      ) : null}
    </span>
  );
}

function Problem({ send }: { readonly send: SendState }): VNode | null {
  if (send.kind !== 'refused') return null;
  return (
    <div class="problem" id="send-problem" role="alert" data-testid="send-problem">
      <Icon name="warning" />
      <p>
        <strong>{send.title}.</strong> {send.message}
        {send.advice === null ? null : <span class="problem-advice">{send.advice}</span>}
      </p>
    </div>
  );
}
