import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { callLines } from '../model/call-lines.ts';
import type { Draft } from '../model/draft.ts';
import { Compose } from './compose.tsx';
import { useApp, useSelect } from './context.ts';
import type { openEditor, ScriptEditor } from './script-editor.ts';
import { CopyButton } from './small.tsx';
import { ViewTitle } from './view-title.tsx';

/** The same form with an editor for the script, and what would do the same from a shell. */
export function Submit(): VNode {
  return (
    <div class="view" data-testid="submit-view">
      <ViewTitle title="Submit" hint="What is typed here is kept until it is sent, over a reload too." />
      <Compose editor={Script} optionsOpen />
      <Calls />
    </div>
  );
}

const LABEL = 'Payload: a Python script';

/** A plain field until the editor is there; it takes over the text, the cursor and the focus. */
function Script({ plain, bad }: { readonly plain: VNode; readonly bad: boolean }): VNode {
  const { actions, store } = useApp();
  const script = useSelect((state) => state.draft.script);
  const holder = useRef<HTMLDivElement>(null);
  const [editor, setEditor] = useState<ScriptEditor | null>(null);
  useEffect(() => {
    let made: ScriptEditor | null = null;
    let gone = false;
    const make = (open: typeof openEditor): void => {
      if (gone || holder.current === null) return;
      const field = document.getElementById('payload');
      const isField = field instanceof HTMLTextAreaElement;
      made = open({
        parent: holder.current,
        text: store.get().draft.script,
        cursor: isField ? field.selectionStart : 0,
        focus: document.activeElement === field && isField,
        label: LABEL,
        onChange: (text) => {
          // Else a form that was emptied by a send would count as typed in.
          if (text !== store.get().draft.script) actions.edit('script', text);
        },
        onSend: () => void actions.submit(),
      });
      setEditor(made);
    };
    // Where it cannot be had the plain field stays: it does all that is needed.
    void import('./script-editor.ts').then(
      ({ openEditor: open }) => make(open),
      () => undefined,
    );
    return () => {
      gone = true;
      made?.destroy();
    };
  }, []);
  // The state as it is now: what was drawn may be a letter behind what has been typed since.
  useEffect(() => editor?.setText(store.get().draft.script), [editor, script]);
  useEffect(() => {
    if (bad) editor?.focus();
  }, [editor, bad]);
  return (
    <>
      {editor === null ? plain : null}
      <div
        ref={holder}
        class={`editor ${editor === null ? '' : 'editor-ready'} ${bad ? 'editor-bad' : ''}`}
        data-testid="script-editor"
        data-ready={editor !== null}
      />
    </>
  );
}

/** For those who want to do the same again without this page. */
function Calls(): VNode {
  const draft: Draft = useSelect((state) => state.draft);
  const lines = useMemo(() => callLines(draft, window.location.origin), [draft]);
  return (
    <section class="panel calls" aria-labelledby="calls-title">
      <div class="section-head">
        <h2 id="calls-title">The same from a shell</h2>
      </div>
      {lines.kind === 'none' ? (
        <p class="calls-none muted">{lines.reason}</p>
      ) : (
        <>
          <Call title="clb" text={lines.clb} />
          <Call title="curl" text={lines.curl} />
        </>
      )}
    </section>
  );
}

function Call({ title, text }: { readonly title: string; readonly text: string }): VNode {
  return (
    <div class="call">
      <div class="call-head">
        <h3>{title}</h3>
        <CopyButton text={text} what={`the ${title} line`} />
      </div>
      <pre class="code" tabIndex={0} data-testid={`call-${title}`}>
        {text}
      </pre>
    </div>
  );
}
