import type { ComponentChildren, VNode } from 'preact';
import type { IconName } from '../model/status.ts';

type Glyph = IconName | 'crown' | 'chevron' | 'copy' | 'back' | 'warning' | 'search';

/** Drawn on a grid of 16, in the colour of the text beside them. */
const GLYPHS: Readonly<Record<Glyph, ComponentChildren>> = {
  clock: [<circle key="c" cx="8" cy="8" r="5.75" />, <path key="p" d="M8 4.8V8l2.2 1.6" />],
  queue: [<path key="p" d="M3 4.5h10M3 8h10M3 11.5h6" />],
  arrow: [<path key="p" d="M2.5 8h10M9 4.5 12.5 8 9 11.5" />],
  spinner: [
    <circle key="c" cx="8" cy="8" r="5.5" class="icon-track" />,
    <path key="p" d="M8 2.5A5.5 5.5 0 0 1 13.5 8" />,
  ],
  check: [<path key="p" d="m3.2 8.6 3.2 3.2 6.4-7.2" />],
  cross: [<path key="p" d="m4 4 8 8M12 4l-8 8" />],
  timer: [<circle key="c" cx="8" cy="9" r="4.75" />, <path key="p" d="M8 6.4V9M6.4 2h3.2" />],
  slash: [<circle key="c" cx="8" cy="8" r="5.5" />, <path key="p" d="m4.2 11.8 7.6-7.6" />],
  loop: [<path key="p" d="M12.8 6.2A5.2 5.2 0 1 0 13.2 9M13 2.8v3.4H9.6" />],
  crown: [<path key="p" class="icon-solid" d="M2.2 12.8h11.6l1-7.4-3.7 2.7L8 2.8 4.9 8.1 1.2 5.4z" />],
  chevron: [<path key="p" d="m4.5 6.5 3.5 3.5 3.5-3.5" />],
  copy: [
    <rect key="r" x="5.5" y="5.5" width="7.5" height="7.5" rx="1.5" />,
    <path key="p" d="M10.5 5.3V4A1.3 1.3 0 0 0 9.2 2.7H4A1.3 1.3 0 0 0 2.7 4v5.2A1.3 1.3 0 0 0 4 10.5h1.3" />,
  ],
  back: [<path key="p" d="M13.5 8h-11M6 4.5 2.5 8 6 11.5" />],
  warning: [<path key="p" d="M8 2.6 14.2 13.2H1.8zM8 6.6v3M8 11.4v.1" />],
  search: [<circle key="c" cx="7" cy="7" r="4.25" />, <path key="p" d="m10.3 10.3 3.2 3.2" />],
};

/** An ornament: what it says always stands beside it in words. */
export function Icon({ name }: { readonly name: Glyph }): VNode {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {GLYPHS[name]}
    </svg>
  );
}

export function Logo(): VNode {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect class="logo-tile" width="32" height="32" rx="8" />
      <path class="logo-line" d="M16 11v4M16 15l-7 6M16 15v6M16 15l7 6" />
      <g class="logo-dot">
        <circle cx="16" cy="8.5" r="3" />
        <circle cx="8.5" cy="23" r="2.6" />
        <circle cx="16" cy="23" r="2.6" />
        <circle cx="23.5" cy="23" r="2.6" />
      </g>
    </svg>
  );
}
