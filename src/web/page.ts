/** The small self-contained pages of the nodes: no file besides, light and dark, usable without scripts. */
import { randomBytes } from 'node:crypto';

export interface Page {
  readonly html: string;
  /** Goes into the Content-Security-Policy of the answer. */
  readonly nonce: string;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const BASE_STYLE = `
:root { color-scheme: light dark; --muted: light-dark(#5b6470, #9aa4b2); --line: light-dark(#d8dde4, #333b46);
  --accent: light-dark(#0b57d0, #8ab4f8); --bg: light-dark(#ffffff, #14171c); --fg: light-dark(#1c2128, #e6e9ee); }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; background: var(--bg); color: var(--fg); }
main { padding: 1rem; max-width: 60rem; }
a { color: var(--accent); }
input, button { font: inherit; padding: .35rem .6rem; border: 1px solid var(--line); border-radius: .4rem;
  background: transparent; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
`;

/** `body` and `script` are trusted: escape what comes from elsewhere. */
export function page(parts: {
  readonly title: string;
  readonly body: string;
  readonly style?: string;
  readonly script?: string;
}): Page {
  const nonce = randomBytes(16).toString('base64url');
  const script = parts.script === undefined ? '' : `<script nonce="${nonce}">${parts.script}</script>`;
  return {
    nonce,
    html:
      `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(parts.title)}</title>` +
      `<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">` +
      `<style nonce="${nonce}">${BASE_STYLE}${parts.style ?? ''}</style></head>` +
      `<body>${parts.body}${script}</body></html>\n`,
  };
}

/** A page that shows one text and nothing else. */
export function emptyPage(parts: { readonly title: string; readonly body: string }): Page {
  return page({ title: parts.title, body: `<main>${escapeHtml(parts.body)}</main>` });
}
