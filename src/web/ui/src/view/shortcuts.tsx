import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import {
  clusterHash,
  dashboardHash,
  faultsHash,
  homeHash,
  logsHash,
  nodesHash,
  submitHash,
  tasksHash,
} from '../model/router.ts';

/** A second key has to follow `g` within this time. */
const SEQUENCE_MS_MAX = 1_500;

const GO: Readonly<Record<string, { readonly label: string; readonly href: string }>> = {
  p: { label: 'Payloads', href: homeHash },
  s: { label: 'Submit', href: submitHash },
  t: { label: 'Tasks', href: tasksHash() },
  d: { label: 'Dashboard', href: dashboardHash },
  n: { label: 'Nodes', href: nodesHash },
  c: { label: 'Cluster', href: clusterHash },
  f: { label: 'Faults', href: faultsHash },
  l: { label: 'Log lines', href: logsHash() },
};

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable || target.shadowRoot !== null || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
  );
}

/** Keys for those who do not want the mouse, and the list of them. Every action can be reached by Tab as well. */
export function Shortcuts(): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  useEffect(() => {
    let awaitedUntil = 0;
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const goTo = performance.now() < awaitedUntil ? GO[event.key] : undefined;
      awaitedUntil = event.key === 'g' ? performance.now() + SEQUENCE_MS_MAX : 0;
      if (goTo !== undefined) window.location.hash = goTo.href;
      else if (event.key === '?') setOpen(true);
      else if (event.key === '/') {
        const search = document.querySelector<HTMLInputElement>('[data-shortcut="search"]');
        if (search === null) return;
        search.focus();
        search.select();
      } else return;
      event.preventDefault();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  return (
    <>
      <button
        type="button"
        class="icon-button keys-button"
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)"
        aria-haspopup="dialog"
        data-testid="shortcuts"
        onClick={() => setOpen(true)}
      >
        ?
      </button>
      <dialog
        ref={dialog}
        class="dialog"
        aria-labelledby="keys-title"
        data-testid="shortcuts-dialog"
        onClose={() => setOpen(false)}
      >
        {open ? <List close={() => setOpen(false)} /> : null}
      </dialog>
    </>
  );
}

function List({ close }: { readonly close: () => void }): VNode {
  return (
    <>
      <h2 id="keys-title">Keyboard shortcuts</h2>
      <dl class="keys-list">
        {Object.entries(GO).map(([key, { label }]) => (
          <div key={key}>
            <dt>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>
            <dd>{label}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>/</kbd>
          </dt>
          <dd>to the search</dd>
        </div>
        <div>
          <dt>
            <kbd>Ctrl</kbd> <kbd>Enter</kbd>
          </dt>
          <dd>sends the payload</dd>
        </div>
        <div>
          <dt>
            <kbd>?</kbd>
          </dt>
          <dd>this list</dd>
        </div>
      </dl>
      <button type="button" class="button button-small" onClick={close}>
        Close
      </button>
    </>
  );
}
