import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** The head of a view: where a keyboard and a screen reader are after it was opened. */
export function ViewTitle({ title, hint }: { readonly title: string; readonly hint: string }): VNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
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
