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

// The colours and fonts of the client node's page (src/web/ui/src/styles/tokens.css).
const BASE_STYLE = `
:root { color-scheme: light dark; --muted: light-dark(#5b6472, #98a2b1); --line: light-dark(#e2e5eb, #262c36);
  --line-strong: light-dark(#c9ced8, #3a424f); --accent: light-dark(#3f51b5, #95a4ff); --bg: light-dark(#f4f5f8, #0e1115);
  --panel: light-dark(#ffffff, #161a20); --fg: light-dark(#1a1e26, #e4e8ee); --good: light-dark(#17733a, #6fd08f);
  --bad: light-dark(#b0241c, #ff8f85); --warn: light-dark(#855600, #efba5d); }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; background: var(--bg); color: var(--fg); }
main { padding: 1rem; max-width: 60rem; }
a { color: var(--accent); }
input, button { font: inherit; padding: .35rem .6rem; border: 1px solid var(--line-strong); border-radius: 6px;
  background: var(--panel); color: inherit; }
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

const ONE_TEXT_STYLE = `
body { display: grid; place-items: center; min-height: 100vh; min-height: 100dvh; }
main { padding: 2rem 3.5rem; border: 1px solid var(--line); border-radius: 10px; background: var(--panel); }
h1 { margin: 0; font-size: 1.6rem; font-weight: 600; }
`;

/** A page that shows one text and nothing else. */
export function emptyPage(parts: { readonly title: string; readonly body: string }): Page {
  return page({
    title: parts.title,
    body: `<main><h1>${escapeHtml(parts.body)}</h1></main>`,
    style: ONE_TEXT_STYLE,
  });
}
