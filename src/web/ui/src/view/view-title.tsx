import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/** The head of a view: where a keyboard and a screen reader are after it was opened. */
export function ViewTitle({ title, hint }: { readonly title: string; readonly hint: string }): VNode {
  const heading = useRef<HTMLHeadingElement>(null);
  // Before anything of the view is on the screen: later, it would take the focus from a field that is typed in already.
  useLayoutEffect(() => {
    window.scrollTo(0, 0);
    heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div class="view-title">
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      <p class="hint">{hint}</p>
    </div>
  );
}
