/** The only file that knows CodeMirror; loaded when the view with the editor is opened. */
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { pythonLanguage } from '@codemirror/lang-python';
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';

export interface EditorOptions {
  readonly parent: HTMLElement;
  readonly text: string;
  /** Where the cursor is, in characters from the start. */
  readonly cursor: number;
  readonly focus: boolean;
  readonly label: string;
  readonly onChange: (text: string) => void;
  readonly onSend: () => void;
}

export interface ScriptEditor {
  /** Takes in a text that did not come from the editor itself. */
  readonly setText: (text: string) => void;
  readonly focus: () => void;
  readonly destroy: () => void;
}

const COLOURS = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.controlKeyword], color: 'var(--waiting)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--warn)' },
  { tag: tags.comment, color: 'var(--muted)', fontStyle: 'italic' },
  {
    tag: [tags.function(tags.variableName), tags.function(tags.definition(tags.variableName))],
    color: 'var(--active)',
  },
  { tag: [tags.className, tags.definition(tags.className)], color: 'var(--active)', fontWeight: '600' },
]);

const THEME = EditorView.theme({
  '&': { minHeight: '260px', maxHeight: '60vh', color: 'var(--text)', fontSize: '13px' },
  '&.cm-focused': { outline: '1px solid var(--focus)' },
  '.cm-scroller': { overflow: 'auto', font: '13px/1.5 var(--mono)' },
  '.cm-content': { minHeight: '260px', padding: '10px 0', caretColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--sunken)', color: 'var(--muted)', border: '0' },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--accent) 6%, transparent)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--accent-soft)' },
});

/**
 * An editor inside a shadow root: there CodeMirror's style sheets are adopted ones, while in the document itself it
 * would write them as elements, which the page's Content-Security-Policy forbids. Tab leaves it, as everywhere.
 */
export function openEditor(options: EditorOptions): ScriptEditor {
  const { parent, text, cursor, label } = options;
  const root = parent.shadowRoot ?? parent.attachShadow({ mode: 'open' });
  const send = { key: 'Mod-Enter', run: () => (options.onSend(), true) };
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text,
      selection: { anchor: Math.min(cursor, text.length) },
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        bracketMatching(),
        highlightActiveLine(),
        indentUnit.of('    '),
        pythonLanguage,
        syntaxHighlighting(COLOURS),
        THEME,
        keymap.of([send, ...defaultKeymap, ...historyKeymap]),
        EditorView.contentAttributes.of({ 'aria-label': label }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  if (options.focus) view.focus();
  return {
    setText: (now) => {
      if (now === view.state.doc.toString()) return;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: now } });
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
